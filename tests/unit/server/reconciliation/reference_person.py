# SPDX-License-Identifier: Apache-2.0
"""One person in plain objects: pairing, guardians, overlaps, decisions, minutes."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from itertools import pairwise
from typing import Any

from server.reconciliation.arrays import History
from server.reconciliation.parameters import Policy
from tests.unit.server.reconciliation.reference import (
    AUTO,
    GUARDIAN,
    IN,
    MANUAL,
    OUT,
    SWITCH,
    TRAINING,
    Event,
    Reference,
    Tap,
)
from tests.unit.server.reconciliation.reference_stay import (
    Stay,
    boot_of,
    gravest,
    keep_certain,
    length,
    without,
)

LEADERS = {10, 11, 12, 13, 19, 20, 27, 28, 31, 32, 34, 36, 37, 42, 52, 53, 57}
MINUTE = 60_000


class Case:
    """One person: pairing, overlaps, decisions, minutes."""

    def __init__(self, world: Reference, person: int) -> None:
        self.world = world
        self.policy = world.policy
        self.person = person
        self.exceptions: list[dict[str, Any]] = []
        self.stays: list[Stay] = []
        self.line: list[Tap] = []
        self.open: dict[int, Tap] = {}
        self.last: dict[int, Tap] = {}
        self.gaps: dict[int, int] = {}
        self.presence: dict[int, int] = {}
        self.last_out: Tap | None = None

    def raise_(
        self, rule: int, row: int, other: int = -1, proposal: tuple[int, int] = (0, 0)
    ) -> None:
        decision = self.decision(rule, row)
        undecided = 3 if rule == 11 else 0
        state = ("open", "approved", "rejected", "closed")[
            decision["decision"] if decision else undecided
        ]
        self.exceptions.append(
            {"rule": rule, "row": row, "other": other, "proposal": proposal, "state": state}
        )

    def decision(self, rule: int, row: int) -> dict[str, int] | None:
        """Rule 41: the latest decision counts."""
        where = self.world.by_row[row]
        found = None
        for item in self.world.decisions:
            target = (item["person"], item["rule"], item["terminal"], item["seq"])
            if target == (self.person, rule, where.terminal, where.seq):
                found = item
        return found

    # -- pairing -------------------------------------------------------------------------------

    def pair(self, line: list[Tap]) -> None:
        self.line = line
        self.judge_travel()
        for tap in line:
            self.step(tap)
        for card in sorted(self.open):
            self.unfinished(self.open[card], None, over=self.overdue(self.open[card]))

    def judge_travel(self) -> None:
        """Rule 21: two sites, and no way to be at both in time."""
        counted = [
            tap
            for tap in self.line
            if tap.kind in (IN, OUT, AUTO, SWITCH) and not tap.blocked and 26 not in tap.rules
        ]
        for before, tap in pairwise(counted):
            way = self.world.way_m(before.event.site, tap.event.site)
            slack = tap.event.radius + before.event.radius
            time = max(0, tap.when - before.when + slack)
            if way > self.policy.travel_kmh * time // 3600:
                self.raise_(21, tap.event.row, before.event.row)
                for end in (before, tap):
                    end.rules.add(21)
                    end.grade = max(end.grade, 2)

    def apply_settings(self, stay: Stay, event: Event | None) -> None:
        """Find what is set for the activity, else for the site of the tap."""
        site = event.site if event else 0
        activity = 0
        if stay.activity >= 0:
            facts = self.world.activities[stay.activity]
            activity, site = facts["id"], facts["site"]
        stay.settings, stay.set_of = self.world.settings(activity, site, stay.start)

    def grace(self, tap: Tap) -> int:
        stay = Stay(tap, None, tap.when, tap.when, activity=tap.event.activity)
        self.apply_settings(stay, tap.event)
        return stay.settings["grace_ms"]

    def step(self, tap: Tap) -> None:
        if tap.gaps > self.gaps.get(tap.card, 0):
            self.gaps[tap.card] = tap.gaps
            if tap.card not in self.open:
                self.raise_(28, tap.event.row)
        if tap.kind in (None, GUARDIAN):
            self.seen(tap)
        elif tap.kind != TRAINING:
            self.count(tap)

    def count(self, tap: Tap) -> None:
        last = self.last.get(tap.card)
        if last and self.is_double(last, tap):
            last.rules.add(5)
            return
        self.last[tap.card] = tap
        opened = self.opened_for(tap)
        kind = tap.kind
        if kind == AUTO:
            near = opened and tap.when - opened.when <= self.policy.max_shift_ms
            kind = OUT if near else IN
        if kind in (OUT, SWITCH):
            if opened:
                del self.open[opened.card]
                self.close(opened, tap, kind)
            elif kind == OUT:
                self.orphan(tap, self.last_out)
        if kind in (IN, SWITCH):
            if tap.card in self.open:
                self.unfinished(self.open[tap.card], tap, over=True)
            self.open[tap.card] = tap
            self.presence.pop(tap.card, None)
        if kind == OUT:
            self.last_out = tap

    def is_double(self, last: Tap, tap: Tap) -> bool:
        """Rule 5; without a clock, taps of different boots have no distance."""
        if 37 in last.rules and 37 not in tap.rules:
            return False
        if 26 in last.rules | tap.rules and boot_of(last) != boot_of(tap):
            return False
        near = abs(tap.when - last.when) <= self.policy.duplicate_ms
        return near and (tap.kind == last.kind or tap.event.terminal == last.event.terminal)

    def seen(self, tap: Tap) -> None:
        if tap.blocked:
            return
        for card, opened in self.open.items():
            if 0 <= tap.when - opened.when <= self.policy.max_shift_ms:
                self.presence[card] = max(self.presence.get(card, tap.when), tap.when)

    def opened_for(self, tap: Tap) -> Tap | None:
        if tap.card in self.open:
            return self.open[tap.card]
        near = [
            self.open[card]
            for card in sorted(self.open)
            if tap.when - self.open[card].when <= self.policy.max_shift_ms
        ]
        return max(near, key=lambda opened: opened.when, default=None)

    def orphan(self, tap: Tap, last_out: Tap | None) -> None:
        fault = gravest(tap.rules)
        if fault:
            self.raise_(fault, tap.event.row)
        elif last_out and tap.when - last_out.when <= self.policy.max_shift_ms:
            self.raise_(11, tap.event.row, last_out.event.row)
        else:
            self.raise_(10, tap.event.row)

    def plan(self, event: Event) -> tuple[int, int]:
        if event.activity < 0:
            return 0, 0
        activity = self.world.activities[event.activity]
        if activity["end_ms"] <= 0:
            return 0, 0
        return max(0, activity["end_ms"] - activity["start_ms"]), activity["end_ms"]

    def day(self, when: int, event: Event) -> int:
        zone = dt.timezone(dt.timedelta(minutes=15 * event.tz_q))
        moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=when)
        return moment.astimezone(zone).date().toordinal() - dt.date(1970, 1, 1).toordinal()

    def close(self, first: Tap, last: Tap, kind: int) -> None:
        span = last.when - first.when
        length, planned_end = self.plan(first.event)
        long = span > self.policy.max_shift_ms
        if not first.blocked and not last.blocked:
            if self.at_once(first, last):
                return
            if long and not (length and last.when <= planned_end + self.grace(first)):
                self.unfinished(first, None, over=True)
                if kind == OUT:
                    self.orphan(last, None)
                return
        stay = Stay(first, last, first.when, max(first.when, last.when), plan=length)
        stay.activity = first.event.activity
        self.apply_settings(stay, first.event)
        stay.other = last.event.row
        stay.rules = self.pair_rules(first, last)
        stay.rules |= {38} if long else set()
        stay.rules |= {22} if kind == SWITCH else set()
        stay.grade = max(first.grade, last.grade)
        if 26 in first.rules | last.rules and boot_of(first) != boot_of(last):
            stay.grade = max(stay.grade, 2)
        keep_certain(stay)
        self.stays.append(stay)
        self.weigh(stay, min(span, stay.end - stay.start))

    def at_once(self, first: Tap, last: Tap) -> bool:
        """Rule 6; without a clock nobody knows."""
        elsewhere = first.event.terminal != last.event.terminal
        near = last.when - first.when <= self.policy.duplicate_ms
        return near and elsewhere and 26 not in first.rules | last.rules

    def pair_rules(self, first: Tap, last: Tap) -> set[Any]:
        """Rules 1, 17, 19, 28, 43."""
        rules: set[Any] = {1}
        if first.event.site != last.event.site:
            rules.add(19)
            activities = [tap.event.activity for tap in (first, last) if tap.event.activity >= 0]
            families = {self.world.activities[number]["family"] for number in activities}
            if len(families - {0}) == 2:
                rules.add("foreign")
        if first.card != last.card:
            rules.add(43)
        elif first.gaps != last.gaps:
            rules.add(28)
        if self.day(first.when, first.event) != self.day(last.when, first.event):
            rules.add(17)
        return rules

    def weigh(self, stay: Stay, span: int) -> None:
        fault = gravest(stay.first.rules | stay.last.rules | stay.rules & {28, "foreign"})
        if fault:
            self.fault(stay, fault)
            if fault not in (27, 53):
                stay.proposal = (stay.start, stay.end)
            return
        stay.state = "credited"
        if span < stay.settings["min_interval_ms"]:
            stay.rules.add(7)
            stay.state = "zero"
        if 38 in stay.rules:
            stay.raises = 38
            stay.limit = min(self.policy.max_shift_ms, stay.plan)
        for rule in (12, 13):
            decision = self.decision(rule, stay.in_row())
            if decision and decision["decision"] == 1:
                stay.rules.add(15)

    def fault(self, stay: Stay, rule: int) -> None:
        stay.raises = rule
        stay.state = {33: "zero", 59: "zero", 27: "held", 28: "held"}.get(rule, "exception")
        if rule == 28 and self.world.now >= stay.end + self.policy.gap_wait_ms:
            stay.state = "exception"

    def overdue(self, tap: Tap) -> bool:
        length, planned_end = self.plan(tap.event)
        if length:
            return self.world.now >= max(tap.when, planned_end) + self.grace(tap)
        return self.world.now >= tap.when + self.policy.max_shift_ms

    def unfinished(self, first: Tap, again: Tap | None, *, over: bool) -> None:
        """Rules 8, 9, 12, 13: a tap-in without tap-out."""
        length, planned_end = self.plan(first.event)
        stay = Stay(first, None, first.when, first.when, plan=length, state="open")
        stay.activity = first.event.activity
        self.apply_settings(stay, first.event)
        stay.grade = max(first.grade, 2)
        presence = self.presence.get(first.card)
        if again:
            same_day = self.day(first.when, first.event) == self.day(again.when, first.event)
            if same_day and again.when - first.when <= self.policy.max_shift_ms:
                stay.rules.add(8)
                presence = max(presence or again.when, again.when)
            else:
                stay.rules.add(9)
            if first.gaps != again.gaps:
                stay.rules.add(28)
        self.stays.append(stay)
        fault = gravest(first.rules)
        if fault:
            self.fault(stay, fault)
        elif over:
            end = presence
            if length and planned_end > first.when:
                stay.raises, stay.state = 12, "exception"
                end = min(planned_end, first.when + length)
                if 8 in stay.rules:
                    end = min(end, presence)
            else:
                stay.raises = 13
            stay.rules.add(stay.raises)
            if end is not None and end > first.when:
                stay.proposal = (first.when, end)

    # -- after pairing -------------------------------------------------------------------------

    def ask_guardian(self, stay: Stay, guardian: Case) -> None:
        """Rule 52."""
        near = self.policy.guardian_ms
        site = stay.first.event.site
        attested = any(
            tap.kind == GUARDIAN
            and not tap.blocked
            and tap.event.site == site
            and abs(tap.when - stay.start) <= near
            for tap in guardian.line
        )
        serving = any(
            not other.first.blocked
            and not (other.last and other.last.blocked)
            and other.first.event.site == site
            and other.start - near <= stay.start <= other.end + near
            for other in guardian.stays
        )
        if attested or serving:
            return
        stay.rules.add(52)
        came = [
            tap.when
            for tap in guardian.line
            if tap.kind == GUARDIAN and not tap.blocked and tap.event.site == site
        ]
        came += [
            other.start
            for other in guardian.stays
            if not other.first.blocked
            and not (other.last and other.last.blocked)
            and other.first.event.site == site
        ]
        stay.counts = min((when for when in came if stay.start < when < stay.end), default=None)
        if stay.state == "credited" and stay.counts is None:
            stay.raises, stay.state = 52, "held"
            stay.proposal = (stay.start, stay.end)

    def take_sheets(self) -> None:
        """Rule 42: time entered by hand, within its plan."""
        for event in self.world.events:
            if event.type != MANUAL or event.card not in self.world.cards_of(self.person):
                continue
            if event.verdict != 7:
                self.raise_(self.world.refusal(event), event.row)
                continue
            start, end = self.sheet_span(event)
            self.raise_(42, event.row, -1, (start, end) if end > start else (0, 0))

    def sheet_span(self, event: Event) -> tuple[int, int]:
        start, end = event.psam * 1000, event.ref * 1000
        longest = [self.policy.max_shift_ms]
        longest += [event.card_ctr * MINUTE] if event.card_ctr else []
        length_ms, _ = self.plan(event)
        longest += [length_ms] if length_ms else []
        return start, min(end, start + min(longest))

    def finish(self) -> None:
        self.take_sheets()
        self.adopt()
        self.stays.sort(key=self.order)
        self.count_missing()
        self.part()
        self.decide()
        self.credit()

    def order(self, stay: Stay) -> tuple[int, ...]:
        tap = stay.first or stay.last
        row = tap.event.row if tap else stay.alone
        if row < 0:
            return stay.start, 1, self.world.decisions.index(stay.correction), 0
        event = self.world.by_row[row]
        return stay.start, 0, event.terminal, event.seq

    def adopt(self) -> None:
        """Approved single taps, and time without any tap, stand on the correction alone."""
        for found in list(self.exceptions):
            if found["state"] == "approved" and found["rule"] in LEADERS - {28}:
                self.stand_alone(self.decision(found["rule"], found["row"]), found)
        for item in self.world.decisions:
            mine = item["person"] == self.person and item["terminal"] < 0
            if mine and item["decision"] == 1:
                self.stand_alone(item, None)

    def stand_alone(self, decision: dict[str, int], found: dict[str, Any] | None) -> None:
        stay = Stay(None, None, decision["start_ms"], decision["start_ms"], grade=3)
        stay.correction = decision
        activity = decision["activity"]
        if found:
            stay.alone, stay.raises = found["row"], found["rule"]
            event = self.world.by_row[found["row"]]
            activity = event.activity
            stay.alone_in = event.type == IN
        if activity >= 0 and self.world.activities[activity]["end_ms"] > 0:
            planned = self.world.activities[activity]
            stay.plan = max(0, planned["end_ms"] - planned["start_ms"])
        stay.activity = activity
        self.apply_settings(stay, self.world.by_row[found["row"]] if found else None)
        if found and event.type == MANUAL:
            start, end = self.sheet_span(event)
            stay.proposal = (start, max(start, end))
        self.stays.append(stay)

    def count_missing(self) -> None:
        """Rule 14: more than a few missing tap-outs in a month are marked."""
        months: dict[tuple[int, int], int] = defaultdict(int)
        for stay in self.stays:
            if stay.rules & {12, 13}:
                day = self.service_day(stay)
                month = dt.date(1970, 1, 1) + dt.timedelta(days=day)
                months[month.year, month.month] += 1
                if months[month.year, month.month] > self.policy.repeated_missing:
                    stay.rules.add(14)

    def service_day(self, stay: Stay) -> int:
        rows = [row for row in (stay.in_row(), stay.out_row()) if row >= 0]
        zone = stay.correction["tz_q"] if not rows and stay.correction else 0
        if rows:
            zone = self.world.by_row[rows[0]].tz_q
        return (stay.start + zone * 900_000) // 86_400_000

    def part(self) -> None:
        """Rule 20: of two overlapping intervals the later one waits."""
        kept: list[Stay] = []
        for stay in self.stays:
            if stay.state != "credited":
                continue
            holder = max(kept, key=lambda other: other.end, default=None)
            if holder is None or stay.start >= holder.end:
                kept.append(stay)
                continue
            stay.raises, stay.state, stay.other = 20, "exception", holder.in_row()
            if stay.end > holder.end:
                stay.proposal = (holder.end, stay.end)

    def decide(self) -> None:
        for stay in self.stays:
            if not stay.raises or stay.correction:
                continue
            self.raise_(stay.raises, stay.in_row(), stay.other, stay.proposal)
            decision = self.decision(stay.raises, stay.in_row())
            if not decision or stay.state == "credited":
                continue
            if decision["decision"] == 1 and stay.raises in LEADERS:
                stay.correction = decision
            elif decision["decision"] == 2:
                stay.state = "zero"

    def credit(self) -> None:
        proven = [stay for stay in self.stays if stay.state == "credited"]
        for stay in proven:
            low, high = self.counted(stay, stay.start, stay.end)
            span = max(0, high - low)
            if stay.limit is not None:
                span = min(span, stay.limit)
            stay.present = span
            stay.minutes = self.whole_minutes(stay, span)
            decision = self.decision(41, stay.in_row())
            if decision and decision["decision"] == 1:
                stay.minutes = min(stay.minutes, decision["minutes"])
                stay.rules.add(41)
                stay.correction = decision
        covered = [(stay.start, stay.end) for stay in proven]
        waiting = [stay for stay in self.stays if stay.correction and stay not in proven]
        waiting.sort(key=lambda stay: self.world.decisions.index(stay.correction))
        for stay in waiting:
            self.credit_decided(stay, covered)
        self.ask_share()

    def counted(self, stay: Stay, start: int, end: int) -> tuple[int, int]:
        """Rules 40 and 52: the part of a stay that counts."""
        if stay.counts is not None:
            start = max(start, stay.counts)
        low, high = start, end
        if stay.plan:
            planned = self.world.activities[stay.activity]
            if not stay.settings["early_counts"]:
                low = max(start, planned["start_ms"])
            if not stay.settings["late_counts"]:
                high = min(end, planned["end_ms"])
        if (low, high) != (start, end):
            stay.rules.add(40)
        return low, high

    def whole_minutes(self, stay: Stay, span: int) -> int:
        """Rules 19, 39, 40: without the way and the break, and rounded."""
        if not stay.settings["travel_counts"] and stay.first and stay.last:
            way = self.world.way_m(stay.first.event.site, stay.last.event.site)
            span = max(0, span - way * 3600 // self.policy.pace_kmh)
        after = stay.settings["break_after_ms"]
        if after and span > after:
            stay.rules.add(39)
            span -= min(stay.settings["break_ms"], span - after)
        minutes = span // MINUTE
        if minutes % stay.settings["round_minutes"]:
            stay.rules.add(40)
        return minutes - minutes % stay.settings["round_minutes"]

    def ask_share(self) -> None:
        """Rule 50."""
        present: dict[int, int] = defaultdict(int)
        for stay in self.stays:
            if stay.state == "credited":
                present[stay.activity] += stay.present
        for stay in self.stays:
            share = stay.settings["share_percent"]
            asked = stay.state == "credited" and stay.plan and share
            if asked and present[stay.activity] * 100 < stay.plan * share:
                stay.rules.add(50)
                stay.state, stay.minutes = "zero", 0

    def credit_decided(self, stay: Stay, covered: list[tuple[int, int]]) -> None:
        decision = stay.correction
        start, end = decision["start_ms"], decision["end_ms"]
        if stay.proposal[1]:
            start, end = max(start, stay.proposal[0]), min(end, stay.proposal[1])
        longest = min(self.policy.max_shift_ms, stay.plan or self.policy.max_shift_ms)
        end = min(max(start, end), start + longest)
        low, high = self.counted(stay, start, end)
        span = length(without([(low, high)] if low < high else [], covered))
        stay.start, stay.end, stay.present = start, end, span
        stay.minutes = max(0, min(decision["minutes"], self.whole_minutes(stay, span)))
        stay.grade = max(stay.grade, decision["grade"])
        stay.rules |= {41, 14} if stay.grade == 3 else {41}
        stay.state = "credited"
        covered.append((start, end))


def derive(world: Reference, person: int) -> Case:
    """Derive one person, with a look at the guardian if need be."""
    case = Case(world, person)
    case.pair(world.line_of(person, case))
    until = world.persons[person]["minor_until_ms"]
    if until:
        beside = Case(world, world.persons[person]["guardian"])
        if beside.person >= 0:
            beside.pair(world.line_of(beside.person, beside))
        for stay in case.stays:
            if stay.start < until:
                case.ask_guardian(stay, beside)
    case.finish()
    return case


def reconcile(
    history: History, now: int, policy: Policy
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return intervals and exceptions as dictionaries, person by person."""
    world = Reference(history, now, policy)
    intervals, exceptions = [], []
    for person, facts in enumerate(world.persons):
        if not facts["derive"]:
            continue
        case = derive(world, person)
        for found in case.exceptions:
            exceptions.append({"person": person, **found})
        for stay in case.stays:
            rules = set(stay.rules)
            for tap in (stay.first, stay.last):
                rules |= tap.rules if tap else set()
            if stay.raises:
                rules.add(stay.raises)
            intervals.append(
                {
                    "person": person,
                    "in_row": stay.in_row(),
                    "out_row": stay.out_row(),
                    "start_ms": stay.start,
                    "end_ms": stay.end,
                    "rules": sorted(rule for rule in rules if isinstance(rule, int)),
                    "parameters": stay.set_of,
                    "correction": stay.correction["row"] if stay.correction else -1,
                    "service_day": case.service_day(stay),
                    "minutes": stay.minutes,
                    "grade": "ABC"[stay.grade - 1],
                    "state": stay.state,
                }
            )
    return intervals, exceptions
