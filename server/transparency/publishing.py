# SPDX-License-Identifier: Apache-2.0
"""Publish the log: seal, write the tiles, sign the checkpoint, ask witnesses for their word.

Whatever the files hold already is checked against the root that was signed for them, and the
grown tree against the root that the database keeps; a checkpoint that contradicts an earlier one
is never signed. A cut at any moment leaves the older checkpoint with all its tiles; the next turn
does the rest.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import sqlalchemy.exc
import structlog

from keys.identity import Identity
from server.config import Config
from server.db import Database
from server.evidence import LogState
from server.runtime import Runtime
from server.transparency import leaves, seals
from server.transparency.alarm_watch import AlarmWatch
from server.transparency.errors import LogDiverged
from server.transparency.tile_files import LogFolder
from server.transparency.witnesses import Witness, ask_all, parse_witnesses
from swipe import merkle, notes
from swipe.notes import Checkpoint, Note
from swipe.tiles import WIDTH

STOP_TIMEOUT_S = 10.0
# Pause after a failure; it doubles up to the last.
RETRY_FIRST_S, RETRY_LAST_S = 2.0, 300.0

log = structlog.get_logger("yika.transparency")


@dataclass(frozen=True, slots=True)
class Press:
    """What publishing needs: the database, the log's key and name, the folder."""

    database: Database
    identity: Identity
    folder: LogFolder
    origin: str


def origin_of(config: Config, identity: Identity) -> str:
    """Return the log's name: as configured, else one made from its key."""
    named = config.evidence.origin
    return notes.check_name(named or f"yika/{hashlib.sha256(identity.public_key).hexdigest()[:16]}")


def folder_of(config: Config) -> Path:
    """Return the folder of the published log."""
    return config.data.dir / (config.evidence.dir or "log")


def press_of(runtime: Runtime) -> Press:
    """Return the press of a running server."""
    config, identity = runtime.config, runtime.identity
    folder = LogFolder(folder_of(config))
    return Press(runtime.database, identity, folder, origin_of(config, identity))


def publish(press: Press, now_ms: int, *, seal: bool = True) -> Note:
    """Bring the folder to the present state of the log and return the checkpoint.

    Raises:
        LogDiverged: the database does not continue what was published.
    """
    if seal:
        seals.seal_all(press.database, now_ms)
    with press.folder.locked():
        with press.database.reading() as session:
            state = session.execute(sa.select(LogState.size, LogState.frontier)).one()
        size, root = state.size, _root(state.size, bytes(state.frontier))
        note = press.folder.note()
        head = note.checkpoint if note else None
        if note is not None and head is not None and head.size == size:
            if head.root != root:
                raise LogDiverged(head.size, size, "another root at the same size")
            if head.origin == press.origin and press.folder.holds(size, root):
                return note
        _grow(press, head, size)
        if not press.folder.holds(size, root):
            _rebuild(press, size)
        if not press.folder.holds(size, root):
            raise LogDiverged(head.size if head else 0, size, "the rows do not give the root")
        if head is not None and not press.folder.holds(head.size, head.root):
            raise LogDiverged(head.size, size, "the rows do not give the published root")
        note = notes.sign(Checkpoint(press.origin, size, root), press.identity)
        press.folder.publish(note)
        return note


def _root(size: int, frontier: bytes) -> bytes:
    return merkle.CompactRange.from_bytes(frontier).root() if size else merkle.EMPTY_ROOT


def _grow(press: Press, head: Checkpoint | None, size: int) -> None:
    """Add what is new; begin again when the files are not what was signed."""
    if head is not None and head.size > size:
        raise LogDiverged(head.size, size, "fewer leaves than were published")
    if head is None or not press.folder.holds(head.size, head.root):
        _rebuild(press, size)
        return
    with press.database.reading() as session:
        start = head.size - head.size % WIDTH
        press.folder.grow(head.size, leaves.pieces(session, start, size))


def _rebuild(press: Press, size: int) -> None:
    with press.database.reading() as session:
        press.folder.grow(0, leaves.pieces(session, 0, size))


class Publisher(threading.Thread):
    """The thread that publishes while the server runs."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(name="yika-publisher", daemon=True)
        self._runtime = runtime
        self._press = press_of(runtime)
        self._witnesses: list[Witness] = parse_witnesses(runtime.config.evidence.witnesses)
        self._watch = AlarmWatch(runtime)
        self._ended = threading.Event()
        self._retry_s = RETRY_FIRST_S

    def run(self) -> None:
        """Publish, wait, again, until stopped."""
        interval_s = self._runtime.config.evidence.publish_ms / 1000
        while not self._ended.wait(interval_s):
            self.turn()

    def stop(self) -> None:
        """End after the turn in hand."""
        self._ended.set()
        self.join(STOP_TIMEOUT_S)

    def turn(self) -> None:
        """Publish once; trouble is logged and counted, and tried again later."""
        metrics = self._runtime.metrics
        try:
            note = publish(self._press, self._runtime.clock.utc_ms())
            self._cosign(note)
            metrics.log_published.set(note.checkpoint.size)
            self._watch.look()
        except sqlalchemy.exc.OperationalError as error:
            log.warning("database_busy", error=type(error.orig).__name__)
            self._failed("busy")
        except LogDiverged as error:
            log.error("log_diverged", detail=error.detail, published=error.published)
            self._failed("diverged")
        except Exception:  # the main loop of this thread must not end silently
            log.exception("publishing_failed")
            self._failed("failed")
        else:
            self._retry_s = RETRY_FIRST_S

    def _cosign(self, note: Note) -> None:
        """Put the witnesses' signatures under a checkpoint; one that is away changes nothing."""
        known = {name for name, _, _ in note.signatures}
        missing = [each for each in self._witnesses if each.key.name not in known]
        if not missing or not note.checkpoint.size:
            return
        tree = self._press.folder.tree(note.checkpoint.size)
        added, troubles = ask_all(missing, note, tree)
        for name, reason in troubles:
            log.warning("witness_failed", witness=name, reason=reason)
        self._runtime.metrics.witness_answers.labels("refused").inc(len(troubles))
        if not added:
            return
        self._runtime.metrics.witness_answers.labels("cosigned").inc(len(added))
        with self._press.folder.locked():
            present = self._press.folder.note()
            if present is not None and present.text == note.text:
                self._press.folder.publish(Note(note.text, (*note.signatures, *added)))

    def _failed(self, reason: str) -> None:
        self._runtime.metrics.log_failures.labels(reason).inc()
        self._ended.wait(self._retry_s)
        self._retry_s = min(2 * self._retry_s, RETRY_LAST_S)
