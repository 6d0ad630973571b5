# SPDX-License-Identifier: Apache-2.0
"""The commands of yika-keys on a file store: what they print, store, and refuse."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from keys import purse
from keys.algorithm import Algorithm
from keys.cli import PASSPHRASE_ENV, cli, main
from keys.cli.options import BACKUP_PASSPHRASE_ENV
from keys.kcv import kcv
from keys.keyblock import BlockHeader, wrap
from keys.material import KeyMaterial
from keys.store import FileKeyStore
from keys.usage import SCHEME_USAGES, KeyUsage
from tests.factories import CHEAP, PASSPHRASE

MASTER = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
SM4_MASTER = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
KBPK = bytes.fromhex("88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6")
REGION, SERIAL = "4403000000000000", "00005949000000000018"
BACKUP = "another long passphrase"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store of known keys once."""
    path = tmp_path_factory.mktemp("made") / "issuer.keys"
    store = FileKeyStore.create(path, PASSPHRASE, CHEAP)
    store.import_key(KeyUsage.TAC, 1, KeyMaterial(MASTER))
    store.import_key(KeyUsage.TAC, 2, KeyMaterial(SM4_MASTER), Algorithm.SM4)
    store.import_key(KeyUsage.PURCHASE_PSAM, 1, KeyMaterial(MASTER[::-1]))
    store.import_key(KeyUsage.KEY_BLOCK, 1, KeyMaterial(KBPK))
    return path


@pytest.fixture
def store(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the store, named by the environment."""
    for file in made.parent.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.setenv(PASSPHRASE_ENV, PASSPHRASE)
    monkeypatch.setenv(BACKUP_PASSPHRASE_ENV, BACKUP)
    monkeypatch.setenv("YIKA_KEYS_STORE", str(tmp_path / "issuer.keys"))
    return tmp_path / "issuer.keys"


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process and give status, output and errors."""

    def run_it(*args: str) -> tuple[int, str, str]:
        status: Any = 0
        try:
            main(args)
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        return int(status or 0), out, err

    return run_it


def _commands() -> Iterator[tuple[str, click.Command]]:
    for name, command in cli.commands.items():
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", found) for sub, found in command.commands.items())
        else:
            yield name, command


def test_every_command_shows_an_example_in_both_languages() -> None:
    """The help of each command begins in Chinese, goes on in English and ends in an example."""
    assert {name for name, _ in _commands()} >= {
        "init", "generate", "list", "kcv", "derive-check", "rotate", "retire",
        "export-block", "import-block", "backup", "restore", "audit", "doctor",
        "ceremony", "transcript verify", "psam create", "reshare", "run",
    }  # fmt: skip
    for name, command in _commands():
        assert command.epilog, name
        assert f"yika-keys {name}" in command.epilog
        assert "例 Example" in command.epilog
        words = (command.help or "").split(maxsplit=1)
        assert not words[0].isascii(), name
        assert words[1][0].isascii(), name


def test_rotation_and_retirement_are_listed(store: Path, run: Run) -> None:
    """A rotated usage has both versions; the retired one says when it ends."""
    status, out, _ = run("rotate", "purchase-psam", "--json")
    assert (status, json.loads(out)["keys"][0]["version"]) == (0, 2)

    run("retire", "purchase-psam", "--version", "1", "--on", "2999-12-31")

    rows = {row["version"]: row for row in json.loads(run("list", "--json")[1])["keys"]
            if row["usage"] == "purchase-psam"}  # fmt: skip
    assert (rows[1]["state"], rows[1]["retires"]) == ("retiring", "2999-12-31")
    assert rows[2]["state"] == "active"
    assert "retiring 2999-12-31" in run("list")[1]


def test_the_rest_of_the_scheme_is_generated(store: Path, run: Run) -> None:
    """Generate makes what the scheme lacks and leaves what is there; named usages as well."""
    before = {row["usage"]: row["kcv"] for row in json.loads(run("list", "--json")[1])["keys"]}

    made = json.loads(run("generate", "--algorithm", "sm4", "--json")[1])["keys"]
    status, out, _ = run("generate", "load", "--json")

    assert {row["usage"] for row in made} == {u.value for u in SCHEME_USAGES} - set(before)
    assert {row["algorithm"] for row in made} == {"sm4", "aes"}
    assert (status, json.loads(out)["keys"][0]["usage"]) == (0, "load")
    assert run("generate", "load")[0] == 1


@pytest.mark.parametrize(
    ("version", "master", "algorithm"),
    [("1", MASTER, Algorithm.TDES), ("2", SM4_MASTER, Algorithm.SM4)],
)
def test_derivation_is_shown_level_by_level(
    store: Path, run: Run, version: str, master: bytes, algorithm: Algorithm
) -> None:
    """Derive-check prints the check value of master, region and card, in either cipher."""
    region = purse.diversify(master, bytes.fromhex(REGION), algorithm=algorithm)
    card = purse.diversify(region, bytes.fromhex(SERIAL)[-8:], algorithm=algorithm)

    args = ("derive-check", "tac", "--version", version, "--factor", REGION, "--serial", SERIAL)
    status, out, _ = run(*args, "--expect", kcv(card, algorithm).lower(), "--json")

    assert status == 0
    assert [level["kcv"] for level in json.loads(out)["levels"]] == [
        kcv(key, algorithm) for key in (master, region, card)
    ]
    assert "as expected" in run(*args, "--expect", kcv(card, algorithm))[1]


def test_a_wrong_expectation_fails(store: Path, run: Run) -> None:
    """Derive-check exits 1 and names both check values when they differ."""
    status, out, err = run("derive-check", "tac", "--factor", REGION, "--expect", "ABCDEF")

    assert (status, out) == (1, "")
    assert "expected ABCDEF" in err


def test_a_block_moves_a_key(store: Path, run: Run, tmp_path: Path) -> None:
    """A key exported as a block arrives in another store that shares the protection key."""
    other = tmp_path / "other.keys"
    FileKeyStore.create(other, PASSPHRASE, CHEAP).import_key(
        KeyUsage.KEY_BLOCK, 1, KeyMaterial(KBPK)
    )
    block = tmp_path / "key.block"

    assert run("export-block", "purchase-psam", "--out", str(block))[0] == 0
    status, out, err = run("import-block", "--store", str(other), str(block), "--json")

    assert status == 0, err
    assert json.loads(out)["keys"][0]["kcv"] == kcv(MASTER[::-1])


def test_a_block_overwrites_no_file(store: Path, run: Run, tmp_path: Path) -> None:
    """Where the file for the block is there already no key is used, and the file stays."""
    taken = tmp_path / "key.block"
    taken.write_text("another block", "ascii")
    before = run("audit", "--json")[1]

    status, out, err = run("export-block", "purchase-psam", "--out", str(taken))

    assert (status, out) == (1, "")
    assert err == f"yika-keys: {taken}: exists already; keys are never overwritten\n"
    assert taken.read_text("ascii") == "another block"
    assert run("audit", "--json")[1] == before


def test_one_storey_down_may_leave(store: Path, run: Run) -> None:
    """A TAC master stays; the key of one region, derived from it, leaves as a block."""
    status, _, err = run("export-block", "tac")
    assert (status, "does not leave" in err) == (1, True)

    status, out, _ = run("export-block", "tac", "--factor", REGION, "--json")

    region = purse.diversify(MASTER, bytes.fromhex(REGION))
    assert status == 0
    assert f"KC0C00{kcv(region)}" in json.loads(out)["block"]


def test_blocks_are_read_from_standard_input(
    store: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Import-block takes a block from standard input."""
    block = wrap(KBPK, BlockHeader("D", "15", "T", "X", "07", "N"), MASTER)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(block.encode() + b"\n")))

    status, out, err = run("import-block", "-", "--expect", "purchase-soft")

    assert status == 0, err
    assert "purchase-soft  v7" in out


def test_a_backup_restores_every_key(store: Path, run: Run, tmp_path: Path) -> None:
    """A restored store has the same check values and opens with the backup's passphrase."""
    saved, again = tmp_path / "issuer.backup", tmp_path / "again.keys"
    before = json.loads(run("list", "--json")[1])["keys"]

    assert run("backup", "--out", str(saved))[0] == 0
    status, out, err = run("restore", "--from", str(saved), "--store", str(again), "--json")

    assert status == 0, err
    assert json.loads(out)["keys"] == before
    assert FileKeyStore.open(again, BACKUP).has(KeyUsage.TAC, 1)


def test_the_audit_log_is_followed(store: Path, run: Run) -> None:
    """Audit gives the head; a head noted earlier still holds, and a log cut short is found."""
    head = json.loads(run("audit", "--json")[1])
    run("derive-check", "tac", "--factor", REGION)
    noted = ("--lines", str(head["lines"]), "--digest", head["digest"])

    status, out, _ = run("audit", "--entries", *noted, "--json")
    assert (status, json.loads(out)["entries"][-1]["purpose"]) == (0, "derive")

    log = store.with_name("issuer.keys.audit")
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:2]))
    status, _, err = run("audit", *noted)
    assert (status, "cut off" in err) == (1, True)


@pytest.mark.parametrize(
    "text", ["none", "tac:0", "tac:256", "tac:x", "tac:1:rsa", "tac:1:3des:12345", "tac:1:3des:1:2"]
)
def test_an_unusable_key_order_is_a_wrong_call(store: Path, run: Run, text: str) -> None:
    """A --key that names no possible key exits 2 before anybody types."""
    status, _, err = run("ceremony", "--transcript", "t.json", "--key", text)

    assert status == 2
    assert "--key" in err


BAD_BLOCKS: dict[str, tuple[Callable[[], str], str]] = {
    "truncated": (
        lambda: wrap(KBPK, BlockHeader("D", "15", "T", "X", "07"), MASTER)[:-8],
        "length",
    ),
    "another protection key": (
        lambda: wrap(KBPK[::-1], BlockHeader("D", "15", "T", "X", "07"), MASTER),
        "does not verify",
    ),
    "a usage of nobody": (
        lambda: wrap(KBPK, BlockHeader("D", "P0", "T", "E", "07"), MASTER),
        "P0",
    ),
    "another usage than expected": (
        lambda: wrap(KBPK, BlockHeader("D", "16", "T", "X", "07"), MASTER),
        "imported as purchase-soft",
    ),
    "equal halves": (
        lambda: wrap(KBPK, BlockHeader("D", "15", "T", "X", "07"), MASTER[:8] * 2),
        "weak",
    ),
    "a version that is there": (
        lambda: wrap(KBPK, BlockHeader("D", "14", "T", "X", "01"), MASTER),
        "purchase-soft",
    ),
    "no block": (lambda: "hello", "header"),
    "nothing": (lambda: "", "header"),
}


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_a_bad_block_changes_nothing(store: Path, run: Run, tmp_path: Path, name: str) -> None:
    """A bad block is refused by a named error without a secret; the store stays as it was."""
    make, says = BAD_BLOCKS[name]
    file = tmp_path / "bad.block"
    file.write_text(make(), encoding="ascii")
    before = store.read_bytes()

    status, out, err = run("import-block", str(file), "--expect", "purchase-soft")

    assert (status, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1
    assert store.read_bytes() == before
    _no_secret(err)


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        (("derive-check", "tac", "--version", "9", "--factor", REGION), 1, "no key tac version 9"),
        (("derive-check", "key-block", "--factor", REGION), 1, "may not"),
        (("derive-check", "tac", "--factor", "44"), 2, "16 hex digits"),
        (("derive-check", "tac"), 2, "--factor"),
        (("rotate", "tac", "--algorithm", "aes"), 1, "aes"),
        (("rotate", "load"), 1, "yika-keys generate makes the first"),
        (("list", "--store", "/"), 1, "yika-keys: /: Is a directory"),
        (("run", "--", "no-such-program"), 1, "no-such-program: No such file"),
        (("retire", "tac", "--on", "tomorrow"), 2, "does not match"),
        (("export-block", "purchase-psam", "--under", "2"), 1, "no key key-block version 2"),
        (("audit", "--lines", "1"), 2, "belong together"),
        (("restore", "--from", "{store}", "--store", "{store}"), 1, "never overwritten"),
        (("restore", "--from", "{store}", "--store", "pkcs11:m?token=t"), 2, "token"),
        (("list", "--store", "pkcs11:/nowhere.so?token=yika"), 1, "nowhere"),
        (("list", "--store", "pkcs11:"), 1, "pkcs11:MODULE?token=LABEL"),
        (("list", "--store", "file:"), 1, "a store is"),
        (("transcript", "verify", "{store}"), 1, "not a transcript"),
        (("ceremony", "--transcript", "{store}"), 1, "never overwritten"),
        (("ceremony", "--transcript", "{store}.t", "--key", "tac:1"), 1, "tac version 1"),
        (
            ("ceremony", "--transcript", "{store}.t", "--key", "tac:3", "--rehearsal"),
            1,
            "real keys",
        ),
    ],
)
def test_failures_name_cause_and_change_nothing(
    store: Path, run: Run, args: tuple[str, ...], status: int, says: str
) -> None:
    """Every expected failure is named on one line, holds no secret, and leaves the store alone."""
    before = store.read_bytes()

    found, out, err = run(*(part.format(store=store) for part in args))

    assert (found, out) == (status, "")
    assert says in err
    assert store.read_bytes() == before
    _no_secret(err)


def test_an_expired_key_serves_nothing(store: Path, run: Run) -> None:
    """A key past its retirement date derives nothing and wraps nothing."""
    run("retire", "tac", "--on", "2026-01-01")
    run("retire", "key-block", "--on", "2026-01-01")

    for args in (("derive-check", "tac", "--factor", REGION), ("export-block", "purchase-psam")):
        status, _, err = run(*args)
        assert (status, "2026-01-01" in err) == (1, True)
        _no_secret(err)


def _no_secret(text: str) -> None:
    for secret in (MASTER, SM4_MASTER, KBPK):
        assert secret.hex() not in text.lower()
        assert secret[::-1].hex() not in text.lower()
    assert PASSPHRASE not in text
