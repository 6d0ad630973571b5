# SPDX-License-Identifier: Apache-2.0
"""`yika-card` without a reader: help, dry run, and expected failures in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from card.cli import main
from keys.store import FileKeyStore
from tests.contracts.connection_cards import PASSPHRASE

UNTRACED = {("watch",), ("relay",)}  # one looks at readers, the other keeps a log of its own

DATA = {
    "asn": "00000000000000000017",
    "valid_from": "2026-11-01",
    "valid_to": "2031-10-31",
    "masked_name": "王**",
    "name": "王小明",
    "volunteer_number": "1000000004",
    "organisation": "0000000000000007",
    "birth_date": "2014-05-06",
    "minor_rules": True,
    "guardian_mobile": "13800000000",
}


def _issue(store: FileKeyStore, data: Any, *more: str, passphrase: str = PASSPHRASE) -> Result:
    arguments = ["issue", "--data", "-", "--store", str(store.path), "--dry-run", *more]
    text = data if isinstance(data, str) else json.dumps(data)
    environment = {"YIKA_KEYS_PASSPHRASE": passphrase}
    return CliRunner().invoke(main, arguments, input=text, env=environment)


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = list(_commands(main))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    """Help speaks Chinese and English, shows an example, and every command speaks JSON."""
    done = CliRunner().invoke(main, [*path, "-h"])

    assert done.exit_code == 0
    assert f"yika-card {' '.join(path)}" in done.stdout
    assert re.search("[\u4e00-\u9fff]", done.stdout)
    assert "xample" in done.stdout
    assert "--json" in done.stdout


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_at_a_card_can_be_traced(path: tuple[str, ...]) -> None:
    """Whatever takes a reader takes `--trace`, apart from what only looks for readers."""
    text = CliRunner().invoke(main, [*path, "-h"]).stdout

    assert ("--trace" in text) == ("--reader" in text and path not in UNTRACED)


def test_a_dry_run_prints_the_plan_without_secrets(store: FileKeyStore) -> None:
    """The commands are shown by step, keys and personal data masked; no reader is needed."""
    done = _issue(store, DATA)

    assert done.exit_code == 0
    assert "建立主文件 MF / create the master file" in done.stdout
    assert "80E0001507A80038F0F1FFFF" in done.stdout
    assert "王" not in done.stdout
    assert "13800000000" not in done.stdout


def test_a_dry_run_speaks_json(store: FileKeyStore) -> None:
    """The plan is one JSON document with every command."""
    document = json.loads(_issue(store, DATA, "--json").stdout)

    assert document["asn"] == DATA["asn"]
    assert document["memory"]["free_bytes"] >= 12_288
    assert len(document["commands"]) > 60


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"asn": "17"}, 1),
        ({"name": "名" * 21}, 1),
        ({"valid_to": "2031-13-01"}, 1),
        ({"asn": "xx"}, 1),
        ({"unknown": 1}, 1),
    ],
)
def test_bad_data_fail_in_one_line(
    store: FileKeyStore, change: dict[str, Any], status: int
) -> None:
    """Wrong values, and what is not card data at all, end with a line of cause."""
    done = _issue(store, {**DATA, **change})

    assert done.exit_code == status
    assert done.stderr.strip()
    assert "名" not in done.stderr


@pytest.mark.parametrize(("text", "status"), [("{", 1), ("[]", 1)])
def test_what_is_no_json_object_is_refused(store: FileKeyStore, text: str, status: int) -> None:
    """Broken JSON and another kind of document are failures."""
    assert _issue(store, text).exit_code == status


def test_a_wrong_passphrase_is_one_line(store: FileKeyStore) -> None:
    """A store that does not open ends with one line and status 1."""
    done = _issue(store, DATA, passphrase="wrong")

    assert done.exit_code == 1
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_store_is_named_as_everywhere(store: FileKeyStore) -> None:
    """`file:PATH` is the same store as the bare path."""
    named = ["issue", "--data", "-", "--dry-run", "--store", f"file:{store.path}"]
    done = CliRunner().invoke(
        main, named, input=json.dumps(DATA), env={"YIKA_KEYS_PASSPHRASE": PASSPHRASE}
    )
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("nowhere.keys", "no key store file: nowhere.keys"),
        ("file:", "no file named"),
        ("pkcs11:module.so", "module and token are needed"),
        ("pkcs11:module.so?token=yika&pin=1234", "module and token are needed"),
        ("pkcs11:module.so?token=yika&sm=nowhere.keys", "no key store file: nowhere.keys"),
    ],
)
def test_words_that_name_no_store_are_refused_before_the_passphrase(name: str, word: str) -> None:
    """A name that cannot be a store is wrong use, said at once."""
    done = CliRunner().invoke(main, ["log", "--store", name])
    assert done.exit_code == 2
    assert word in " ".join(done.stderr.split())
