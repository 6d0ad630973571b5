# SPDX-License-Identifier: Apache-2.0
"""The archive holds what the database holds, tells every change, and gives the same hours."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.archive import hours, tasks, writing
from server.archive.event_files import EventFiles
from server.archive.hours import Place, StoredFacts
from server.archive.manifest import Manifest
from server.archive.policy import Topic
from server.archive.spark import Output
from server.archive.writing import Wish
from server.errors import Refused
from server.ingest.models import StoredEvent
from server.operations.policy import month_of
from server.reconciliation.models import ReconException, ServiceInterval
from server.reconciliation.parameters import DEFAULT_POLICY
from server.reconciliation.services import reconcile
from server.reconciliation.verifying import verify
from server.timebank.services import post_differences
from swipe.kinds import EventType
from tests.integration.server.rig import NOW_MS, Rig
from tests.integration.server.test_hours import day_of, new_card, one_tap

SHARDS = 3
LATER_MS = month_of(NOW_MS).until_ms + 2 * 3_600_000
ALL = Wish(unfinished=True, shards=SHARDS)


@pytest.fixture
def served(rig: Rig) -> Rig:
    """A server with a day of three cards at two terminals, one of them with a tap missing."""
    posts = (rig.add_post(1), rig.add_post(2))
    for number in range(3):
        _person, asn = new_card(rig)
        chains = day_of(rig, posts, asn)
        for post, chain in zip(posts, chains, strict=True):
            kept = chain[:-1] if number == 1 else chain
            if not number:
                assert rig.put(post.batch(kept), 1, post.terminal_id).status == 200
        posts = (rig.add_post(10 + 2 * number), rig.add_post(11 + 2 * number))
        for post, chain in zip(posts, day_of(rig, posts, asn), strict=True):
            if number:
                kept = chain[:-1] if number == 1 else chain
                assert rig.put(post.batch(kept), 1, post.terminal_id).status == 200
    _person, asn = new_card(rig)
    one_tap(rig, asn, EventType.OUT)
    return rig


def archived(rig: Rig, folder: Path, wish: Wish = ALL, now_ms: int = NOW_MS) -> list[str]:
    """Archive; return the months that were written."""
    told: list[str] = []
    with rig.database.reading() as session:
        writing.write(session, folder, wish, now_ms, told.append)
    return [line.split(":")[0] for line in told]


def manifest_of(folder: Path) -> Manifest:
    """Read the manifest of an archive."""
    found = Manifest.read(folder)
    assert found is not None
    return found


def in_process(files: EventFiles, facts: StoredFacts, out: Path) -> Output:
    """Run the tasks of a cluster one after the other."""
    job = tasks.Job(files, files.registers(), "plain", DEFAULT_POLICY, NOW_MS, out, facts)
    parts: dict[int, list[bytes]] = defaultdict(list)
    for name in files.names:
        for shard, taps in tasks.correct(job, name):
            parts[shard].append(taps)
    done = [tasks.file_result(job, shard, parts[shard]) for shard in range(files.shards)]
    return Output(out, *(sum(column) for column in list(zip(*done, strict=True))[1:]))


def current(session: Session) -> tuple[int, int, int]:
    """Return current intervals, their minutes, and current exceptions."""
    row = ServiceInterval
    counted = sa.select(sa.func.count(), sa.func.sum(row.credited_minutes)).where(row.current)
    intervals, minutes = session.execute(counted).one()
    raised = sa.select(sa.func.count()).where(ReconException.current)
    return intervals, int(minutes or 0), session.scalar(raised) or 0


def test_everything_is_archived_and_found_again(served: Rig, tmp_path: Path) -> None:
    """Events, hours and ledger stand in the files, byte for byte; nothing left the database."""
    with served.database.writing() as session:
        reconcile(session, None, NOW_MS)
        post_differences(session, None, NOW_MS)
    with served.database.reading() as session:
        stored = {bytes(raw) for raw in session.scalars(sa.select(StoredEvent.raw))}

    archived(served, tmp_path)
    manifest = manifest_of(tmp_path)

    raw = {
        bytes(cell)
        for file in manifest.files(Topic.EVENTS)
        for cell in pq.ParquetFile(tmp_path / file).read().column("raw").to_pylist()
    }
    assert raw == stored
    parts = {name.split("/")[0]: part for name, part in manifest.months.items()}
    assert set(parts) == {"events", "intervals", "entries"}
    with served.database.reading() as session:
        assert parts["intervals"].totals["sum"] == current(session)[1] > 0
        assert writing.compared(session, manifest) == []
    assert parts["entries"].totals["sum"] == 0
    assert writing.verified(tmp_path, manifest) == []


def test_only_what_changed_is_written_again(served: Rig, tmp_path: Path) -> None:
    """A second run writes nothing; a month that ended since is written once more and closed."""
    assert archived(served, tmp_path)
    assert archived(served, tmp_path) == []
    assert archived(served, tmp_path, Wish(shards=SHARDS), NOW_MS) == []

    assert archived(served, tmp_path, Wish(shards=SHARDS), LATER_MS) == [
        f"events/{month_of(NOW_MS)}"
    ]
    assert archived(served, tmp_path, Wish(shards=SHARDS), LATER_MS) == []


def test_a_closed_month_that_differs_is_refused(served: Rig, tmp_path: Path) -> None:
    """An event more or less in a month that is over stops the archive instead of replacing it."""
    archived(served, tmp_path, Wish(shards=SHARDS), LATER_MS)
    post = served.add_post(50)
    served.put(post.batch(post.chain(1, served.store)), 1, post.terminal_id)

    with pytest.raises(Refused, match="differ"):
        archived(served, tmp_path, Wish(shards=SHARDS), LATER_MS)
    with served.database.reading() as session:
        assert len(writing.compared(session, manifest_of(tmp_path))) == 1


def test_a_run_cut_off_goes_on(served: Rig, tmp_path: Path) -> None:
    """What a run that died left half-written is not in the manifest, and is written again."""
    archived(served, tmp_path, Wish(topics=(Topic.EVENTS,), unfinished=True, shards=SHARDS))
    draft = tmp_path / "intervals" / str(month_of(NOW_MS)) / "s0000.parquet.partial"
    draft.parent.mkdir(parents=True)
    draft.write_bytes(b"half")

    with served.database.writing() as session:
        reconcile(session, None, NOW_MS)
    assert [name.split("/")[0] for name in archived(served, tmp_path)] == ["intervals"]
    assert writing.verified(tmp_path, manifest_of(tmp_path)) == []


def test_every_change_of_a_file_is_named(served: Rig, tmp_path: Path) -> None:
    """A bit turned, a file gone, a manifest edited: verification names which."""
    archived(served, tmp_path)
    manifest = manifest_of(tmp_path)
    first, second, *_ = manifest.files(Topic.EVENTS)
    whole = (tmp_path / first).read_bytes()
    (tmp_path / first).write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    (tmp_path / second).unlink()

    assert [fault.split(":")[0] for fault in writing.verified(tmp_path, manifest)] == [
        first,
        second,
    ]
    manifest.months[f"events/{month_of(NOW_MS)}"].files.clear()
    assert "control totals differ" in writing.verified(tmp_path, manifest)[0]


def test_shards_never_change(served: Rig, tmp_path: Path) -> None:
    """An archive keeps its number of shards."""
    archived(served, tmp_path)

    with pytest.raises(Refused, match="shards"):
        archived(served, tmp_path, Wish(unfinished=True, shards=SHARDS + 1))


def test_hours_from_the_archive_are_the_hours(served: Rig, tmp_path: Path) -> None:
    """Derived by shards from the archive and brought back, hours are those of the local engine."""
    place = Place(tmp_path / "archive", tmp_path / "work")
    with served.database.writing() as session:
        done = hours.reconcile_by(session, place, 4, NOW_MS, in_process)
        assert verify(session, NOW_MS).differences == []
        stored = current(session)
        assert (done.new_intervals, done.new_exceptions) == (stored[0], stored[2])
    assert stored[1] > 0
    assert stored[2] > 0

    with served.database.writing() as session:
        again = hours.reconcile_by(
            session, Place(place.archive, tmp_path / "again"), 4, NOW_MS, in_process
        )
        local = reconcile(session, None, NOW_MS)
    assert (again.new_intervals, again.new_exceptions) == (0, 0)
    assert (local.new_intervals, local.new_exceptions) == (0, 0)


def test_hours_that_are_wrong_are_withdrawn(served: Rig, tmp_path: Path) -> None:
    """A row that the events do not give loses its place; what is missing comes back."""
    with served.database.writing() as session:
        reconcile(session, None, NOW_MS)
        before = current(session)
        changed = sa.update(ServiceInterval).where(ServiceInterval.current)
        session.execute(changed.values(credited_minutes=ServiceInterval.credited_minutes + 7))

        place = Place(tmp_path / "archive", tmp_path / "work")
        done = hours.reconcile_by(session, place, 2, NOW_MS, in_process)

        assert current(session) == before
        assert (done.new_intervals, done.new_exceptions) == (before[0], 0)
