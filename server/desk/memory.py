# SPDX-License-Identifier: Apache-2.0
"""What the database keeps of cards: their journals and what is known of their keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from card.attempts import KeyFacts
from card.issue_journal import Entry
from server.desk.models import DeskEntry, DeskJob, DeskKeyFact

_ASN_DIGITS = 20
FACTS_MAX = 2_000  # cards that refused a key and were not mended since


def entries(session: Session, asn: str | None, up_to: int | None = None) -> list[Entry]:
    """Return a card's journal, oldest first; `up_to` is the last line's number that counts."""
    if asn is None:
        return []
    wanted = sa.select(DeskEntry.entry).where(DeskEntry.asn == asn)
    if up_to is not None:
        wanted = wanted.where(DeskEntry.id <= up_to)
    return list(session.scalars(wanted.order_by(DeskEntry.id)))


def last_entry(session: Session) -> int:
    """Return the number of the journal's last line so far, 0 when there is none."""
    return session.scalar(sa.select(sa.func.max(DeskEntry.id))) or 0


def note(session: Session, job: DeskJob, asn: str, lines: Iterable[Entry], now_ms: int) -> None:
    """Append lines to a card's journal."""
    for line in lines:
        session.add(DeskEntry(asn=asn, job_id=job.id, at_ms=now_ms, entry=line))


def facts(session: Session, asn: str | None) -> dict[str, KeyFacts]:
    """Return what is known of a card's keys; without a serial, of all that refused something."""
    wanted = sa.select(DeskKeyFact)
    if asn is None:
        wanted = wanted.where(DeskKeyFact.left.is_not(None)).limit(FACTS_MAX)
    else:
        wanted = wanted.where(DeskKeyFact.asn == asn)
    return {
        row.name: KeyFacts(row.left, tuple(row.known.split())) for row in session.scalars(wanted)
    }


def keep_facts(
    session: Session, before: Mapping[str, KeyFacts], after: Mapping[str, KeyFacts]
) -> None:
    """Keep what became known of keys, and forget what is known no longer."""
    gone = sorted(set(before) - set(after))
    if gone:
        session.execute(sa.delete(DeskKeyFact).where(DeskKeyFact.name.in_(gone)))
    for name, fact in after.items():
        if before.get(name) != fact:
            row = DeskKeyFact(
                name=name, asn=name[:_ASN_DIGITS], left=fact.left, known=" ".join(fact.known)
            )
            session.merge(row)
