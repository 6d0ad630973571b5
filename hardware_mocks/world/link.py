# SPDX-License-Identifier: Apache-2.0
"""The network between a terminal and the server: it loses, doubles, delays, and is not alone.

Each request takes the next fault of the step that caused it; when they are used up it is quiet.
Somebody on the line may answer in the server's place, with an old answer or one of his own.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hardware_mocks.world.clocks import TrueTime
from hardware_mocks.world.faults import Fuse
from hardware_mocks.world.office import Office
from hardware_mocks.world.stock import SERVER_KEY_ID
from keys.identity import Identity
from swipe import receipt as receipts
from swipe.batch import HEADER_SIZE, BatchHeader
from swipe.hotlist import HotlistBitmap
from swipe.receipt import Receipt
from terminal.errors import Refused, Unreachable
from terminal.transport import Request

WAY_MS = (15, 90)  # how long a message takes one way
SLOW_MS = 8_000
FAULTS = (
    "down", "lost", "mute", "double", "late", "flip", "forged", "replay", "busy", "crash", "slow",
)  # fmt: skip
# The answer to an honest question in the attacker's hand: whatever he believes is the newest.
FORGED_VERSION = 1_000


@dataclass(slots=True)
class Link:
    """One terminal's way to the server."""

    office: Office
    time: TrueTime
    fuse: Fuse
    dice: random.Random = field(default_factory=random.Random)
    faults: list[str] = field(default_factory=list)
    down: bool = False
    late: list[Request] = field(default_factory=list)
    answers: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    sent: list[Request] = field(default_factory=list)
    anchor: bytes = receipts.NO_RECEIPT
    log_size: int = 0

    def send(self, request: Request) -> bytes:
        """Carry a request and its answer, as far as the fault lets it."""
        self.fuse.moment()
        fault = self.faults.pop(0) if self.faults else "down" if self.down else ""
        self.time.pass_ms(self.dice.randint(*WAY_MS))
        if request.method == "PUT" and fault != "down":  # no byte of it left the terminal
            self.sent.append(request)
        answer = _WAYS.get(fault, Link._quiet)(self, request)
        self.time.pass_ms(self.dice.randint(*WAY_MS))
        self.fuse.moment()
        return answer

    def deliver_late(self) -> None:
        """Let what was delayed arrive now; nobody waits for the answers any more."""
        waiting, self.late = self.late, []
        for request in waiting:
            try:
                self._ask(request)
            except (Refused, Unreachable):
                continue

    def _ask(self, request: Request) -> bytes:
        answer = self.office.answer(request)
        self.answers.setdefault(_question(request), []).append(answer)
        if request.method == "PUT":
            self.anchor = Receipt.from_bytes(answer).anchor
        return answer

    def _quiet(self, request: Request) -> bytes:
        return self._ask(request)

    def _down(self, _request: Request) -> bytes:
        raise Unreachable("no route to host", sent=False)

    def _lost(self, _request: Request) -> bytes:
        raise Unreachable("timed out")

    def _mute(self, request: Request) -> bytes:
        self._ask(request)
        raise Unreachable("timed out")

    def _double(self, request: Request) -> bytes:
        self._ask(request)
        self.time.pass_ms(self.dice.randint(*WAY_MS))
        return self._ask(request)

    def _late(self, request: Request) -> bytes:
        self.late.append(request)
        raise Unreachable("timed out")

    def _flip(self, request: Request) -> bytes:
        if not request.body:
            raise Unreachable("timed out")
        at = self.dice.randrange(8 * len(request.body))
        body = bytearray(request.body)
        body[at // 8] ^= 1 << at % 8
        return self.office.answer(replace(request, body=bytes(body)))

    def _forged(self, request: Request) -> bytes:
        """Answer in the server's place, signed with a key that is not the server's."""
        liar = Identity.from_seed(bytes(32))
        if request.method == "PUT":
            return self._forged_receipt(request, liar)
        if "/hotlist" in request.path:
            notice = HotlistBitmap(FORGED_VERSION, self.time.now_ms, key_id=SERVER_KEY_ID)
            return notice.signed(liar).to_bytes()
        raise Unreachable("timed out")

    def _forged_receipt(self, request: Request, liar: Identity) -> bytes:
        header = BatchHeader.from_bytes(request.body[:HEADER_SIZE])
        lie = Receipt(
            terminal_id=header.terminal_id,
            batch_no=header.batch_no,
            up_to_seq=header.last_seq,
            head=header.head,
            log_size=1 << 20,
            log_root=bytes(32),
            srv_utc_ms=self.time.now_ms,
            srv_unc_ms=20,
            key_id=SERVER_KEY_ID,
            prev_receipt=self.anchor,
        )
        return receipts.sign(lie, liar).to_bytes()

    def _replay(self, request: Request) -> bytes:
        """Answer with the oldest answer to this very question, or fall silent."""
        known = self.answers.get(_question(request))
        if not known:
            raise Unreachable("timed out")
        return known[0]

    def _busy(self, _request: Request) -> bytes:
        raise Refused(503, "busy", 1.0)

    def _crash(self, request: Request) -> bytes:
        self.office.faults.crash_next = True
        return self._ask(request)

    def _slow(self, request: Request) -> bytes:
        self.time.pass_ms(self.dice.randrange(SLOW_MS))
        answer = self._ask(request)
        self.time.pass_ms(self.dice.randrange(SLOW_MS))
        return answer


def _question(request: Request) -> tuple[str, str]:
    """Return what is asked, whatever the terminal says that it holds already."""
    return request.method, request.path.split("?")[0]


_WAYS: dict[str, Callable[[Link, Request], bytes]] = {
    "down": Link._down,
    "lost": Link._lost,
    "mute": Link._mute,
    "double": Link._double,
    "late": Link._late,
    "flip": Link._flip,
    "forged": Link._forged,
    "replay": Link._replay,
    "busy": Link._busy,
    "crash": Link._crash,
    "slow": Link._slow,
}
