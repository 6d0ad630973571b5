# SPDX-License-Identifier: Apache-2.0
"""Why a personalisation stopped, and what is on the card by then.

IssuingStopped          any refusal in mid-plan, with the step, and what was written before it
├── WrongControlKey     the card's control key is not the one at hand
├── KeyBlocked          a key or PIN of the card is blocked
├── CardFull            no memory left for a file
├── FileLocked          a file exists and does not let itself be written
├── ApplicationBlocked  the application, or the whole card, was blocked
├── ForeignDialect      the card does not understand a command
└── CardSwapped         another card lies there than the plan was begun on
PlanChanged             the card was begun with other data or keys
"""

from __future__ import annotations

from dataclasses import dataclass

from card.errors import AuthenticationFailed, Blocked, CardError, MacRejected, StatusError
from card.status_words import Text

_SELECT = 0xA4


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a plan came.

    Attributes:
        step: The step that did not end, counted from 1; 0 before the first.
        steps: How many there are.
        label: What the step is for.
        writes: Commands of this run that changed the card.
    """

    step: int
    steps: int
    label: Text
    writes: int

    def text(self) -> Text:
        """Say what was and what was not written.

        >>> Reached(7, 30, Text("写入 0015", "fill 0015"), 0).text().en
        'stopped at step 7 of 30 (fill 0015); this run wrote nothing'
        """
        at_zh = f"停在第 {self.step}/{self.steps} 步（{self.label.zh}）"
        at_en = f"stopped at step {self.step} of {self.steps} ({self.label.en})"
        if not self.writes:
            return Text(f"{at_zh}，本次未写入", f"{at_en}; this run wrote nothing")
        return Text(
            f"{at_zh}，本次已写 {self.writes} 条并保留，此步及以后未写",
            f"{at_en}; {self.writes} writes of this run stay on the card, this step and those "
            "after it do not",
        )


class IssuingStopped(CardError):
    """The card refused a step of the plan.

    Attributes:
        reached: How far the plan came.
        cause: The refusal.
    """

    what: Text = Text("卡片拒绝了一步", "the card refused a step")
    advice = Text("请查明原因后再次运行，会接着写", "find the cause and run again; it goes on")

    def __init__(self, reached: Reached, cause: CardError) -> None:
        super().__init__(reached, cause)
        self.reached = reached
        self.cause = cause
        how_far = reached.text()
        self.meaning = Text(
            f"{self.what.zh}：{cause.meaning.zh}；{how_far.zh}",
            f"{self.what.en}: {cause.meaning.en}; {how_far.en}",
        )


class WrongControlKey(IssuingStopped):
    """The control key at hand, transport or diversified, is not the card's."""

    what = Text("主控密钥不对", "wrong control key")
    advice = Text(
        "请勿再试；核对密钥库与卡片批次", "do not try again; compare key store and card batch"
    )

    def __init__(self, reached: Reached, cause: CardError) -> None:
        super().__init__(reached, cause)
        if self.attempts_left is not None:
            zh, en = self.meaning
            left = self.attempts_left
            self.meaning = Text(f"{zh}；还剩 {left} 次", f"{en}; {left} attempt(s) left")

    @property
    def attempts_left(self) -> int | None:
        """Return the attempts left, if the card said so."""
        return self.cause.attempts_left if isinstance(self.cause, StatusError) else None


class KeyBlocked(IssuingStopped):
    """A key or PIN has no attempts left."""

    what = Text("密钥或 PIN 已锁死", "a key or PIN is blocked")
    advice = Text("请作废此卡", "void the card")


class CardFull(IssuingStopped):
    """6A84: the chip or the directory has no room for a file."""

    what = Text("卡片空间不足", "the card is full")
    advice = Text("请换大容量卡片或用 --profile", "take a larger card or another --profile")


class FileLocked(IssuingStopped):
    """A file exists but does not let itself be written."""

    what = Text("文件被锁定", "a file is locked")
    advice = Text("请作废此卡并检查卡片批次", "void the card and check its batch")


class ApplicationBlocked(IssuingStopped):
    """The application, or the whole card, was blocked on purpose."""

    what = Text("应用或卡片已被锁定", "the application or card was blocked")
    advice = Text("请到服务台核对此卡", "have the card checked at the service desk")


class ForeignDialect(IssuingStopped):
    """The card does not understand a command of this dialect."""

    what = Text("卡片不懂此指令", "the card speaks another dialect")
    advice = Text("请核对卡片型号与驱动", "check the type of card and its driver")


class CardSwapped(CardError):
    """Another card lies there than the plan was begun on; nothing was written to it.

    Attributes:
        expected: What the plan or its journal knows of the card.
        found: What lies there.
    """

    advice = Text("请放回原卡；若已作废请先登记", "put the right card back, or mark it as spoilt")

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected, found)
        self.expected, self.found = expected, found
        self.meaning = Text(
            f"中途换了卡片：应为 {expected}，却是 {found}；后者未写入",
            f"the card was swapped: {found} where {expected} is due; the new one was not written",
        )


class PlanChanged(CardError):
    """A journal says that the card was begun with other data or keys."""

    meaning = Text("此卡先前以其他数据或密钥开始发卡", "begun before with other data or keys")
    advice = Text("请用原数据完成，或登记作废后换卡", "finish it with those, or mark it as spoilt")


_FULL = 0x6A84
_LOCKED = (0x6982, 0x6985, 0x6986, 0x6987, 0x6283)
_NOT_UNDERSTOOD = (0x6700, 0x6A80, 0x6A81, 0x6A86, 0x6B00, 0x6D00, 0x6E00)


def stopped(reached: Reached, cause: StatusError) -> IssuingStopped:
    """Return the error of the most telling class for a refusal in mid-plan.

    >>> from card.errors import status_error
    >>> type(stopped(Reached(1, 2, Text("", ""), 0), status_error(0x6A84, 0xE0))).__name__
    'CardFull'
    """
    kind: type[IssuingStopped] = IssuingStopped
    if isinstance(cause, AuthenticationFailed | MacRejected):
        kind = WrongControlKey
    elif cause.sw == 0x9303 or (cause.sw == 0x6A81 and cause.ins == _SELECT):
        kind = ApplicationBlocked
    elif isinstance(cause, Blocked):
        kind = KeyBlocked
    elif cause.sw == _FULL:
        kind = CardFull
    elif cause.sw in _LOCKED:
        kind = FileLocked
    elif cause.sw in _NOT_UNDERSTOOD:
        kind = ForeignDialect
    return kind(reached, cause)
