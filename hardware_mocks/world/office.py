# SPDX-License-Identifier: Apache-2.0
"""The real server in the same thread: its database in memory, put back to the start at once.

Batches go to the ingest service itself, everything else through the web application. The worker's
queue is drained when a step says so.
"""

from __future__ import annotations

import gc
from functools import cache
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from hardware_mocks.world import quick
from hardware_mocks.world.clocks import ServerClock
from hardware_mocks.world.quick import QuickDatabase
from hardware_mocks.world.stock import SERVER_KEY_ID, stock
from server.app import build_app
from server.config import Config
from server.ingest.models import StoredEvent
from server.ingest.services import Intake, Upload, accept_batch
from server.reconciliation.rules_set import queue_overdue
from server.runtime import Runtime
from server.terminals.notices import Signer
from server.worker import derive_and_post, drain
from terminal.errors import Refused, Unreachable
from terminal.transport import Request

BATCH_PARTS = 7  # "", api, v1, terminals, T, batches, N
_HELD = sa.select(StoredEvent.seq, StoredEvent.raw).where(
    StoredEvent.terminal_id == sa.bindparam("terminal"),
    StoredEvent.seq.between(sa.bindparam("first"), sa.bindparam("last")),
)


class Crash(Exception):
    """The server dies while it writes; its database takes the whole unit of work back."""


class Wall:
    """The clock that the one web application of this process looks at."""

    clock: ServerClock | None = None

    def utc_ms(self) -> int:
        """Return the time of the world that is played now."""
        assert self.clock is not None
        return self.clock.utc_ms()


class Faults:
    """Let the next commit of the database fail."""

    crash_next = False

    def at_commit(self) -> None:
        """Die once, if that was planned."""
        if self.crash_next:
            self.crash_next = False
            raise Crash


@cache
def premises() -> tuple[Wall, Faults, FlaskClient]:
    """Build the one application of this process."""
    held = stock()
    wall, faults = Wall(), Faults()
    held.database.crash_at(faults.at_commit)
    runtime = Runtime(
        config=Config(),
        database=held.database,
        clock=wall,
        identity=held.server,
        store=held.store,
        web_secret=b"simulated",
    )
    application = build_app(runtime)
    quick.prepare()
    # All of it lives as long as the process, and is not looked through again for garbage.
    gc.collect()
    gc.freeze()
    return wall, faults, application.test_client()


class Office:
    """The server of one world."""

    def __init__(self, clock: ServerClock) -> None:
        self.clock = clock
        self._stock = stock()
        self._wall, self.faults, self._client = premises()
        self._wall.clock = clock
        self.faults.crash_next = False
        self.accepted: list[Upload] = []
        self.drained_failures = 0
        self.reset()

    @property
    def database(self) -> QuickDatabase:
        """Return the database."""
        return self._stock.database

    def reset(self) -> None:
        """Put the database back to what every world begins with."""
        self._stock.database.back()

    def answer(self, request: Request) -> bytes:
        """Answer one request as the network would bring it.

        Raises:
            Refused: Any status but 200.
            Unreachable: The server died.
        """
        parts = request.path.split("/")
        try:
            if len(parts) == BATCH_PARTS and parts[5] == "batches" and request.method == "PUT":
                return self.put(int(parts[4]), int(parts[6]), request.body, request.unsent)
            return self._web(request)
        except Crash as exc:
            raise Unreachable("server died") from exc
        finally:
            self.faults.crash_next = False

    def intake(self) -> Intake:
        """Return what takes batches, from whatever side they come."""
        return Intake(self.database, self._stock.store, Signer(self._stock.server, SERVER_KEY_ID))

    def put(self, terminal: int, number: int, body: bytes, unsent: int | None = None) -> bytes:
        """Hand in a batch; raises as `answer`."""
        intake = self.intake()
        upload = Upload(terminal, number, body, self.clock.utc_ms(), unsent)
        answer = accept_batch(intake, upload)
        if answer.problem is not None:
            raise Refused(answer.status, answer.problem.kind)
        if not answer.replay:
            self.accepted.append(upload)
        return answer.body

    def _web(self, request: Request) -> bytes:
        headers = {"Authorization": request.authorization} if request.authorization else {}
        given: dict[str, Any] = {"headers": headers}
        if request.body:
            given |= {"data": request.body, "content_type": request.content_type}
        response = self._client.open(request.path, method=request.method, **given)
        if response.status_code != 200:
            document = response.get_json(silent=True, force=True) or {}
            raise Refused(response.status_code, str(document.get("kind", "")))
        return bytes(response.data)

    def look_at_the_clock(self) -> None:
        """Queue whose time has come of age since, as the worker does every minute."""
        with self.database.writing() as session:
            queue_overdue(session, self.clock.utc_ms())

    def drain(self) -> None:
        """Let the worker derive and post what waits."""
        found = drain(self.database, derive_and_post, self.clock.utc_ms())
        self.drained_failures += found.failed

    def held(self, terminal: int, first: int = 1, last: int = 1 << 32) -> dict[int, bytes]:
        """Return the stored events of a terminal by number."""
        wanted = {"terminal": terminal, "first": first, "last": last}
        with self.database.reading() as session:
            return {seq: bytes(raw) for seq, raw in session.execute(_HELD, wanted)}
