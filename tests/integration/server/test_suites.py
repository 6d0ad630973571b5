# SPDX-License-Identifier: Apache-2.0
"""A terminal of either suite, from its pairing code to a changed key, against the real server."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from keys.identity import Identity, Suite
from keys.psam import Psam
from keys.store import FileKeyStore
from server.db import Database
from server.errors import Refused
from server.ingest.models import StoredEvent
from server.ingest.verdicts import Verdict
from server.terminals import enrolment, key_change
from server.terminals.models import TerminalKey
from swipe.kinds import EventType
from swipe.requests import ROTATE_CONTEXT
from swipe.verify import Pins, verify_stream
from terminal.config import Config, TerminalSection
from terminal.errors import Refused as ServerRefused
from terminal.export import export
from terminal.files import IDENTITY, JOURNAL, NEXT_IDENTITY, NEXT_PASSPORT, PASSPORT
from terminal.passport import Passport
from terminal.provision import provision
from terminal.rotation import change_key
from terminal.station import Station, open_journal, open_station
from terminal.storage import Folder
from terminal.sync import renew_key, sync
from terminal.tap import present
from terminal.transport import Request
from tests.factories import CARD_ASN, UTC_S, make_identity
from tests.integration.server.rig import NOW_MS, Rig
from tests.integration.terminal.bench import connect, issue, software_psam
from tests.unit.terminal.clocks import HandClock

BOTH = pytest.mark.parametrize("suite", list(Suite))
# `issue` numbers its cards; this one is the factories' card, which the rig has registered.
CARD = int(CARD_ASN.hex()[8:])


@dataclass
class InProcess:
    """A transport that asks the application directly."""

    client: FlaskClient
    sent: list[bytes] = field(default_factory=list)

    def send(self, request: Request) -> bytes:
        """Return the body of a 200 answer."""
        if request.method == "PUT":
            self.sent.append(request.body)
        headers = {"Authorization": request.authorization} if request.authorization else {}
        answer = self.client.open(
            request.path,
            method=request.method,
            data=request.body,
            content_type=request.content_type or None,
            headers=headers,
        )
        if answer.status_code != 200:
            document = answer.get_json(force=True)
            raise ServerRefused(answer.status_code, document["title"], None)
        return bytes(answer.data)


@dataclass
class Post:
    """An enrolled terminal, its folder, and the server it talks to."""

    rig: Rig
    folder: Path
    psam: Psam
    transport: InProcess
    clock: HandClock
    terminal_id: int = 0

    @property
    def config(self) -> Config:
        """A configuration that points at the folder."""
        return Config(terminal=TerminalSection(name="pos-x", data_dir=str(self.folder)))

    def enrol(self, suite: Suite, name: str = "pos-x") -> None:
        """Order, provision and approve."""
        with self.rig.database.writing() as session:
            terminal, code = enrolment.add_terminal(session, name, 1, "li", NOW_MS)
            self.terminal_id = terminal.id
        provision(self.folder, self.psam, code, self.transport, partial(Identity.generate, suite))
        with self.rig.database.writing() as session:
            enrolment.approve(session, self.terminal_id, "wang", NOW_MS)

    def station(self) -> Station:
        """Open the terminal."""
        return open_station(self.config, self.clock, self.transport, self.psam)

    def tap(self) -> None:
        """Let the volunteer tap once."""
        station = self.station()
        self.clock.advance(3600)
        present(station.desk(self.psam, training=False), connect(issue(self.rig.store, CARD)))
        station.journal.close()

    def sync(self) -> None:
        """Upload everything."""
        sync(self.config, self.clock, self.transport, final=False)

    def verdicts(self) -> dict[int, tuple[EventType, Verdict]]:
        """Type and verdict of every stored event of this terminal."""
        statement = sa.select(StoredEvent).where(StoredEvent.terminal_id == self.terminal_id)
        with self.rig.database.reading() as session:
            return {
                row.seq: (EventType(row.type), Verdict(row.verdict))
                for row in session.scalars(statement)
            }

    def terminal_keys(self) -> list[TerminalKey]:
        """The keys of this terminal, oldest first."""
        with self.rig.database.reading() as session:
            statement = sa.select(TerminalKey).where(TerminalKey.terminal_id == self.terminal_id)
            found = list(session.scalars(statement.order_by(TerminalKey.id)))
            session.expunge_all()
            return found


def make_post(
    tmp_path: Path, database: Database, key_store: FileKeyStore, server: Suite = Suite.ED25519
) -> Post:
    """Put a server up, and a terminal that is not enrolled."""
    rig = Rig(database, key_store, server_identity=make_identity("server", server)).populate()
    transport = InProcess(rig.app(tmp_path / "server").test_client())
    return Post(
        rig, tmp_path / "pos", software_psam(tmp_path, key_store), transport, HandClock(UTC_S)
    )


@BOTH
def test_taps_of_either_suite_are_proven(
    tmp_path: Path, sqlite_database: Database, key_store: FileKeyStore, suite: Suite
) -> None:
    """Enrolled by its code, a terminal's taps arrive with every signature and proof right."""
    post = make_post(tmp_path, sqlite_database, key_store, suite)
    post.enrol(suite)
    post.tap()
    post.tap()
    post.sync()

    found = post.verdicts()

    taps = [verdict for kind, verdict in found.values() if kind < EventType.OPEN]
    assert taps == [Verdict.OK, Verdict.OK]
    assert {verdict for _, verdict in found.values()} == {Verdict.OK, Verdict.SYSTEM}
    assert [Suite(key.suite) for key in post.terminal_keys()] == [suite]


@BOTH
def test_key_is_changed_and_the_chain_goes_on(
    tmp_path: Path, sqlite_database: Database, key_store: FileKeyStore, suite: Suite
) -> None:
    """After a change the new key signs, the old one has ended, and an export verifies whole."""
    post = make_post(tmp_path, sqlite_database, key_store)
    post.enrol(suite)
    post.tap()
    first = Identity.load(post.folder / IDENTITY).public_key

    renew_key(post.config, post.clock, post.transport)
    post.tap()
    post.sync()

    found = post.verdicts()
    change = next(seq for seq, (kind, _) in found.items() if kind is EventType.KEY_ROTATE)
    old, new = post.terminal_keys()
    identity = Identity.load(post.folder / IDENTITY)
    assert {verdict for _, verdict in found.values()} == {Verdict.OK, Verdict.SYSTEM}
    assert (old.public_key, old.until_seq, new.until_seq) == (first, change + 1, None)
    assert (new.public_key, new.replaces) == (identity.public_key, old.id)
    assert Passport.load(post.folder).key_id == new.id
    assert not (post.folder / NEXT_IDENTITY).exists()

    target = tmp_path / "export.yika"
    export(post.folder / JOURNAL, target, identity, post.clock.utc_ms())
    with target.open("rb") as stream:
        report = verify_stream(
            stream, "export", Pins(first, post.rig.server_identity.public_key), None
        )
    assert report.clean, report.findings


@pytest.mark.parametrize("lost", [NEXT_PASSPORT, "answer", "event", IDENTITY, PASSPORT])
def test_cut_in_a_change_of_key_is_healed(
    tmp_path: Path, sqlite_database: Database, key_store: FileKeyStore, lost: str
) -> None:
    """Cut after any step, the terminal starts, and asking again leaves one new key in force."""
    post = make_post(tmp_path, sqlite_database, key_store)
    post.enrol(Suite.ED25519)
    station = post.station()
    before = {name: (post.folder / name).read_bytes() for name in (IDENTITY, PASSPORT, JOURNAL)}
    change_key(post.folder, station.chain, station.passport, post.transport)
    station.journal.close()
    after = {name: (post.folder / name).read_bytes() for name in (IDENTITY, PASSPORT)}
    if lost in ("answer", NEXT_PASSPORT, "event"):  # the journal does not have the change yet
        (post.folder / JOURNAL).write_bytes(before[JOURNAL])
        (post.folder / IDENTITY).write_bytes(before[IDENTITY])
        (post.folder / NEXT_IDENTITY).write_bytes(after[IDENTITY])
        (post.folder / PASSPORT).write_bytes(before[PASSPORT])
        if lost == "event":
            (post.folder / NEXT_PASSPORT).write_bytes(after[PASSPORT])
    elif lost == IDENTITY:
        (post.folder / IDENTITY).write_bytes(before[IDENTITY])
        (post.folder / NEXT_IDENTITY).write_bytes(after[IDENTITY])
        (post.folder / NEXT_PASSPORT).write_bytes(after[PASSPORT])
        (post.folder / PASSPORT).write_bytes(before[PASSPORT])
    else:
        (post.folder / NEXT_PASSPORT).write_bytes(after[PASSPORT])
        (post.folder / PASSPORT).write_bytes(before[PASSPORT])

    passport, identity, journal = open_journal(Folder(post.folder))
    journal.close()
    done = identity.public_key == Identity.load(post.folder / IDENTITY).public_key
    if (post.folder / NEXT_IDENTITY).exists():
        renew_key(post.config, post.clock, post.transport)
        passport = Passport.load(post.folder)
    post.tap()
    post.sync()

    assert done
    assert len(post.terminal_keys()) == 2
    assert passport.key_id == post.terminal_keys()[1].id
    assert {verdict for _, verdict in post.verdicts().values()} == {Verdict.OK, Verdict.SYSTEM}


def test_key_change_needs_both_signatures(
    tmp_path: Path, sqlite_database: Database, key_store: FileKeyStore
) -> None:
    """Neither a thief of the old key without the new one nor the other way round changes a key."""
    post = make_post(tmp_path, sqlite_database, key_store)
    post.enrol(Suite.ED25519)
    old, fresh = Identity.load(post.folder / IDENTITY), make_identity("fresh")
    shown = key_change.KeyChange(
        post.terminal_id, post.terminal_keys()[0].id, fresh.public_key, b"", b""
    )
    right = {
        "old_signature": old.sign(ROTATE_CONTEXT, shown.message).hex(),
        "new_signature": fresh.sign(ROTATE_CONTEXT, shown.message).hex(),
    }
    body = {"old_key_id": shown.old_key_id, "public_key": fresh.public_key.hex(), **right}
    path = f"/api/v1/terminals/{post.terminal_id}/keys"
    client = post.transport.client

    for part in right:
        assert client.post(path, json=body | {part: "00" * 64}).status_code == 401
    other_suite = make_identity("fresh", Suite.SM2).public_key.hex()
    assert client.post(path, json=body | {"public_key": other_suite}).status_code == 409
    assert client.post(path, json=body | {"old_key_id": 999}).status_code == 401
    assert len(post.terminal_keys()) == 1
    first, again = client.post(path, json=body), client.post(path, json=body)
    assert first.status_code == 200
    assert first.json == again.json
    assert len(post.terminal_keys()) == 2


def test_ended_key_signs_nothing_more(
    tmp_path: Path, sqlite_database: Database, key_store: FileKeyStore
) -> None:
    """Events from where a key was ended count as not signed; batches of only such are refused."""
    post = make_post(tmp_path, sqlite_database, key_store)
    post.enrol(Suite.ED25519)
    post.tap()
    post.sync()
    last = max(post.verdicts())
    key = post.terminal_keys()[0]
    with post.rig.database.writing() as session:
        key_change.end_key(session, key.id, last + 2, "case broken open", ("li", NOW_MS))
        with pytest.raises(Refused, match="ended before"):
            key_change.end_key(session, key.id, last + 3, "again", ("li", NOW_MS))
    post.tap()
    with pytest.raises(ServerRefused) as caught:
        post.sync()

    assert caught.value.status == 401
    later = {seq: verdict for seq, (_, verdict) in post.verdicts().items() if seq > last}
    assert later.pop(last + 1) is Verdict.SYSTEM
    assert set(later.values()) == {Verdict.BAD_SIGNATURE}


def test_published_keys_check_receipts(
    tmp_path: Path, sqlite_database: Database, key_store: FileKeyStore
) -> None:
    """Whoever fetched the published key can check receipts without asking the server again."""
    post = make_post(tmp_path, sqlite_database, key_store, Suite.SM2)

    answer = post.transport.client.get("/.well-known/yika-keys.json")

    assert answer.json == {
        "keys": [
            {
                "key_id": 1,
                "suite": "sm2",
                "public_key": post.rig.server_identity.public_key.hex(),
            }
        ]
    }
