# SPDX-License-Identifier: Apache-2.0
"""The kernel: one person after the other, from the line of taps to intervals and exceptions."""

from __future__ import annotations

from server.reconciliation import (
    clock,
    credit,
    faults,
    guarding,
    judging,
    lines,
    ordering,
    pairing,
    sound,
)
from server.reconciliation import desk as desk_module
from server.reconciliation.credit import (
    adopt_corrections,
    credit_minutes,
    list_drafts,
    list_sheets,
    mark_repeated,
    part_overlaps,
    sort_drafts,
    write_intervals,
)
from server.reconciliation.desk import (
    DRAFTS,
    ENTRIES,
    EXCEPTIONS,
    LOUD,
    PERSON,
    SHORT_WAY,
    Desk,
)
from server.reconciliation.guarding import hold_minor
from server.reconciliation.lines import build_line
from server.reconciliation.ordering import sort_card
from server.reconciliation.pairing import judge_travel, merge_lines, pair_line
from server.reconciliation.sound import judge_sound


def reconcile_persons(desk: Desk, other: Desk, first: int, stop: int) -> None:
    """Derive intervals and exceptions of the wanted among persons[first:stop], in their order.

    The desks share the facts; `other` has its own work rows, for a minor's guardian.
    """
    desk.counts[LOUD] = 1
    for person in range(first, stop):
        if desk.persons[person]["derive"]:
            desk.counts[PERSON] = person
            if not (desk.counts[SHORT_WAY] and judge_sound(desk)):
                reconcile_person(desk, other)


def reconcile_person(desk: Desk, other: Desk) -> None:
    """Derive intervals and exceptions of the person at the desk."""
    first_exception = desk.counts[EXCEPTIONS]
    pair_person(desk)
    if desk.persons[desk.counts[PERSON]]["minor_until_ms"] > 0:
        other.counts[PERSON] = desk.persons[desk.counts[PERSON]]["guardian"]
        pair_person(other)
        hold_minor(desk, other)
    list_sheets(desk)
    adopt_corrections(desk, first_exception)
    sort_drafts(desk)
    mark_repeated(desk)
    part_overlaps(desk)
    list_drafts(desk)
    credit_minutes(desk)
    write_intervals(desk)


def sort_guardians(desk: Desk) -> None:
    """Sort the cards of guardians: several threads may look at them, and none shall move them."""
    for person in range(len(desk.persons)):
        guardian = desk.persons[person]["guardian"]
        if desk.persons[person]["minor_until_ms"] > 0 and guardian >= 0:
            for place in range(desk.cards_of[guardian], desk.cards_of[guardian + 1]):
                card = desk.person_cards[place]
                start, stop = desk.order_of[card], desk.order_of[card + 1]
                sort_card(desk.taps, desk.clock, desk.order, start, stop)


def pair_person(desk: Desk) -> None:
    """Build the line of the person and pair it; nobody (-1) has an empty line."""
    desk.counts[ENTRIES] = 0
    desk.counts[DRAFTS] = 0
    if desk.counts[PERSON] < 0:
        return
    first = desk.cards_of[desk.counts[PERSON]]
    cards = desk.cards_of[desk.counts[PERSON] + 1] - first
    for slot in range(cards):
        desk.slots[slot]["head"] = desk.counts[ENTRIES]
        build_line(desk, desk.person_cards[first + slot], slot)
        desk.slots[slot]["end"] = desk.counts[ENTRIES]
    merge_lines(desk, cards)
    judge_travel(desk)
    pair_line(desk, cards)


MODULES = (
    clock, ordering, desk_module, judging, lines, faults, pairing, guarding, credit, sound,
)  # fmt: skip
# What the compiler is told before it meets the entries. HOT is called for every tap: inlined.
HOT = tuple(helper for module in MODULES for helper in module.HOT)
HELPERS = (
    *(helper for module in MODULES for helper in module.HELPERS),
    reconcile_person,
    pair_person,
)
