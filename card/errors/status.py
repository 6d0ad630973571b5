# SPDX-License-Identifier: Apache-2.0
"""The root of the tree, what is malformed, and what a card refuses by a status word."""

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


class ApplicationLocked(Blocked):
    """6A81 to SELECT where the master file answers: the application is blocked for a time."""

    def __init__(self, sw: int, ins: int) -> None:
        super().__init__(sw, ins)
        self.meaning = Text(
            "义工证应用已临时锁定", "the volunteer application is blocked until unblocked"
        )
        self.advice = Text(
            "请到服务台解锁或更换", "have it unblocked or replaced at the service desk"
        )


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
