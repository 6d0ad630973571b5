# SPDX-License-Identifier: Apache-2.0
"""The life of a card as one table: states, events, who may cause which, and what follows.

Own cards and bank cards share it. Everything here is pure: `step` reads the table, nothing else
decides about states. Bulk import materialises the same table (`rows`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

OWN, BANK = KINDS = ("own", "bank")
DEBIT, CREDIT = CARRIERS = ("debit", "credit")
FIRST, EXPIRY, DAMAGED, LOST = REASONS = ("FIRST", "EXPIRY", "DAMAGED", "LOST")

# Who causes an event: a partner's file, the bank's hotline (in a partner's file too), staff at a
# desk or at the pages, the server by its clock and rules.
BY_BANK, BY_HOTLINE, BY_STAFF, BY_SYSTEM = SOURCES = ("bank", "hotline", "staff", "system")

STATES = (
    "ordered", "exported", "correction", "produced", "audited", "arrived", "announced",
    "collected", "active", "suspended", "lost", "damaged", "expired",
    "replaced", "cut_closed", "cancelled",
)  # fmt: skip
# Where an order rests for ever; each order gets into exactly one of them, once.
FINAL = ("replaced", "cut_closed", "cancelled")
# An order on its way to its holder; a volunteer has at most one of a kind.
UNDER_WAY = (
    "ordered", "exported", "correction", "produced", "audited", "arrived", "announced", "collected",
)  # fmt: skip
IN_HAND = ("collected", "active", "suspended")
# The holder has no card that works, and a new one may be asked for.
ENDED = ("lost", "damaged", "expired", "cut_closed")

_TO: dict[str, tuple[str, tuple[str, ...]]] = {
    # event: (state it leads to, states it may come from)
    "exported": ("exported", ("ordered",)),
    "withdrawn": ("ordered", ("exported",)),
    "rejected": ("correction", ("exported", "produced", "audited", "arrived")),
    "corrected": ("ordered", ("correction",)),
    "produced": ("produced", ("ordered", "exported")),
    "audited": ("audited", ("produced",)),
    "arrived": ("arrived", ("audited",)),
    "announced": ("announced", ("arrived",)),
    "collected": ("collected", ("produced", "arrived", "announced")),
    "activated": ("active", ("collected",)),
    "suspended": ("suspended", ("active",)),
    "resumed": ("active", ("suspended",)),
    "lost": ("lost", IN_HAND),
    "found": ("active", ("lost",)),
    "damaged": ("damaged", IN_HAND),
    "expired": ("expired", IN_HAND),
    "replaced": ("replaced", ("active", "suspended", "lost", "damaged", "expired")),
    "cut_closed": ("cut_closed", ("arrived", "announced")),
    "cancelled": ("cancelled", ("ordered", "correction")),
    "deregistered": ("cancelled", tuple(s for s in STATES if s not in FINAL)),
}
EVENTS = tuple(_TO)
# (state, event) → state: the whole machine.
TRANSITIONS: dict[tuple[str, str], str] = {
    (state, event): to for event, (to, origins) in _TO.items() for state in origins
}
# Steps that only one kind of card takes: the desk makes an own card and hands it over, a bank
# card goes by way of files and branches.
ONLY: dict[tuple[str, str], str] = {
    ("ordered", "exported"): BANK,
    ("ordered", "produced"): OWN,
    ("exported", "produced"): BANK,
    ("produced", "collected"): OWN,
    ("produced", "audited"): BANK,
}
EVENT_SOURCES: dict[str, frozenset[str]] = {
    "exported": frozenset({BY_SYSTEM}),
    "withdrawn": frozenset({BY_SYSTEM, BY_STAFF}),
    "rejected": frozenset({BY_BANK}),
    "corrected": frozenset({BY_STAFF}),
    "produced": frozenset({BY_BANK, BY_STAFF}),
    "audited": frozenset({BY_BANK}),
    "arrived": frozenset({BY_BANK}),
    "announced": frozenset({BY_BANK, BY_SYSTEM, BY_STAFF}),
    "collected": frozenset({BY_BANK, BY_STAFF}),
    "activated": frozenset({BY_BANK, BY_STAFF, BY_SYSTEM}),
    "suspended": frozenset({BY_STAFF}),
    "resumed": frozenset({BY_STAFF}),
    "lost": frozenset({BY_BANK, BY_HOTLINE, BY_STAFF}),
    "found": frozenset({BY_STAFF}),
    "damaged": frozenset({BY_BANK, BY_HOTLINE, BY_STAFF}),
    "expired": frozenset({BY_SYSTEM}),
    "replaced": frozenset({BY_SYSTEM}),
    "cut_closed": frozenset({BY_BANK}),  # staff cannot say that a bank has cut a card
    "cancelled": frozenset({BY_STAFF}),
    "deregistered": frozenset({BY_STAFF, BY_SYSTEM}),
}
# Steps that only the server's own services take, with all that belongs to them: an order that was
# told one by one to be "deregistered" would make room for a second first card.
INTERNAL = ("exported", "expired", "replaced", "deregistered")
# Asks for a new card instead of moving the old one; decided by `reissue`.
REISSUE_REQUESTED = "reissue_requested"
REISSUE_SOURCES = frozenset({BY_BANK, BY_HOTLINE, BY_STAFF})
# Events whose whole effect is state, dates and serial of the order: bulk import may apply them as
# a set. Every other event touches cards, hotlist or further orders and goes through `apply`.
PLAIN_EVENTS = (
    "withdrawn", "rejected", "produced", "audited", "arrived", "announced", "collected",
    "cut_closed",
)  # fmt: skip

# How the card of an order stands in people's table of cards; a state that is missing changes
# nothing there. All but "active" are on the hotlist.
CARD_STATES = {
    "active": "active",
    "suspended": "blocked",
    "lost": "lost",
    "damaged": "blocked",
    "expired": "revoked",
    "replaced": "replaced",
    "cancelled": "revoked",
}

VEST_TRANSITIONS: dict[tuple[str, str], str] = {
    ("ordered", "vest_produced"): "produced",
    ("produced", "vest_arrived"): "arrived",
    ("arrived", "vest_collected"): "collected",
    ("produced", "vest_collected"): "collected",
    ("ordered", "vest_collected"): "collected",  # from the stock of a desk
    ("ordered", "vest_cancelled"): "cancelled",
    ("produced", "vest_cancelled"): "cancelled",
    ("arrived", "vest_cancelled"): "cancelled",
}
VEST_STATES = ("ordered", "produced", "arrived", "collected", "cancelled")
VEST_EVENTS = ("vest_produced", "vest_arrived", "vest_collected", "vest_cancelled")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the table needs to know besides state and event."""

    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class Step:
    """Where an event leads: `to` is empty when `code` says why it leads nowhere."""

    to: str
    code: str


def step(state: str, event: str, facts: Facts) -> Step:
    """Say where an event leads from a state.

    >>> step("exported", "produced", Facts(BANK, BY_BANK))
    Step(to='produced', code='')
    >>> step("exported", "collected", Facts(BANK, BY_BANK)).code
    'not-following'
    >>> step("arrived", "cut_closed", Facts(BANK, BY_STAFF)).code
    'wrong-source'
    """
    if event not in EVENT_SOURCES:
        return Step("", "unknown-event")
    if facts.source not in EVENT_SOURCES[event]:
        return Step("", "wrong-source")
    to = TRANSITIONS.get((state, event))
    if to is None or ONLY.get((state, event), facts.kind) != facts.kind:
        return Step("", "not-following")
    return Step(to, "")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table as bulk import and documents want it; `kind` "" means both."""

    state: str
    event: str
    to: str
    kind: str
    sources: tuple[str, ...]


def rows() -> Iterator[Row]:
    """Give the whole table line by line, in the order of states and events.

    >>> next(rows())
    Row(state='ordered', event='exported', to='exported', kind='bank', sources=('system',))
    """
    for state in STATES:
        for event in EVENTS:
            to = TRANSITIONS.get((state, event))
            if to is not None:
                sources = tuple(s for s in SOURCES if s in EVENT_SOURCES[event])
                yield Row(state, event, to, ONLY.get((state, event), ""), sources)
