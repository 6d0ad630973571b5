# SPDX-License-Identifier: Apache-2.0
"""How long each kind of personal data is kept. Pure: periods and instants in, a verdict out."""

from __future__ import annotations

from dataclasses import dataclass

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Retention:
    """One rule: what it is about, how many days it is kept, and why so long."""

    key: str
    days: int
    zh: str
    en: str
    automatic: bool = True

    def before_ms(self, now_ms: int) -> int:
        """Return the instant before which the data is due.

        >>> Retention("x", 2, "", "").before_ms(5 * DAY_MS) // DAY_MS
        3
        """
        return now_ms - self.days * DAY_MS


SIGN_IN_CODE = Retention(
    "sign-in-code", 90,
    "未使用的一次性登录码：三个月后作废",
    "one-time codes nobody used: printed paper gets lost",
)  # fmt: skip
CARD_UPDATE = Retention(
    "card-update", 180,
    "已完成的卡片更新内容：半年后清除",
    "what a finished card update wrote: kept for complaints about the card",
)  # fmt: skip
CARRY_SESSION = Retention(
    "carry-session", 7,
    "卡片更新的会话：七天后删除",
    "answers of a card to an update: worth nothing once the card has left",
)  # fmt: skip
# Ten years: a certificate of hours may be asked for long after the service. A person decides.
IDLE_PERSON = Retention(
    "idle-person", 3650,
    "十年没有服务记录的义工：列出，由工作人员决定",
    "people without a tap for ten years: listed, a person decides",
    automatic=False,
)  # fmt: skip
# A backup holds the sealed keys of people erased since; so old ones must go.
BACKUP_DAYS = 90

RULES = (SIGN_IN_CODE, CARD_UPDATE, CARRY_SESSION, IDLE_PERSON)
