# SPDX-License-Identifier: Apache-2.0
"""Load the history of some people from the database into arrays; plain SQL, no ORM on events.

`load` brings all events of every boot in which a wanted person tapped: the clock of a boot is
corrected from all of them. `load_corrected` brings the taps of the people alone and takes the
corrected times from where they are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server.ingest.models import EventFork, StoredRange
from server.ingest.verdicts import Proof
from server.people.models import Card, Volunteer
from server.phone_cards.proofs import later_uses
from server.reconciliation import arrays
from server.reconciliation.arrays import Array, History
from server.reconciliation.boot_clocks import Corrector, boots_of, upload_array, uploads_of
from server.reconciliation.event_rows import Events, of_boots, of_cards, read_all
from server.reconciliation.models import Correction
from server.reconciliation.parameters import Policy
from server.reconciliation.places import Places, load_activities, load_parameters
from server.reconciliation.tap_rows import Registers, make_taps, name_uploads
from server.rows import among
from server.terminals.models import Terminal, TerminalKey

FORK = "fork"


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
    def card_of(self) -> dict[bytes, int]:
        """Return the index of each card's serial."""
        return {serial.encode(): index for index, serial in enumerate(self.serials)}

    @property
    def serials(self) -> list[str]:
        """Return the serials of the cards, in their order."""
        return [str(row[1]) for row in self.cards]

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
        self, terminals: Sequence[int], events: Events, batches: Sequence[Sequence[Any]]
    ) -> Array:
        """Return events as taps that lead to the registers.

        `batches` holds (id, terminal, anchor, received_ms) of all uploads of their terminals, by
        id: indices of uploads lead there.
        """
        taps = make_taps(events, self.leading_to(np.array(terminals, np.int64)))
        name_uploads(taps, events.rows, batches)
        return taps

    def leading_to(self, terminals: NDArray[np.int64]) -> Registers:
        """Return where the numbers of events lead."""
        return Registers(self.places, terminals, self.activities["id"], self.card_of)


def load(session: Session, persons: Collection[int] | None) -> Loaded:
    """Load what derives the given volunteers, or all, from the events alone."""
    known = Known.read(session, persons)
    if persons is None:
        events = read_all(session)
    else:
        boots, _which = boots_of(of_cards(session, known.serials).rows)
        events = of_boots(session, boots)
    found = known.registers(session, persons, np.unique(events.rows["terminal_id"]).tolist())
    batches = uploads_of(session, found.terminals.tolist())
    taps = known.taps(found.terminals.tolist(), events, batches)
    count_tokens_once(session, taps, events)
    history = replace(found.history, taps=taps, batches=upload_array(batches))
    return replace(found, history=history)


def load_corrected(
    session: Session, persons: Collection[int], policy: Policy
) -> tuple[Loaded, Array]:
    """Load the taps of the given volunteers alone, with their corrected times, row by row."""
    known = Known.read(session, persons)
    events = of_cards(session, known.serials)
    found = known.registers(session, persons, np.unique(events.rows["terminal_id"]).tolist())
    taps = make_taps(events, known.leading_to(found.terminals))
    # What an upload bounds, the corrected time has in it: each tap has an upload of its own here.
    batches = arrays.empty(arrays.BATCH_DTYPE, len(taps))
    batches["id"] = taps["batch"] = np.arange(len(taps))
    batches["received_ms"] = events.rows["received_ms"]
    taps["anchor"] = -1
    count_tokens_once(session, taps, events)
    times = Corrector(session, known.places, policy).times_of(events.rows)
    return replace(found, history=replace(found.history, taps=taps, batches=batches)), times


def _index(ids: Iterable[int]) -> dict[int, int]:
    return {number: index for index, number in enumerate(ids)}


def _people(session: Session, persons: Collection[int] | None) -> list[Sequence[Any]]:
    """Return (id, minor_until_ms, guardian_id) of the wanted and their guardians, by id."""
    columns = sa.select(Volunteer.id, Volunteer.minor_until_ms, Volunteer.guardian_id)
    if persons is None:
        return list(session.execute(columns.order_by(Volunteer.id)))
    found: dict[int, Sequence[Any]] = {}
    wanted = set(persons)
    for _ in range(2):  # the wanted, then their guardians; nobody asks for guardians of guardians
        for row in session.execute(columns.where(among(session, Volunteer.id, wanted))):
            found[row[0]] = row
        wanted = {row[2] for row in found.values() if row[2] is not None} - set(found)
    return [found[number] for number in sorted(found)]


def _cards(session: Session, person_of: dict[int, int], *, everyone: bool) -> list[Sequence[Any]]:
    """Return (id, asn, revoked_ms, volunteer_id) of the cards of people, by id."""
    columns = sa.select(Card.id, Card.asn, Card.revoked_ms, Card.volunteer_id)
    if everyone:
        return list(session.execute(columns.order_by(Card.id)))
    found = session.execute(columns.where(among(session, Card.volunteer_id, person_of)))
    return sorted(found, key=lambda row: int(row[0]))


def count_tokens_once(session: Session, taps: Array, events: Events) -> None:
    """Take the proof from every tap whose phone token had proven another one before."""
    phone = np.flatnonzero(taps["proof"] & Proof.TOKEN).tolist()
    if not phone:
        return
    rows = events.rows
    later = later_uses(session, {serial.decode() for serial in rows["card_asn"][phone].tolist()})
    for row in phone:
        if (int(rows["terminal_id"][row]), int(rows["seq"][row])) in later:
            taps["proof"][row] &= ~int(Proof.TOKEN)


def _person_array(
    people: list[Sequence[Any]], person_of: dict[int, int], wanted: Collection[int] | None
) -> Array:
    rows = arrays.empty(arrays.PERSON_DTYPE, len(people))
    chosen = None if wanted is None else set(wanted)
    rows["id"] = [row[0] for row in people]
    rows["minor_until_ms"] = [row[1] or 0 for row in people]
    rows["guardian"] = [person_of.get(row[2], -1) for row in people]
    rows["derive"] = 1 if chosen is None else [row[0] in chosen for row in people]
    return rows


def _card_array(cards: list[Sequence[Any]], person_of: dict[int, int]) -> Array:
    rows = arrays.empty(arrays.CARD_DTYPE, len(cards))
    rows["id"] = [row[0] for row in cards]
    rows["revoked_ms"] = [row[2] or 0 for row in cards]
    rows["person"] = [person_of[row[3]] for row in cards]
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
    made = sa.select(Correction).where(among(session, Correction.person, person_of))
    return sorted(session.scalars(made), key=lambda row: row.id)


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
