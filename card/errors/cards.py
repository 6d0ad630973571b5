# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a card, with what it holds or proves, or with what is asked of it."""

from __future__ import annotations

from card.errors.status import CardError
from card.status_words import Text


class CardRemoved(CardError):
    """The card left the reader or the field."""

    meaning = Text("卡片已离开", "the card was removed")
    advice = Text("请重新放卡", "put the card back")


class MuteCard(CardError):
    """A card lies on the reader but does not answer."""

    meaning = Text("卡片无应答", "the card does not answer")
    advice = Text(
        "请检查卡片方向，擦净触点或更换卡片", "turn it, clean its contacts or try another"
    )


class BlankCard(CardError):
    """The card has no master file yet: it was never issued."""

    meaning = Text("空白卡，尚未发卡", "a blank card, not issued yet")
    advice = Text("请用 yika-card issue 发卡", "issue it with yika-card issue")


class ForeignCard(CardError):
    """The card has no volunteer application."""

    meaning = Text("不是义工证", "not a volunteer card")
    advice = Text("请使用义工证", "use your volunteer card")


class WrongCard(CardError):
    """A volunteer card with another serial number than expected."""

    advice = Text("请换成正确的卡片", "use the right card")

    def __init__(self, expected: bytes, found: bytes) -> None:
        super().__init__(expected, found)
        self.expected = expected
        self.found = found
        self.meaning = Text(
            f"卡号是 {found.hex().upper()}，应为 {expected.hex().upper()}",
            f"card {found.hex().upper()} where {expected.hex().upper()} is expected",
        )


class GuardRefused(CardError):
    """A key has too few attempts left to be tried by a machine."""

    advice = Text("请核对密钥库与卡片后由两人处理", "compare store and card; two people decide")

    def __init__(self, key: str, attempts_left: int) -> None:
        super().__init__(key, attempts_left)
        self.key = key
        self.attempts_left = attempts_left
        self.meaning = Text(
            f"密钥 {key} 只剩 {attempts_left} 次机会，已停止尝试",
            f"key {key} has {attempts_left} attempt(s) left; it is not tried again",
        )


class ReadBackMismatch(CardError):
    """What is read back is not what was written; `what` names it."""

    advice = Text("请作废此卡并更换", "void the card and take another")

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.meaning = Text(f"{what} 回读不一致", f"{what} does not read back as written")


class IssuedOtherwise(CardError):
    """The card was issued before with other data or keys; `what` names the first difference."""

    advice = Text("请先在服务台核对或另取新卡", "check it at the desk or take a new card")

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.meaning = Text(f"此卡已发过，{what} 不同", f"issued before with a different {what}")


class CapabilityMissing(CardError):
    """A card or its driver cannot do what an application needs.

    Attributes:
        application: Who needs it.
        card: Which card or driver lacks it.
        capability: What is lacking.
        reason: What it is needed for.
    """

    advice = Text("请换用支持的卡型", "use a type of card that can do it")

    def __init__(self, application: str, card: str, capability: Text, reason: Text) -> None:
        super().__init__(application, card, capability, reason)
        self.application = application
        self.card = card
        self.capability = capability
        self.reason = reason
        self.meaning = Text(
            f"{application} 需要{capability.zh}（{reason.zh}），{card} 不支持",
            f"{application} needs {capability.en} {reason.en}; {card} does not have it",
        )


class DriverUnknown(CardError):
    """No driver of this name."""

    advice = Text("请查 docs/sdk.md 所列驱动", "see the drivers in docs/sdk.md")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name
        self.meaning = Text(f"没有名为 {name} 的卡片驱动", f"no card driver is called {name}")


class CardProofWrong(CardError):
    """A proof of the card is not the one its keys give.

    Attributes:
        what: MAC1, MAC2, MAC3 or TAC.
        committed: Whether the card had already carried the transaction out.
    """

    advice = Text("请核对密钥库后查此笔交易", "check the key store, then look the transaction up")

    def __init__(self, what: str, *, committed: bool) -> None:
        super().__init__(what, committed)
        self.what = what
        self.committed = committed
        zh, en = (
            ("卡片已执行", "the card has done it")
            if committed
            else ("卡片未执行", "the card has done nothing")
        )
        self.meaning = Text(f"卡片给出的 {what} 不对，{zh}", f"the card's {what} is wrong; {en}")


class CassetteMismatch(CardError):
    """A replayed program did something else than was recorded.

    Attributes:
        number: Of the exchange, from 1.
        expected: The recorded bytes, masked; empty if nothing more was recorded.
        found: What came instead, masked; empty if nothing came.
    """

    advice = Text("请比对两条指令，或重新录制", "compare the two commands, or record again")

    def __init__(self, number: int, expected: bytes, found: bytes) -> None:
        super().__init__(number, expected, found)
        self.number = number
        self.expected = expected
        self.found = found
        due, came = expected.hex().upper() or "-", found.hex().upper() or "-"
        self.meaning = Text(
            f"第 {number} 条与录制不符：应为 {due}，实为 {came}",
            f"exchange {number} differs from the cassette: {due} is due, {came} came",
        )


class CassetteMasked(CardError):
    """The answer of exchange `number` was masked when it was recorded."""

    advice = Text(
        "请用测试卡并加 --reveal-secrets 重新录制",
        "record a test card again with --reveal-secrets",
    )

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.meaning = Text(
            f"第 {number} 条的应答在录制时已遮盖", f"the answer of exchange {number} was masked"
        )


class DumpRefused(CardError):
    """A dump that may not be compared with or written to this card; `reason` says why."""

    advice = Text("请核对转储文件与卡片", "check the dump and the card")

    def __init__(self, reason: Text) -> None:
        super().__init__(reason)
        self.reason = reason
        self.meaning = Text(f"转储不可用（{reason.zh}）", f"the dump is refused ({reason.en})")


class NoPictureLibrary(CardError):
    """The library that makes the chip's photo is not installed."""

    meaning = Text("未安装图像程序库 Pillow", "the library Pillow is not installed")
    advice = Text("请执行 pip install 'yika[card]'", "run: pip install 'yika[card]'")
