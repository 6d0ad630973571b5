# SPDX-License-Identifier: Apache-2.0
"""Events on a memory stick: the server takes them like an upload, and the receipts come back."""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.identity import Suite
from keys.store import FileKeyStore
from server.db import Database
from server.errors import Refused
from server.ingest.importing import Imported, import_stick
from server.ingest.verdicts import Verdict
from swipe.frames import FILE_HEADER_SIZE, FrameKind, FrameReader
from swipe.kinds import EventType
from swipe.stick import MANIFEST, RECEIPTS, batch_name, batch_numbers, folder_name
from terminal.errors import StickProblem, Unreachable
from terminal.stick import TakenBack, Written, export_usb, import_receipts, write_stick
from terminal.tap import present
from terminal.transport import Request
from tests.integration.server.rig import NOW_MS
from tests.integration.server.test_suites import CARD, Post, make_post
from tests.integration.terminal.bench import connect, issue


@pytest.fixture
def post(tmp_path: Path, sqlite_database: Database, key_store: FileKeyStore) -> Post:
    """An enrolled terminal with three taps that nobody has."""
    made = make_post(tmp_path, sqlite_database, key_store)
    made.enrol(Suite.ED25519)
    for _ in range(3):
        made.tap()
    return made


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """An empty stick."""
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


def write(post: Post, stick: Path) -> Written:
    """Write what is unsent."""
    return export_usb(post.config, post.clock, stick)


def take(post: Post, stick: Path, later_ms: int = 0) -> Imported:
    """Let the server take the stick."""
    (found,) = import_stick(post.rig.intake, stick, NOW_MS + later_ms)
    return found


def bring_back(post: Post, stick: Path) -> TakenBack:
    """Let the terminal take the receipts."""
    return import_receipts(post.config, post.clock, stick)[0]


def taps(post: Post) -> list[Verdict]:
    """Verdicts of the stored taps."""
    found = post.verdicts().values()
    return [verdict for kind, verdict in found if kind < EventType.OPEN]


def test_stick_is_taken_like_an_upload(post: Post, stick: Path) -> None:
    """What was on the stick is stored with every proof, and its receipt settles it."""
    written = write(post, stick)
    found = take(post, stick)
    back = bring_back(post, stick)

    assert (written.batches, written.kept) == (1, 0)
    assert (found.stored, found.replayed, found.refused) == (1, 0, {})
    assert found.events == written.events
    assert taps(post) == [Verdict.OK] * 3
    assert back == TakenBack(1, 0, ())
    assert post.station().journal.state.covered == written.events


def test_stick_may_come_twice(post: Post, stick: Path) -> None:
    """Taking a stick again stores nothing, and gives the same receipts; so does taking them."""
    write(post, stick)
    first = take(post, stick)
    receipts = (stick / folder_name(post.terminal_id) / RECEIPTS).read_bytes()
    again = take(post, stick, 60_000)
    bring_back(post, stick)

    assert (again.stored, again.replayed) == (0, first.stored)
    assert (stick / folder_name(post.terminal_id) / RECEIPTS).read_bytes() == receipts
    assert bring_back(post, stick) == TakenBack(0, 1, ())


def test_network_and_stick_may_cross(post: Post, stick: Path) -> None:
    """An upload between writing a stick and its coming to the server breaks neither."""
    write(post, stick)
    post.sync()
    take(post, stick, 1_000)
    post.tap()
    post.clock.advance(1)
    post.rig.clock.now_ms += 2_000
    post.sync()
    back = bring_back(post, stick)
    post.tap()
    post.rig.clock.now_ms += 4_000
    post.sync()

    assert taps(post) == [Verdict.OK] * 5
    assert back.refused == ()
    station = post.station()
    assert station.journal.state.unsent <= 2, "nothing but this start is left"


def test_lost_answer_and_stick_may_cross(post: Post, stick: Path) -> None:
    """A batch whose answer was lost is not sent for ever once a stick's receipt covers it."""
    write(post, stick)
    send = post.transport.send

    def lose(request: Request) -> bytes:
        send(request)
        raise Unreachable("cut")

    post.transport.send = lose  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        post.sync()
    post.transport.send = send  # type: ignore[method-assign]
    post.rig.clock.now_ms += 10_000
    take(post, stick, 5_000)
    back = bring_back(post, stick)
    post.tap()
    post.sync()

    assert back.refused == ()
    assert taps(post) == [Verdict.OK] * 4


def test_stick_is_written_on(post: Post, stick: Path) -> None:
    """What is on a stick already stays as it is; later taps come in a batch of their own."""
    first = write(post, stick)
    folder = stick / folder_name(post.terminal_id)
    held = (folder / batch_name(1)).read_bytes()
    post.tap()
    again = write(post, stick)
    other = stick.parent / "other"
    other.mkdir()
    fresh = write(post, other)

    assert (again.batches, again.kept) == (2, 1)
    assert (folder / batch_name(1)).read_bytes() == held
    assert again.events > first.events
    assert fresh.batches == 1
    names = [path.name for path in (other / folder_name(post.terminal_id)).iterdir()]
    assert batch_numbers(names) == [3], "no number is used twice"
    assert take(post, stick).refused == take(post, other, 1_000).refused == {}
    assert taps(post) == [Verdict.OK] * 4


def test_pulled_out_too_early(post: Post, stick: Path) -> None:
    """A batch cut short on the stick is refused with its name; written again, it is taken."""
    write(post, stick)
    path = stick / folder_name(post.terminal_id) / batch_name(1)
    path.write_bytes(path.read_bytes()[:-100])
    found = take(post, stick)

    assert list(found.refused) == [batch_name(1)]
    assert found.stored == 0
    again = write(post, stick)
    assert again.kept == 0
    found = take(post, stick)
    assert found.stored == 1
    assert taps(post) == [Verdict.OK] * 3


def test_forged_manifest_stops_no_batch(post: Post, stick: Path) -> None:
    """Batches stand by their own signatures: a manifest that is not signed is only named."""
    write(post, stick)
    path = stick / folder_name(post.terminal_id) / MANIFEST
    path.write_text(path.read_text().replace('"made_ms": ', '"made_ms": 1'))
    found = take(post, stick)

    assert list(found.refused) == [MANIFEST]
    assert found.stored == 1


def test_missing_batch_is_named(post: Post, stick: Path) -> None:
    """A batch that the manifest lists and the stick does not hold is named."""
    write(post, stick)
    (stick / folder_name(post.terminal_id) / batch_name(1)).unlink()

    assert list(take(post, stick).refused) == [batch_name(1)]


@pytest.mark.parametrize("at", [0, 70, 120, 200])
def test_forged_receipts_settle_nothing(post: Post, stick: Path, at: int) -> None:
    """A receipt changed on the way, wherever, is refused, and the events stay unsent."""
    write(post, stick)
    take(post, stick)
    path = stick / folder_name(post.terminal_id) / RECEIPTS
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(bytes(raw))
    try:
        back = bring_back(post, stick)
    except StickProblem:
        pass
    else:
        assert back.accepted == 0
    assert post.station().journal.state.covered == 0


def test_receipts_of_another_terminal_are_not_ours(post: Post, stick: Path) -> None:
    """A stick without our folder gives nothing, and says so."""
    with pytest.raises(StickProblem):
        import_receipts(post.config, post.clock, stick)
    with pytest.raises(Refused):
        import_stick(post.rig.intake, stick, NOW_MS)


def test_receipt_file_is_a_container(post: Post, stick: Path) -> None:
    """The file of receipts is an export with receipts only."""
    write(post, stick)
    take(post, stick)
    with (stick / folder_name(post.terminal_id) / RECEIPTS).open("rb") as file:
        file.seek(FILE_HEADER_SIZE)
        kinds = [item.kind for item in FrameReader(file)]

    assert kinds == [FrameKind.RECEIPT]


def test_batch_under_way_outlives_a_stick_with_later_events(post: Post, stick: Path) -> None:
    """An old batch that goes again after a stick took later events gets a receipt we believe."""
    station = post.station()
    waiting = station.uplink.plan()
    assert waiting is not None
    present(station.desk(post.psam, training=False), connect(issue(post.rig.store, CARD)))
    write_stick(station.chain, station.uplink, stick)
    take(post, stick)

    station.uplink.settle(station.uplink.exchange(waiting))

    assert station.journal.state.covered >= waiting.header.last_seq
    station.journal.close()


def test_delayed_batch_behind_a_stick_stops_nobody(post: Post, stick: Path) -> None:
    """What arrives after the stick's receipts has a receipt that nobody waits for any more.

    The next ones are believed all the same, after a restart too.
    """
    write(post, stick)
    take(post, stick)
    send, late = post.transport.send, []

    def delay(request: Request) -> bytes:
        late.append(request)
        raise Unreachable("timed out")

    post.transport.send = delay  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        post.sync()
    post.transport.send = send  # type: ignore[method-assign]
    assert bring_back(post, stick).refused == ()
    post.rig.clock.now_ms += 10_000
    for request in late:
        send(request)
    post.tap()
    post.clock.advance(20)
    post.rig.clock.now_ms += 10_000
    post.sync()

    assert taps(post) == [Verdict.OK] * 4


def test_stick_of_another_future_confirms_nothing(post: Post, stick: Path) -> None:
    """After an older disk was put back, receipts for what it has forgotten are refused."""
    before = {path.name: path.read_bytes() for path in post.folder.iterdir() if path.is_file()}
    post.tap()
    write(post, stick)
    take(post, stick)
    for path in post.folder.iterdir():
        path.unlink()
    for name, content in before.items():
        (post.folder / name).write_bytes(content)
    post.clock.advance(60)
    post.tap()
    post.tap()

    back = bring_back(post, stick)

    assert back.accepted == 0
    assert "other events than the journal's" in back.refused[0]
    assert post.station().journal.state.covered == 0
