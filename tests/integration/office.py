# SPDX-License-Identifier: Apache-2.0
"""A server, its staff and boxes that come and go, for tests of enrolment and replacement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flask.testing import FlaskClient

from keys.psam import Psam, SoftwarePsam
from keys.store import FileKeyStore
from server.db import Database
from server.fleet import replacement
from server.terminals import enrolment
from server.terminals.models import Psam as PsamRow
from terminal.clock import Clock
from terminal.config import Config
from terminal.config_sections import TerminalSection
from terminal.errors import Refused
from terminal.policy import Say
from terminal.provision import provision
from terminal.station import open_station
from terminal.sync import sync
from terminal.tap import present
from terminal.transport import Request
from tests.factories import CHEAP, PASSPHRASE
from tests.integration.server.rig import NOW_MS, FixedClock, Rig
from tests.integration.terminal.bench import connect, issue, software_psam
from tests.unit.terminal.clocks import HandClock


@dataclass
class Wire:
    """A line from a terminal to the server's application, without sockets."""

    client: FlaskClient
    lie: Callable[[str, bytes], bytes] = lambda _path, body: body

    def send(self, request: Request) -> bytes:
        """Carry one request."""
        headers = {"Authorization": request.authorization} if request.authorization else {}
        answer = self.client.open(
            request.path, method=request.method, data=request.body, headers=headers,
            content_type=request.content_type or None,
        )  # fmt: skip
        if answer.status_code != 200:
            raise Refused(answer.status_code, answer.get_data(as_text=True)[:100])
        return self.lie(request.path, answer.data)


class Office:
    """A server, its staff, a volunteer with a card, and terminals that come and go."""

    def __init__(self, folder: Path, database: Database, store: FileKeyStore) -> None:
        self.folder, self.store = folder, store
        self.clock = HandClock(NOW_MS // 1000)
        self.rig = Rig(database, store, clock=FixedClock(NOW_MS)).populate()
        self.wire = Wire(self.rig.app(folder / "server").test_client())
        self.psam: Psam = software_psam(folder, store)
        self.card = issue(store, 1)

    def pass_time(self, seconds: int) -> None:
        """Let time pass for everybody."""
        self.clock.advance(seconds)
        self.rig.clock.now_ms += seconds * 1000

    def order(self) -> tuple[int, str]:
        """Order a terminal."""
        with self.rig.database.writing() as session:
            terminal, code = enrolment.add_terminal(session, "gate", 1, "li", NOW_MS)
            return terminal.id, code

    def replace(self, terminal_id: int) -> str:
        """Order a new box for a dead one."""
        with self.rig.database.writing() as session:
            return replacement.order(session, terminal_id, "burned", "li", NOW_MS)[1]

    def approve_new(self, terminal_id: int, actor: str = "wang") -> int | None:
        """Let the new box in; return the last number of the old one."""
        with self.rig.database.writing() as session:
            return replacement.approve(session, terminal_id, actor, NOW_MS).last_seq

    def succeed(self, terminal_id: int) -> str:
        """Put the box "new" in the place of a dead one; return the code it was paired with."""
        code = self.replace(terminal_id)
        self.provision("new", code)
        self.approve_new(terminal_id)
        assert self.provision("new", code) == "active"
        return code

    def config(self, name: str) -> Config:
        """Return the configuration of a box."""
        section = TerminalSection(name="gate", data_dir=str(self.folder / name))
        return Config(terminal=section)

    def provision(self, name: str, code: str) -> str:
        """Provision a box and return the state it was told."""
        config = self.config(name)
        return provision(config.data_dir, self.psam, code, self.wire)[1]

    def tap(self, name: str, count: int) -> list[int]:
        """Tap so often at a box; return the numbers of the events."""
        clock: Clock = self.clock
        station = open_station(self.config(name), clock, self.wire, self.psam)
        numbers = []
        try:
            for _ in range(count):
                self.pass_time(3_600)
                outcome = present(station.desk(self.psam, training=False), connect(self.card))
                assert outcome.say in (Say.IN, Say.OUT, Say.RECORDED), outcome.say
                assert outcome.event is not None
                numbers.append(outcome.event.seq)
        finally:
            station.journal.close()
        return numbers

    def upload(self, name: str) -> int:
        """Upload everything; return what is left."""
        report = sync(self.config(name), self.clock, self.wire, final=False)
        return int(report["unsent"])

    def approve(self, terminal_id: int, actor: str = "wang") -> None:
        """Let a terminal in that has shown its key."""
        with self.rig.database.writing() as session:
            enrolment.approve(session, terminal_id, actor, NOW_MS)

    def letter(self, terminal_id: int, actor: str) -> str:
        """Print the letter once more; return the code in it."""
        with self.rig.database.writing() as session:
            return enrolment.code_again(session, terminal_id, actor, NOW_MS)

    def other_psam(self, number: int) -> bytes:
        """Put another PSAM into whichever box enrols next; return its number."""
        name = bytes.fromhex(f"8800000000{number:02x}")
        file = self.folder / f"psam {number}"
        self.store.export_software_psam(file, name, PASSPHRASE, CHEAP)
        self.psam = SoftwarePsam.open(file, PASSPHRASE)
        return name

    def psam_row(self, number: bytes) -> PsamRow | None:
        """Return what the server knows of a PSAM."""
        with self.rig.database.reading() as session:
            found = session.get(PsamRow, number)
            session.expunge_all()
            return found

    def in_service(self) -> int:
        """Return a terminal, its box called "old", that has tapped and uploaded everything."""
        terminal_id, code = self.order()
        self.provision("old", code)
        self.approve(terminal_id)
        self.tap("old", 1)
        self.upload("old")  # the receipt sets the clock
        self.tap("old", 4)
        assert self.upload("old") == 0
        return terminal_id
