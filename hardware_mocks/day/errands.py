# SPDX-License-Identifier: Apache-2.0
"""What happens besides taps: power, cables, reports at the desk, mishaps on the line, settling."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from hardware_mocks.clock import DayClock
from hardware_mocks.day.facts import COUNT_EVENTS_OF
from hardware_mocks.day.furnish import CLERK, Member, Ordered
from hardware_mocks.day.play import IDLE_WORDS, Player, PostStage, delivered
from hardware_mocks.day.story import Deed, Step
from hardware_mocks.link import Request
from server.db import Database
from server.people import services as people

START_TIMEOUT_S = 30.0
SETTLE_TIMEOUT_S = 30.0
REQUEST_TIMEOUT_S = 20.0
CLOCK_ERROR_MS = 2 * 3600 * 1000
# A terminal that failed to reach the server waits up to five minutes before it knocks again.
PATIENCE_MS = 310_000
REFUSED = 422
SETTLE_KEY = "9"
ALL_SENT = "待传0"
ANSWER_HELD_MS = 4_000
# Between two batches of one talk a terminal writes the receipt of the first.
TALK_PAUSE_S = 0.5
SPOILT_BYTE = 192 + 60  # inside the first event of a batch, in its card number
SPOILT_BIT = 0x01


@dataclass(slots=True)
class Errands:
    """Does what the story says besides taps, and notes what is not as it must be."""

    player: Player
    clock: DayClock
    posts: Mapping[str, PostStage]
    members: Mapping[str, Member]
    terminals: Mapping[str, Ordered]
    database: Database
    server_port: int
    say: Callable[[str], None]

    def do(self, steps: list[Step]) -> None:
        """Do what happens at one time: start and settle side by side, all else in order."""
        actions: dict[Deed, Callable[[Step], None]] = {
            Deed.CUT: self._cut,
            Deed.MEND: self._mend,
            Deed.MEND_SPOILT: self._mend_spoilt,
            Deed.KILL: self._kill,
            Deed.SEND_AGAIN: self._send_again,
            Deed.REPORT_LOST: self._report_lost,
        }
        self._start([step for step in steps if step.what in (Deed.START, Deed.START_FAST)])
        for step in steps:
            if isinstance(step.what, Deed) and step.what in actions:
                actions[step.what](step)
        self._settle([step for step in steps if step.what is Deed.SETTLE])

    def _start(self, steps: list[Step]) -> None:
        """Switch terminals on and wait until they wait for cards, and have called the server."""
        before = self._before(steps)
        for step in steps:
            fast = step.what is Deed.START_FAST
            self.posts[step.post].power.switch_on(wall_offset_ms=CLOCK_ERROR_MS if fast else 0)
        for step in steps:
            stage = self.posts[step.post]
            mark, sent = before[step.post]
            stage.lcd.wait(
                f"terminal {step.post} to wait for cards", lambda frame: IDLE_WORDS in frame.text,
                after=mark, timeout_s=START_TIMEOUT_S,
            )  # fmt: skip
            stage.on = True
            if not stage.cut:
                self.player.await_upload(step.post, sent)

    def _settle(self, steps: list[Step]) -> None:
        """Press the key that closes the day, and wait until no event is without a receipt."""
        before = self._before(steps)
        for step in steps:
            self.posts[step.post].keypad.press(SETTLE_KEY)
        for step in steps:
            self.player.await_upload(step.post, before[step.post][1])
        if steps:
            # The last answer stays on the display for three seconds of the day clock.
            self.player.leap(self.clock.utc_ms() + ANSWER_HELD_MS, still_s=TALK_PAUSE_S)
        for step in steps:
            self.posts[step.post].lcd.wait(
                f"terminal {step.post} to have sent everything",
                lambda frame: ALL_SENT in frame.text,
                after=before[step.post][0], timeout_s=SETTLE_TIMEOUT_S,
            )  # fmt: skip

    def _before(self, steps: list[Step]) -> dict[str, tuple[int, int]]:
        """Remember each terminal's newest picture and number of uploads."""
        posts = {step.post: self.posts[step.post] for step in steps}
        return {post: (stage.lcd.mark, delivered(stage.link)) for post, stage in posts.items()}

    def _cut(self, step: Step) -> None:
        self.posts[step.post].link.cut()
        self.posts[step.post].cut = True

    def _mend(self, step: Step) -> None:
        """Join the cable and let the terminal's wait run out, so that it knocks again."""
        stage = self.posts[step.post]
        sent = delivered(stage.link)
        stage.link.mend()
        stage.cut = False
        self.player.leap(self.clock.utc_ms() + PATIENCE_MS, still_s=TALK_PAUSE_S)
        self.player.await_upload(step.post, sent)

    def _mend_spoilt(self, step: Step) -> None:
        """Mend; a copy of the first batch with one bit flipped reaches the server before it."""
        link = self.posts[step.post].link
        answers: list[tuple[int, str]] = []

        def spoil(request: Request) -> None:
            if request.method == "PUT" and not answers:
                body = bytearray(request.body)
                body[SPOILT_BYTE] ^= SPOILT_BIT
                before = self._stored(step.post)
                status, answer = self._put(request.path, bytes(body))
                answers.append((status, answer.decode("utf-8", "replace")))
                if (status, self._stored(step.post)) != (REFUSED, before):
                    self._complain(f"the spoiled batch was answered with {answers[0]}")

        link.inspector = spoil
        try:
            self._mend(step)
        finally:
            link.inspector = None
        if answers:
            self.say(f"          a batch with one flipped bit: {answers[0][0]} {answers[0][1]}")
        else:
            self._complain("no batch came by to be spoiled")

    def _kill(self, step: Step) -> None:
        self.posts[step.post].power.cut_off()
        self.posts[step.post].on = False

    def _send_again(self, step: Step) -> None:
        """Send the newest batch with events of this terminal once more, byte for byte."""
        sent = [e for e in self.posts[step.post].link.sent("PUT") if e.status == 200]
        largest = max(sent, key=lambda exchange: len(exchange.request.body))
        before = self._stored(step.post)
        status, answer = self._put(largest.request.path, largest.request.body)
        if (status, answer, self._stored(step.post)) == (200, largest.body, before):
            self.player.notebook.replays_identical += 1
        else:
            self._complain(f"the replayed batch was answered with {status}, not the same receipt")

    def _report_lost(self, step: Step) -> None:
        now_ms = self.clock.utc_ms()
        report = people.CardReport(self.members[step.who].asn, now_ms, "reported lost")
        with self.database.writing() as session:
            people.report_card(session, report, CLERK, now_ms)

    def _stored(self, post: str) -> int:
        """Return how many events the server holds of one terminal; the others go on uploading."""
        terminal = {"terminal": self.terminals[post].terminal_id}
        with self.database.reading() as session:
            return int(session.scalar(COUNT_EVENTS_OF, terminal) or 0)

    def _put(self, path: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.server_port, timeout=REQUEST_TIMEOUT_S
        )
        with closing(connection):
            headers = {"Content-Type": "application/octet-stream"}
            connection.request("PUT", path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()

    def _complain(self, text: str) -> None:
        self.player.notebook.complaints.append(text)
