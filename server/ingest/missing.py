# SPDX-License-Identifier: Apache-2.0
"""Taps that cards have made and nobody has brought: holes in a card's own counter.

A card counts every tap. Where the server knows a later tap and not an earlier one, a terminal
still holds it, or holds nothing any more. The card's log names its last thirty taps; those before
are known by their number alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from card.layouts import LOG_RECORD
from card.volunteer import LOG_RECORDS
from server.ingest.models import StoredEvent
from server.ingest.verdicts import Verdict
from server.updates import services as updates
from server.updates.services import Bench
from swipe import payloads
from swipe.event import Event
from swipe.kinds import PROVEN_TYPES, EventType

ASK_REASON = "taps missing"
# Verdicts under which the card's counter is the card's own word.
_TRUE = (int(Verdict.OK), int(Verdict.UNKNOWN_PSAM), int(Verdict.PSAM_ORDER))
_TAPS = sa.and_(StoredEvent.type.in_(sorted(PROVEN_TYPES)), StoredEvent.verdict.in_(_TRUE))
_ENTRIES = sa.and_(
    StoredEvent.type == EventType.RECOVERED, StoredEvent.verdict == int(Verdict.SYSTEM)
)


@dataclass(frozen=True, slots=True)
class CardHoles:
    """What is missing of one card.

    Attributes:
        asn: The card.
        newest: The counter of its latest tap known here.
        in_log: Counters missing that its log still holds, as far as is known here.
        beyond: Counters missing that its log has forgotten: only their number is known.
        recovered: Counters that came back as entries of its log, without a cryptogram.
    """

    asn: str
    newest: int
    in_log: tuple[int, ...]
    beyond: tuple[int, ...]
    recovered: tuple[int, ...]

    @property
    def missing(self) -> int:
        """Return how many taps are missing altogether."""
        return len(self.in_log) + len(self.beyond)


def holes(session: Session, asns: Sequence[str] | None = None) -> list[CardHoles]:
    """Return the cards with taps missing, or recovered from a log; of all cards or of some."""
    found = []
    for asn in _suspects(session, asns):
        known, entries = _counters(session, asn)
        recovered = entries - known
        newest = max(known)
        lost = [ctr for ctr in range(newest) if ctr not in known and ctr not in recovered]
        floor = newest - LOG_RECORDS + 1
        found.append(
            CardHoles(
                asn,
                newest,
                tuple(ctr for ctr in lost if ctr >= floor),
                tuple(ctr for ctr in lost if ctr < floor),
                tuple(sorted(recovered)),
            )
        )
    return found


def ask(session: Session, bench: Bench, found: Sequence[CardHoles], actor: str) -> list[str]:
    """Let the logs of these cards be read at their next tap; return the cards newly asked."""
    asked = []
    for card in found:
        why = (actor, ASK_REASON)
        if card.in_log and updates.queue_log(session, bench, card.asn, card.in_log, why):
            asked.append(card.asn)
    return asked


def _suspects(session: Session, asns: Sequence[str] | None) -> list[str]:
    """Return the cards with fewer taps than their counter says, counted by the database."""
    counters = sa.func.count(sa.distinct(StoredEvent.card_ctr))
    statement = (
        sa.select(StoredEvent.card_asn)
        .where(_TAPS, StoredEvent.card_asn.is_not(None))
        .group_by(StoredEvent.card_asn)
        .having(counters <= sa.func.max(StoredEvent.card_ctr))
        .order_by(StoredEvent.card_asn)
    )
    if asns is not None:
        statement = statement.where(StoredEvent.card_asn.in_(asns))
    return [asn for asn in session.scalars(statement) if asn is not None]


def _counters(session: Session, asn: str) -> tuple[set[int], set[int]]:
    """Return a card's counters: of taps with their proof, and of entries of its log."""
    taps = sa.select(StoredEvent.card_ctr).where(_TAPS, StoredEvent.card_asn == asn)
    entries = sa.select(StoredEvent.raw).where(_ENTRIES, StoredEvent.card_asn == asn)
    return set(session.scalars(taps)), {log_counter(raw) for raw in session.scalars(entries)}


def log_counter(raw: bytes) -> int:
    """Return the card's counter that a RECOVERED event tells of.

    Raises:
        SwipeError: The event is none.
    """
    values = payloads.parse(EventType.RECOVERED, Event.from_bytes(raw).payload)
    return LOG_RECORD.parse(bytes(values["log_record"])).card_ctr
