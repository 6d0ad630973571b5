# SPDX-License-Identifier: Apache-2.0
"""Updates of cards: queued at the server, carried by a terminal, written by the card alone."""

from __future__ import annotations

import datetime as dt
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Response, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from card.attempts import AttemptGuard
from card.errors import CardRemoved
from card.operation import Connection, run
from card.updates import CardContents, Wanted, read_contents
from card.volunteer import DeskKeys
from hardware_mocks.cardos.cos import VirtualCard
from keys.identity import Suite
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from server.db import Database
from server.errors import Problem, Refused
from server.people.models import Audit
from server.updates import services
from server.updates.models import CardUpdate, CarrySession
from server.updates.services import Bench
from terminal.program import Parts, Program
from terminal.transport import HttpTransport
from terminal.updates import UpdateCarrier
from tests.e2e.pages.browser import serving
from tests.factories import CARD_ASN
from tests.integration.server.rig import NOW_MS, Rig
from tests.integration.server.test_suites import CARD, Post, make_post
from tests.integration.terminal.bench import connect, issue
from tests.integration.terminal.devices import HandReader, Memory

ASN = CARD_ASN.hex()
WANTED = Wanted(
    valid_to=dt.date(2035, 12, 31), level=3, total_minutes=6_000, guardian_mobile="13800000000"
)
WHY = ("li", "yearly renewal")
JOIN_S = 30
TAPS_MAX = 8


@pytest.fixture
def post(tmp_path: Path, sqlite_database: Database, key_store: FileKeyStore) -> Post:
    """An enrolled terminal at a server where an update waits for the card."""
    made = make_post(tmp_path, sqlite_database, key_store)
    made.enrol(Suite.ED25519)
    queue(made.rig)
    return made


def queue(rig: Rig, wanted: Wanted = WANTED) -> None:
    """Let the card be changed."""
    with rig.database.writing() as session:
        services.queue(session, Bench(rig.store, NOW_MS), ASN, wanted, WHY)


def contents(store: FileKeyStore, card: VirtualCard) -> CardContents:
    """Read what the card says, as a desk does."""
    keys = DeskKeys(
        store.card_key(KeyUsage.DESK_READ, 1, CARD_ASN[2:]),
        store.card_key(KeyUsage.MAINTENANCE, 1, CARD_ASN[2:]),
        ASN,
    )
    return run(read_contents(keys, AttemptGuard()), connect(card))


def carrier(post: Post) -> UpdateCarrier:
    """Return the terminal's carrier, told of the card by a batch with its tap."""
    station = post.station()
    station.journal.close()
    made = UpdateCarrier(station.chain, post.transport)
    post.tap()
    batches: list[bytes] = []
    post.transport.sent = batches
    post.sync()
    for body in batches:
        made.ask(body)
    return made


def update(rig: Rig) -> CardUpdate:
    """Return the newest update of the card."""
    with rig.database.reading() as session:
        statement = sa.select(CardUpdate).order_by(CardUpdate.id.desc())
        found = session.scalars(statement).first()
        assert found is not None
        session.expunge(found)
        return found


def test_update_is_carried_at_the_next_tap(post: Post) -> None:
    """After one tap was uploaded, the next one changes the card; both sides say it is done."""
    card = issue(post.rig.store, CARD)
    carry = carrier(post)

    assert carry.wants(CARD_ASN)
    assert carry.carry(connect(card), CARD_ASN)

    found = contents(post.rig.store, card)
    assert found.public.valid_to == dt.date(2035, 12, 31)
    assert (found.service.level, found.service.total_minutes) == (3, 6_000)
    assert found.service.guardian_mobile == "13800000000"
    assert found.state.update_seq == 1
    done = update(post.rig)
    assert (done.state, done.attempts) == ("done", 1)
    assert done.carrier == f"terminal:{post.terminal_id}"
    assert not carry.wants(CARD_ASN)
    assert not carry.carry(connect(card), CARD_ASN), "nothing waits any more"


def test_carrying_again_writes_nothing(post: Post) -> None:
    """The same wish again finds the card as it is to be: done, without a write."""
    card = issue(post.rig.store, CARD)
    carry = carrier(post)
    carry.carry(connect(card), CARD_ASN)
    before = contents(post.rig.store, card)

    queue(post.rig)
    carry.carry(connect(card), CARD_ASN)

    assert contents(post.rig.store, card) == before
    assert update(post.rig).state == "done"


class Torn:
    """A connection whose card leaves at one command."""

    def __init__(self, connection: Connection, at: int) -> None:
        self._connection, self._left = connection, at

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Pass a command on until the card leaves."""
        self._left -= 1
        if self._left < 0:
            raise CardRemoved
        return self._connection.transmit(apdu)


def test_card_may_leave_at_any_command(post: Post) -> None:
    """Wherever the card leaves, the update waits on, and the next tap completes it once."""
    carry = carrier(post)
    cuts = 0
    while True:
        card = issue(post.rig.store, CARD)
        if carry.carry(Torn(connect(card), cuts), CARD_ASN):
            break
        assert update(post.rig).state == "waiting"
        assert carry.carry(connect(card), CARD_ASN)
        found = contents(post.rig.store, card)
        assert (found.state.update_seq, found.service.level) == (1, 3)
        queue(post.rig)
        cuts += 1

    assert cuts > 15, "every command of an update was cut once"


@dataclass
class Liar:
    """A connection that alters the n-th answer, or leaves a command out."""

    connection: Connection
    at: int
    flip: int
    drop: bool

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Pass on, except once."""
        self.at -= 1
        if self.at == -1 and self.drop:
            return b"", 0x9000
        data, sw = self.connection.transmit(apdu)
        if self.at == -1:
            raw = bytearray(data + sw.to_bytes(2))
            raw[self.flip % len(raw)] ^= 1 << self.flip % 8
            return bytes(raw[:-2]), int.from_bytes(raw[-2:])
        return data, sw


@given(st.integers(0, 24), st.integers(0, 2_000), st.booleans())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_hostile_carrier_cannot_make_another_change(
    post: Post, at: int, flip: int, drop: bool
) -> None:
    """Whatever one lie a terminal tells, no field of the card holds anything but old or wanted."""
    queue(post.rig)
    card = issue(post.rig.store, CARD)
    before = contents(post.rig.store, card)

    carry = UpdateCarrier(post.station().chain, post.transport)
    carry.carry(Liar(connect(card), at, flip, drop), CARD_ASN)
    after = contents(post.rig.store, card)

    assert after.public.valid_to in (before.public.valid_to, WANTED.valid_to)
    assert after.service.level in (before.service.level, WANTED.level)
    assert after.service.guardian_mobile in ("", WANTED.guardian_mobile)
    assert after.public.asn == before.public.asn
    assert after.public.masked_name == before.public.masked_name


def test_lost_answer_gets_the_same_command(post: Post) -> None:
    """A step sent again, its answer lost, gets the same answer; one out of turn is refused."""
    rig, bench = post.rig, Bench(post.rig.store, NOW_MS)
    connection = connect(issue(rig.store, CARD))
    with rig.database.writing() as session:
        first = services.begin(session, bench, ASN, post.terminal_id)
    assert first.command is not None
    data, sw = connection.transmit(bytes.fromhex(first.command))
    key, answer = (post.terminal_id, first.session), data + sw.to_bytes(2)

    with rig.database.writing() as session:
        second = services.go_on(session, bench, key, 0, answer)
    with rig.database.writing() as session:
        again = services.go_on(session, bench, key, 0, b"\x69\x82")

    assert again == second
    for wrong, status in (((key[0] + 1, key[1]), 404), ((key[0], "0" * 32), 404)):
        with rig.database.writing() as session, pytest.raises(Problem) as caught:
            services.go_on(session, bench, wrong, 1, answer)
        assert caught.value.status == status
    with rig.database.writing() as session, pytest.raises(Problem) as caught:
        services.go_on(session, bench, key, 7, answer)
    assert caught.value.status == 409
    late = Bench(rig.store, NOW_MS + services.SESSION_MS + 1)
    with rig.database.writing() as session, pytest.raises(Problem) as caught:
        services.go_on(session, late, key, 1, answer)
    assert caught.value.status == 404


def test_wrong_key_is_tried_once(post: Post) -> None:
    """A card that refuses the desk key is not tried again: its attempts are few."""
    carry = carrier(post)
    other = FileKeyStore.create(post.folder / "other.keys", "another passphrase")
    for usage in KeyUsage:
        other.generate(usage)
    foreign = issue(other, CARD)

    assert carry.carry(connect(foreign), CARD_ASN)

    failed = update(post.rig)
    assert (failed.state, failed.attempts) == ("failed", 1)
    assert failed.outcome is not None


def test_other_card_is_left_alone(post: Post) -> None:
    """An update asked for one card is not written to another that lies there."""
    carry = carrier(post)
    other = issue(post.rig.store, CARD + 1)

    assert not carry.carry(connect(other), CARD_ASN)
    assert update(post.rig).state == "waiting"


def test_stranger_is_refused(post: Post) -> None:
    """Without a terminal's signature nothing is told and nothing begun."""
    client = post.transport.client
    path = f"/api/v1/terminals/{post.terminal_id}/updates"

    assert client.post(f"{path}/waiting", json={"cards": [ASN]}).status_code == 401
    assert client.post(f"{path}/cards/{ASN}", json={}).status_code == 401
    body = {"step": 0, "answer": "9000"}
    assert client.post(f"{path}/sessions/{'0' * 32}", json=body).status_code == 401


def test_newer_wish_replaces_the_older(post: Post) -> None:
    """One update waits for a card at a time; staff can take it back, and the trail tells."""
    rig = post.rig
    queue(rig, Wanted(level=4))
    with rig.database.writing() as session:
        assert services.waiting(session, [ASN, "9" * 20]) == [ASN]
        states = session.scalars(sa.select(CardUpdate.state).order_by(CardUpdate.id)).all()
        assert states == ["replaced", "waiting"]
        services.cancel(session, ASN, "li", NOW_MS)
        assert services.waiting(session, [ASN]) == []
        with pytest.raises(Refused, match="nothing waits"):
            services.cancel(session, ASN, "li", NOW_MS)
        with pytest.raises(Refused, match="no card"):
            services.queue(session, Bench(rig.store, NOW_MS), "9" * 20, WANTED, WHY)
        with pytest.raises(Refused, match="11 digits"):
            services.queue(
                session, Bench(rig.store, NOW_MS), ASN, Wanted(guardian_mobile="0755"), WHY
            )
        with pytest.raises(Refused, match="nothing is to change"):
            services.queue(session, Bench(rig.store, NOW_MS), ASN, Wanted(), WHY)
        actions = session.scalars(sa.select(Audit.action)).all()
    assert actions.count("card.update-queued") == 2
    assert actions.count("card.update-cancelled") == 1


def test_nothing_personal_lies_open(post: Post) -> None:
    """What is wanted and what cards answered are sealed in the database."""
    carry = carrier(post)
    carry.carry(connect(issue(post.rig.store, CARD)), CARD_ASN)

    with post.rig.database.reading() as session:
        rows = session.execute(sa.text("SELECT * FROM card_update")).all()
        rows += session.execute(sa.text("SELECT * FROM carry_session")).all()
        sessions = session.scalar(sa.select(sa.func.count()).select_from(CarrySession))

    assert sessions == 1
    held = repr(rows)
    for secret in ("13800000000", json.dumps("13800000000"), b"13800000000".hex()):
        assert secret not in held


def test_program_updates_a_card_before_it_answers_the_tap(post: Post, tmp_path: Path) -> None:
    """The program learns from its upload that an update waits, and carries it at the next tap."""
    card = issue(post.rig.store, CARD)
    reader, display = HandReader(), Memory()
    post.clock.advance(3600)
    post.rig.clock.now_ms = post.clock.utc_ms()
    app = post.rig.app(tmp_path / "web")
    asked: list[str] = []

    @app.after_request
    def note(response: Response) -> Response:
        asked.append(request.path)
        return response

    with serving(app) as address:
        parts = Parts(
            reader, post.psam, HttpTransport(address, 10), display=display, rng=random.Random(1)
        )
        program = Program(post.config, post.clock, parts)
        thread = threading.Thread(target=program.run)
        thread.start()
        try:
            display.wait_for("请刷卡")
            tap(post, reader, display, card)
            wait_for(lambda: any(path.endswith("/waiting") for path in asked), "no question")
            for _ in range(TAPS_MAX):  # the terminal may still be at work with the answer
                tap(post, reader, display, card)
                if update(post.rig).state == "done":
                    break
        finally:
            program.stop()
            thread.join(JOIN_S)

    assert not thread.is_alive()
    assert update(post.rig).state == "done"
    assert contents(post.rig.store, card).service.level == 3


def tap(post: Post, reader: HandReader, display: Memory, card: VirtualCard) -> None:
    """Lay the card down, wait until the holder is named, take it away; ten minutes pass."""
    before = display.count
    reader.lay(card)
    display.wait_for("林**", before)
    reader.take()
    post.rig.clock.now_ms += 600_000
    post.clock.advance(600)
    display.wait_for("请刷卡", before)


def wait_for(found: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + JOIN_S
    while not found():
        assert time.monotonic() < end, what
        time.sleep(0.05)
