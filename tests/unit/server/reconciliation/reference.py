# SPDX-License-Identifier: Apache-2.0
"""The rules once more in plain objects, written to be read: what the kernel is held against.

Nothing here is shared with the kernel but the arrays at both ends. It is slow on purpose:
definitions instead of passes, sets instead of bits, lists instead of columns.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, Protocol

from server.reconciliation.arrays import History, records
from server.reconciliation.parameters import SCOPED, Policy

SIGNATURE, TAC, MAC2, CG2, HARDWARE = 1, 2, 4, 8, 16
TOKEN = 32
IN, OUT, AUTO, REJECTED, RESOLVED, SWITCH, VOID, TRAINING, GUARDIAN = 1, 2, 3, 4, 6, 7, 8, 9, 10
RECOVERED, OUTAGE, MANUAL = 0x0B, 0x17, 0x19
HINTED = {IN, OUT, SWITCH, GUARDIAN, TRAINING}  # what a rescue can have been
LINE = {IN, OUT, AUTO, RESOLVED, SWITCH, TRAINING, GUARDIAN, RECOVERED}
BLOCKING = {3, "unproven", 33, 34, 37, 53, 57, 59, "quarantine"}


@dataclass(eq=False)
class Event:
    """One stored event and what is found out about it."""

    row: int
    facts: dict[str, int]
    when: int = 0
    radius: int = 0
    notes: set[Any] = field(default_factory=set)
    voided: bool = False
    enclosed: bool = False

    def __getattr__(self, name: str) -> int:
        try:
            return self.facts[name]
        except KeyError:
            raise AttributeError(name) from None

    def proves(self, bits: int) -> bool:
        return self.proof & bits == bits


class Queue(Protocol):
    """Whoever keeps the exceptions of a person."""

    def raise_(self, rule: int, row: int, other: int = -1) -> None:
        """Put a tap into the queue."""


@dataclass(eq=False)
class Tap:
    """An entry of a person's line."""

    event: Event
    card: int
    kind: int | None
    grade: int
    rules: set[Any]
    gaps: int
    when: int = 0

    @property
    def blocked(self) -> bool:
        return bool(self.rules & BLOCKING)


class Reference:
    """Derive everybody's intervals and exceptions, one rule after the other."""

    def __init__(self, history: History, now: int, policy: Policy) -> None:
        self.policy = policy
        self.now = now
        self.persons = records(history.persons)
        self.cards = records(history.cards)
        self.cards_by_person: dict[int, list[int]] = defaultdict(list)
        for index, card in enumerate(self.cards):
            self.cards_by_person[card["person"]].append(index)
        self.terminals = records(history.terminals)
        self.batches = records(history.batches)
        self.activities = records(history.activities)
        self.sites = {site["id"]: site for site in records(history.sites)}
        self.parameters = records(history.parameters)
        decisions = records(history.corrections)
        for row, decision in enumerate(decisions):
            decision["row"] = row
        self.decisions = sorted(decisions, key=lambda item: (item["at_ms"], item["id"]))
        self.events = self.unique(history)
        self.by_row = {event.row: event for event in self.events}
        self.by_card: dict[int, list[Event]] = defaultdict(list)
        for event in self.events:
            self.by_card[event.card].append(event)
        self.correct_clocks()

    # -- events ------------------------------------------------------------------------------

    def unique(self, history: History) -> list[Event]:
        """Rule 2: terminal and number are the identity of an event; the first arrival counts."""
        found: dict[tuple[int, int], Event] = {}
        for row, facts in enumerate(records(history.taps)):
            facts["received_ms"] = self.batches[facts["batch"]]["received_ms"]
            event = Event(row, facts)
            known = found.get((event.terminal, event.seq))
            if known is None or event.batch < known.batch:
                found[event.terminal, event.seq] = event
        return [found[key] for key in sorted(found)]

    def drift(self, span: int) -> int:
        return -(-abs(span) * self.policy.drift_ppm // 1_000_000)

    def correct_clocks(self) -> None:
        for _, group in groupby(self.events, key=lambda event: (event.terminal, event.boot)):
            self.correct_boot(list(group))

    def correct_boot(self, boot: list[Event]) -> None:
        """Rules 24 to 27 and 55: bounds from all events of the boot, a claim within them."""
        bounds = self.bounds(boot)
        claims = [
            event
            for event in boot
            if event.type not in (RESOLVED, RECOVERED) and not event.flags & 1
        ]
        possible = [
            event
            for event in claims
            if bounds[event][0] <= event.utc_ms - event.up_ms + event.unc_ms
            and event.utc_ms - event.up_ms - event.unc_ms <= bounds[event][1]
        ]
        fresh = len({event.anchor for event in boot} - {-1, boot[0].anchor}) > 0
        if possible:
            self.trust(min(possible, key=lambda event: event.unc_ms), boot, bounds)
        else:
            surest = min(claims, key=lambda event: event.unc_ms, default=None)
            self.place(boot, surest, fresh, bounds)
        for event in boot:
            low, high = bounds[event]
            if high - low > self.policy.time_width_ms:
                event.notes.add(55)
        for event in boot:
            if event.type in (RESOLVED, RECOVERED):
                self.place_resolved(event)
        for event in boot:
            self.listen_to(event, boot)

    def listen_to(self, event: Event, boot: list[Event]) -> None:
        """Hear what an event says of an earlier tap of the same card, or of an outage (32)."""
        if event.type == OUTAGE and event.hint in (1, 2):
            ended = event.ref * 1000 or event.utc_ms
            for tap in boot:
                if tap.seq < event.seq and event.psam * 1000 <= tap.utc_ms <= ended:
                    tap.enclosed = True
        for tap in boot:
            if (tap.seq, tap.card) != (event.ref, event.card) or tap.seq >= event.seq:
                continue
            if event.type == VOID and event.when - tap.when <= self.policy.void_ms:
                tap.voided = True
            if event.type == REJECTED and event.flags & 0x80:
                tap.notes.add(5)

    def bounds(self, boot: list[Event]) -> dict[Event, tuple[float, float]]:
        looseness = [0]
        for before, event in pairwise(boot):
            looseness.append(looseness[-1] + self.drift(event.up_ms - before.up_ms))
        result = {}
        for here, event in zip(looseness, boot, strict=True):
            lows = [
                self.batches[other.anchor]["receipt_ms"] - other.up_ms - abs(here - there)
                for there, other in zip(looseness, boot, strict=True)
                if other.anchor >= 0
            ]
            highs = [
                other.received_ms - other.up_ms + abs(here - there)
                for there, other in zip(looseness, boot, strict=True)
            ]
            low, high = max(lows, default=float("-inf")), min(highs)
            if low > high:
                low, high = high, low
            result[event] = (low, high)
        return result

    def trust(self, best: Event, boot: list[Event], bounds: dict[Event, Any]) -> None:
        offset = clip(best.utc_ms - best.up_ms, *tightest(bounds))
        for event in boot:
            low, high = bounds[event]
            here = clip(offset, low, high)
            radius = best.unc_ms + self.drift(event.up_ms - best.up_ms)
            event.when = event.up_ms + here
            event.radius = min(radius, max(high - here, here - low), 2**31 - 1)
            if event.flags & 1:
                continue
            moved = abs(event.when - event.utc_ms)
            if moved > event.unc_ms + radius + self.policy.clock_notice_ms:
                event.notes.add(25)
                if event.utc_ms - event.unc_ms > event.received_ms:
                    event.notes.add(27)
            elif moved > self.policy.clock_notice_ms:
                event.notes.add(24)

    def place(
        self, boot: list[Event], surest: Event | None, fresh: bool, bounds: dict[Event, Any]
    ) -> None:
        low, high = tightest(bounds)
        known = low > float("-inf")
        if surest is None:
            note, target = 26, (low + high) // 2 if known else high
        else:
            claim = surest.utc_ms - surest.up_ms
            if not fresh:
                note, target = 0, min(claim, high)
            else:
                ahead = claim > bounds[surest][1]
                note, target = (27, high) if ahead else (24, low)
        for event in boot:
            low, high = bounds[event]
            width = min(high - low, 2**31 - 1) if known else 2**31 - 1
            if note == 26 and known:
                width = (width + 1) // 2
            event.radius = int(width)
            event.notes |= {note} if note else {27, "quarantine"}
            event.when = event.up_ms + (clip(target, low, high) if note else int(target))

    def place_resolved(self, event: Event) -> None:
        """Rule 35: the card tells the second of the torn tap, the rescue bounds it."""
        kept = event.notes & {55, "quarantine"}
        if event.utc_ms - self.policy.resolved_radius_ms > event.when + event.radius:
            kept.add("quarantine")
        event.notes = kept | ({27} if "quarantine" in kept else set())
        event.when = min(event.when, event.utc_ms)
        event.radius = max(self.policy.resolved_radius_ms, event.unc_ms)

    # -- places and settings -------------------------------------------------------------------

    def way_m(self, one: int, other: int) -> int:
        """Return the metres between two sites, 0 if nobody knows."""
        here, there = self.sites.get(one), self.sites.get(other)
        if one == other or not here or not there or not (here["located"] and there["located"]):
            return 0
        return math.isqrt(sum((here[axis] - there[axis]) ** 2 for axis in ("x_m", "y_m", "z_m")))

    def settings(self, activity: int, site: int, when: int) -> tuple[dict[str, int], Any]:
        """Return what holds for an activity, a site and its region at an instant."""
        region = self.sites[site]["region"] if site in self.sites else 0
        found, source = {}, set()
        for name in SCOPED:
            best = None
            for row in self.parameters:
                rank = self.rank(row, activity, site, region)
                if rank is None or row["from_ms"] > when or row[name] < 0:
                    continue
                if best is None or (rank, row["from_ms"], row["id"]) > best[0]:
                    best = ((rank, row["from_ms"], row["id"]), row[name])
            found[name] = best[1] if best else getattr(self.policy, name)
            source |= {best[0][2]} if best else set()
        return found, tuple(sorted(source))

    def rank(self, row: dict[str, int], activity: int, site: int, region: int) -> int | None:
        """Return how special a parameter is for a place; None if it is not for it."""
        wanted = ((row["activity"], activity), (row["site"], site), (row["region"], region))
        if any(asked not in (0, given) for asked, given in wanted):
            return None
        return 3 if row["activity"] else 2 if row["site"] else 1 if row["region"] else 0

    # -- one event as a tap --------------------------------------------------------------------

    def stance(self, event: Event) -> str:
        answered = event.proves(TAC | MAC2)
        if event.type == RECOVERED:
            return "listed" if event.verdict == 7 else "refused"
        if event.verdict not in (0, 3):
            return "refused"
        if event.result == 1:
            return "half" if event.proves(CG2) else "refused"
        if event.type == RESOLVED:
            return "rescue" if answered else "refused"
        if event.verdict == 3 and not answered:
            return "refused"
        return "full"

    def rules_of(self, event: Event) -> set[Any]:
        rules = event.notes | self.terminal_rules(event) | self.proof_rules(event)
        if event.type not in (RESOLVED, RECOVERED):
            flags = {0x40: 45, 4: 33, 0x100: 59}
            rules |= {rule for flag, rule in flags.items() if event.flags & flag}
        revoked = self.cards[event.card]["revoked_ms"]
        if revoked and 33 not in rules and event.when + event.radius >= revoked:
            rules.add(34)
        return rules

    def terminal_rules(self, event: Event) -> set[int]:
        terminal = self.terminals[event.terminal]
        rules = {3} if event.verdict == 3 else set()
        forked = terminal["fork_ms"] and event.seq >= terminal["fork_seq"]
        if forked and event.received_ms >= terminal["fork_ms"]:
            rules.add(3)
        if terminal["gap_seq"] and event.seq > terminal["gap_seq"]:
            rules.add(4)
        if terminal["revoked_ms"] and event.received_ms >= terminal["revoked_ms"]:
            rules.add(57)
        return rules

    def proof_rules(self, event: Event) -> set[Any]:
        if event.type == RECOVERED:
            return {37}
        if event.result == 1 or event.proves(TAC):
            return set()
        if event.proves(TOKEN):
            return {51}
        return {32} if event.enclosed and event.proves(CG2) else {32, "unproven"}

    def tap(self, event: Event, gaps: int, *, proof: int | None = None) -> Tap:
        kind: int | None = TRAINING if event.flags & 0x200 else event.type
        rules = self.rules_of(event)
        proof = event.proof if proof is None else proof
        answered, cg2, hardware = proof & 6 == 6, bool(proof & CG2), bool(proof & HARDWARE)
        grade = 3
        if answered:
            grade = {(True, True): 1, (True, False): 2, (False, True): 2}.get((cg2, hardware), 3)
        if 51 in rules:
            grade = self.policy.token_grade
        elif 32 in rules and "unproven" not in rules:
            grade = 2
        if 37 in rules:
            kind, grade = AUTO, 3
        if kind == AUTO or rules & {4, 45, 55}:
            grade = max(grade, 2)
        return Tap(event, event.card, kind, grade, rules, gaps, event.when)

    # -- one card ------------------------------------------------------------------------------

    def card_line(self, card: int, case: Queue) -> list[Tap]:
        """Rules 28, 29, 30, 35, 36, 53, 56: the taps of one card in the order of its counter."""
        events = [event for event in self.by_card[card] if event.type in LINE]
        events.sort(key=lambda event: (event.card_ctr, event.when, event.terminal, event.seq))
        counters = [
            event.card_ctr
            for event in events
            if self.stance(event) in ("full", "rescue") and event.proves(TAC | MAC2)
        ]
        highest = max(counters, default=-1)
        line: list[Tap] = []
        gaps, seen = 0, None
        for counter, group in groupby(events, key=lambda event: event.card_ctr):
            members = list(group)
            if any(self.stance(event) != "refused" or event.proves(6) for event in members):
                if seen is not None and counter > seen + 1:
                    gaps += 1
                seen = counter
            line += self.one_counter(members, gaps, highest > counter, case)
        self.hold_counter_against_time(line)
        return line

    def one_counter(
        self, members: list[Event], gaps: int, card_went_on: bool, case: Queue
    ) -> list[Tap]:
        kinds = defaultdict(list)
        for event in members:
            kinds[self.stance(event)].append(event)
        for event in kinds["refused"]:
            case.raise_(self.refusal(event), event.row)
        if kinds["full"]:
            return self.complete_taps(kinds, gaps, case)
        if kinds["listed"] and not kinds["half"] and not kinds["rescue"]:
            return [self.tap(kinds["listed"][0], gaps)]  # rule 37
        return self.torn_taps(kinds, gaps, card_went_on, case)

    def believed(self, event: Event, gaps: int, case: Queue) -> list[Tap]:
        """Rule 57: of a terminal that was revoked, nothing counts that no card proves."""
        revoked = self.terminals[event.terminal]["revoked_ms"]
        late = revoked and event.received_ms >= revoked
        if late and not event.proves(TAC) and not event.proves(TOKEN):
            case.raise_(30, event.row)
            return []
        return [self.tap(event, gaps)]

    def refusal(self, event: Event) -> int:
        if event.verdict == 2 and event.proves(TAC):
            return 31
        return {6: 54, 3: 3}.get(event.verdict, 30)

    def complete_taps(self, kinds: dict[str, list[Event]], gaps: int, case: Queue) -> list[Tap]:
        full = kinds["full"]
        if len(full) == 1 and not kinds["rescue"]:
            proven = full
        else:
            proven = [event for event in full if event.proves(TAC | MAC2 | CG2)]
            proven = proven or [event for event in full if event.proves(TAC | MAC2)]
        if len(proven) > 1:
            for event in proven[1:]:
                case.raise_(29, event.row, proven[0].row)
            return []
        if not proven:
            counted = [self.believed(event, gaps, case) for event in full if not event.voided]
            return [tap for taps in counted for tap in taps]
        winner = proven[0]
        believed = [] if winner.voided else self.believed(winner, gaps, case)
        tap = believed[0] if believed else self.tap(winner, gaps)
        others = [event for event in full + kinds["rescue"] if event is not winner]
        for event in sorted(others, key=lambda event: (event.when, event.terminal, event.seq)):
            if self.stance(event) == "full":
                case.raise_(30, event.row, winner.row)
            elif (event.psam, event.ref) == (winner.psam, winner.ref):
                tap.rules.add(56)
            else:
                case.raise_(29, event.row, winner.row)
        return [tap] if believed else []

    def torn_taps(
        self, kinds: dict[str, list[Event]], gaps: int, card_went_on: bool, case: Queue
    ) -> list[Tap]:
        halves, rescues = kinds["half"], kinds["rescue"]
        pairs = [
            (half, rescue)
            for half in halves
            for rescue in rescues
            if (half.psam, half.ref) == (rescue.psam, rescue.ref)
        ]
        if pairs:
            half, rescue = pairs[0]
            self.list_strangers(rescue, rescues, case)
            tap = self.tap(half, gaps, proof=half.proof | rescue.proof & 6)
            tap.rules |= {35, 56}
            return [tap]
        if rescues:
            self.list_strangers(rescues[0], rescues, case)
            if len({(event.psam, event.ref) for event in rescues}) > 1:
                return []
            tap = self.tap(rescues[0], gaps)
            tap.kind = rescues[0].hint if rescues[0].hint in HINTED else AUTO
            tap.grade = max(tap.grade, 2)
            tap.rules.add(35)
            return [tap]
        if not halves:
            return []
        tap = self.tap(halves[-1], gaps)
        tap.grade = 2
        if len(halves) == 1 and card_went_on:
            tap.rules.add(36)
        else:
            case.raise_(36, halves[-1].row)
            tap.kind = None
        return [tap]

    def list_strangers(self, chosen: Event, rescues: list[Event], case: Queue) -> None:
        for event in rescues:
            if (event.psam, event.ref) != (chosen.psam, chosen.ref):
                case.raise_(29, event.row, chosen.row)

    def hold_counter_against_time(self, line: list[Tap]) -> None:
        timed = [tap for tap in line if not tap.rules & {"quarantine", 37}]
        for before, after in pairwise(timed):
            if before.event.when - before.event.radius > after.event.when + after.event.radius:
                before.rules.add(53)
                after.rules.add(53)
        orderly = [tap for tap in timed if 53 not in tap.rules]
        self.let_the_surer_stand(orderly)
        for number, tap in enumerate(orderly):
            tap.when = max(earlier.when for earlier in orderly[: number + 1])
        if any(37 in tap.rules for tap in line):
            self.place_listed(line, orderly)

    def let_the_surer_stand(self, orderly: list[Tap]) -> None:
        """Rule 53: a tap lies before every surer one that follows, as far as its bounds allow."""
        for number, tap in reversed(list(enumerate(orderly))):
            after = orderly[number + 1 :]
            seconds = tap.event.radius // 1000
            limits = [later.when for later in after if later.event.radius // 1000 < seconds]
            if after and 26 in tap.rules & after[0].rules and one_boot(tap.event, after[0].event):
                limits.append(after[0].when - (after[0].event.up_ms - tap.event.up_ms))
            earliest = tap.event.when - tap.event.radius
            tap.when = max(earliest, min([tap.event.when, *limits]))

    def place_listed(self, line: list[Tap], orderly: list[Tap]) -> None:
        """Rule 37: a record of the log lies between the taps around it."""
        listed = [tap for tap in line if 37 in tap.rules and "quarantine" not in tap.rules]
        whole = [tap for tap in line if tap in orderly or tap in listed]
        for number, tap in enumerate(whole):
            if tap in listed:
                after = [later.when for later in whole[number:] if later in orderly]
                tap.when = min([tap.event.when, *after])
        for number, tap in enumerate(whole):
            tap.when = max(earlier.when for earlier in whole[: number + 1])

    # -- one person ----------------------------------------------------------------------------

    def cards_of(self, person: int) -> list[int]:
        return self.cards_by_person[person]

    def line_of(self, person: int, case: Queue) -> list[Tap]:
        queues = [self.card_line(card, case) for card in self.cards_of(person)]
        merged = []
        while any(queues):
            heads = [queue[0] for queue in queues if queue]
            tap = min(heads, key=lambda tap: (tap.when, tap.event.terminal, tap.event.seq))
            next(queue for queue in queues if queue and queue[0] is tap).pop(0)
            merged.append(tap)
        return merged


def one_boot(one: Event, other: Event) -> bool:
    """Tell if one running clock saw both taps."""
    told_later = {one.type, other.type} & {RESOLVED, RECOVERED}
    return not told_later and (one.terminal, one.boot) == (other.terminal, other.boot)


def tightest(bounds: dict[Event, tuple[float, float]]) -> tuple[float, float]:
    """Return the bounds that hold for the whole boot."""
    low = max(low for low, _ in bounds.values())
    high = min(high for _, high in bounds.values())
    return min(low, high), max(low, high)


def clip(value: float, low: float, high: float) -> int:
    """Return the value, or the bound it lies beyond."""
    return int(min(max(value, low), high))
