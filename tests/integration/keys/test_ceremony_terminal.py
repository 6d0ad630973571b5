# SPDX-License-Identifier: Apache-2.0
"""``yika-keys ceremony`` as three custodians hold it: at a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tty
from functools import reduce
from pathlib import Path

import pytest

from keys.algorithm import Algorithm
from keys.ceremony_shares import put_together, read_share
from keys.cli import PASSPHRASE_ENV
from keys.custody import open_store
from keys.errors import KeyStoreLocked
from keys.kcv import kcv
from keys.usage import KeyUsage
from tests.integration.keys.document import DOCUMENT, blocks, normal, rehearse
from tests.integration.keys.pty_room import (
    AES_PARTS,
    PEOPLE,
    PtyRoom,
    opening,
    session,
    typed_turn,
)

KEY = reduce(
    lambda a, b: bytes(x ^ y for x, y in zip(a, b, strict=True)),
    (bytes.fromhex(part) for part in AES_PARTS),
)
ARGS = ("ceremony", "--store", "issuer.keys", "--transcript", "minutes.json")


def _run(folder: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "keys.cli", *args],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PtyRoom, list[str]]:
    """Hold one rehearsal and give its folder, its terminal and the custodians' shares."""
    folder = tmp_path_factory.mktemp("room")
    return (folder, *rehearse(folder))


def test_two_custodians_open_what_three_made(held: tuple[Path, PtyRoom, list[str]]) -> None:
    """Two shares open the store; the key in it is the XOR of the components, marked as a test."""
    folder, _, shares = held

    secret = put_together(read_share(shares[2]), read_share(shares[0]))
    (info,) = open_store(str(folder / "issuer.keys"), secret).list()

    assert (info.usage, info.marked_test) == (KeyUsage.KEY_BLOCK, True)
    assert info.kcv == kcv(KEY, Algorithm.AES)


def test_shares_are_taken_at_the_prompt(held: tuple[Path, PtyRoom, list[str]]) -> None:
    """Whoever types a share instead of a passphrase is asked for a second custodian's."""
    folder, _, shares = held
    room = PtyRoom(("list", "--store", "issuer.keys"), folder)

    room.answer("passphrase", shares[1])
    room.answer("second custodian", shares[2])

    assert room.close() == 0
    assert kcv(KEY, Algorithm.AES) in room.screen
    assert "TEST" in room.screen


def test_one_share_twice_opens_nothing(held: tuple[Path, PtyRoom, list[str]]) -> None:
    """One custodian cannot be two."""
    folder, _, shares = held
    room = PtyRoom(("list", "--store", "issuer.keys"), folder)

    room.answer("passphrase", shares[1])
    room.answer("second custodian", shares[1])

    assert room.close() == 1
    assert "given twice" in room.screen


def test_the_terminal_shows_no_component(held: tuple[Path, PtyRoom, list[str]]) -> None:
    """What custodians type is not echoed; screens are cleared; each share is on one screen only."""
    _, room, shares = held

    for part in AES_PARTS:
        assert part not in room.screen.replace(" ", "")
        assert kcv(bytes.fromhex(part), Algorithm.AES) in room.screen
    assert all(room.screen.count(share) == 1 for share in shares)
    assert not any(share in session(room.screen) for share in shares)


def test_the_transcript_is_signed_and_says_who(held: tuple[Path, PtyRoom, list[str]]) -> None:
    """The transcript verifies against the key on the screen, names all, and holds no secret."""
    folder, room, shares = held
    public_key = room.screen.rsplit("signed by ", 1)[1].strip()

    done = _run(
        folder, "transcript", "verify", "minutes.json", "--public-key", public_key, "--json"
    )

    facts = json.loads(done.stdout)
    assert (facts["verified"], facts["pinned"]) == (True, True)
    content = facts["transcript"]
    assert [person["name"] for person in content["people"]] == list(PEOPLE)
    assert content["mode"] == "rehearsal"
    assert content["keys"][0]["kcv"] == kcv(KEY, Algorithm.AES)
    text = (folder / "minutes.json").read_text(encoding="utf-8").upper()
    secret = put_together(read_share(shares[0]), read_share(shares[1]))
    for hidden in (*AES_PARTS, KEY.hex(), secret, *shares):
        assert hidden.upper() not in text


def test_a_changed_transcript_is_refused(
    held: tuple[Path, PtyRoom, list[str]], tmp_path: Path
) -> None:
    """A transcript with another name, or checked against another key, does not verify."""
    folder = held[0]
    text = (folder / "minutes.json").read_text(encoding="utf-8")
    (tmp_path / "changed.json").write_text(text.replace("王芳", "王方"), encoding="utf-8")
    (tmp_path / "cut.json").write_text(text[:-40], encoding="utf-8")
    (tmp_path / "same.json").write_text(text, encoding="utf-8")

    for name, extra, says in (
        ("changed.json", (), "does not verify"),
        ("cut.json", (), "not JSON"),
        ("same.json", ("--public-key", "00" * 32), "another key"),
    ):
        done = _run(tmp_path, "transcript", "verify", name, *extra)
        assert done.returncode == 1
        assert says in done.stderr


def test_production_refuses_the_rehearsal(held: tuple[Path, PtyRoom, list[str]]) -> None:
    """Doctor finds the test key in production, and says that it is one elsewhere."""
    folder, _, shares = held
    secret = put_together(read_share(shares[0]), read_share(shares[1]))
    environment = {PASSPHRASE_ENV: secret}

    args = ("doctor", "--store", "issuer.keys", "--json")
    strict = _run(folder, *args, "--production", **environment)
    lenient = _run(folder, *args, **environment)

    found = {one["name"]: one["grave"] for one in json.loads(strict.stdout)["complaints"]}
    assert found["test-key"]
    assert (strict.returncode, lenient.returncode) == (1, 0)


def test_the_machine_makes_components(tmp_path: Path) -> None:
    """With --generate each component is shown once, proved from the copy, and makes the key."""
    room = PtyRoom((*ARGS, "--generate", "--key", "tac:1:sm4"), tmp_path)
    opening(room)
    parts = []
    for _ in range(3):
        parts.append(room.copy())
        room.answer("type it once", parts[-1])
        share = room.copy()
        room.answer("type your share once", share)
    room.answer("type yes", "yes")

    assert room.close() == 0, room.screen
    key = reduce(lambda a, b: a ^ b, (int(part.replace(" ", ""), 16) for part in parts))
    assert f"KCV {kcv(key.to_bytes(16), Algorithm.SM4)}" in room.screen


def test_a_printer_prints_for_the_envelopes(tmp_path: Path) -> None:
    """With a printer, components and shares go to paper and never to the screen; a file is none."""
    paper, device = pty.openpty()
    tty.setraw(device)
    room = PtyRoom((*ARGS, "--generate", "--printer", os.ttyname(device)), tmp_path)
    opening(room)
    secrets = []
    for prompt in ("type it once", "type your share once") * 3:
        room.answer("take the sheet", "")
        sheet = b""
        while b"\f" not in sheet:
            sheet += os.read(paper, 4096)
        secrets.append(sheet.decode().splitlines()[3].split("   KCV")[0].strip())
        room.answer(prompt, secrets[-1])
    room.answer("type yes", "yes")

    assert room.close() == 0, room.screen
    assert not any(secret in room.screen for secret in secrets)
    os.close(paper)
    os.close(device)
    (tmp_path / "file").touch()
    args = ("ceremony", "--store", "other.keys", "--transcript", "t", "--printer", "file")
    again = PtyRoom(args, tmp_path)
    assert again.close() == 1
    assert "not a printer" in again.screen


@pytest.mark.parametrize("turns", [0, 2, 3])
def test_interrupting_leaves_nothing(tmp_path: Path, turns: int) -> None:
    """^C after any custodian leaves no store, no log, no transcript and no identity."""
    room = PtyRoom((*ARGS, "--rehearsal"), tmp_path)
    opening(room)
    for part in AES_PARTS[:turns]:
        typed_turn(room, part)
    room.expect("your component" if turns < 3 else "type yes")
    room.expect(": ")

    assert room.interrupt() == 1
    assert "nothing was changed" in room.screen
    assert list(tmp_path.iterdir()) == []


def test_lost_paper_is_replaced(held: tuple[Path, PtyRoom, list[str]], tmp_path: Path) -> None:
    """Two custodians have the store written anew: new shares open it, a new and an old do not."""
    source, old = str(held[0] / "issuer.keys"), held[2]
    args = ("reshare", "--store", source, "--out", "new.keys", "--transcript", "t.json")
    room = PtyRoom(args, tmp_path)
    room.answer("passphrase", old[0])
    room.answer("second custodian", old[2])
    opening(room)
    shares = []
    for _ in range(3):
        shares.append(room.copy())
        room.answer("type your share once", shares[-1])
    room.answer("type yes", "yes")
    assert room.close() == 0, room.screen

    new, mixed = (
        put_together(read_share(one), read_share(shares[1])) for one in (shares[0], old[0])
    )
    assert open_store(str(tmp_path / "new.keys"), new).has(KeyUsage.KEY_BLOCK, 1)
    with pytest.raises(KeyStoreLocked):
        open_store(str(tmp_path / "new.keys"), mixed)


def test_no_pipe_holds_a_ceremony(tmp_path: Path) -> None:
    """Without a terminal the command refuses before it makes anything."""
    done = _run(tmp_path, *ARGS)

    assert done.returncode == 1
    assert "at a terminal" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_document_shows_such_a_ceremony(held: tuple[Path, PtyRoom, list[str]]) -> None:
    """The session in the document is the one held here, but for times, hashes and signatures."""
    shown = blocks(DOCUMENT.read_text(encoding="utf-8"))

    assert normal(shown["session"]) == normal(session(held[1].screen))
    verified = _run(held[0], "transcript", "verify", "minutes.json").stdout
    assert normal(shown["verified"]) == normal(verified)


def test_the_transcript_in_the_document_verifies(tmp_path: Path) -> None:
    """The transcript printed in the document is a real one: its signature is good."""
    shown = blocks(DOCUMENT.read_text(encoding="utf-8"))
    (tmp_path / "minutes.json").write_text(shown["transcript"], encoding="utf-8")
    public_key = shown["session"].rsplit("signed by ", 1)[1].strip()

    done = _run(tmp_path, "transcript", "verify", "minutes.json", "--public-key", public_key)

    assert done.returncode == 0, done.stderr
