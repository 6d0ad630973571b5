# SPDX-License-Identifier: Apache-2.0
"""Everything that can go wrong with a card, as facts.

CardError
├── MalformedApdu         lengths that do not fit a short APDU
├── ProtocolFault         the card breaks the rules of the transport or of an answer's length
├── LayoutError           a file's content does not fit its layout
├── StatusError           the card refused: status word and instruction
│   ├── AuthenticationFailed    63Cx, with the attempts left
│   ├── SecurityNotSatisfied    6982
│   ├── Blocked                 6983, 9303
│   ├── FileNotFound            6A82
│   ├── RecordNotFound          6A83
│   ├── KeyNotFound             6A88, 9403
│   ├── NotSupported            6A81, 6D00, 6E00
│   ├── MacRejected             9302, 6988
│   ├── CounterExhausted        9402
│   └── ProofUnavailable        9406
├── CardRemoved           the card left
├── MuteCard              the card does not answer
├── BlankCard             no master file or no application yet
├── ForeignCard           a card of somebody else
├── WrongCard             a volunteer card, but not the one expected
├── GuardRefused          a key would be tried with too few attempts left
├── ReadBackMismatch      what was written is not what is read
├── IssuedOtherwise       the card was issued before, with other data or keys
├── CapabilityMissing     a card or driver cannot do what an application needs
├── DriverUnknown         no card driver of this name
├── CardProofWrong        a MAC or TAC of the card is not the one its keys give
├── CassetteMismatch      a replayed program did something else than was recorded
├── CassetteMasked        what was recorded cannot be played: it was masked
├── DumpRefused           a dump that may not be compared with or written to this card
├── NoPictureLibrary      Pillow is not installed
└── ReaderError           the reader or its service
    ├── NoDriver, NoService, NoPermission, NoReader, ReaderBusy, NoCard
    └── AnswerLost        whether the card ran the command is not known

Some stand beside what raises them, all under CardError or the class named:

card.attempts        KeyDisagrees, NotTwoPeople
card.batch           OtherBatch; card.batch_rows BatchRefused
card.doctor_machine  ReaderNotTaken, ReaderWithoutDriver (NoReader)
card.issuing_errors  CardSwapped, PlanChanged, IssuingStopped and under it ApplicationBlocked,
                     CardFull, FileLocked, ForeignDialect, KeyBlocked, WrongControlKey
card.profile         ProfileTooBig (LayoutError)
card.shell           ShellError; card.shell_names UnknownName (LayoutError)
card.stored          AnswerUnknown, SessionLost, StoredOtherwise
card.updates         UpdateOutOfOrder

Each carries `meaning` and `advice` for people, Chinese first; the message is made of them.
"""

from __future__ import annotations

from card.status_words import Category, Outcome, Text, describe


class CardError(Exception):
    """Base of the tree. `meaning` says what happened, `advice` what a person can do."""

    meaning: Text = Text("卡片出错", "the card failed")
    advice: Text = Text("请将卡片放稳后重试", "hold the card still and try again")

    @property
    def code(self) -> str:
        """Return the name of the fact, for machines."""
        return type(self).__name__

    def __str__(self) -> str:
        zh, en = self.meaning
        zh_todo, en_todo = self.advice
        return f"{zh}；{zh_todo}。{en}; {en_todo}." if en_todo else f"{zh}。{en}."


class MalformedApdu(CardError):
    """Lengths that do not fit a short APDU; `part` is header, data, le or response."""

    advice = Text("请报告维护人员", "tell the maintainers")

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part
        self.meaning = Text(f"指令格式错误（{part}）", f"malformed APDU ({part})")


class ProtocolFault(CardError):
    """The card breaks a rule of the transport or of an answer; `reason` says which."""

    advice = Text("请换一张卡再试，仍有问题则更换读卡器", "try another card, then another reader")

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.meaning = Text(f"卡片应答不合规（{reason}）", f"the card breaks a rule ({reason})")


class LayoutError(CardError):
    """Bytes or values that do not fit a layout; `layout`, `reason` and `offset` say where.

    `offset` counts bytes from the beginning of the layout; None where no byte is to blame.
    """

    advice = Text("请到服务台检查此卡", "have the card checked at the service desk")

    def __init__(self, layout: str, reason: str, offset: int | None = None) -> None:
        super().__init__(layout, reason, offset)
        self.layout = layout
        self.reason = reason
        self.offset = offset
        self.meaning = Text(
            f"{layout} 的内容不合规（{reason}）", f"the content of {layout} does not fit ({reason})"
        )


class StatusError(CardError):
    """The card answered with a status word other than those accepted.

    Attributes:
        sw: The status word.
        ins: Instruction byte of the command.
        outcome: What kind of refusal it is.
    """

    def __init__(self, sw: int, ins: int) -> None:
        super().__init__(sw, ins)
        row = describe(sw)
        self.sw = sw
        self.ins = ins
        self.outcome: Outcome = row.outcome
        self.category: Category = row.category
        self.retries_left = row.retries_left
        self.advice = row.advice
        self.meaning = Text(
            f"{row.meaning.zh}（{sw:04X}，指令 {ins:02X}）",
            f"{row.meaning.en} ({sw:04X} to {ins:02X})",
        )

    @property
    def attempts_left(self) -> int | None:
        """Return the attempts left if the status word tells them (63Cx)."""
        return self.sw & 0x0F if self.sw & 0xFFF0 == 0x63C0 else None


class AuthenticationFailed(StatusError):
    """63Cx: the key or PIN was wrong; `attempts_left` says how often it may be tried again."""


class SecurityNotSatisfied(StatusError):
    """6982: authenticate first."""


class Blocked(StatusError):
    """6983 or 9303: a key or the application is locked for good."""


class FileNotFound(StatusError):
    """6A82: no such file or application."""


class RecordNotFound(StatusError):
    """6A83: no such record."""


class KeyNotFound(StatusError):
    """6A88 or 9403: no key with this number or version."""


class NotSupported(StatusError):
    """6A81, 6D00 or 6E00: the card does not do this, has no master file, or is blocked."""


class MacRejected(StatusError):
    """9302 or 6988: the card computed another MAC: key or data differ."""


class CounterExhausted(StatusError):
    """9402: the transaction counter is used up; the card must be replaced."""


class ProofUnavailable(StatusError):
    """9406: no MAC and TAC for this transaction; it did not happen, or is not the latest."""


_BY_SW: dict[int, type[StatusError]] = {
    0x6982: SecurityNotSatisfied,
    0x6983: Blocked,
    0x9303: Blocked,
    0x6A82: FileNotFound,
    0x6A83: RecordNotFound,
    0x6A88: KeyNotFound,
    0x9403: KeyNotFound,
    0x6A81: NotSupported,
    0x6D00: NotSupported,
    0x6E00: NotSupported,
    0x9302: MacRejected,
    0x6988: MacRejected,
    0x9402: CounterExhausted,
    0x9406: ProofUnavailable,
}


def status_error(sw: int, ins: int) -> StatusError:
    """Return the error of a status word, of the most telling class.

    >>> error = status_error(0x63C2, 0x82)
    >>> type(error).__name__, error.attempts_left
    ('AuthenticationFailed', 2)
    """
    if sw & 0xFFF0 == 0x63C0:
        return AuthenticationFailed(sw, ins)
    return _BY_SW.get(sw, StatusError)(sw, ins)


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


class ReaderError(CardError):
    """The reader or its service failed; `detail` is the driver's own word."""

    meaning = Text("读卡器出错", "the reader failed")
    advice = Text("请检查读卡器并运行 yika-card doctor", "check it and run yika-card doctor")

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"{super().__str__()} [{self.detail}]" if self.detail else super().__str__()


class NoDriver(ReaderError):
    """The library that talks to readers is not installed."""

    meaning = Text("未安装读卡程序库 pyscard", "the library pyscard is not installed")
    advice = Text("请执行 pip install 'yika[card]'", "run: pip install 'yika[card]'")


class NoService(ReaderError):
    """The PC/SC service does not run."""

    meaning = Text("PC/SC 服务（pcscd）没有运行", "the PC/SC service (pcscd) is not running")
    advice = Text("请执行 systemctl start pcscd 或 pcscd -f", "systemctl start pcscd, or pcscd -f")


class NoPermission(ReaderError):
    """This user may not use the PC/SC service."""

    meaning = Text("没有使用读卡器的权限", "this user may not use readers")
    advice = Text("请换用户，或请管理员放行 pcscd", "use another user or ask the administrator")


class NoReader(ReaderError):
    """No such reader, or none at all."""

    meaning = Text("没有找到读卡器", "no reader found")
    advice = Text(
        "请插好读卡器并安装驱动（apt install libccid）",
        "plug the reader in and install its driver (apt install libccid)",
    )


class ReaderBusy(ReaderError):
    """Another program holds the card exclusively."""

    meaning = Text("读卡器被其他程序占用", "another program is using the card")
    advice = Text("请关闭其他程序后重试", "close the other program and try again")


class NoCard(ReaderError):
    """No card lies on the reader."""

    meaning = Text("读卡器上没有卡片", "no card on the reader")
    advice = Text("请放卡", "put a card on the reader")


class AnswerLost(ReaderError):
    """A command went out and its answer was lost; whether the card ran it is not known."""

    meaning = Text("应答丢失，卡片可能已执行", "the answer was lost; the card may have done it")
    advice = Text("请重新放卡，并检查读卡器连线", "put the card back; check the reader's cable")
