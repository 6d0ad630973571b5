# SPDX-License-Identifier: Apache-2.0
"""A file store bound to a machine: it opens there, elsewhere it says what to do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keys.cli import PASSPHRASE_ENV, cli
from keys.cli.options import BACKUP_PASSPHRASE_ENV
from keys.envelope import Envelope
from keys.host import HostMark, HostUnknown, KeyStoreElsewhere, machine_id
from keys.store import STORE_MAGIC, FileKeyStore
from keys.surroundings import Surroundings
from keys.usage import KeyUsage
from tests.factories import CHEAP, PASSPHRASE

HOME, AWAY = "0123456789abcdef" * 2, "fedcba9876543210" * 2
HERE = Surroundings("tester", host=lambda: HOME)
THERE = Surroundings("tester", host=lambda: AWAY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a store with one key, not bound."""
    store = FileKeyStore.create(tmp_path / "issuer.keys", PASSPHRASE, CHEAP, HERE)
    store.generate(KeyUsage.TAC)
    return store.path


@pytest.fixture
def bound(path: Path) -> FileKeyStore:
    """Give the store, bound to its home."""
    store = FileKeyStore.open(path, PASSPHRASE, HERE)
    store.bind_host()
    return store


def _plain(path: Path) -> bytes:
    return Envelope.open(STORE_MAGIC, PASSPHRASE, path.read_bytes(), "")[1]


def _purposes(store: FileKeyStore) -> list[object]:
    return [line["purpose"] for line in store.audit.entries()]


def _run(around: Surroundings, *arguments: str) -> Result:
    environment = {PASSPHRASE_ENV: PASSPHRASE, BACKUP_PASSPHRASE_ENV: PASSPHRASE}
    return CliRunner().invoke(cli, arguments, obj=around, env=environment)


def test_a_store_is_unbound_until_it_is_bound(path: Path) -> None:
    """Unbound it opens anywhere, and is the list of rows that older programs read."""
    assert not FileKeyStore.open(path, PASSPHRASE, THERE).bound
    assert isinstance(json.loads(_plain(path)), list)


def test_a_bound_store_opens_at_home_only(bound: FileKeyStore) -> None:
    """At home it opens, elsewhere an error says how to move it; the log knows."""
    keys = bound.list()

    assert FileKeyStore.open(bound.path, PASSPHRASE, HERE).list() == keys
    with pytest.raises(KeyStoreElsewhere, match="restore --rebind"):
        FileKeyStore.open(bound.path, PASSPHRASE, THERE)
    assert _purposes(bound)[-1] == "bind to this machine"


def test_the_id_of_the_machine_is_not_in_the_store(bound: FileKeyStore) -> None:
    """Inside the envelope is a salted digest, another for each binding, never the id."""
    first = _plain(bound.path)
    bound.bind_host()

    assert HOME.encode() not in first
    assert json.loads(first)["host"] != json.loads(_plain(bound.path))["host"]
    assert FileKeyStore.open(bound.path, PASSPHRASE, HERE).bound


def test_a_wrong_passphrase_does_not_say_where_a_store_belongs(bound: FileKeyStore) -> None:
    """Elsewhere, who does not know the passphrase learns that only."""
    assert _run(THERE, "list", "--store", str(bound.path)).exception.__class__ is KeyStoreElsewhere
    error = (
        CliRunner()
        .invoke(
            cli,
            ["list", "--store", str(bound.path)],
            obj=THERE,
            env={PASSPHRASE_ENV: "another one"},
        )
        .exception
    )
    assert "wrong passphrase" in str(error)


def test_a_program_that_runs_already_leaves_the_binding(path: Path) -> None:
    """A store that was opened before it was bound does not unbind it by writing."""
    running = FileKeyStore.open(path, PASSPHRASE, HERE)
    FileKeyStore.open(path, PASSPHRASE, HERE).bind_host()
    running.rotate(KeyUsage.TAC)

    assert running.bound
    assert FileKeyStore.open(path, PASSPHRASE, HERE).bound


def test_a_backup_is_restored_at_home_and_elsewhere_on_purpose(
    bound: FileKeyStore, tmp_path: Path
) -> None:
    """A bound backup keeps its binding; only `rebind` moves it, and the log says so."""
    backup, moved = tmp_path / "backup", tmp_path / "moved.keys"
    bound.backup(backup, PASSPHRASE, CHEAP)

    assert FileKeyStore.restore(backup, tmp_path / "home.keys", PASSPHRASE, HERE).bound
    with pytest.raises(KeyStoreElsewhere):
        FileKeyStore.restore(backup, moved, PASSPHRASE, THERE)
    assert not moved.exists()
    store = FileKeyStore.restore(backup, moved, PASSPHRASE, THERE, rebind=True)

    assert store.list() == bound.list()
    assert _purposes(store) == ["restore, bound to this machine anew"]
    assert FileKeyStore.open(moved, PASSPHRASE, THERE).bound
    with pytest.raises(KeyStoreElsewhere):
        FileKeyStore.open(moved, PASSPHRASE, HERE)


def test_the_commands_bind_and_rebind(path: Path, tmp_path: Path) -> None:
    """`bind-host`, `init --bind-host` and `restore --rebind` do what the store does."""
    moved, new = str(tmp_path / "moved.keys"), str(tmp_path / "new.keys")
    assert "已绑定" in _run(HERE, "bind-host", "--store", str(path)).output
    move = ("restore", "--from", str(path), "--store", moved)

    assert isinstance(_run(THERE, *move).exception, KeyStoreElsewhere)
    assert _run(THERE, *move, "--rebind").exit_code == 0
    assert _run(THERE, "list", "--store", moved).exit_code == 0
    assert _run(HERE, "init", "--empty", "--bind-host", "--store", new).exit_code == 0
    assert isinstance(_run(THERE, "list", "--store", new).exception, KeyStoreElsewhere)
    told = _run(THERE, "doctor", "--store", new)
    assert told.exit_code == 1
    assert "restore --rebind" in told.output


@pytest.mark.parametrize("content", [None, "", "uninitialized\n", "0123\n", "é" * 32])
def test_a_machine_without_an_id_is_told(
    tmp_path: Path, bound: FileKeyStore, content: str | None
) -> None:
    """Without an id nothing bound opens; the id is looked for in two places."""
    first, second = tmp_path / "etc", tmp_path / "dbus"
    if content is not None:
        first.write_text(content, "utf-8")
    nowhere = replace(HERE, host=lambda: machine_id((first, second)))
    with pytest.raises(HostUnknown, match="machine-id"):
        FileKeyStore.open(bound.path, PASSPHRASE, nowhere)

    second.write_text(HOME + "\n", "utf-8")
    assert FileKeyStore.open(bound.path, PASSPHRASE, nowhere).bound


def test_a_mark_shows_nothing_of_the_machine() -> None:
    """Two marks of one machine have nothing in common."""
    one, two = HostMark.of(HOME), HostMark.of(HOME)
    assert one.salt != two.salt
    assert one.digest != two.digest
    assert one.fits(HOME)
    assert not one.fits(AWAY)
