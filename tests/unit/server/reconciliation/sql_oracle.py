# SPDX-License-Identifier: Apache-2.0
"""What plain SQL can say of the rules, in DuckDB: an oracle from another school.

Windows can order, drop repeats, pair neighbours and compare sums. They cannot say what depends on
a decision made earlier in the same history: clones, torn taps, clocks, guardians, corrections. So
the oracle speaks of volunteers with one card, proven taps and sound clocks only.

Rules 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 17, 19, 38, 49.
"""

from __future__ import annotations

from typing import Any

import duckdb

from server.reconciliation.parameters import DAY_MS, QUARTER_MS, Policy
from tests.unit.server.reconciliation.totals import Totals

# One statement; the parameters are those of the policy.
QUERY = """
with once as (
    select terminal, seq, card, card_ctr, type, site, activity, tz_q, utc_ms as tapped
    from taps
    where card >= 0 and type in (1, 2)
    qualify row_number() over (partition by terminal, seq) = 1
),
repeats as (
    select *,
        lag(tapped) over line as before_at,
        lag(type) over line as before_type,
        lag(terminal) over line as before_terminal
    from once
    window line as (partition by card order by card_ctr, tapped, terminal, seq)
),
accepted as (
    select * from repeats
    where before_at is null
       or tapped - before_at > $duplicate_ms
       or (type <> before_type and terminal <> before_terminal)
),
neighbours as (
    select *,
        lead(type) over line as next_type,
        lead(tapped) over line as next_at,
        lead(terminal) over line as next_terminal,
        lead(site) over line as next_site,
        lag(type) over line as last_type,
        lag(tapped) over line as last_at
    from accepted
    window line as (partition by card order by card_ctr, tapped, terminal, seq)
),
planned as (
    select n.*,
        coalesce(a.end_ms - a.start_ms, 0) as planned_ms,
        coalesce(a.end_ms, 0) as planned_end,
        type = 1 and next_type = 2 as in_out,
        next_at - tapped as span,
        (tapped + tz_q * $quarter_ms) // $day_ms as service_day,
        (next_at + tz_q * $quarter_ms) // $day_ms as next_day
    from neighbours n left join activities a on a.index = n.activity
),
judged as (
    select *,
        in_out and span <= $duplicate_ms and terminal <> next_terminal as immediate,
        in_out and span > $max_shift_ms as long,
        long and planned_ms > 0 and next_at <= planned_end + $grace_ms as by_plan,
        in_out and not immediate and (not long or by_plan) as paired,
        long and not by_plan as apart,
        type = 1 and (coalesce(next_type, 1) = 1 or apart) as unfinished,
        planned_ms > 0 and planned_end > tapped as has_plan
    from planned
)
select
    count(*) filter (paired) as intervals,
    sum(case when long then least(planned_ms, $max_shift_ms) else span end // 60000)
        filter (paired and span >= $min_interval_ms) as minutes,
    count(*) filter (paired and span < $min_interval_ms) as short,
    count(*) filter (paired and service_day <> next_day) as over_midnight,
    count(*) filter (paired and site <> next_site) as two_sites,
    count(*) filter (paired and long) as by_plan,
    count(*) filter (unfinished and has_plan) as missing_planned,
    count(*) filter (unfinished and not has_plan) as missing_unplanned,
    count(*) filter (unfinished and next_type = 1 and service_day = next_day
        and span <= $max_shift_ms) as in_again,
    count(*) filter (apart or (type = 2 and coalesce(last_type, 0) <> 1
        and not coalesce(last_type = 2 and tapped - last_at <= $max_shift_ms, false)))
        as orphans,
    count(*) filter (type = 2 and last_type = 2 and tapped - last_at <= $max_shift_ms)
        as out_again
from judged
"""


def connect(taps: Any, activities: Any, threads: int = 0) -> duckdb.DuckDBPyConnection:
    """Load columns into a new in-memory database; `threads` 0 leaves the choice to DuckDB."""
    connection = duckdb.connect()
    if threads:
        connection.execute(f"set threads = {threads}")
    names = ("terminal", "seq", "card", "card_ctr", "type", "site", "activity", "tz_q", "utc_ms")
    columns = {name: taps[name].copy() for name in names}
    connection.register("given_taps", columns)
    connection.execute("create table taps as select * from given_taps")
    planned = {name: activities[name].copy() for name in ("start_ms", "end_ms")}
    connection.register("given_plans", planned)
    connection.execute(
        "create table activities as select row_number() over () - 1 as index, * from given_plans"
    )
    return connection


def totals(connection: duckdb.DuckDBPyConnection, policy: Policy) -> Totals:
    """Run the query."""
    parameters = {
        "duplicate_ms": policy.duplicate_ms,
        "max_shift_ms": policy.max_shift_ms,
        "grace_ms": policy.grace_ms,
        "min_interval_ms": policy.min_interval_ms,
        "quarter_ms": QUARTER_MS,
        "day_ms": DAY_MS,
    }
    row = connection.execute(QUERY, parameters).fetchone()
    assert row is not None
    return Totals(*(int(value or 0) for value in row))
