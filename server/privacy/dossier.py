# SPDX-License-Identifier: Apache-2.0
"""A person's copy of everything kept about them, as one JSON document.

PIPL (个人信息保护法) article 45: to consult and copy, in a form that other programs can read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.ingest.models import StoredEvent
from server.outbox.models import OutboxMessage
from server.people import audit, personal, services
from server.people.models import Audit, Card, Passkey, Volunteer
from server.people.personal import Reader
from server.reconciliation.models import (
    Correction,
    HoursRequest,
    Notification,
    ReconException,
    ServiceInterval,
)
from server.structure.models import Membership, Organisation
from server.timebank.models import Account, Entry, Transfer
from server.updates.models import CardUpdate
from swipe.kinds import EventType

FORMAT = "yika-person/1"
# A very busy person taps some thousand times in ten years; a document larger than this is a fault.
TAPS_MAX = 200_000
# What features above know of a person: each adds itself under a name of its own.
PARTS: dict[str, Callable[[Session, KeyStore, Volunteer], list[dict[str, Any]]]] = {}


def dossier(session: Session, store: KeyStore, number: str, reader: Reader) -> dict[str, Any]:
    """Gather what is kept about one person; who asked and why is noted and stands in it too.

    Instants are ISO 8601 in UTC, minutes whole. The events as signed are in `taps[].record` (hex,
    224 bytes): `yika-swipe` reads them.

    Raises:
        Refused: unknown number, no reason.
    """
    person = services.find_volunteer(session, number)
    known = (
        None if person.erased_ms is not None else personal.identity(session, store, person, reader)
    )
    audit.record(
        session, reader.now_ms, reader.actor, "volunteer.exported", f"volunteer:{number}",
        why=reader.why,
    )  # fmt: skip
    session.flush()
    return {
        "format": FORMAT,
        "made": instant(reader.now_ms),
        "person": {
            "number": person.number,
            "masked_name": person.masked_name,
            "name": known and known.name,
            "birth": known and known.birth.isoformat(),
            "guardian": _number_of(session, person.guardian_id),
            "taken_in": instant(person.created_ms),
            "erased": instant(person.erased_ms),
        },
        "organisations": _organisations(session, person.id),
        "passkeys": _passkeys(session, person.id),
        "cards": _cards(session, person.id),
        "card_updates": _updates(session, person.id),
        "taps": _taps(session, person.id),
        "services": _services(session, person.id),
        "matters": _matters(session, person.id),
        "corrections": _corrections(session, person.id),
        "requests": _requests(session, person.id),
        "told": _told(session, person.id),
        "messages": _messages(session, person.id),
        "minutes": _minutes(session, person.id),
        **{name: part(session, store, person) for name, part in PARTS.items()},
        "who_did_what": _audit(session, person),
    }


def instant(ms: int | None) -> str | None:
    """Write an instant of ms UTC.

    >>> instant(0), instant(None)
    ('1970-01-01T00:00:00.000+00:00', None)
    """
    if ms is None:
        return None
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat(timespec="milliseconds")


def _number_of(session: Session, volunteer_id: int | None) -> str | None:
    return session.scalar(sa.select(Volunteer.number).where(Volunteer.id == volunteer_id))


def _organisations(session: Session, person: int) -> list[dict[str, Any]]:
    rows = session.execute(
        sa.select(Membership, Organisation.code)
        .outerjoin(Organisation, Organisation.id == Membership.organisation_id)
        .where(Membership.volunteer_id == person)
        .order_by(Membership.id)
    )
    return [
        {"organisation": code, "joined": instant(row.from_ms), "left": instant(row.until_ms)}
        for row, code in rows
    ]


def _passkeys(session: Session, person: int) -> list[dict[str, Any]]:
    rows = session.scalars(sa.select(Passkey).where(Passkey.volunteer_id == person))
    return [
        {"name": row.name, "made": instant(row.created_ms), "used": instant(row.used_ms)}
        for row in rows
    ]


def _cards(session: Session, person: int) -> list[dict[str, Any]]:
    rows = session.scalars(sa.select(Card).where(Card.volunteer_id == person).order_by(Card.id))
    return [
        {
            "serial": row.asn,
            "state": row.state,
            "issued": instant(row.issued_ms),
            "ended": instant(row.revoked_ms),
            "reason": row.reason,
        }
        for row in rows
    ]


def _asns(person: int) -> sa.Select[Any]:
    return sa.select(Card.asn).where(Card.volunteer_id == person)


def _updates(session: Session, person: int) -> list[dict[str, Any]]:
    rows = session.scalars(
        sa.select(CardUpdate).where(CardUpdate.asn.in_(_asns(person))).order_by(CardUpdate.id)
    )
    return [
        {
            "card": row.asn,
            "fields": row.fields,
            "state": row.state,
            "ordered": instant(row.created_ms),
            "ended": instant(row.ended_ms),
        }
        for row in rows
    ]


def _taps(session: Session, person: int) -> list[dict[str, Any]]:
    rows = session.scalars(
        sa.select(StoredEvent)
        .where(StoredEvent.card_asn.in_(_asns(person)))
        .order_by(StoredEvent.utc_ms, StoredEvent.terminal_id, StoredEvent.seq)
        .limit(TAPS_MAX)
    )
    return [
        {
            "at": instant(row.utc_ms),
            "kind": EventType(row.type).name,
            "terminal": row.terminal_id,
            "number": row.seq,
            "site": row.site,
            "activity": row.activity,
            "card": row.card_asn,
            "received": instant(row.received_ms),
            "record": row.raw.hex(),
        }
        for row in rows
    ]


def _services(session: Session, person: int) -> list[dict[str, Any]]:
    rows = session.scalars(
        sa.select(ServiceInterval)
        .where(ServiceInterval.person == person, ServiceInterval.current)
        .order_by(ServiceInterval.start_ms)
    )
    return [
        {
            "from": instant(row.start_ms),
            "to": instant(row.end_ms),
            "minutes": row.credited_minutes,
            "grade": row.grade,
            "state": row.state,
            "rules": row.rules,
            "site": row.site,
            "activity": row.activity,
        }
        for row in rows
    ]


def _matters(session: Session, person: int) -> list[dict[str, Any]]:
    rows = session.scalars(
        sa.select(ReconException)
        .where(ReconException.person == person, ReconException.current)
        .order_by(ReconException.id)
    )
    return [
        {"rule": row.rule, "state": row.state, "zh": row.detail_zh, "en": row.detail_en}
        for row in rows
    ]


def _corrections(session: Session, person: int) -> list[dict[str, Any]]:
    rows = session.scalars(
        sa.select(Correction).where(Correction.person == person).order_by(Correction.id)
    )
    return [
        {
            "at": instant(row.at_ms),
            "decision": row.decision,
            "minutes": row.minutes,
            "grade": row.grade,
            "by": row.leader,
            "reason": row.reason,
        }
        for row in rows
    ]


def _requests(session: Session, person: int) -> list[dict[str, Any]]:
    rows = session.scalars(
        sa.select(HoursRequest).where(HoursRequest.person == person).order_by(HoursRequest.id)
    )
    return [
        {
            "made": instant(row.made_ms),
            "kind": row.kind,
            "site": row.site,
            "from": instant(row.start_ms),
            "to": instant(row.end_ms),
            "text": row.text,
            "state": row.state,
            "decided": instant(row.decided_ms),
            "by": row.decided_by,
            "answer": row.answer,
        }
        for row in rows
    ]


def _told(session: Session, person: int) -> list[dict[str, Any]]:
    rows = session.scalars(
        sa.select(Notification).where(Notification.person == person).order_by(Notification.id)
    )
    return [{"at": instant(row.at_ms), "zh": row.zh, "en": row.en} for row in rows]


def _messages(session: Session, person: int) -> list[dict[str, Any]]:
    """Give which messages were meant for the person, and what became of each."""
    rows = session.scalars(
        sa.select(OutboxMessage)
        .where(OutboxMessage.volunteer_id == person)
        .order_by(OutboxMessage.id)
    )
    return [
        {
            "at": instant(row.created_ms),
            "kind": row.kind,
            "channel": row.channel,
            "state": row.state,
            "changed": instant(row.changed_ms),
        }
        for row in rows
    ]


def _minutes(session: Session, person: int) -> list[dict[str, Any]]:
    rows = session.execute(
        sa.select(Transfer.id, Transfer.kind, Transfer.at_ms, Entry.minutes)
        .join(Entry, Entry.transfer_id == Transfer.id)
        .join(Account, Account.id == Entry.account_id)
        .where(Account.kind == "volunteer", Account.owner == person)
        .order_by(Transfer.id)
    )
    return [
        {"transfer": row.id, "kind": row.kind, "at": instant(row.at_ms), "minutes": row.minutes}
        for row in rows
    ]


def _audit(session: Session, person: Volunteer) -> list[dict[str, Any]]:
    """Give what was done to the person and their cards, and who read their data."""
    cards = session.scalars(_asns(person.id)).all()
    subjects = [f"volunteer:{person.number}", *(f"card:{asn}" for asn in cards)]
    rows = session.scalars(sa.select(Audit).where(Audit.subject.in_(subjects)).order_by(Audit.id))
    return [
        {
            "at": instant(row.at_ms),
            "by": row.actor,
            "what": row.action,
            "of": row.subject,
            "detail": row.detail,
        }
        for row in rows
    ]
