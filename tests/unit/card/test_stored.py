# SPDX-License-Identifier: Apache-2.0
"""A stored operation: what its file keeps, what it refuses, and that it goes on where it was."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from card.commands import get_challenge, select_fid
from card.errors import CardRemoved
from card.operation import LIVE, Operation, Outside, exchange
from card.stored import (
    AnswerUnknown,
    SessionLost,
    StoredOtherwise,
    StoredRun,
    StoreSeal,
    run_stored,
)
from keys.errors import KeysError
from keys.store import FileKeyStore
from tests.contracts.connection_cards import Script

TITLE, SESSION = "look at 17", "reader 1, insertion 4"


class Dies(BaseException):
    """The process ends: nothing below catches it."""


class Mortal:
    """A connection whose process dies at a command, before or after the card got it."""

    def __init__(self, inner: Script, lives: int) -> None:
        self._inner, self._lives = inner, lives

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Pass the command on, or die in it."""
        if self._lives == 0:
            raise Dies
        self._lives -= 1
        return self._inner.transmit(apdu)


def looking(outside: Outside) -> Operation[tuple[bytes, bytes, bytes]]:
    """Two challenges of the card and four random bytes of ours."""
    yield from exchange(select_fid(0x3F00))
    first = (yield from exchange(get_challenge())).data
    own = outside.random(4)
    yield from exchange(select_fid(int.from_bytes(own[:2], "big")))
    second = (yield from exchange(get_challenge())).data
    return first, own, second


@pytest.fixture
def open_run(tmp_path: Path, store: FileKeyStore) -> Callable[..., StoredRun]:
    """Open the file of one operation, as another process would."""

    def open_again(title: str = TITLE, session: str = SESSION) -> StoredRun:
        return StoredRun(tmp_path / "run", StoreSeal(store), title, session)

    return open_again


def _begin(open_run: Callable[..., StoredRun], answers: int) -> Script:
    """Run until the process dies between storing an answer and sending the next command."""
    script = Script("9000", "AABBCCDD 9000", "9000", "11223344 9000")
    stored = open_run()
    operation = looking(stored)
    command = next(operation)
    for _ in range(answers):
        command = operation.send(stored.exchange(command, script))
    stored.close()
    return script


@pytest.mark.parametrize("answers", [0, 1, 2, 3])
def test_it_goes_on_where_it_was(open_run: Callable[..., StoredRun], answers: int) -> None:
    """The card gets every command once, whichever process sends it."""
    script = _begin(open_run, answers)
    before = list(script.sent)

    first, own, second = run_stored(looking, script, open_run())

    assert (first.hex(), second.hex()) == ("aabbccdd", "11223344")
    assert script.sent[: len(before)] == before
    assert script.sent[2] == f"00A4000002{own[:2].hex().upper()}00"
    assert len(script.sent) == 4


def test_what_is_over_leaves_no_file(open_run: Callable[..., StoredRun], tmp_path: Path) -> None:
    """A finished operation, a failed one and one whose card left are begun anew, not resumed."""
    run_stored(looking, _begin(open_run, 2), open_run())
    assert not (tmp_path / "run").exists()

    class Gone:
        def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
            raise CardRemoved

    with pytest.raises(CardRemoved):
        run_stored(looking, Gone(), open_run())
    assert not (tmp_path / "run").exists()


def test_a_command_without_a_stored_answer_is_not_sent_again(
    open_run: Callable[..., StoredRun],
) -> None:
    """Whether the card got it is unknown, so the operation is begun anew."""
    script = Script("9000", "AABBCCDD 9000")
    with pytest.raises(Dies):
        run_stored(looking, Mortal(script, 2), open_run())

    with pytest.raises(AnswerUnknown) as caught:
        open_run()
    assert caught.value.number == 2


def test_another_session_is_not_gone_on_with(open_run: Callable[..., StoredRun]) -> None:
    """A card that was taken away in between has forgotten what was selected."""
    _begin(open_run, 2)

    with pytest.raises(SessionLost):
        open_run(session="reader 1, insertion 5")


def test_another_operation_is_noticed(open_run: Callable[..., StoredRun]) -> None:
    """A generator that asks something else than was asked stops before the card hears of it."""
    script = _begin(open_run, 2)

    def other(outside: Outside) -> Operation[None]:
        yield from exchange(select_fid(0x3F01))

    with pytest.raises(StoredOtherwise):
        run_stored(other, script, open_run())
    assert len(script.sent) == 2


def test_the_file_is_sealed_and_private(open_run: Callable[..., StoredRun], tmp_path: Path) -> None:
    """No answer stands in it in plain, and only its owner may read it."""
    _begin(open_run, 3)
    path = tmp_path / "run"

    assert bytes.fromhex("AABBCCDD") not in path.read_bytes()
    assert TITLE.encode() not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("where", [3, 40, 120])
def test_a_changed_file_is_refused(
    open_run: Callable[..., StoredRun], tmp_path: Path, where: int
) -> None:
    """A flipped byte, and records of another operation, do not open."""
    _begin(open_run, 3)
    path = tmp_path / "run"
    blob = bytearray(path.read_bytes())
    blob[where] ^= 1
    path.write_bytes(blob)

    with pytest.raises((KeysError, StoredOtherwise)):
        open_run()


def test_records_of_another_operation_do_not_open(open_run: Callable[..., StoredRun]) -> None:
    """The seal binds each record to the operation's title."""
    _begin(open_run, 3)

    with pytest.raises(KeysError):
        open_run(title="look at 18")


def test_a_half_written_record_never_counted(
    open_run: Callable[..., StoredRun], tmp_path: Path
) -> None:
    """A cut while the intent to send was written means that nothing was sent."""
    script = _begin(open_run, 2)
    path = tmp_path / "run"
    path.write_bytes(path.read_bytes() + b"\x00\x40half")

    assert run_stored(looking, script, open_run())[2].hex() == "11223344"


def test_live_is_the_outside_of_what_nobody_stores() -> None:
    """Without a file, random bytes are the system's and others are asked at once."""
    assert len(LIVE.random(8)) == 8
    assert LIVE.once(lambda: b"x") == b"x"
