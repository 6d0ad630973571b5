# SPDX-License-Identifier: Apache-2.0
"""A partner's witness beside a real log, and beside one that lies."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from server import evidence
from server.config import EvidenceSection
from server.db import Database
from server.errors import ConfigError
from server.runtime import EXTENSION
from server.transparency.publishing import Press, Publisher, publish
from server.transparency.tile_files import LogFolder
from server.transparency.witnesses import parse_witnesses
from swipe import merkle, notes
from swipe.notes import Checkpoint, Note, VerifierKey, base64_lines
from tests.integration.server.rig import NOW_MS, Rig

WITNESS = Path(__file__).parents[3] / "examples" / "witness.py"
WATCH = WITNESS.with_name("witness_watch.py")
ORIGIN = "yika.example/log"
LEAVES = [b"%d" % number for number in range(600)]


@dataclass(frozen=True)
class Partner:
    """A partner's files: the witness's key and state."""

    folder: Path
    key: VerifierKey

    def watch(self, log_key: str, url: str) -> subprocess.CompletedProcess[str]:
        """Let the witness look at a log once."""
        return run(self.folder / "key", self.folder / "state.db", log_key, url, program=WATCH)

    @contextmanager
    def serving(self, log_key: str) -> Iterator[str]:
        """Run the witness as a server and give its address."""
        command = [WITNESS, "serve", self.folder / "key", self.folder / "state.db", "0", log_key]
        process = subprocess.Popen(
            [sys.executable, *map(str, command)], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def run(*arguments: object, program: Path = WITNESS) -> subprocess.CompletedProcess[str]:
    """Run a program of the witness's by itself."""
    command = [sys.executable, str(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def partner(tmp_path: Path) -> Partner:
    """A partner with a fresh key."""
    made = run("keygen", "partner.example/w1", tmp_path / "key")
    assert made.returncode == 0, made.stderr
    return Partner(tmp_path, VerifierKey.from_text(made.stdout))


@pytest.fixture
def press(sqlite_rig: Rig, tmp_path: Path) -> Press:
    """A log in the data folder of a real server."""
    folder = LogFolder(tmp_path / "log")
    return Press(sqlite_rig.database, sqlite_rig.server_identity, folder, ORIGIN)


def append(database: Database, count: int) -> None:
    """Make the log longer."""
    with database.writing() as session:
        for number in range(count):
            evidence.append_record(session, NOW_MS, "test", {"n": number})


def key_of(rig: Rig) -> str:
    """Return the log's verifier key as a partner gets it."""
    return str(VerifierKey.of(ORIGIN, rig.server_identity.public_key))


@contextmanager
def server_of(rig: Rig, folder: Path) -> Iterator[str]:
    """Serve the real application and give the address of its log."""
    server = make_server("127.0.0.1", 0, rig.app(folder), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/log"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_it_cosigns_a_real_log_as_it_grows(
    sqlite_rig: Rig, press: Press, partner: Partner, tmp_path: Path
) -> None:
    """Looking at a server's log again and again, it signs each checkpoint that continues."""
    with server_of(sqlite_rig, tmp_path) as url:
        for count in (3, 300, 255, 0):
            append(sqlite_rig.database, count)
            note = publish(press, NOW_MS, seal=False)
            seen = partner.watch(key_of(sqlite_rig), url)
            assert seen.returncode == 0, seen.stderr
            lines = notes.signature_lines(seen.stdout)
            assert Note(note.text, lines).signed_by(partner.key)


def test_a_rewritten_log_gets_no_signature(
    sqlite_rig: Rig, press: Press, partner: Partner, tmp_path: Path
) -> None:
    """A log that changed what was seen is refused though its new head is validly signed."""
    append(sqlite_rig.database, 5)
    publish(press, NOW_MS, seal=False)
    with server_of(sqlite_rig, tmp_path) as url:
        assert partner.watch(key_of(sqlite_rig), url).returncode == 0
        for size in (5, 4, 9):
            lie(press, LEAVES[:size])
            seen = partner.watch(key_of(sqlite_rig), url)
            assert (seen.returncode, seen.stdout) == (1, "")
            assert "nothing was signed" in seen.stderr


def lie(press: Press, leaves: list[bytes]) -> None:
    """Publish another tree, signed with the log's own key."""
    press.folder.grow(0, [leaves])
    head = Checkpoint(press.origin, len(leaves), merkle.root(leaves))
    press.folder.publish(notes.sign(head, press.identity))


def test_a_server_publishes_its_witnesses_word(
    sqlite_rig: Rig, partner: Partner, tmp_path: Path
) -> None:
    """With a witness configured, checkpoints carry its signature; without it they still come."""
    append(sqlite_rig.database, 7)
    log_key = key_of(sqlite_rig)
    with partner.serving(log_key) as url:
        publisher = publisher_of(sqlite_rig, tmp_path, f"{url} {partner.key}")
        for count in (1, 290):
            append(sqlite_rig.database, count)
            publisher.turn()
            note = LogFolder(tmp_path / "log").note()
            assert note is not None
            assert note.signed_by(VerifierKey.from_text(log_key))
            assert note.signed_by(partner.key)
    append(sqlite_rig.database, 1)
    publisher.turn()

    alone = LogFolder(tmp_path / "log").note()
    assert alone is not None
    assert alone.signed_by(VerifierKey.from_text(log_key))
    assert not alone.signed_by(partner.key)


def publisher_of(rig: Rig, folder: Path, witnesses: str) -> Publisher:
    """Return the publisher of a server with witnesses."""
    runtime = rig.app(folder).extensions[EXTENSION]
    section = EvidenceSection(origin=ORIGIN, witnesses=witnesses)
    return Publisher(replace(runtime, config=replace(runtime.config, evidence=section)))


def body(rig: Rig, old: int, size: int, proof: list[bytes] | None = None) -> bytes:
    """Return a request for a cosignature of the tree of the first leaves."""
    nodes = merkle.nodes_of(LEAVES)
    shown = merkle.consistency_proof(old, size, nodes) if proof is None else proof
    note = notes.sign(Checkpoint(ORIGIN, size, merkle.root(LEAVES[:size])), rig.server_identity)
    return "\n".join([f"old {old}", *base64_lines(shown), "", str(note)]).encode()


def post(url: str, data: bytes) -> tuple[int, str]:
    """Send a request and return status and text."""
    request = urllib.request.Request(f"{url}/add-checkpoint", data, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_each_refusal_has_its_status(sqlite_rig: Rig, partner: Partner) -> None:
    """Unknown log, foreign key, stale size, broken proof, garbage: each gets the answer it must."""
    rig = sqlite_rig
    stranger = Rig(rig.database, rig.store, server_identity=rig.terminal_identity)
    with partner.serving(key_of(rig)) as url:
        assert post(url, body(rig, 0, 5))[0] == 200
        assert post(url, body(rig, 0, 9)) == (409, "5\n")
        assert post(url, body(rig, 5, 9, [bytes(32)])) == (422, "5\n")
        assert post(url, body(stranger, 5, 9))[0] == 403
        assert post(url, body(rig, 5, 9).replace(ORIGIN.encode(), b"other"))[0] == 404
        assert post(url, b"garbage")[0] == 400
        assert post(url, body(rig, 5, 9).replace(b"old 5", b"old 99"))[0] == 400
        assert post(url, body(rig, 5, 9))[0] == 200
        assert post(url, body(rig, 9, 9))[0] == 200


def test_requests_at_once_never_roll_it_back(sqlite_rig: Rig, partner: Partner) -> None:
    """Of many requests from one size only the first moves the state, and it only rises."""
    bodies = [body(sqlite_rig, 10, size) for size in range(11, 19)]
    answers: list[tuple[int, str]] = []
    with partner.serving(key_of(sqlite_rig)) as url:
        assert post(url, body(sqlite_rig, 0, 10))[0] == 200
        threads = [
            threading.Thread(target=lambda data=data: answers.append(post(url, data)))
            for data in bodies
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    statuses = sorted(status for status, _ in answers)
    assert statuses == [200] + [409] * 7
    assert len({text for status, text in answers if status == 409}) == 1


@pytest.mark.parametrize("text", ["http://w", "ftp://w partner+00+AA==", "w w w"])
def test_a_wrong_setting_is_named(text: str) -> None:
    """A witness without a key, or with an address of another kind, is an error of configuration."""
    with pytest.raises(ConfigError, match="witnesses"):
        parse_witnesses(text)


def test_it_needs_nothing_of_ours() -> None:
    """The witness imports the standard library and cryptography, and fits on a few pages."""
    for program, needed, longest in ((WITNESS, "cryptography", 200), (WATCH, "witness", 80)):
        source = program.read_text("utf-8")
        imported = {
            line.split()[1].split(".")[0] for line in source.splitlines()
            if line.startswith(("import ", "from "))
        }  # fmt: skip

        assert imported - set(sys.stdlib_module_names) == {needed}
        assert sum(1 for line in source.splitlines() if line.strip()) <= longest
