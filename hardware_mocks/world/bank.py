# SPDX-License-Identifier: Apache-2.0
"""A bank that makes cards for volunteers, and whose files come twice, late or turned round.

It knows its own cards only. What it has written into a file stays true: it may hand the file in
again, and after the last step it hands in everything once more, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hardware_mocks.world.stock import BRANCH, PARTNER, SPARE_CARDS, stock
from server.issuing import services
from server.issuing.services import CardEvent, Detail, OrderLine
from server.issuing.wording import APPLIED, REPEATED

if TYPE_CHECKING:
    from hardware_mocks.world.office import Office

# What the bank does with a card, one after the other.
WAY = ("produced", "audited", "arrived", "announced", "collected", "activated")
CUT_FROM = ("arrived", "announced")
# What the server says to a line that needs no second look.
TAKEN = frozenset({APPLIED, REPEATED})
NOTHING = Detail()
FATES = ("once", "once", "twice", "lost", "turned")


@dataclass(slots=True)
class Made:
    """One order in the bank's hands: its chip, what was done last, whether it was cut."""

    order_no: str
    chip: int | None
    done: int = 0
    cut: bool = False


@dataclass(slots=True)
class Bank:
    """The partner of one world."""

    office: Office
    spare: list[int] = field(default_factory=lambda: list(SPARE_CARDS))
    made: list[Made] = field(default_factory=list)
    files: list[Sequence[CardEvent]] = field(default_factory=list)
    lost: list[Sequence[CardEvent]] = field(default_factory=list)
    refused: set[tuple[str, str]] = field(default_factory=set)  # order, cause

    def take(self, lines: list[OrderLine]) -> None:
        """Take orders in."""
        for line in lines:
            self.made.append(Made(line.order_no, self.spare.pop(0) if self.spare else None))

    def work(self, steps: int, *, cut: bool) -> None:
        """Do up to so many things to every card and write a file of it."""
        name = f"RES{len(self.files):04d}"
        told: list[CardEvent] = []
        for card in self.made:
            for _ in range(steps):
                event = self._next(card, cut)
                if event:
                    told.append(self._line(card, event, f"file:{name}:{len(told) + 1}"))
        self.files.append(told)

    def _next(self, card: Made, cut: bool) -> str:
        if card.cut or card.done == len(WAY):
            return ""
        if card.chip is None:  # no card left to make
            card.cut = True
            return "rejected"
        if cut and card.done and WAY[card.done - 1] in CUT_FROM:
            card.cut = True
            return "cut_closed"
        card.done += 1
        return WAY[card.done - 1]

    def _line(self, card: Made, event: str, cause: str) -> CardEvent:
        now_ms, detail = self.office.clock.utc_ms(), Detail()
        if event == "produced":
            assert card.chip is not None
            detail = Detail(asn=stock().serials[card.chip].hex())
        if event == "rejected":
            detail = Detail(reject_code="R01")
        return CardEvent(card.order_no, event, now_ms, cause, "bank", "bank", PARTNER, detail)

    def send(self, fate: str) -> None:
        """Hand the last file in, whatever becomes of it."""
        lines = self.files[-1]
        if fate == "lost":
            self.lost.append(lines)
            return
        self.deliver(lines[::-1] if fate == "turned" else lines)
        if fate == "twice":
            self.deliver(lines)

    def deliver(self, lines: Sequence[CardEvent]) -> None:
        """Let the server load a file; note which lines it could not use."""
        with self.office.database.writing() as session:
            now_ms = self.office.clock.utc_ms()
            codes = [services.apply(session, line, now_ms).code for line in lines]
        for line, code in zip(lines, codes, strict=True):
            name = (line.order_no, line.cause_ref)
            (self.refused.discard if code in TAKEN else self.refused.add)(name)

    def late(self) -> None:
        """Let files arrive that got lost, the last one first."""
        waiting, self.lost = self.lost, []
        for lines in reversed(waiting):
            self.deliver(lines)

    def all_again(self, name: str = "") -> None:
        """Hand everything in once more, in order; under another name, if there is one."""
        for lines in self.files:
            anew = [replace(one, cause_ref=f"{one.cause_ref}{name}") for one in lines]
            self.deliver(anew)

    def tell(self, order_no: str, event: str, source: str, detail: Detail = NOTHING) -> None:
        """Write what the hotline or a branch has heard into a file of its own, and hand it in."""
        cause = f"file:TEL{len(self.files):04d}:1"
        now_ms = self.office.clock.utc_ms()
        line = CardEvent(order_no, event, now_ms, cause, source, "bank", PARTNER, detail)
        self.files.append([line])
        self.deliver([line])


def wanted(reason: str, *, seen: bool) -> Detail:
    """Return what a wish for a new card brings along."""
    return Detail(reason=reason, branch=BRANCH, id_checked=seen)
