# SPDX-License-Identifier: Apache-2.0
"""What holds for every history: kernel equals plain objects, order never matters, I5."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from server.reconciliation.arrays import APPROVED, CREDITED, History, Result
from server.reconciliation.parameters import MINUTE_MS
from server.reconciliation.policy import reconcile_arrays
from tests.unit.server.reconciliation.histories import MIDNIGHT_MS, Story, as_records, written

KINDS = (
    "IN", "OUT", "IN", "OUT", "AUTO", "SWITCH", "GUARDIAN", "TORN_RESOLVED", "VOID_LAST",
    "IN", "OUT", "RECOVERED", "MANUAL", "OUTAGE",
)  # fmt: skip
CAST = {
    "people": {"p": {}, "m": {"minor_until": "+400 00:00", "guardian": "p"}},
    "cards": {
        "a": {"person": "p"},
        "b": {"person": "p", "revoked": "+1 12:00"},
        "c": {"person": "m"},
    },
    "terminals": {
        "T1": {"site": 1},
        "T2": {"site": 2, "gap_seq": 5},
        "T3": {"site": 1, "fork_seq": 4, "fork_at": "+1 00:00"},
        "T4": {"site": 3, "revoked": "+1 06:00"},
    },
    "activities": {
        "duty": {"start": "08:00", "end": "12:00", "site": 1, "family": 1},
        "other": {"start": "08:30", "end": "10:00", "site": 2, "family": 2},
    },
    "sites": {
        "1": {"region": 7, "at": [22.55, 114.05]},
        "2": {"region": 7, "at": [22.60, 114.10]},
        "3": {"region": 8, "at": [39.90, 116.40]},
    },
    "now": "+4 00:00",
}
# A search of minutes rather than seconds: YIKA_EXAMPLES=20000.
EXAMPLES = int(os.environ.get("YIKA_EXAMPLES", "80"))
# Minutes since midnight, often close together, sometimes days apart.
MOMENTS = st.one_of(st.integers(480, 560), st.integers(0, 4 * 1440))


@st.composite
def taps(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw events in order of true time; each may be odd in a few ways."""
    moments = sorted(draw(st.lists(MOMENTS, max_size=12)))
    counters: dict[str, int] = {}
    events = []
    for moment in moments:
        at = MIDNIGHT_MS + moment * MINUTE_MS + draw(st.integers(0, 59)) * 1000
        card = draw(st.sampled_from("aaabc"))
        kind = draw(st.sampled_from(KINDS))
        tap: dict[str, Any] = {"at": written(at), "kind": kind, "card": card}
        tap["terminal"] = draw(st.sampled_from(("T1", "T1", "T2", "T2", "T3", "T3", "T4")))
        tap["ctr"] = max(0, counters.get(card, 0) + draw(st.sampled_from((0, 0, 0, 0, -1, 1))))
        counters[card] = tap["ctr"] + 1
        tap |= draw(oddities(at, kind))
        events.append(tap)
    return events


@st.composite
def oddities(draw: st.DrawFn, at: int, kind: str) -> dict[str, Any]:
    """Draw what may be unusual about one event: nothing, or one thing."""
    usual = {"ref": draw(st.integers(1, 4))} if kind != "IN" else {}
    torn = int(kind in ("IN", "OUT", "SWITCH"))
    claims = st.sampled_from((-3600, -30, 30, 7200)).map(lambda s: written(at + s * 1000))
    arrivals = st.integers(0, 3000).map(lambda minutes: written(at + minutes * MINUTE_MS))
    odd = st.one_of(
        st.just({}),
        st.just({"torn": torn}),
        st.just({"receipt": None}),
        st.just({"activity": "duty"}),
        st.just({"activity": "other"}),
        st.just({"boot": 2}),
        st.fixed_dictionaries({"verdict": st.sampled_from((1, 2, 3, 5, 6))}),
        st.fixed_dictionaries({"flags": st.sampled_from((1, 4, 0x40, 0x100, 0x200))}),
        st.fixed_dictionaries({"claim": claims}),
        st.fixed_dictionaries({"received": arrivals}),
        st.fixed_dictionaries({"proof": st.sampled_from((1, 7, 15, 23, 25, 33))}),
        st.fixed_dictionaries({"unc_ms": st.sampled_from((0, 60_000, 7_200_000))}),
        st.fixed_dictionaries({"hint": st.sampled_from(("IN", "OUT", "GUARDIAN", "TRAINING"))}),
    )
    if kind in ("MANUAL", "OUTAGE"):
        usual = draw(spans(at))
    return usual | draw(odd)


@st.composite
def spans(draw: st.DrawFn, at: int) -> dict[str, Any]:
    """Draw what a sheet or an outage says: from, until, planned minutes, the part that failed."""
    start = at - draw(st.integers(0, 300)) * MINUTE_MS
    return {
        "from": written(start),
        "until": written(start + draw(st.integers(0, 400)) * MINUTE_MS),
        "planned": draw(st.sampled_from((0, 60, 180))),
        "part": draw(st.sampled_from((1, 2, 3))),
    }


@st.composite
def parameters(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw what places and activities have of their own."""
    own = st.fixed_dictionaries(
        {},
        optional={
            "activity": st.sampled_from(("duty", "other")),
            "site": st.sampled_from((1, 2)),
            "region": st.sampled_from((7, 8)),
            "begins": st.sampled_from(("-30 00:00", "12:00", "+2 00:00")),
            "min_interval_ms": st.sampled_from((0, 60 * MINUTE_MS)),
            "grace_ms": st.sampled_from((0, 120 * MINUTE_MS)),
            "break_after_ms": st.sampled_from((0, 60 * MINUTE_MS)),
            "break_ms": st.sampled_from((10 * MINUTE_MS, 45 * MINUTE_MS)),
            "early_counts": st.sampled_from((0, 1)),
            "late_counts": st.sampled_from((0, 1)),
            "round_minutes": st.sampled_from((1, 15, 30)),
            "share_percent": st.sampled_from((0, 60)),
            "travel_counts": st.sampled_from((0, 1)),
        },
    )
    return draw(st.lists(own, max_size=3))


@st.composite
def corrections(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw leaders' decisions on taps that may or may not be in the queue."""
    made = []
    for _ in range(draw(st.integers(0, 3))):
        start = MIDNIGHT_MS + draw(MOMENTS) * MINUTE_MS
        item: dict[str, Any] = {
            "rule": draw(st.sampled_from((10, 12, 13, 19, 20, 34, 36, 37, 41, 42, 42, 52, 57))),
            "person": draw(st.sampled_from("ppm")),
            "decision": draw(st.sampled_from(("approve", "approve", "reject", "close"))),
            "start": written(start),
            "end": written(start + draw(st.integers(0, 600)) * MINUTE_MS),
            "grade": draw(st.sampled_from("BC")),
            "activity": draw(st.sampled_from((None, "duty"))),
        }
        if draw(st.booleans()):
            item["tap"] = f"{draw(st.sampled_from(('T1', 'T2', 'T3')))}/{draw(st.integers(1, 4))}"
        made.append(item)
    return made


def story(
    events: list[dict[str, Any]],
    decisions: list[dict[str, Any]],
    own: list[dict[str, Any]] | None = None,
) -> Story:
    """Return the events, decisions and parameters with the cast."""
    return Story({**CAST, "taps": events, "corrections": decisions, "parameters": own or []})


def told(history: History, result: Result) -> Any:
    """Name taps by terminal and number instead of rows, so that rows may move."""

    def name(row: int) -> tuple[int, int] | None:
        if row < 0:
            return None
        return int(history.taps[row]["terminal"]), int(history.taps[row]["seq"])

    intervals, exceptions = as_records(result)
    for item in intervals:
        item["in_row"], item["out_row"] = name(item["in_row"]), name(item["out_row"])
    for item in exceptions:
        item["row"], item["other"] = name(item["row"]), name(item["other"])
    return intervals, exceptions


@settings(max_examples=EXAMPLES)
@given(taps(), corrections(), parameters())
def test_kernel_equals_plain_objects(
    events: list[dict[str, Any]], decisions: list[dict[str, Any]], own: list[dict[str, Any]]
) -> None:
    """The kernel and the readable implementation agree on every history."""
    given_story = story(events, decisions, own)

    assert given_story.by_reference() == given_story.by_kernel()


@settings(max_examples=40)
@given(taps(), corrections(), parameters(), st.randoms(use_true_random=False))
def test_order_and_copies_change_nothing(
    events: list[dict[str, Any]],
    decisions: list[dict[str, Any]],
    own: list[dict[str, Any]],
    random: Any,
) -> None:
    """Shuffled and partly repeated, the same events give the same result (I3, rules 2, 48)."""
    first = story(events, decisions, own)
    rows = list(range(len(events)))
    rows += random.sample(rows, len(rows) // 2)
    random.shuffle(rows)
    shuffled = replace(first.history, taps=first.history.taps[np.array(rows, dtype=int)])

    assert told(first.history, reconcile_arrays(first.history, first.now)) == told(
        shuffled, reconcile_arrays(shuffled, first.now)
    )


@settings(max_examples=40)
@given(taps(), corrections())
def test_one_person_at_a_time_gives_the_same(
    events: list[dict[str, Any]], decisions: list[dict[str, Any]]
) -> None:
    """Deriving people one by one gives what deriving them together gives."""
    whole = story(events, decisions)
    together = told(whole.history, reconcile_arrays(whole.history, whole.now))
    apart: tuple[list[Any], list[Any]] = ([], [])
    for person in range(len(whole.people)):
        persons = whole.history.persons.copy()
        persons["derive"] = np.arange(len(persons)) == person
        alone = replace(whole.history, persons=persons)
        for found, part in zip(apart, told(alone, reconcile_arrays(alone, whole.now)), strict=True):
            found.extend(part)

    assert together == apart


@settings(max_examples=60)
@given(taps(), corrections(), parameters())
def test_no_second_counts_twice(
    events: list[dict[str, Any]], decisions: list[dict[str, Any]], own: list[dict[str, Any]]
) -> None:
    """Credited minutes of a person never exceed the union of the credited spans (I5)."""
    given_story = story(events, decisions, own)
    spans = defaultdict(list)
    minutes: dict[int, int] = defaultdict(int)
    for row in reconcile_arrays(given_story.history, given_story.now).intervals:
        assert row["minutes"] == 0 or row["state"] == CREDITED
        if row["state"] == CREDITED:
            spans[int(row["person"])].append((int(row["start_ms"]), int(row["end_ms"])))
            minutes[int(row["person"])] += int(row["minutes"])

    for person, found in spans.items():
        assert minutes[person] * MINUTE_MS <= union_ms(found)


@settings(max_examples=40)
@given(taps())
def test_proven_intervals_never_overlap(events: list[dict[str, Any]]) -> None:
    """Without leaders' decisions the credited intervals of a person are disjoint (rule 20)."""
    given_story = story(events, [])
    reached: dict[int, int] = {}
    for row in reconcile_arrays(given_story.history, given_story.now).intervals:
        if row["state"] == CREDITED:
            person = int(row["person"])

            assert row["start_ms"] >= reached.get(person, 0)
            reached[person] = int(row["end_ms"])


@settings(max_examples=40)
@given(taps(), corrections())
def test_what_a_leader_did_not_touch_needs_no_leader(
    events: list[dict[str, Any]], decisions: list[dict[str, Any]]
) -> None:
    """Approval of one matter never takes minutes from an interval that stood without it."""
    with_decisions, without = story(events, decisions), story(events, [])
    reduced = {item["tap"] for item in decisions if item["rule"] == 41 and "tap" in item}

    def proven(given_story: Story) -> dict[str | None, int]:
        result = reconcile_arrays(given_story.history, given_story.now)
        return {
            given_story.tap_name(row["in_row"]): int(row["minutes"])
            for row in result.intervals
            if row["state"] == CREDITED and row["in_row"] >= 0 and row["correction"] < 0
        }

    stands = proven(with_decisions)
    for tap, minutes in proven(without).items():
        assert tap in reduced or stands[tap] == minutes


def union_ms(spans: list[tuple[int, int]]) -> int:
    """Return the length of the union of spans."""
    total = reached = 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def test_decisions_are_told() -> None:
    """An approved exception is told as approved."""
    told_story = story(
        [{"at": "12:00", "kind": "OUT"}],
        [{"rule": 10, "tap": "T1/1", "start": "10:00", "end": "12:00"}],
    )
    result = reconcile_arrays(told_story.history, told_story.now)

    assert result.exceptions["state"].tolist() == [APPROVED]
