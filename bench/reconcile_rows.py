# SPDX-License-Identifier: Apache-2.0
"""The intervals that windows can say, by four engines: numpy, DuckDB, Polars, PostgreSQL.

All answer the same question over the same columns and give the same rows: which tap-in was closed
by which tap-out, and the whole minutes of it. Rules 1, 2, 5-9, 12, 13, 17, 38, 49 of volunteers
with one card, proven taps and sound clocks.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.reconciliation.arrays import Array
from server.reconciliation.parameters import DEFAULT_POLICY, MINUTE_MS

COLUMNS = ("terminal", "seq", "card", "card_ctr", "type", "activity", "utc_ms")
ROW = np.dtype([(name, "i8") for name in ("terminal", "seq", "out_terminal", "out_seq", "minutes")])
IN, OUT = 1, 2
COPY_ROWS = 100_000

# `{div}` divides whole numbers: the one thing DuckDB and PostgreSQL write differently.
QUERY = """
with once as (
    select * from (
        select terminal, seq, card, card_ctr, type, activity, utc_ms as tapped,
            row_number() over (partition by terminal, seq order by utc_ms) as copy
        from taps where card >= 0 and type in (1, 2)
    ) as numbered where copy = 1
),
repeats as (
    select *, lag(tapped) over line as before_at, lag(type) over line as before_type,
        lag(terminal) over line as before_terminal
    from once window line as (partition by card order by card_ctr, tapped, terminal, seq)
),
accepted as (
    select * from repeats
    where before_at is null or tapped - before_at > {duplicate}
       or (type <> before_type and terminal <> before_terminal)
),
neighbours as (
    select *, lead(type) over line as next_type, lead(tapped) over line as next_at,
        lead(terminal) over line as next_terminal, lead(seq) over line as next_seq
    from accepted window line as (partition by card order by card_ctr, tapped, terminal, seq)
),
pairs as (
    select n.*, next_at - tapped as span, coalesce(a.end_ms - a.start_ms, 0) as planned,
        coalesce(a.end_ms, 0) as planned_end
    from neighbours n left join activities a on a.number = n.activity
    where type = 1 and next_type = 2
)
select terminal, seq, next_terminal as out_terminal, next_seq as out_seq,
    case when span < {least} then 0
         when span > {shift} then least(planned, {shift}) {div} 60000
         else span {div} 60000 end as minutes
from pairs
where not (span <= {duplicate} and terminal <> next_terminal)
  and (span <= {shift} or (planned > 0 and next_at <= planned_end + {grace}))
"""


def query(div: str) -> str:
    """Return the statement with the settings of the policy written into it."""
    policy = DEFAULT_POLICY
    return QUERY.format(
        div=div,
        duplicate=policy.duplicate_ms,
        least=policy.min_interval_ms,
        shift=policy.max_shift_ms,
        grace=policy.grace_ms,
    )


def digest(rows: Array) -> dict[str, Any]:
    """Return count, minutes and a hash of rows in the order of their tap-in."""
    ordered = rows[np.lexsort((rows["seq"], rows["terminal"]))]
    return {
        "intervals": len(ordered),
        "minutes": int(ordered["minutes"].sum()),
        "rows": hashlib.sha256(ordered.tobytes()).hexdigest(),
    }


def of_result(taps: Array, intervals: Array, simple: NDArray[np.bool_]) -> Array:
    """Return the same rows of a result of the kernel, of the persons for whom `simple` is true."""
    paired = (intervals["rules"] >> 1 & 1 == 1) & simple[intervals["person"]]
    found = intervals[paired]
    rows = np.zeros(len(found), ROW)
    for end, names in (("in_row", ("terminal", "seq")), ("out_row", ("out_terminal", "out_seq"))):
        for name, field in zip(names, ("terminal", "seq"), strict=True):
            rows[name] = taps[field][found[end]]
    rows["minutes"] = found["minutes"]
    return rows


def of_columns(columns: dict[str, Any]) -> Array:
    """Return rows from columns by name."""
    rows = np.zeros(len(columns["seq"]), ROW)
    for name in ROW.names or ():
        rows[name] = columns[name]
    return rows


def with_numpy(taps: Array, activities: Array) -> Callable[[], Array]:
    """Say the same in sorts and comparisons of whole columns."""
    given = {name: taps[name].copy() for name in COLUMNS}
    plans = {name: activities[name].copy() for name in ("start_ms", "end_ms")}
    policy = DEFAULT_POLICY

    def ask() -> Array:
        wanted = np.flatnonzero((given["card"] >= 0) & np.isin(given["type"], (IN, OUT)))
        keys = ("seq", "terminal", "utc_ms", "card_ctr", "card")
        line = wanted[np.lexsort([given[name][wanted] for name in keys])]
        card, kind, at, terminal = (
            given[name][line] for name in ("card", "type", "utc_ms", "terminal")
        )
        again = np.zeros(len(line), bool)
        again[1:] = (card[1:] == card[:-1]) & (at[1:] - at[:-1] <= policy.duplicate_ms)
        again[1:] &= (kind[1:] == kind[:-1]) | (terminal[1:] == terminal[:-1])
        line = line[~again]
        card, kind, at, terminal = card[~again], kind[~again], at[~again], terminal[~again]
        first = np.flatnonzero((card[:-1] == card[1:]) & (kind[:-1] == IN) & (kind[1:] == OUT))
        span = at[first + 1] - at[first]
        activity = given["activity"][line[first]]
        known = activity >= 0
        end = np.where(known, plans["end_ms"][activity], 0)
        planned = np.where(known, end - plans["start_ms"][activity], 0)
        long = span > policy.max_shift_ms
        by_plan = (planned > 0) & (at[first + 1] <= end + policy.grace_ms)
        at_once = (span <= policy.duplicate_ms) & (terminal[first] != terminal[first + 1])
        kept = ~at_once & (~long | by_plan)
        counted = np.where(long, np.minimum(planned, policy.max_shift_ms), span)
        counted = np.where(span < policy.min_interval_ms, 0, counted) // MINUTE_MS
        into, out = line[first[kept]], line[first[kept] + 1]
        return of_columns(
            {
                "terminal": given["terminal"][into], "seq": given["seq"][into],
                "out_terminal": given["terminal"][out], "out_seq": given["seq"][out],
                "minutes": counted[kept],
            }
        )  # fmt: skip

    return ask


def with_duckdb(taps: Array, activities: Array) -> Callable[[], Array]:
    """Ask DuckDB."""
    connection = importlib.import_module("duckdb").connect()
    connection.register("given_taps", {name: taps[name].copy() for name in COLUMNS})
    connection.execute("create table taps as select * from given_taps")
    plans = {name: activities[name].copy() for name in ("start_ms", "end_ms")}
    connection.register("given_plans", plans)
    connection.execute(
        "create table activities as select row_number() over () - 1 as number, * from given_plans"
    )
    return lambda: of_columns(connection.execute(query("//")).fetchnumpy())


def with_polars(taps: Array, activities: Array) -> Callable[[], Array]:
    """Ask Polars: its lazy frames, one sort and shifts along it."""
    pl: Any = importlib.import_module("polars")
    frame = pl.DataFrame({name: taps[name].copy() for name in COLUMNS})
    plans = pl.DataFrame(
        {
            "activity": np.arange(len(activities), dtype=np.int32),
            "start_ms": activities["start_ms"].copy(),
            "end_ms": activities["end_ms"].copy(),
        }
    )
    return lambda: of_columns(
        {name: column.to_numpy() for name, column in _polars_rows(pl, frame, plans).items()}
    )


def _polars_rows(pl: Any, frame: Any, plans: Any) -> dict[str, Any]:
    """Return the columns of the rows."""
    policy, col = DEFAULT_POLICY, pl.col
    same = col("card") == col("card").shift(1)
    near = col("utc_ms") - col("utc_ms").shift(1) <= policy.duplicate_ms
    alike = (col("type") == col("type").shift(1)) | (col("terminal") == col("terminal").shift(1))
    line = (
        frame.lazy()
        .filter((col("card") >= 0) & col("type").is_in([IN, OUT]))
        .unique(["terminal", "seq"])
        .sort("card", "card_ctr", "utc_ms", "terminal", "seq")
        .filter(~(same & near & alike).fill_null(False))
        .with_columns(
            *(col(name).shift(-1).alias(f"next_{name}")
              for name in ("card", "type", "utc_ms", "terminal", "seq"))
        )
        .filter(
            (col("type") == IN) & (col("next_type") == OUT) & (col("next_card") == col("card"))
        )
        .join(plans.lazy(), on="activity", how="left")
        .with_columns(
            (col("next_utc_ms") - col("utc_ms")).alias("span"),
            (col("end_ms") - col("start_ms")).fill_null(0).alias("planned"),
        )
    )  # fmt: skip
    long = col("span") > policy.max_shift_ms
    at_once = (col("span") <= policy.duplicate_ms) & (col("terminal") != col("next_terminal"))
    by_plan = (col("planned") > 0) & (col("next_utc_ms") <= col("end_ms") + policy.grace_ms)
    counted = (
        pl.when(col("span") < policy.min_interval_ms).then(0)
        .when(long).then(pl.min_horizontal(col("planned"), pl.lit(policy.max_shift_ms)))
        .otherwise(col("span"))
    )  # fmt: skip
    found = line.filter(~at_once & (~long | by_plan)).select(
        "terminal", "seq", col("next_terminal").alias("out_terminal"),
        col("next_seq").alias("out_seq"), (counted // MINUTE_MS).alias("minutes"),
    )  # fmt: skip
    columns: dict[str, Any] = found.collect().to_dict()
    return columns


def with_postgres(dsn: str, taps: Array, activities: Array) -> Callable[[], Array]:
    """Ask PostgreSQL, after a COPY of the columns."""
    connection = importlib.import_module("psycopg").connect(dsn, autocommit=True)
    declared = ", ".join(f"{name} bigint" for name in COLUMNS)
    connection.execute(f"create unlogged table taps ({declared})")
    connection.execute("create table activities (number bigint, start_ms bigint, end_ms bigint)")
    copy_in(connection, "taps", np.stack([taps[name].astype(np.int64) for name in COLUMNS], 1))
    numbers = np.arange(len(activities), dtype=np.int64)
    plans = np.stack([numbers, activities["start_ms"], activities["end_ms"]], 1)
    copy_in(connection, "activities", plans)
    for statement in ("analyze", "set work_mem = '256MB'", "set jit = off"):
        connection.execute(statement)
    copied = query("/")

    def ask() -> Array:
        connection.execute("drop table if exists found")
        connection.execute(f"create unlogged table found as {copied}")
        with connection.cursor().copy("copy found to stdout (format binary)") as stream:
            return copied_rows(b"".join(bytes(part) for part in stream))

    return ask


HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"


def copy_in(connection: Any, table: str, rows: NDArray[np.int64]) -> None:
    """COPY whole numbers into a table in the binary form."""
    width = rows.shape[1]
    record = np.dtype([("n", ">i2"), ("cells", [("size", ">i4"), ("value", ">i8")], (width,))])
    with connection.cursor().copy(f"copy {table} from stdin (format binary)") as stream:
        stream.write(HEADER)
        for low in range(0, len(rows), COPY_ROWS):
            part = rows[low : low + COPY_ROWS]
            packed = np.zeros(len(part), record)
            packed["n"], packed["cells"]["size"], packed["cells"]["value"] = width, 8, part
            stream.write(packed.tobytes())
        stream.write(TRAILER)


def copied_rows(data: bytes) -> Array:
    """Read rows of five numbers of eight bytes from a binary COPY."""
    body = data[len(HEADER) : -len(TRAILER)]
    cells = [("size", ">i4"), ("value", ">i8")]
    record = np.dtype([("n", ">i2"), *((name, cells) for name in ROW.names or ())])
    packed = np.frombuffer(body, record)
    return of_columns({name: packed[name]["value"] for name in ROW.names or ()})
