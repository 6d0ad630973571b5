# SPDX-License-Identifier: Apache-2.0
"""Who gets a new card, where, and for what price: the rule book's chapter on reissuing, pure.

First issue and replacement after expiry cost nothing. A debit card is replaced in person, at the
branch first chosen, with a valid document; a credit card by the bank's hotline, and never after
it was cut and its account closed.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.issuing.policy import (
    BANK,
    BY_HOTLINE,
    CREDIT,
    DAMAGED,
    EXPIRY,
    FIRST,
    LOST,
    OWN,
    REASONS,
    UNDER_WAY,
)

# A card may be replaced this long before it expires, so that nobody is without one.
EXPIRY_WINDOW_DAYS = 90
# Fen. The rule book sets no price for anything: no card fee, no management fee, no annual fee.
ANNUAL = "ANNUAL"
FEES_FEN = {FIRST: 0, EXPIRY: 0, DAMAGED: 0, LOST: 0, ANNUAL: 0}
# The state of the old card that a reason stands on.
_STATES_OF = {
    EXPIRY: ("expired",),
    DAMAGED: ("damaged",),
    LOST: ("lost",),
}
# A debit card that was cut because nobody fetched it may be made again; its account is new, so
# the reason that stands in the order is that of a lost card.
_CUT = "cut_closed"


@dataclass(frozen=True, slots=True)
class Request:
    """A wish for a new card, and what is known of the old one.

    Attributes:
        old_state: State of the latest order of this kind, "" when there never was one.
        expires_in_days: Days until the old card expires; None where it has no end.
        branch: Where the wish is put forward; `first_branch` the branch chosen with the first card.
        id_checked: A valid document was seen by bank or desk.
    """

    kind: str
    carrier: str
    reason: str
    old_state: str
    source: str
    branch: str = ""
    first_branch: str = ""
    id_checked: bool = False
    expires_in_days: int | None = None
    deregistered: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a card may be made, at which price (fen); `code`, `zh`, `en` say why not."""

    allowed: bool
    code: str
    zh: str
    en: str
    price_fen: int = 0


def reissue(wish: Request) -> Decision:
    """Decide on a new card.

    >>> reissue(Request(BANK, CREDIT, LOST, "cut_closed", BY_HOTLINE)).code
    'credit-cut-closed'
    >>> reissue(Request(BANK, CREDIT, LOST, "lost", BY_HOTLINE)).allowed
    True
    >>> reissue(Request(BANK, "debit", LOST, "lost", "bank", "B2", "B1", True)).code
    'other-branch'
    """
    return _common(wish) or _standing(wish) or _in_person(wish) or _yes(wish)


def _yes(wish: Request) -> Decision:
    return Decision(True, "", "", "", FEES_FEN[wish.reason])


def _no(code: str, zh: str, en: str) -> Decision:
    return Decision(False, code, zh, en)


def _common(wish: Request) -> Decision | None:
    if wish.reason not in REASONS:
        return _no("reason", "没有这种办卡原因", f"a reason is one of {', '.join(REASONS)}")
    if wish.deregistered:
        return _no("deregistered", "已注销的义工不再办卡", "the volunteer is deregistered")
    if wish.old_state in UNDER_WAY:
        return _no("under-way", "已有一张卡正在办理", "a card is under way already")
    if wish.kind == BANK and wish.carrier == CREDIT and wish.old_state == _CUT:
        return _no(
            "credit-cut-closed", "贷记卡剪卡销户后不再予以补办",
            "a credit card that was cut and closed is never made again",
        )  # fmt: skip
    return None


def _standing(wish: Request) -> Decision | None:
    """Compare the reason with how the old card stands."""
    old = wish.old_state
    if wish.reason == FIRST:
        if old in ("", "cancelled"):
            return None
        return _no("not-first", "此人已办过卡，须按补换办理", "there was a card before: not first")
    if old in ("", "cancelled"):
        return _no("no-card-before", "此人没有可补换的卡", "there is no card to replace")
    if wish.reason == EXPIRY and old == "active":
        left = wish.expires_in_days
        if left is not None and left <= EXPIRY_WINDOW_DAYS:
            return None
        return _no("not-expiring", "卡片尚未临近到期", "the card does not expire soon")
    if old == _CUT and wish.reason == LOST:
        return None
    if old not in _STATES_OF[wish.reason]:
        return _no(
            "state-and-reason",
            "补换原因与卡片状态不符",
            f"a card {old} is no case of {wish.reason}",
        )
    return None


def _in_person(wish: Request) -> Decision | None:
    """Say who has to come where, for what is neither a first card nor an expired one."""
    if wish.reason in (FIRST, EXPIRY):
        return None
    if wish.kind == BANK and wish.carrier == CREDIT:
        if wish.source == BY_HOTLINE:
            return None
        return _no("hotline-only", "贷记卡须拨打 95566 挂失并申请补办", "credit cards: call 95566")
    if wish.kind == BANK and wish.branch != wish.first_branch:
        return _no(
            "other-branch", "须到原选定的网点办理", "go to the branch chosen with the first card"
        )
    if not wish.id_checked:
        where = "柜台" if wish.kind == OWN else "网点"
        return _no(
            "id-not-checked", f"须本人持有效证件到{where}办理", "a valid document must be seen"
        )
    return None
