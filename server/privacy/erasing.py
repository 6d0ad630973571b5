# SPDX-License-Identifier: Apache-2.0
"""Erase a person's data: destroy their key, blank what it sealed, revoke their cards.

The number, taps, intervals, minutes, corrections and audit lines stay: they are evidence and
totals, and hold no name (docs/adr/0138). What the person wrote in requests goes. It cannot be
undone, so two people do it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit, sequences, services, sign_in
from server.people.models import CODE, Card, Passkey, SealedPersonKey, Volunteer
from server.people.personal import REASON_LENGTH_MAX
from server.reconciliation.models import HoursRequest
from server.structure.organisations import leave, memberships
from server.updates.models import CardUpdate, CarrySession

MASK = "已注销"
NOBODY_BYTES = 32
CARD_REASON = "erased"
# What features above blank of a person: each adds itself under a name of its own.
PARTS: dict[str, Callable[[Session, Volunteer, int], None]] = {}


@dataclass(frozen=True, slots=True)
class Erasure:
    """Whose data is to go, why, and the two who decided it."""

    number: str
    reason: str
    by: str
    approved_by: str


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done: cards on the hotlist, card updates and requests blanked; `again` if before."""

    number: str
    cards: int
    updates: int
    requests: int = 0
    again: bool = False


def erase(session: Session, wanted: Erasure, now_ms: int) -> Erased:
    """Erase one person's data; doing it again changes nothing.

    Raises:
        Refused: unknown number, no reason, not two staff users, or a minor's guardian.
    """
    _two_people(session, wanted)
    volunteer = services.find_volunteer(session, wanted.number)
    if volunteer.erased_ms is not None:
        return Erased(wanted.number, 0, 0, again=True)
    _no_wards(session, volunteer, now_ms)
    cards = _revoke_cards(session, volunteer, now_ms)
    updates = _blank_updates(session, volunteer)
    requests = _blank_requests(session, volunteer, now_ms)
    for blank in PARTS.values():
        blank(session, volunteer, now_ms)
    session.execute(sa.delete(SealedPersonKey).where(SealedPersonKey.volunteer_id == volunteer.id))
    session.execute(sa.delete(Passkey).where(Passkey.volunteer_id == volunteer.id))
    for organisation in memberships(session, volunteer.id):
        leave(session, volunteer.id, organisation.id, wanted.by, now_ms)
    volunteer.sealed_name = volunteer.sealed_birth = b""
    volunteer.masked_name = MASK
    volunteer.guardian_id = None
    volunteer.secret_hash = sign_in.hash_secret(secrets.token_hex(NOBODY_BYTES))
    volunteer.secret_kind, volunteer.code_ms = CODE, None
    volunteer.erased_ms = now_ms
    audit.record(
        session, now_ms, wanted.by, "volunteer.erased", f"volunteer:{wanted.number}",
        approved_by=wanted.approved_by, reason=wanted.reason, cards=cards, updates=updates,
        requests=requests,
    )  # fmt: skip
    return Erased(wanted.number, cards, updates, requests)


def _two_people(session: Session, wanted: Erasure) -> None:
    if not 0 < len(wanted.reason.strip()) <= REASON_LENGTH_MAX:
        raise Refused("reason", "请说明原因", f"say why, in at most {REASON_LENGTH_MAX} characters")
    for name in (wanted.by, wanted.approved_by):
        services.require_staff(session, name)
    if wanted.by == wanted.approved_by:
        raise Refused("two-people", "须由两人办理", "erasing takes two people")


def _no_wards(session: Session, volunteer: Volunteer, now_ms: int) -> None:
    wards = session.scalars(
        sa.select(Volunteer.number)
        .where(Volunteer.guardian_id == volunteer.id, Volunteer.minor_until_ms > now_ms)
        .order_by(Volunteer.number)
    ).all()
    if wards:
        listed = ", ".join(wards)
        raise Refused(
            "has-wards",
            f"此人是未成年义工 {listed} 的监护人，请先更换监护人",
            f"guardian of the minors {listed}: name another guardian for them first",
        )


def _revoke_cards(session: Session, volunteer: Volunteer, now_ms: int) -> int:
    """Put the person's cards on the hotlist from now on; taps before stay what they were."""
    cards = session.scalars(
        sa.select(Card).where(Card.volunteer_id == volunteer.id, Card.state == "active")
    ).all()
    for card in cards:
        card.state, card.revoked_ms, card.reason = "revoked", now_ms, CARD_REASON
    if cards:
        sequences.next_value(session, sequences.CARD_LISTING)
    return len(cards)


def _blank_updates(session: Session, volunteer: Volunteer) -> int:
    """Blank what waited for, or was written to, the person's cards; waiting ones are called off."""
    asns = sa.select(Card.asn).where(Card.volunteer_id == volunteer.id)
    updates = session.scalars(
        sa.select(CardUpdate).where(CardUpdate.asn.in_(asns), CardUpdate.wanted != b"")
    ).all()
    session.execute(
        sa.delete(CarrySession).where(CarrySession.update_id.in_([row.id for row in updates]))
    )
    for row in updates:
        row.wanted, row.script = b"", None
        if row.state == "waiting":
            row.state = "cancelled"
    return len(updates)


def _blank_requests(session: Session, volunteer: Volunteer, now_ms: int) -> int:
    """Blank what the person wrote and was answered; a request nobody answered is withdrawn."""
    requests = session.scalars(
        sa.select(HoursRequest).where(HoursRequest.person == volunteer.id)
    ).all()
    for row in requests:
        row.text = ""
        row.answer = None
        if row.state == "open":
            row.state, row.decided_ms = "withdrawn", now_ms
    return len(requests)
