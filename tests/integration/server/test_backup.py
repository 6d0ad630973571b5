# SPDX-License-Identifier: Apache-2.0
"""Backups restore: the same figures in the copy and from its events; damage is named."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from keys.store import FileKeyStore
from server.clock import SystemClock
from server.config import Config, load
from server.errors import Refused
from server.operations import backup, copying, doctor
from server.operations.doctor import Level
from server.operations.figures import figures
from server.operations.rehearsal import rehearse
from server.people.models import Volunteer
from server.reconciliation.services import reconcile
from server.runtime import Runtime, initialise_files, open_runtime
from server.timebank.services import post_differences
from tests.factories import PASSPHRASE
from tests.integration import pitr
from tests.integration.server.rig import NOW_MS, Rig, volunteer

LATER_MS = NOW_MS + 40 * 86_400_000


def configured(folder: Path, store: FileKeyStore, url: str) -> Config:
    """Set a server up in a folder, with a copy of the key store, on a database that is there."""
    config = load(
        None,
        {
            "YIKA_DATA_DIR": str(folder),
            "YIKA_KEYS_PASSPHRASE": PASSPHRASE,
            "YIKA_DATABASE_URL": url,
        },
    )
    initialise_files(config)
    shutil.copyfile(store.path, config.key_store_path)
    return config


@pytest.fixture
def runtime(rig: Rig, key_store: FileKeyStore, tmp_path: Path) -> Runtime:
    """A server with events, derived hours and a ledger, on SQLite and on PostgreSQL."""
    rig.receipt(rig.chain(pitr.AFTER_BASE, changes=pitr.APART))
    with rig.database.writing() as session:
        reconcile(session, None, LATER_MS)
        session.flush()
        post_differences(session, None, LATER_MS)
    url = rig.database.url.render_as_string(hide_password=False)
    return open_runtime(configured(tmp_path / "server", key_store, url))


def test_a_backup_restores_with_the_same_figures(runtime: Runtime, tmp_path: Path) -> None:
    """The rehearsal finds the copy, and what its events give, identical."""
    made = backup.make(runtime, tmp_path / "copy")
    done = rehearse(tmp_path / "copy", runtime.config, LATER_MS, runtime.identity.public_key)

    assert done.faults == []
    assert done.events == made.figures.rows["event"] == pitr.AFTER_BASE
    assert done.credited_minutes == made.figures.credited_minutes == 25
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "copy").iterdir()} == {0o600}
    runtime.close()


def test_damage_after_the_backup_is_undone_by_restoring(
    sqlite_rig: Rig, key_store: FileKeyStore, tmp_path: Path
) -> None:
    """A database emptied by accident comes back as it was, in a new place."""
    sqlite_rig.receipt(sqlite_rig.chain(10))
    url = sqlite_rig.database.url.render_as_string()
    first = open_runtime(configured(tmp_path / "server", key_store, url))
    made = backup.make(first, tmp_path / "copy")
    with first.database.writing() as session:
        session.execute(sa.text("DROP TABLE hotlist"))
        session.add(volunteer("0000000899"))
    first.close()

    place = replace(
        first.config,
        data=replace(first.config.data, dir=tmp_path / "new"),
        database=replace(first.config.database, url=""),
    )
    backup.restore(tmp_path / "copy", place)
    second = open_runtime(place)
    with second.database.reading() as session:
        found = figures(session)
        there = session.scalars(sa.select(Volunteer.number)).all()

    assert made.figures.differences(found) == []
    assert "0000000899" not in there
    assert second.identity.public_key == first.identity.public_key
    second.close()


def test_a_changed_backup_is_refused(
    sqlite_rig: Rig, key_store: FileKeyStore, tmp_path: Path
) -> None:
    """A changed file, a changed manifest, another key, a missing file: each is told by name."""
    url = sqlite_rig.database.url.render_as_string()
    runtime = open_runtime(configured(tmp_path / "server", key_store, url))
    backup.make(runtime, tmp_path / "copy")

    def spoilt(name: str, content: bytes | None) -> Path:
        folder = tmp_path / f"spoilt-{name}-{content is None}"
        shutil.copytree(tmp_path / "copy", folder)
        path = folder / name
        path.write_bytes(content) if content is not None else path.unlink()
        return folder

    manifest = json.loads((tmp_path / "copy" / backup.MANIFEST).read_bytes())
    manifest["figures"]["credited_minutes"] += 60
    with pytest.raises(Refused, match="expected SHA-256"):
        backup.check(spoilt(copying.SQLITE_COPY, b"nothing"))
    with pytest.raises(Refused, match="found nothing"):
        backup.check(spoilt(copying.SQLITE_COPY, None))
    with pytest.raises(Refused, match="not signed"):
        backup.check(spoilt(backup.MANIFEST, json.dumps(manifest).encode()))
    with pytest.raises(Refused, match="not signed"):
        backup.check(tmp_path / "copy", bytes(32))
    with pytest.raises(Refused, match="no complete backup"):
        backup.check(spoilt(backup.SIGNATURE, None))
    with pytest.raises(Refused, match="exists"):
        backup.make(runtime, tmp_path / "copy")
    runtime.close()


def test_a_rehearsal_names_hours_that_their_events_do_not_give(
    sqlite_rig: Rig, key_store: FileKeyStore, tmp_path: Path
) -> None:
    """Minutes changed in the database before the backup are found when they are derived again."""
    sqlite_rig.receipt(sqlite_rig.chain(12))
    with sqlite_rig.database.writing() as session:
        assert reconcile(session, None, LATER_MS).intervals
        session.flush()
        session.execute(sa.text("UPDATE service_interval SET credited_minutes = 999"))
    url = sqlite_rig.database.url.render_as_string()
    runtime = open_runtime(configured(tmp_path / "server", key_store, url))
    backup.make(runtime, tmp_path / "copy")

    done = rehearse(tmp_path / "copy", runtime.config, LATER_MS)

    assert [fault for fault in done.faults if fault.startswith("derived again")]
    runtime.close()


def test_a_backup_goes_into_an_empty_place_only(
    sqlite_rig: Rig, key_store: FileKeyStore, tmp_path: Path
) -> None:
    """Restoring over a server that is there is refused, and changes nothing."""
    url = sqlite_rig.database.url.render_as_string()
    runtime = open_runtime(configured(tmp_path / "server", key_store, url))
    backup.make(runtime, tmp_path / "copy")

    with pytest.raises(Refused, match="nothing was changed"):
        backup.restore(tmp_path / "copy", runtime.config)
    bare = replace(runtime.config, data=replace(runtime.config.data, dir=tmp_path / "new"))
    with pytest.raises(Refused, match="not empty"):
        backup.restore(tmp_path / "copy", bare)
    runtime.close()


def test_postgresql_comes_back_to_a_moment() -> None:
    """With archived WAL a cluster is restored to just before a mistake made after the base copy.

    docs/server.md tells the same steps.
    """
    with tempfile.TemporaryDirectory(prefix="yika-pitr-") as name:
        Path(name).chmod(0o755)  # PostgreSQL's own user must get in
        done = pitr.rehearse(Path(name))

    assert done.differences == []
    assert done.found.rows["event"] == pitr.AFTER_BASE
    assert done.found.credited_minutes == 25


def test_doctor_finds_a_sound_server_sound(runtime: Runtime) -> None:
    """Nothing is bad on a server that was set up; test keys and a plain key file are told."""
    findings = doctor.examine(runtime.config, runtime.clock)
    bad = {finding.part for finding in findings if finding.level is Level.BAD}

    assert bad <= {"durability", "keys"}  # a throw-away cluster does not sync
    assert {"data", "database", "disk", "hours", "ledger"} <= {item.part for item in findings}
    runtime.close()


def test_doctor_names_what_is_wrong(tmp_path: Path) -> None:
    """Without data, and with a database that is not there, the doctor says so and what to do."""
    config = load(
        None,
        {"YIKA_DATA_DIR": str(tmp_path / "none"),
         "YIKA_DATABASE_URL": "postgresql+psycopg://nobody@/x?host=/nowhere"},
    )  # fmt: skip
    findings = {finding.part: finding for finding in doctor.examine(config, SystemClock())}

    assert findings["data"].level is Level.BAD
    assert "yika-server init" in findings["data"].next_en
    assert findings["database"].level is Level.BAD
    assert findings["database"].next_zh


def test_doctor_names_files_that_others_can_read(
    sqlite_rig: Rig, key_store: FileKeyStore, tmp_path: Path
) -> None:
    """A signing key that others can read is bad, with the command that mends it."""
    url = sqlite_rig.database.url.render_as_string()
    config = configured(tmp_path / "server", key_store, url)
    config.identity_path.chmod(0o644)
    bad = [item for item in doctor.examine(config, SystemClock()) if item.level is Level.BAD]

    assert any("chmod 600" in item.next_en for item in bad)
