# SPDX-License-Identifier: Apache-2.0
"""Play a history: one step after the other, and the invariants after each."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from hardware_mocks.cardos.tear import Moment, Tear
from hardware_mocks.world import attacks, checks, successor
from hardware_mocks.world.book import Book, Commit
from hardware_mocks.world.box import Box
from hardware_mocks.world.cardlife import CardLife
from hardware_mocks.world.cards import make_cards, make_psams
from hardware_mocks.world.clocks import ServerClock, TrueTime
from hardware_mocks.world.disk import Image
from hardware_mocks.world.faults import PowerCut, demand
from hardware_mocks.world.history import Step
from hardware_mocks.world.office import Office
from hardware_mocks.world.phones import Phones
from hardware_mocks.world.staff import Staff
from hardware_mocks.world.sticks import Sticks
from hardware_mocks.world.stock import stock
from server.people.services import CardReport, find_card, report_card, restore_card
from server.terminals.services import NewActivity, add_activity
from swipe.frames import FILE_HEADER_SIZE
from swipe.kinds import BatchKind
from terminal.files import (
    CHECKPOINT,
    CONFIG,
    HIGH_WATER,
    HOTLIST,
    JOURNAL,
    OUTBOX,
    STICK,
)
from terminal.keypad import Key
from terminal.tap import Outcome

STEP_MS = 400
BOXES = 2
DEBIT = 0x54
# What a terminal can do without; without its keys it is replaced.
ROTTEN = frozenset({CHECKPOINT, CONFIG, HIGH_WATER, HOTLIST, OUTBOX, STICK})
END = 700  # bytes: the last three frames of a journal
# What can happen at a box that has no journal yet.
AT_A_BARE_BOX = frozenset({"box", "late", "line", "psam"})


class World:
    """Everything there is, in one thread."""

    def __init__(self, setup: Step) -> None:
        self.dice = random.Random(setup["r"])  # noqa: S311 - dice, no secrets
        self.time = TrueTime()
        self.office = Office(ServerClock(self.time, setup.get("server_ms", 0)))
        self.cards = make_cards(self.dice, spare=bool(setup.get("issuing")))
        self.psams = make_psams(self.dice)
        self.boxes = [
            Box(number, self.office, self.time, self.psams[number]) for number in range(BOXES)
        ]
        self.books = [Book() for _ in self.boxes]
        self.images: dict[int, Image] = {}
        self.ghosts: dict[int, list[Box]] = {}
        self.older_psams: dict[int, int] = {}
        self.counted: Counter[str] = Counter()
        # One in four is asked everything at its end, the others what costs little.
        self.thorough = setup["r"] % 4 == 0
        self.used: set[int] = set()
        self.cardlife = CardLife(self) if setup.get("issuing") else None
        self.phones = Phones(self)
        self.staff = Staff(self)
        self.sticks: Sticks | None = None
        drifts, offsets = setup.get("drift", [0, 0]), setup.get("offset", [0, 0])
        for box, drift, offset in zip(self.boxes, drifts, offsets, strict=True):
            box.clock.drift_ppm, box.clock.offset_ms = drift, offset
            box.gps.lie_s = setup.get("gps_s")

    def play(self, step: Step) -> None:
        """Do one step and hold the world against the invariants.

        Raises:
            Violation: One does not hold.
        """
        self.dice = random.Random(step.get("r", 0))  # noqa: S311 - dice, no secrets
        self.time.pass_ms(STEP_MS)
        self.counted["steps"] += 1
        if "box" in step:
            self.unpack(self.boxes[step["box"]])
            if self.boxes[step["box"]].bare and step["do"] not in AT_A_BARE_BOX:
                return
        _STEPS[step["do"]](self, step)
        for box in self.boxes:
            box.fuse.arm(None)
            box.chores()
            checks.after_step(self, box)

    def unpack(self, box: Box) -> None:
        """Set a terminal up when it is needed for the first time."""
        if box.number not in self.used:
            self.used.add(box.number)
            box.power_on()
            checks.after_start(self, box)

    def book(self, box: Box) -> Book:
        """Return what the world knows of a terminal."""
        return self.books[box.number]

    def guarded(self, step: Step, job: Callable[[Box], None]) -> None:
        """Do something at a terminal whose power may fail meanwhile."""
        box = self.boxes[step["box"]]
        box.link.dice = self.dice
        box.link.faults = list(step.get("faults", ()))
        if box.running is None and step["do"] not in {"start", "box"}:
            return
        box.fuse.arm(step.get("cut"))
        try:
            job(box)
        except PowerCut:
            self.counted["crashes"] += 1
            box.die(self.dice)
        finally:
            box.fuse.arm(None)
            box.link.faults = []

    def tap(self, step: Step) -> None:
        """Lay a card down; it may leave early, another may follow at once, the power may fail."""
        card = self.cards[step["card"]]
        if "tear" in step:
            commands, moment = step["tear"]
            in_debit = moment == "DEBIT"
            plan = (
                Tear(ins=DEBIT, moment=list(Moment)[commands % len(Moment)])
                if in_debit
                else Tear(commands=commands, moment=Moment[moment])
            )
            card.tear(plan)
        box = self.boxes[step["box"]]
        self.present(box, step["card"], step)
        if "other" in step:
            self.present(box, step["other"], {"do": "tap", "box": step["box"]})

    def present(self, box: Box, number: int, step: Step) -> Outcome | None:
        """Present one card and enter what the world saw of it."""
        card = self.cards[number]
        before = card.counter
        answers: list[Outcome] = []

        def job(at: Box) -> None:
            outcome = at.tap(card, step.get("stays"))
            if outcome is not None:
                answers.append(outcome)
                checks.heard(self, at, number, outcome)

        self.guarded(step, job)
        card.plan()
        card.power_on()
        self.counted["taps"] += 1
        if card.counter > before:
            chip = box.socket.chip
            assert chip is not None
            image = chip.memory.image  # type: ignore[attr-defined]
            commit = Commit(number, stock().serials[number], image.terminal, image.counter)
            self.book(box).commits.append(commit)
        return answers[0] if answers else None

    def key(self, step: Step) -> None:
        """Press a key."""

        def job(box: Box) -> None:
            box.press(Key[step["key"]])

        self.guarded(step, job)

    def sync(self, step: Step) -> None:
        """Talk to the server, with what the line does meanwhile."""
        kind = BatchKind.SETTLEMENT if step.get("settle") else BatchKind.LIVE

        def job(box: Box) -> None:
            if step.get("settle"):
                box.press(Key.SETTLE)
            box.sync(kind, everything=bool(step.get("all")))

        self.counted["syncs"] += 1
        self.guarded(step, job)

    def cut(self, step: Step) -> None:
        """Take a terminal's power away."""
        box = self.boxes[step["box"]]
        if box.running is not None:
            self.counted["crashes"] += 1
            box.die(self.dice)

    def stop(self, step: Step) -> None:
        """End a terminal's program in good order."""
        self.boxes[step["box"]].stop()

    def start(self, step: Step) -> None:
        """Give a terminal power, or only start its program again."""

        def job(box: Box) -> None:
            if box.running is None:
                box.power_on(battery=step.get("battery", True), restart=step.get("again", False))
                checks.after_start(self, box)

        self.guarded(step, job)

    def wait(self, step: Step) -> None:
        """Let time pass."""
        self.time.pass_ms(step["ms"])

    def jump(self, step: Step) -> None:
        """Set a running terminal's wall clock."""
        self.boxes[step["box"]].set_clock(step["ms"])

    def disk(self, step: Step) -> None:
        """Fill a disk, break its syncs, or mend it."""
        disk = self.boxes[step["box"]].disk
        disk.room = step.get("room")
        disk.broken_syncs = step.get("syncs", 0)
        disk.keeps_unsynced = step.get("keeps", True)

    def line(self, step: Step) -> None:
        """Cut or mend a terminal's line."""
        self.boxes[step["box"]].link.down = step["down"]

    def late(self, step: Step) -> None:
        """Let delayed messages arrive."""
        self.boxes[step["box"]].link.deliver_late()

    def drain(self, _step: Step) -> None:
        """Let the server derive and post."""
        self.office.drain()
        demand(not self.office.drained_failures, "I10", "a person could not be derived")

    def list_card(self, step: Step) -> None:
        """Report a card, or take it off the list."""
        asn, now_ms = stock().serials[step["card"]].hex(), self.office.clock.utc_ms()
        with self.office.database.writing() as session:
            lost = find_card(session, asn).state == "lost"
            if lost:
                restore_card(session, asn, "li", now_ms)
            else:
                report_card(session, CardReport(asn, now_ms, "lost"), "li", now_ms)

    def activity(self, step: Step) -> None:
        """Plan another activity, so that there is a newer configuration."""
        now_ms, code = self.office.clock.utc_ms(), f"B{self.counted['steps']}"
        new = NewActivity(1, code, "清扫", "Sweep", now_ms, now_ms + step["ms"])
        with self.office.database.writing() as session:
            add_activity(session, new, "li", now_ms)

    def keep_image(self, step: Step) -> None:
        """Copy a terminal's disk."""
        self.images[step["box"]] = self.boxes[step["box"]].disk.image()

    def roll_back(self, step: Step) -> None:
        """Put an older copy of a disk back, or of some of its files, while the power is off."""
        box, image = self.boxes[step["box"]], self.images.get(step["box"])
        names = step.get("files")
        if image is None:
            return
        box.die(self.dice)
        box.disk.put_back(image, frozenset(names) if names else None)
        if not names or JOURNAL in names:
            self.book(box).waived = "rolled back"
            self.book(box).forgotten = True

    def spoil(self, step: Step) -> None:
        """Destroy some bytes of a journal, anywhere or near its end, while the power is off."""
        box = self.boxes[step["box"]]
        box.die(self.dice)
        content = box.disk.grown[JOURNAL].content
        if len(content) <= FILE_HEADER_SIZE + 300:
            return
        first = max(FILE_HEADER_SIZE, len(content) - END) if step.get("end") else FILE_HEADER_SIZE
        at = self.dice.randrange(first, len(content) - 100)
        length = self.dice.randrange(1, 300)
        end = min(at + length, len(content))
        content[at:end] = self.dice.randbytes(end - at)
        book = self.book(box)
        book.past_unsure |= book.forgotten
        book.waived = "spoilt"

    def rot(self, step: Step) -> None:
        """Destroy a part of a small file, one that a terminal can do without."""
        box = self.boxes[step["box"]]
        box.die(self.dice)
        names = sorted(ROTTEN & set(box.disk.small))
        if names:
            content = bytearray(box.disk.small[name := self.dice.choice(names)])
            at = self.dice.randrange(len(content))
            content[at : at + 64] = self.dice.randbytes(len(content[at : at + 64]))
            box.disk.small[name] = bytes(content)
            if name == HOTLIST:
                self.book(box).hot_ver = 0

    def rekey(self, step: Step) -> None:
        """Change a terminal's key, which its program must not see, and start it again."""

        def job(box: Box) -> None:
            box.rekey(self.dice)
            box.power_on(restart=True)
            checks.after_start(self, box)

        self.counted["rekeys"] += 1
        self.guarded(step, job)

    def psam(self, step: Step) -> None:
        """Swap, reset, use elsewhere, or take away a terminal's PSAM."""
        box, how = self.boxes[step["box"]], step["how"]
        chip = box.socket.chip
        if how == "away":
            box.socket.chip = None
        elif how == "back":
            box.socket.chip = chip or self.psams[box.number]
        elif how == "swap":
            box.socket.chip = self.psams[step["psam"]]
            box.known_psam = bytes(6) if box.running is None else box.known_psam
        elif chip is not None:
            chip.step(step["by"])  # type: ignore[attr-defined]
            checks.expect_hole(self, box, chip.memory.image.counter)  # type: ignore[attr-defined]

    def issue(self, step: Step) -> None:
        """Go on in the life of bank cards."""
        if self.cardlife is not None:
            self.cardlife.play(step)

    def phone(self, step: Step) -> None:
        """Fetch a code on a phone, or show it."""
        self.phones.play(step)

    def stick(self, step: Step) -> None:
        """Carry a memory stick about; what it brings a terminal may have forgotten since."""
        self.sticks = self.sticks or Sticks(self)
        self.sticks.play(step)

    def work(self, step: Step) -> None:
        """Let staff press keys that are not every volunteer's."""
        self.staff.play(step)

    def replace_box(self, step: Step) -> None:
        """Let a box die, or go on with putting another one in its place."""
        successor.play(self, step)

    def close(self) -> None:
        """Take away what stands on this machine's disk."""
        if self.sticks is not None:
            self.sticks.close()

    def attack(self, step: Step) -> None:
        """Let somebody on the line hand something in at the server."""
        attacks.hand_in(self, self.boxes[step["box"]], step["how"])


_STEPS: dict[str, Callable[[World, Step], None]] = {
    "tap": World.tap,
    "key": World.key,
    "sync": World.sync,
    "cut": World.cut,
    "stop": World.stop,
    "start": World.start,
    "wait": World.wait,
    "jump": World.jump,
    "disk": World.disk,
    "line": World.line,
    "late": World.late,
    "drain": World.drain,
    "list": World.list_card,
    "activity": World.activity,
    "image": World.keep_image,
    "rollback": World.roll_back,
    "spoil": World.spoil,
    "rot": World.rot,
    "rekey": World.rekey,
    "psam": World.psam,
    "issue": World.issue,
    "phone": World.phone,
    "stick": World.stick,
    "box": World.replace_box,
    "staff": World.work,
    "attack": World.attack,
}
