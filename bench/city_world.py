# SPDX-License-Identifier: Apache-2.0
"""A made-up city in a database: volunteers, terminals, verified taps, brought in by COPY.

The rows are what storing a verified upload leaves behind; no upload is made and no proof checked,
that is measured elsewhere. Every volunteer serves six times in half a year.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STAYS = 6
DAYS = 180
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
START_MS = 1_777_564_800_000  # 2026-05-01T00:00:00+08:00
NOW_MS = START_MS + DAYS * DAY_MS
BOOT_DAYS = 7
PERSONS_PER_TERMINAL = 350
ALL_PROOFS = 31
COPY_ROWS = 50_000
# Rows whose wide columns are in memory at once.
PIECE_ROWS = 500_000
HEADER, TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
# How PostgreSQL sends values of these types in a binary COPY; text and bytes by their own length.
WIRE = {"int8": ">i8", "int4": ">i4", "int2": ">i2", "bool": "?"}
Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Taps:
    """Taps by terminal and time: who, where, when, in or out, the card's counter."""

    person: NDArray[np.int64]
    terminal: NDArray[np.int64]
    utc_ms: NDArray[np.int64]
    out: NDArray[np.bool_]
    counter: NDArray[np.int64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.person)

    def chosen(self, rows: NDArray[Any] | slice) -> Taps:
        """Return some of them."""
        return Taps(
            self.person[rows], self.terminal[rows], self.utc_ms[rows], self.out[rows],
            self.counter[rows],
        )  # fmt: skip


def make_taps(persons: int, seed: int = 1) -> Taps:
    """Make the taps of so many volunteers; ids of people and terminals begin at 1."""
    rng = np.random.default_rng(seed)
    stays = persons * STAYS
    person = np.repeat(np.arange(persons) + 1, STAYS)
    turn = np.tile(np.arange(STAYS), persons)
    slot_ms = DAYS * DAY_MS // STAYS
    length = rng.integers(HOUR_MS, 4 * HOUR_MS, stays)
    start = START_MS + turn * slot_ms + rng.integers(0, slot_ms - 5 * HOUR_MS, stays)
    # People serve near home: at one of three terminals.
    home = person % terminals_of(persons)
    terminal = 1 + (home + rng.integers(0, 3, stays)) % terminals_of(persons)
    taps = Taps(
        np.repeat(person, 2),
        np.repeat(terminal, 2),
        np.stack([start, start + length], 1).ravel(),
        np.tile([False, True], stays),
        np.tile(np.arange(2 * STAYS), persons),
    )
    return taps.chosen(np.lexsort((taps.utc_ms, taps.terminal)))


def terminals_of(persons: int) -> int:
    """Return how many terminals a city of so many volunteers has.

    >>> terminals_of(1_400_000)
    4000
    """
    return max(5, persons // PERSONS_PER_TERMINAL)


def serials(persons: NDArray[np.int64]) -> NDArray[np.bytes_]:
    """Return application serials of the cards of some people.

    >>> serials(np.array([7, 123_456])).tolist()
    [b'00005949000000000007', b'00005949000000123456']
    """
    digits = np.full((len(persons), 20), ord("0"), np.uint8)
    digits[:, :8] = np.frombuffer(b"00005949", np.uint8)
    left = persons.copy()
    for place in range(19, 7, -1):
        left, digit = np.divmod(left, 10)
        digits[:, place] += digit.astype(np.uint8)
    return digits.view("S20").ravel()


def load_registers(connection: Any, persons: int) -> None:
    """Bring in sites, terminals, volunteers and cards."""
    terminals = np.arange(terminals_of(persons)) + 1
    people = np.arange(persons) + 1
    names = np.char.add(b"pos-", np.char.zfill(terminals.astype("S7"), 7))
    copy_in(connection, "site", {
        "id": terminals, "name_zh": names, "name_en": names, "tz_q": np.full(len(terminals), 32),
        "config_version": np.ones(len(terminals)), "rules": words(b"{}", terminals),
    })  # fmt: skip
    copy_in(connection, "terminal", {
        "id": terminals, "name": names, "site_id": terminals,
        "state": words(b"active", terminals), "created_by": words(b"li", terminals),
        "config_version": np.ones(len(terminals)), "bad_proofs": 0 * terminals,
        "activity_choice": words(b"schedule", terminals), "created_ms": 0 * terminals,
    })  # fmt: skip
    numbers = np.char.zfill(people.astype("S10"), 10)
    copy_in(connection, "volunteer", {
        "id": people, "number": numbers, "sealed_name": words(b"x", people),
        "sealed_birth": words(b"x", people), "masked_name": words(b"*", people),
        "created_ms": 0 * people, "secret_hash": words(b"x", people),
        "secret_kind": words(b"password", people),
    })  # fmt: skip
    copy_in(connection, "card", {
        "id": people, "asn": serials(people), "volunteer_id": people,
        "state": words(b"active", people), "key_version": np.ones(persons), "issued_ms": 0 * people,
    })  # fmt: skip


def words(word: bytes, like: NDArray[Any]) -> NDArray[np.bytes_]:
    """Return one word for each row."""
    return np.full(len(like), word)


def load_taps(connection: Any, taps: Taps, before: NDArray[np.int64], batch: int) -> None:
    """Bring in taps, an upload for each terminal and day; `before` counts the stored by terminal.

    `batch` is the number of the first upload.
    """
    day = (taps.utc_ms - START_MS) // DAY_MS
    edge = np.append(True, (np.diff(taps.terminal) != 0) | (np.diff(day) != 0))
    group = np.cumsum(edge) - 1
    firsts = np.flatnonzero(edge)
    sizes = np.diff(np.append(firsts, len(taps)))
    run = np.searchsorted(taps.terminal, taps.terminal, "left")
    seq = 1 + before[taps.terminal] + np.arange(len(taps)) - run
    received = np.maximum.reduceat(taps.utc_ms, firsts) + 1_000
    numbers = batch + np.arange(len(firsts))
    first_of_terminal = np.append(True, np.diff(taps.terminal[firsts]) != 0)
    named = np.where(first_of_terminal, 0, numbers - 1)[group]
    copy_in(connection, "batch", {
        "id": numbers, "terminal_id": taps.terminal[firsts], "batch_no": numbers,
        "sha256": keys_of(numbers, 32), "first_seq": seq[firsts], "count": sizes,
        "up_to_seq": seq[firsts] + sizes - 1, "received_ms": received,
        "header": keys_of(numbers, 192), "receipt": keys_of(numbers, 192),
        "anchor": keys_of(numbers, 8), "answer": 0 * numbers, "log_size": 0 * numbers,
    })  # fmt: skip
    for low in range(0, len(taps), PIECE_ROWS):
        part = slice(low, min(len(taps), low + PIECE_ROWS))
        uploads = Uploads(numbers[group[part]], named[part], received[group[part]])
        copy_in(connection, "event", event_columns(taps.chosen(part), seq[part], uploads))


@dataclass(frozen=True)
class Uploads:
    """Of each tap: its upload, the receipt it names (an upload's number), when it arrived."""

    number: NDArray[np.int64]
    named: NDArray[np.int64]
    received_ms: NDArray[np.int64]


def event_columns(taps: Taps, seq: NDArray[np.int64], uploads: Uploads) -> Columns:
    """Return taps as the columns of stored events."""
    since = taps.utc_ms - START_MS
    zeros = np.zeros(len(taps), np.int64)
    return {
        "terminal_id": taps.terminal, "seq": seq, "event_hash": keys_of(seq, 32),
        "content_hash": keys_of(seq, 32), "type": 1 + taps.out.astype(np.int64), "result": zeros,
        "flags": zeros, "boot": 1 + since // (BOOT_DAYS * DAY_MS),
        "up_ms": since % (BOOT_DAYS * DAY_MS), "utc_ms": taps.utc_ms, "unc_ms": zeros + 500,
        "site": taps.terminal, "activity": zeros, "card_asn": serials(taps.person),
        "card_ctr": taps.counter, "psam_no": keys_of(taps.terminal, 6), "psam_seq": seq,
        "anchor": keys_of(uploads.named, 8), "proof": zeros + ALL_PROOFS, "verdict": zeros,
        "batch_id": uploads.number, "received_ms": uploads.received_ms,
        "leaf_index": taps.terminal * 10_000_000 + seq, "raw": keys_of(seq, 224),
    }  # fmt: skip


@contextmanager
def loading_at_once(connection: Any) -> Iterator[None]:
    """Load a whole table of events as a restore does: triggers rest, indices are built at the end.

    What the trigger would have noted of every upload is noted once, by terminal.
    """
    listed = "select indexdef from pg_indexes where schemaname = 'public' and tablename = 'event'"
    found = [row[0] for row in connection.execute(listed)]
    kept = [line for line in found if "UNIQUE" not in line]
    for line in kept:
        connection.execute(f"drop index {line.split()[2]}")
    connection.execute("set session_replication_role = replica")
    yield
    connection.execute("set session_replication_role = default")
    for line in kept:
        connection.execute(line)
    connection.execute(
        "insert into months.event_span select terminal_id, min(seq), max(seq) from event group by 1"
    )


def note_ranges(connection: Any, stored: NDArray[np.int64]) -> None:
    """Say that every terminal has sent everything up to its last event."""
    connection.execute("delete from stored_range")
    terminals = np.flatnonzero(stored)
    copy_in(connection, "stored_range", {
        "terminal_id": terminals, "first_seq": 1 + 0 * terminals, "last_seq": stored[terminals],
    })  # fmt: skip


def keys_of(numbers: NDArray[Any], size: int) -> NDArray[np.void]:
    """Return numbers as so many bytes, the most significant first."""
    wide = np.zeros((len(numbers), size), np.uint8)
    used = min(size, 8)
    octets = numbers.astype(">u8").view(np.uint8).reshape(-1, 8)
    wide[:, size - used :] = octets[:, 8 - used :]
    return wide.view(f"V{size}").ravel()


def copy_in(connection: Any, table: str, columns: Columns) -> None:
    """COPY columns into a table in the binary form; columns not named get their defaults."""
    kinds = dict(
        connection.execute(
            "select attname, typname from pg_attribute join pg_type on pg_type.oid = atttypid "
            "where attrelid = %s::regclass and attnum > 0",
            (f'"{table}"',),
        ).fetchall()
    )
    fields: list[Any] = [("n", ">i2")]
    for name, values in columns.items():
        wire = WIRE.get(kinds[name]) or f"V{np.asarray(values).dtype.itemsize}"
        fields += [(f"{name}#", ">i4"), (name, wire)]
    count = len(next(iter(columns.values())))
    sql = importlib.import_module("psycopg.sql")
    command = sql.SQL("copy {} ({}) from stdin (format binary)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor().copy(command) as stream:
        stream.write(HEADER)
        for low in range(0, count, COPY_ROWS):
            stream.write(packed(columns, fields, slice(low, min(count, low + COPY_ROWS))))
        stream.write(TRAILER)


def packed(columns: Columns, fields: list[Any], part: slice) -> bytes:
    """Return some rows in the binary form; words must all be of one length in a column."""
    rows = np.zeros(part.stop - part.start, fields)
    rows["n"] = len(columns)
    for name, values in columns.items():
        wire = rows.dtype[name]
        rows[f"{name}#"] = wire.itemsize
        given = np.ascontiguousarray(values[part])
        rows[name] = given.view(wire) if wire.kind == "V" else given
    return rows.tobytes()
