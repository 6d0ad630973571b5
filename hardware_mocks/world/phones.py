# SPDX-License-Identifier: Apache-2.0
"""Electronic cards on phones in a world: who holds which code, and that it counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from hardware_mocks.world import checks
from hardware_mocks.world.box import Box
from hardware_mocks.world.faults import demand
from hardware_mocks.world.history import Step
from hardware_mocks.world.stock import SERVER_KEY_ID, stock
from server.errors import Refused
from server.people.models import Volunteer
from server.people.policy import volunteer_number
from server.phone_cards.services import Signer, issue_code
from server.reconciliation.models import ServiceInterval
from swipe.event import CORE_SIZE, PAYLOAD_SIZE, Event
from swipe.kinds import CardKind, EventType
from swipe.phone_token import SEEN_LAYOUT
from terminal.phone_token import present_token
from terminal.tap import Outcome

if TYPE_CHECKING:
    from hardware_mocks.world.world import World

# Where the world keeps the last green answer of a phone, beside those of the cards.
FIRST = 100
_NUMBERED = sa.select(Volunteer.id).where(Volunteer.number == sa.bindparam("number"))
_CREDITED = sa.select(ServiceInterval).where(
    ServiceInterval.current, ServiceInterval.state == "credited"
)


class Phones:
    """Who holds which code, and what was heard when it was shown."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.codes: dict[int, bytes] = {}
        self.serials: set[bytes] = set()

    def play(self, step: Step) -> None:
        """Fetch a code, or show the last one at a terminal."""
        if step["what"] == "code":
            self._fetch(step["who"])
        elif step["who"] in self.codes:
            self._show(step)

    def _fetch(self, who: int) -> None:
        office, held = self.world.office, stock()
        signer = Signer(held.server, SERVER_KEY_ID)
        number = volunteer_number(900_000_000 + who)
        with office.database.writing() as session:
            volunteer = session.scalar(_NUMBERED, {"number": number})
            assert volunteer is not None
            try:
                code = issue_code(session, signer, volunteer, office.clock.utc_ms())
            except Refused:  # too many are alive: the page says so
                return
        self.codes[who] = code.text.encode()
        self.serials.add(code.token.asn)

    def _show(self, step: Step) -> None:
        who = step["who"]

        def job(box: Box) -> None:
            assert box.running is not None
            outcome = present_token(box.running.desk, self.codes[who])
            self.world.counted["codes shown"] += 1
            self._heard(box, who, outcome)

        self.world.guarded(step, job)

    def _heard(self, box: Box, who: int, outcome: Outcome) -> None:
        checks.heard(self.world, box, FIRST + who, outcome)
        self.world.counted["codes taken"] += is_use(outcome.event)

    def judge(self) -> None:
        """A code counts once at a terminal, and once among the credited services (TOK)."""
        uses: dict[tuple[int, int], bytes] = {}
        for box in self.world.boxes:
            book = self.world.book(box)
            seen: set[bytes] = set()
            held = self.world.office.held(box.terminal_id)
            for seq, event in book.parsed.items():
                if is_use(event):
                    token = token_of(event)
                    again = token in seen and not book.waived
                    demand(not again, "TOK", f"event {seq} takes a code that was taken before")
                    seen.add(token)
                    if held.get(seq) == event.to_bytes():  # else the number is another event's
                        uses[box.terminal_id, seq] = token
        with self.world.office.database.reading() as session:
            rows = list(session.scalars(_CREDITED))
            session.expunge_all()
        ends = [(row.in_terminal, row.in_seq) for row in rows]
        ends += [(row.out_terminal, row.out_seq) for row in rows]
        credited = [uses[end] for end in ends if end in uses]
        demand(len(set(credited)) == len(credited), "TOK", "one code stands in two services")


def is_use(event: Event | None) -> bool:
    """Say whether an event is a tap by a code."""
    if event is None or event.card_kind != CardKind.TOKEN:
        return False
    return event.type in (EventType.IN, EventType.OUT, EventType.AUTO, EventType.SWITCH)


def token_of(event: Event) -> bytes:
    """Return which code an event took."""
    raw = event.signed_bytes[CORE_SIZE : CORE_SIZE + PAYLOAD_SIZE]
    token: bytes = SEEN_LAYOUT.unpack(raw)["token_id"]
    return token
