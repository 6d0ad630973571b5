# SPDX-License-Identifier: Apache-2.0
"""Corrected times by boot, kept: the clock of a boot is corrected from all its events, once.

What is kept follows from the events of the boot alone. It is not looked at if the boot is noted in
the queue (an upload told something new), if other settings made it, or if it lacks an event that
is asked about; then the boot is corrected again. A check of everything never reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server.ingest.models import Batch
from server.people.models import DirtyBoot
from server.reconciliation import arrays
from server.reconciliation.arrays import Array, History
from server.reconciliation.clock import CLOCK_ROWS
from server.reconciliation.compiled import choose_engine
from server.reconciliation.event_rows import of_boots
from server.reconciliation.models import BootClock
from server.reconciliation.parameters import ENGINE_VERSION, Policy
from server.reconciliation.places import Places
from server.reconciliation.preparing import rows_of
from server.reconciliation.running import correct_clocks
from server.reconciliation.tap_rows import Registers, make_taps, name_uploads
from server.rows import among, insert_rows, is_postgresql, pairs_table
from swipe.kinds import EventType

# One event of a boot as it is kept, by number; little endian.
KEPT_ROW = np.dtype([("seq", "<i8"), ("when_ms", "<i8"), ("radius_ms", "<i4"), ("note", "<i2")])
# Boots whose kept times, and boots whose events, are in memory at once.
BOOTS_READ, BOOTS_CORRECTED = 20_000, 1_000
# The settings that clocks are corrected by.
SETTINGS = ("drift_ppm", "time_width_ms", "clock_notice_ms", "resolved_radius_ms", "void_ms")
COLUMNS = ("terminal_id", "boot", "made_by", "times")
Boot = tuple[int, int]


@dataclass(frozen=True)
class Corrector:
    """Brings corrected times of events: kept ones, and fresh ones that are kept from then on."""

    session: Session
    places: Places
    policy: Policy

    @property
    def made_by(self) -> int:
        """Return a number that stands for the settings and the version of the rules."""
        values = (ENGINE_VERSION, *(int(getattr(self.policy, name)) for name in SETTINGS))
        return int.from_bytes(sha256(repr(values).encode()).digest()[:6])

    def times_of(self, rows: Array) -> Array:
        """Return the corrected times of some events, row by row."""
        found = np.zeros(len(rows), CLOCK_ROWS)
        boots, which = boots_of(rows)
        noted = self._noted()
        for low in range(0, len(boots), BOOTS_READ):
            high = min(len(boots), low + BOOTS_READ)
            own = np.flatnonzero((which >= low) & (which < high))
            part = boots[low:high]
            keys = (which[own] - low) << 32 | rows["seq"][own]
            kept = self._kept([boot for boot in part if boot not in noted])
            there, times = look_up(part, kept, keys)
            if not there.all():
                stale = {part[place] for place in np.unique(keys[~there] >> 32).tolist()}
                fresh = self.correct(sorted(stale))
                again = np.flatnonzero(np.isin(keys >> 32, places_in(part, stale)))
                also, times[again] = look_up(part, fresh, keys[again])
                if not also.all():
                    message = "an event left its boot while it was read"
                    raise RuntimeError(message)
            found[own] = times
        return found

    def correct(self, boots: Sequence[Boot]) -> dict[Boot, Array]:
        """Correct boots from their events and keep the result."""
        found: dict[Boot, Array] = {}
        for low in range(0, len(boots), BOOTS_CORRECTED):
            fresh, lasting = self._corrected(boots[low : low + BOOTS_CORRECTED])
            forget(self.session, fresh)
            rows = [(*boot, self.made_by, fresh[boot].tobytes()) for boot in lasting]
            insert_rows(self.session, BootClock, COLUMNS, rows)
            found |= fresh
        return found

    def _kept(self, boots: Sequence[Boot]) -> dict[Boot, Array]:
        """Return what is kept of boots under the settings that hold."""
        found: dict[Boot, Array] = {}
        kept = sa.select(BootClock.terminal_id, BootClock.boot, BootClock.times).where(
            BootClock.made_by == self.made_by
        )
        for condition in conditions(self.session, boots):
            for terminal, boot, times in self.session.connection().execute(kept.where(condition)):
                found[terminal, boot] = np.frombuffer(times, KEPT_ROW)
        return found

    def _noted(self) -> set[Boot]:
        noted = sa.select(DirtyBoot.terminal_id, DirtyBoot.boot).distinct()
        return {(terminal, boot) for terminal, boot in self.session.execute(noted)}

    def _corrected(self, boots: Sequence[Boot]) -> tuple[dict[Boot, Array], list[Boot]]:
        """Return corrected times by boot, and the boots whose times can be kept.

        The site of a tap out of a card's log is that of its PSAM, which may become known later.
        """
        events = of_boots(self.session, boots)
        rows = events.rows
        serials = np.unique(rows["card_asn"]).tolist()
        card_of = {serial: index for index, serial in enumerate(serials)}
        terminals = np.unique(rows["terminal_id"])
        nothing = np.zeros(0, np.int64)
        taps = make_taps(events, Registers(self.places, terminals, nothing, card_of))
        batches = uploads_of(self.session, terminals.tolist())
        name_uploads(taps, rows, batches)
        history = History(
            taps=taps,
            persons=arrays.empty(arrays.PERSON_DTYPE),
            cards=arrays.empty(arrays.CARD_DTYPE, len(card_of)),
            terminals=arrays.empty(arrays.TERMINAL_DTYPE, len(terminals)),
            batches=upload_array(batches),
        )
        engine = choose_engine("auto", len(taps))
        corrected = correct_clocks(
            history, engine.table(taps), engine.settings(self.policy), engine
        )
        kept = np.zeros(len(rows), KEPT_ROW)
        for name in CLOCK_ROWS.names or ():
            kept[name] = rows_of(corrected, CLOCK_ROWS, len(rows))[name]
        kept["seq"] = rows["seq"]
        named, which = boots_of(rows)
        order = np.argsort(which, kind="stable")
        edges = np.searchsorted(which[order], np.arange(len(named) + 1))
        moving = set(which[rows["type"] == EventType.RECOVERED].tolist())
        times = kept[order]
        fresh = {boot: times[edges[at] : edges[at + 1]] for at, boot in enumerate(named)}
        return fresh, [boot for at, boot in enumerate(named) if at not in moving]


def boots_of(rows: Array) -> tuple[list[Boot], NDArray[np.int64]]:
    """Return the boots of some events in order, and which of them each event is of."""
    terminals, at = np.unique(rows["terminal_id"], return_inverse=True)
    distinct, which = np.unique(at << 32 | rows["boot"], return_inverse=True)
    named = (terminals[distinct >> 32].tolist(), (distinct & 0xFFFFFFFF).tolist())
    return list(zip(*named, strict=True)), which


def places_in(boots: Sequence[Boot], chosen: set[Boot]) -> list[int]:
    """Return where the chosen boots stand."""
    return [place for place, boot in enumerate(boots) if boot in chosen]


def look_up(
    boots: Sequence[Boot], times: Mapping[Boot, Array], keys: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], Array]:
    """Find events by (place of the boot << 32 | number); say which are there, and their times."""
    found = np.zeros(len(keys), CLOCK_ROWS)
    parts = [(place, times[boot]) for place, boot in enumerate(boots) if boot in times]
    if not parts:
        return np.zeros(len(keys), np.bool_), found
    together = np.concatenate([part for _place, part in parts])
    owners = np.repeat([place for place, _part in parts], [len(part) for _place, part in parts])
    known = owners.astype(np.int64) << 32 | together["seq"]
    at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    there: NDArray[np.bool_] = known[at] == keys
    for name in CLOCK_ROWS.names or ():
        found[name] = together[name][at]
    return there, found


def conditions(session: Session, boots: Iterable[Boot]) -> Iterable[sa.ColumnElement[bool]]:
    """Give conditions that together choose the rows of some boots: one on PostgreSQL."""
    ordered = sorted(boots)
    if not ordered:
        return
    if is_postgresql(session):
        wanted = sa.select(*pairs_table(ordered).c)
        yield sa.tuple_(BootClock.terminal_id, BootClock.boot).in_(wanted)
        return
    by_terminal: dict[int, list[int]] = {}
    for terminal, boot in ordered:
        by_terminal.setdefault(terminal, []).append(boot)
    for terminal, of_terminal in by_terminal.items():
        yield sa.and_(
            BootClock.terminal_id == terminal, among(session, BootClock.boot, of_terminal)
        )


def forget(session: Session, boots: Iterable[Boot]) -> None:
    """Forget what is kept of boots."""
    for condition in conditions(session, boots):
        session.connection().execute(sa.delete(BootClock).where(condition))


def uploads_of(session: Session, terminals: Sequence[int]) -> list[Sequence[object]]:
    """Return (id, terminal, anchor, received_ms) of all uploads of these terminals, by id.

    An upload is also a receipt: the anchor is what later events call it by.
    """
    columns = sa.select(Batch.id, Batch.terminal_id, Batch.anchor, Batch.received_ms)
    wanted = columns.where(among(session, Batch.terminal_id, terminals)).order_by(Batch.id)
    return list(session.connection().execute(wanted).all())


def upload_array(batches: Sequence[Sequence[object]]) -> Array:
    """Return uploads as the register that taps lead to."""
    rows = arrays.empty(arrays.BATCH_DTYPE, len(batches))
    rows["id"] = [row[0] for row in batches]
    rows["received_ms"] = rows["receipt_ms"] = [row[3] for row in batches]
    return rows
