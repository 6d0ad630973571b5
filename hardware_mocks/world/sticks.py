# SPDX-License-Identifier: Apache-2.0
"""The memory stick of a world: a real folder, written and read by the real programs."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hardware_mocks.world import checks
from hardware_mocks.world.box import Box
from hardware_mocks.world.history import Step
from server.errors import Refused
from server.ingest.importing import import_stick
from terminal.errors import TerminalError
from terminal.station import Station
from terminal.stick import stick_steps, take_receipts

if TYPE_CHECKING:
    from hardware_mocks.world.world import World

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder that no disk holds up, where there is one


class Sticks:
    """One stick that goes round, and a copy that somebody made of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        place = MEMORY if MEMORY.is_dir() else None
        self._folder = Path(tempfile.mkdtemp(prefix="yika-stick-", dir=place))
        self.stick, self.copy = self._folder / "stick", self._folder / "copy"
        self.stick.mkdir()

    def close(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def play(self, step: Step) -> None:
        """Do one step of a journey."""
        what = step["what"]
        if what in ("out", "back"):
            self.world.guarded(step, lambda box: self._at(box, step))
        elif what == "carry":
            self._carry(self.stick)
        elif what == "lost":
            self._replace(None)
        elif what == "copy":
            shutil.rmtree(self.copy, ignore_errors=True)
            shutil.copytree(self.stick, self.copy)
        elif self.copy.is_dir():
            self._replace(self.copy)

    def carry_of(self, dead: Box) -> None:
        """Let staff carry what the disk of a dead box holds, on a stick of its own."""
        other = self._folder / "other"
        shutil.rmtree(other, ignore_errors=True)
        other.mkdir()

        def work(station: Station) -> None:
            for _ in stick_steps(station.chain, station.uplink, other):
                dead.fuse.moment()

        dead.at_command(work)
        self._carry(other)

    def _replace(self, by: Path | None) -> None:
        shutil.rmtree(self.stick)
        if by is None:
            self.stick.mkdir()
        else:
            shutil.copytree(by, self.stick)

    def _at(self, box: Box, step: Step) -> None:
        """Write or read the stick, by the menu of the running program or by a command."""
        assert box.running is not None
        if step.get("menu"):
            with suppress(TerminalError):
                self._write(box, box.running.station)
            return
        box.stop()
        box.at_command(lambda station: self._do(box, station, step["what"]))
        box.power_on(restart=True)
        checks.after_start(self.world, box)

    def _do(self, box: Box, station: Station, what: str) -> None:
        if what == "out":
            self._write(box, station)
        else:
            key = station.passport.server_key
            taken = take_receipts(station.chain, station.uplink, key, self.stick)
            self.world.counted["receipts by stick"] += taken.accepted

    def _write(self, box: Box, station: Station) -> None:
        for _ in stick_steps(station.chain, station.uplink, self.stick):
            box.fuse.moment()
            self.world.counted["batches by stick"] += 1

    def _carry(self, stick: Path) -> None:
        office = self.world.office
        with suppress(Refused):  # nothing is on it
            import_stick(office.intake(), stick, office.clock.utc_ms())
