# SPDX-License-Identifier: Apache-2.0
"""A server killed at random moments loses no event that it acknowledged, and doubles none."""

from __future__ import annotations

import http.client
import multiprocessing
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask_openapi.openapi import OpenAPI
from werkzeug.serving import make_server

from server.db import Database
from swipe.event import Event
from swipe.receipt import Receipt
from tests.integration.server.rig import Post, Rig

KILLS = 200
LIFE_S = (0.02, 0.15)
EVENTS = 2400
BATCH = 3
ANSWER_TIMEOUT_S = 5.0


def serve(app: OpenAPI, listening: socket.socket) -> None:
    """Serve the real application from an inherited socket until killed."""
    server = make_server("127.0.0.1", 0, app, threaded=True, fd=listening.fileno())
    server.serve_forever()


@contextmanager
def server_process(app: OpenAPI, listening: socket.socket) -> Iterator[None]:
    """Run one server process and kill it with SIGKILL at the end.

    The application is built before the fork, without a connection, so that its whole life is
    spent with uploads.
    """
    process = multiprocessing.get_context("fork").Process(
        target=serve, args=(app, listening), daemon=True
    )
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def warm_application(rig: Rig, folder: Path) -> OpenAPI:
    """Build the application and let it take one upload, so that no life is spent on compiling."""
    database = Database(rig.database.url)
    app = Rig(database, rig.store).app(folder)
    post = rig.add_post(0)
    path = f"/api/v1/terminals/{post.terminal_id}/batches/1"
    answer = app.test_client().put(path, data=post.batch(post.chain(1, rig.store)))
    assert answer.status_code == 200
    database.close()
    return app


@dataclass
class Uploader(threading.Thread):
    """A terminal that uploads its chain batch by batch and lets go only of what is receipted."""

    post: Post
    events: list[Event]
    port: int
    acknowledged: int = 0
    tries: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Make the thread."""
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        """Threads are kept in sets by the library."""
        return id(self)

    def run(self) -> None:
        """Upload until everything is acknowledged or the test ends."""
        number = 1
        while self.acknowledged < len(self.events) and not self.stopped.is_set():
            part = self.events[self.acknowledged : self.acknowledged + BATCH]
            receipt = self._put(number, self.post.batch(part, number))
            if receipt is not None:
                assert receipt.up_to_seq == part[-1].seq
                self.acknowledged = receipt.up_to_seq
                number += 1

    def _put(self, number: int, body: bytes) -> Receipt | None:
        self.tries += 1
        path = f"/api/v1/terminals/{self.post.terminal_id}/batches/{number}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_TIMEOUT_S)
        try:
            connection.request("PUT", path, body)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return Receipt.from_bytes(data) if answer.status == 200 else None


@pytest.mark.slow
def test_no_acknowledged_event_is_lost(sqlite_rig: Rig, tmp_path: Path) -> None:
    """After 200 SIGKILLs during uploads all that was receipted is stored, once, unbroken."""
    rig = sqlite_rig
    app = warm_application(rig, tmp_path)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    posts = [rig.add_post(number) for number in (1, 2)]
    uploaders = [Uploader(post, post.chain(EVENTS, rig.store), port) for post in posts]
    rig.database.close()
    dice = random.Random(20261121)
    for uploader in uploaders:
        uploader.start()

    for _ in range(KILLS):
        with server_process(app, listening):
            time.sleep(dice.uniform(*LIFE_S))
    with server_process(app, listening):
        time.sleep(1)
    for uploader in uploaders:
        uploader.stopped.set()
    listening.close()
    for uploader in uploaders:
        uploader.join()

    stored = rig.stored_of([post.terminal_id for post in posts])
    for uploader in uploaders:
        assert uploader.acknowledged > BATCH
        for event in uploader.events[: uploader.acknowledged]:
            assert stored[uploader.post.terminal_id, event.seq] == event.to_bytes()
    assert sum(uploader.tries for uploader in uploaders) > KILLS
