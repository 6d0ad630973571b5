# SPDX-License-Identifier: Apache-2.0
"""Load the history of some people from the database into arrays; plain SQL, no ORM on events.

For every boot of a terminal that holds one tap of a wanted person, all events of that boot come
along: the clock of a boot is corrected from all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server.ingest.models import Batch, EventFork, StoredEvent, StoredRange
from server.ingest.verdicts import Proof, Verdict
from server.people.models import Card, Volunteer
from server.phone_cards.proofs import later_uses
from server.reconciliation import arrays
from server.reconciliation.arrays import Array, History
from server.reconciliation.models import Correction
from server.reconciliation.places import Places, load_activities, load_parameters
from server.reconciliation.telling import NUMBER_MAX, PART_MAX, SPOKEN_TYPES, tell
from server.terminals.models import Terminal, TerminalKey
from swipe.event import EVENT_LAYOUT
from swipe.kinds import EventType

# Bound parameters of one statement; SQLite takes 32 766.
PIECE = 5_000
FORK = "fork"
_ACC = EVENT_LAYOUT.span("card_acc")[0]
# What makes a tap of a stored event.
EVENT_COLUMNS = (
    StoredEvent.terminal_id,
    StoredEvent.seq,
    StoredEvent.boot,
    StoredEvent.up_ms,
    StoredEvent.utc_ms,
    StoredEvent.unc_ms,
    StoredEvent.batch_id,
    StoredEvent.anchor,
    StoredEvent.site,
    StoredEvent.activity,
    StoredEvent.card_asn,
    StoredEvent.card_ctr,
    StoredEvent.psam_no,
    StoredEvent.psam_seq,
    StoredEvent.flags,
    StoredEvent.type,
    StoredEvent.result,
    StoredEvent.proof,
    StoredEvent.verdict,
    StoredEvent.raw,
)


_ASN = EVENT_COLUMNS.index(StoredEvent.card_asn)


@dataclass(frozen=True)
class Loaded:
    """A history and the numbers that its indices stand for."""

    history: History
    terminals: NDArray[np.int64]
    sites: tuple[int | None, ...] = ()  # of time that was entered without a tap, by correction

    def entered_at(self, correction: int) -> int | None:
        """Return the site of time that was entered without a tap."""
        return self.sites[correction] if 0 <= correction < len(self.sites) else None

    def event(self, row: int) -> tuple[int, int]:
        """Return terminal id and sequence number of a row of the taps."""
        tap = self.history.taps[row]
        return int(self.terminals[tap["terminal"]]), int(tap["seq"])


@dataclass(frozen=True)
class Known:
    """What is known of people and places before any event is looked at."""

    people: list[Sequence[Any]]
    cards: list[Sequence[Any]]
    places: Places
    activities: Array
    corrections: list[Correction]

    @classmethod
    def read(cls, session: Session, persons: Collection[int] | None) -> Known:
        """Read it of the given volunteers and their guardians, or of all."""
        people = _people(session, persons)
        person_of = _index(row[0] for row in people)
        return cls(
            people,
            _cards(session, person_of, everyone=persons is None),
            Places.read(session),
            load_activities(session),
            _corrections(session, person_of),
        )

    @cached_property
    def card_of(self) -> dict[str, int]:
        """Return the index of each card's serial."""
        return {str(row[1]): index for index, row in enumerate(self.cards)}

    def registers(
        self, session: Session, persons: Collection[int] | None, terminals: Collection[int]
    ) -> Loaded:
        """Return the history without events; `terminals` are those that the events will be of."""
        named = sorted({*terminals, *(row.terminal for row in self.corrections if row.terminal)})
        person_of = _index(row[0] for row in self.people)
        places_of = (person_of, _index(named), _index(self.activities["id"].tolist()))
        history = History(
            taps=arrays.empty(arrays.TAP_DTYPE),
            persons=_person_array(self.people, person_of, persons),
            cards=_card_array(self.cards, person_of),
            terminals=_terminal_array(session, named),
            batches=arrays.empty(arrays.BATCH_DTYPE),
            activities=self.activities,
            corrections=_correction_array(self.places, self.corrections, places_of),
            sites=self.places.rows,
            parameters=load_parameters(session, self.places.regions),
        )
        sites = tuple(row.site for row in self.corrections)
        return Loaded(history, np.array(named, dtype=np.int64), sites)

    def taps(
        self, terminals: Iterable[int], events: list[Sequence[Any]], batches: list[Sequence[Any]]
    ) -> Array:
        """Return events, with the columns of `EVENT_COLUMNS`, as taps that lead to the registers.

        `batches` holds (id, terminal, anchor, received_ms) of all uploads of their terminals, by
        id: indices of uploads lead there.
        """
        activity_of = _index(self.activities["id"].tolist())
        places_of = (_index(terminals), self.card_of, activity_of)
        return _taps(self.places, events, batches, places_of)


def load(session: Session, persons: Collection[int] | None) -> Loaded:
    """Load what derives the given volunteers, or all."""
    known = Known.read(session, persons)
    events = _events(session, None if persons is None else list(known.card_of))
    found = known.registers(session, persons, {row[0] for row in events})
    batches = _batches(session, found.terminals.tolist())
    taps = known.taps(found.terminals.tolist(), events, batches)
    _count_tokens_once(session, taps, events)
    return replace(found, history=replace(found.history, taps=taps, batches=_batch_array(batches)))


def _index(ids: Iterable[int]) -> dict[int, int]:
    return {number: index for index, number in enumerate(ids)}


def _pieces(values: Collection[Any]) -> Iterable[list[Any]]:
    ordered = sorted(values)
    for low in range(0, len(ordered), PIECE):
        yield ordered[low : low + PIECE]


def _people(session: Session, persons: Collection[int] | None) -> list[Sequence[Any]]:
    """Return (id, minor_until_ms, guardian_id) of the wanted and their guardians, by id."""
    columns = sa.select(Volunteer.id, Volunteer.minor_until_ms, Volunteer.guardian_id)
    if persons is None:
        return list(session.execute(columns.order_by(Volunteer.id)))
    found: dict[int, Sequence[Any]] = {}
    wanted = set(persons)
    for _ in range(2):  # the wanted, then their guardians; nobody asks for guardians of guardians
        for part in _pieces(wanted):
            for row in session.execute(columns.where(Volunteer.id.in_(part))):
                found[row[0]] = row
        wanted = {row[2] for row in found.values() if row[2] is not None} - set(found)
    return [found[number] for number in sorted(found)]


def _cards(session: Session, person_of: dict[int, int], *, everyone: bool) -> list[Sequence[Any]]:
    """Return (id, asn, revoked_ms, volunteer_id) of the cards of people, by id."""
    columns = sa.select(Card.id, Card.asn, Card.revoked_ms, Card.volunteer_id)
    if everyone:
        return list(session.execute(columns.order_by(Card.id)))
    found: list[Sequence[Any]] = []
    for part in _pieces(person_of):
        found += session.execute(columns.where(Card.volunteer_id.in_(part)))
    return sorted(found, key=lambda row: int(row[0]))


def _events(session: Session, asns: list[str] | None) -> list[Sequence[Any]]:
    """Return the events of every boot in which one of the cards tapped, or all."""
    # Bytes are fetched of what speaks only, and no object of the ORM is made of a row.
    speaks = StoredEvent.type.in_([int(kind) for kind in SPOKEN_TYPES])
    raw = sa.case((speaks, StoredEvent.raw)).label("raw")
    columns = sa.select(*EVENT_COLUMNS[:-1], raw)
    session.flush()
    connection = session.connection()
    if asns is None:
        return list(connection.execute(columns).all())
    boots: dict[int, set[int]] = defaultdict(set)
    for part in _pieces(asns):
        tapped = sa.select(StoredEvent.terminal_id, StoredEvent.boot).distinct()
        for terminal_id, boot in connection.execute(tapped.where(_of_cards(part))):
            boots[terminal_id].add(boot)
    found: list[Sequence[Any]] = []
    for terminal_id, numbers in sorted(boots.items()):
        found += connection.execute(
            columns.where(
                StoredEvent.terminal_id == terminal_id, StoredEvent.boot.in_(sorted(numbers))
            )
        ).all()
    return found


def _of_cards(asns: list[str]) -> sa.ColumnElement[bool]:
    return StoredEvent.card_asn.in_(asns)


def _taps(
    places: Places,
    events: list[Sequence[Any]],
    batches: list[Sequence[Any]],
    places_of: tuple[dict[int, int], dict[str, int], dict[int, int]],
) -> Array:
    terminal_of, card_of, activity_of = places_of
    taps = arrays.empty(arrays.TAP_DTYPE, len(events))
    if not events:
        return taps
    (terminal, seq, boot, up, utc, unc, batch, anchor, site, activity, asn, ctr, psam_no,
     psam_seq, flags, kind, result, proof, verdict, raw) = zip(*events, strict=True)  # fmt: skip
    batch_of = _index(row[0] for row in batches)
    receipts = {(row[1], bytes(row[2])): index for index, row in enumerate(batches)}
    for name, column in (
        ("seq", seq), ("up_ms", up), ("utc_ms", utc), ("card_ctr", ctr),
        ("proof", proof), ("verdict", verdict),
    ):  # fmt: skip
        taps[name] = column
    # What a damaged event may set to anything: kept bit by bit, a number beyond is negative.
    for name, column in (
        ("boot", boot), ("flags", flags), ("type", kind), ("result", result), ("ref", psam_seq),
    ):  # fmt: skip
        taps[name] = np.array(column, np.int64).astype(taps.dtype[name])
    # 0xFFFFFFFF means "not known at all"; anything beyond 24 days says no more than that.
    taps["unc_ms"] = np.minimum(np.array(unc, dtype=np.int64), 2**31 - 1)
    taps["terminal"] = [terminal_of[number] for number in terminal]
    taps["card"] = [card_of.get(serial, -1) for serial in asn]
    # A tap stored before its card was registered: every proof held, and now the card is known.
    late = (taps["verdict"] == Verdict.UNKNOWN_CARD) & (taps["card"] >= 0)
    taps["verdict"][late] = Verdict.OK
    taps["activity"] = [activity_of.get(number, -1) for number in activity]
    taps["batch"] = [batch_of[number] for number in batch]
    taps["anchor"] = [
        receipts.get((number, bytes(name)), -1)
        for number, name in zip(terminal, anchor, strict=True)
    ]
    taps["psam"] = np.unique([bytes(number or b"") for number in psam_no], return_inverse=True)[1]
    taps["site"] = [
        number if 0 < number <= NUMBER_MAX else places.by_psam.get(bytes(psam or b""), 0)
        for number, psam in zip(site, psam_no, strict=True)
    ]
    taps["tz_q"] = [places.zones.get(int(number), 0) for number in taps["site"]]
    for row in np.flatnonzero(np.isin(taps["type"], SPOKEN_TYPES)).tolist():
        if kind[row] == EventType.TORN_RESOLVED:
            taps["hint"][row] = min(bytes(raw[row])[_ACC], PART_MAX)
        elif verdict[row] != Verdict.MALFORMED:
            tell(taps[row], bytes(raw[row]), places)
    return taps


def _count_tokens_once(session: Session, taps: Array, events: list[Sequence[Any]]) -> None:
    """Take the proof from every tap whose phone token had proven another one before."""
    phone = np.flatnonzero(taps["proof"] & Proof.TOKEN).tolist()
    if not phone:
        return
    later = later_uses(session, {events[row][_ASN] for row in phone})
    for row in phone:
        if tuple(events[row][:2]) in later:
            taps["proof"][row] &= ~int(Proof.TOKEN)


def _batches(session: Session, terminals: Collection[int]) -> list[Sequence[Any]]:
    """Return (id, terminal, anchor, received_ms) of all uploads of these terminals, by id.

    An upload is also a receipt: the anchor is what later events call it by.
    """
    found: list[Sequence[Any]] = []
    columns = sa.select(Batch.id, Batch.terminal_id, Batch.anchor, Batch.received_ms)
    for part in _pieces(terminals):
        found += session.execute(columns.where(Batch.terminal_id.in_(part)))
    return sorted(found, key=lambda row: int(row[0]))


def _batch_array(batches: list[Sequence[Any]]) -> Array:
    rows = arrays.empty(arrays.BATCH_DTYPE, len(batches))
    rows["id"] = [row[0] for row in batches]
    rows["received_ms"] = rows["receipt_ms"] = [row[3] for row in batches]
    return rows


def _person_array(
    people: list[Sequence[Any]], person_of: dict[int, int], wanted: Collection[int] | None
) -> Array:
    rows = arrays.empty(arrays.PERSON_DTYPE, len(people))
    chosen = None if wanted is None else set(wanted)
    for index, (number, minor_until_ms, guardian) in enumerate(people):
        derive = chosen is None or number in chosen
        rows[index]["id"] = number
        rows[index]["minor_until_ms"] = minor_until_ms or 0
        rows[index]["guardian"] = person_of.get(guardian, -1) if guardian is not None else -1
        rows[index]["derive"] = int(derive)
    return rows


def _card_array(cards: list[Sequence[Any]], person_of: dict[int, int]) -> Array:
    rows = arrays.empty(arrays.CARD_DTYPE, len(cards))
    for index, (number, _asn, revoked_ms, owner) in enumerate(cards):
        rows[index]["id"] = number
        rows[index]["revoked_ms"] = revoked_ms or 0
        rows[index]["person"] = person_of[owner]
    return rows


def _terminal_array(session: Session, terminals: list[int]) -> Array:
    rows = arrays.empty(arrays.TERMINAL_DTYPE, len(terminals))
    rows["id"] = terminals
    at = _index(terminals)
    forks = (
        sa.select(EventFork.terminal_id, sa.func.min(EventFork.received_ms),
                  sa.func.min(EventFork.seq))
        .where(EventFork.kind == FORK)
        .group_by(EventFork.terminal_id)
    )  # fmt: skip
    for terminal_id, at_ms, seq in session.execute(forks):
        if terminal_id in at:
            rows[at[terminal_id]]["fork_ms"] = at_ms
            rows[at[terminal_id]]["fork_seq"] = seq
    revoked = (
        sa.select(TerminalKey.terminal_id, sa.func.max(TerminalKey.revoked_ms))
        .join(Terminal, Terminal.id == TerminalKey.terminal_id)
        .where(Terminal.state == "revoked", TerminalKey.revoked_ms.is_not(None))
        .group_by(TerminalKey.terminal_id)
    )
    for terminal_id, revoked_ms in session.execute(revoked):
        if terminal_id in at:
            rows[at[terminal_id]]["revoked_ms"] = revoked_ms
    for terminal_id, seq in _first_gaps(session):
        if terminal_id in at:
            rows[at[terminal_id]]["gap_seq"] = seq
    return rows


def _first_gaps(session: Session) -> list[tuple[int, int]]:
    """Return the first missing number of every terminal that has a gap."""
    last: dict[int, int] = {}
    gaps: dict[int, int] = {}
    ranges = sa.select(StoredRange.terminal_id, StoredRange.first_seq, StoredRange.last_seq)
    for terminal_id, first_seq, last_seq in session.execute(
        ranges.order_by(StoredRange.terminal_id, StoredRange.first_seq)
    ):
        expected = last.get(terminal_id, 0) + 1
        if first_seq != expected:
            gaps.setdefault(terminal_id, expected)
        last[terminal_id] = last_seq
    return list(gaps.items())


def _corrections(session: Session, person_of: dict[int, int]) -> list[Correction]:
    found: list[Correction] = []
    for part in _pieces(person_of):
        found += session.scalars(sa.select(Correction).where(Correction.person.in_(part)))
    return sorted(found, key=lambda row: row.id)


def _correction_array(
    places: Places,
    corrections: list[Correction],
    places_of: tuple[dict[int, int], dict[int, int], dict[int, int]],
) -> Array:
    person_of, terminal_of, activity_of = places_of
    rows = arrays.empty(arrays.CORRECTION_DTYPE, len(corrections))
    zone = min(places.zones.items())[1] if places.zones else 0
    for index, made in enumerate(corrections):
        row = rows[index]
        row["id"], row["at_ms"] = made.id, made.at_ms
        row["start_ms"], row["end_ms"] = made.start_ms or 0, made.end_ms or 0
        row["person"], row["rule"] = person_of[made.person], made.rule
        row["terminal"] = terminal_of[made.terminal] if made.terminal is not None else -1
        row["seq"], row["minutes"] = made.seq or 0, made.minutes
        row["activity"] = activity_of.get(made.activity or 0, -1)
        row["grade"] = arrays.GRADE_NAMES.index(made.grade)
        row["decision"] = arrays.DECISION_NAMES.index(made.decision)
        row["tz_q"] = places.zones.get(made.site or 0, zone)
    return rows
