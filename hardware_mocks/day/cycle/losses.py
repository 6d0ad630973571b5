# SPDX-License-Identifier: Apache-2.0
"""Cards are lost: new ones are issued at the desk over the relay, terminals refuse the old ones.

The relay is the real program at the desk's reader; server and relay are spoken to as the page does.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardware_mocks.cardhost.client import Hand
from hardware_mocks.day.issue import DESK_SLOT
from hardware_mocks.day.play import ANSWER_TIMEOUT_S, SOFT_TONES, PostStage
from hardware_mocks.day.programs import Program
from hardware_mocks.day.stage import HOST, Premises
from hardware_mocks.desk_client import Clerk, Ended
from hardware_mocks.lcd import Frame

RELAY_TIMEOUT_S = 60.0
LIST_TIMEOUT_S = 60.0
REFUSED_WORDS, REFUSED_TONE = "CARD REPORTED LOST", "x"
DONE = "done"


class DeskFailed(RuntimeError):
    """A job at the desk did not end well."""

    def __init__(self, text: str) -> None:
        super().__init__(f"the desk: {text}")


@dataclass(frozen=True, slots=True)
class Reissued:
    """One person's old and new card: serials, the old one's image, minutes on the new one."""

    number: str
    old_card: str
    old_asn: str
    new_asn: str
    minutes: int
    commands: int
    seconds: float


@dataclass(slots=True)
class Desk:
    """A clerk with a relay, a reader and blank cards."""

    clerk: Clerk
    hand: Hand

    def lose_and_reissue(self, number: str, card: str) -> Reissued:
        """Issue a card, have it lost, issue the next one, read it back."""
        old_asn = self._done(card, lambda: self.clerk.issue(number)).job["asn"]
        self.hand.remove(DESK_SLOT)
        new = self._done(f"{card}-new", lambda: self.clerk.replace(old_asn, "LOST", "挂失补办"))
        read = self.clerk.read()
        self.hand.remove(DESK_SLOT)
        minutes = int(read.result["total_minutes"])
        return Reissued(number, card, old_asn, new.job["asn"], minutes, new.commands, new.seconds)

    def _done(self, card: str, work: Callable[[], Ended]) -> Ended:
        """Lay a blank on the reader and carry a job to its end."""
        self.hand.blank(card)
        self.hand.insert(DESK_SLOT, card)
        ended = work()
        if ended.state != DONE:
            raise DeskFailed(f"{ended.text_zh} · {ended.text_en}")
        return ended


def refused(post: PostStage, hand: Hand, cards: Sequence[str]) -> int:
    """Present old cards at a terminal; return how many it refuses as reported lost."""
    count = 0
    for card in cards:
        mark = post.lcd.mark
        post.watch.note_empty()
        hand.insert(post.slot, card)
        frame = post.lcd.wait(
            f"an answer to {card}", _is_answer, after=mark, timeout_s=ANSWER_TIMEOUT_S
        )
        hand.remove(post.slot)
        post.watch.await_removal()
        count += REFUSED_WORDS in frame.text and frame.tone == REFUSED_TONE
    return count


def await_hotlist(post: PostStage, kept: Path, before: bytes) -> None:
    """Wait until a terminal keeps a newer list of lost cards than before."""
    limit = time.monotonic() + LIST_TIMEOUT_S
    while kept.read_bytes() == before:
        post.power.check()
        if time.monotonic() > limit:
            raise TimeoutError(f"{post.slot} fetched no hotlist in {LIST_TIMEOUT_S:.0f} s")
        time.sleep(0.05)


def _is_answer(frame: Frame) -> bool:
    return frame.tone not in SOFT_TONES


@contextlib.contextmanager
def open_desk(premises: Premises, hand: Hand, name: str, password: str) -> Iterator[Desk]:
    """Start the relay, sign in and pair."""
    server = f"http://{HOST}:{premises.port}"
    reader = f"pcsc:{premises.stack.reader_of(DESK_SLOT)}"
    program = premises.programs.start(
        "relay",
        [sys.executable, "-m", "card", "relay", "--origin", server, "--port", "0", "--json",
         "--reader", reader],
    )  # fmt: skip
    try:
        address = _told(program, "address")
        with contextlib.closing(Clerk(server, address)) as clerk:
            clerk.sign_in(name, password)
            clerk.pair(_told(program, "code"))
            yield Desk(clerk, hand)
    finally:
        program.stop()


def _told(program: Program, name: str) -> str:
    """Return what the relay says of itself, once it does."""
    limit = time.monotonic() + RELAY_TIMEOUT_S
    while time.monotonic() < limit:
        program.check()
        for line in program.log.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                document = json.loads(line)
                if name in document:
                    return str(document[name])
        time.sleep(0.05)
    raise TimeoutError(f"the relay does not tell its {name}; its log is {program.log}")
