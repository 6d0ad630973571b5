# SPDX-License-Identifier: Apache-2.0
"""Operations stopped after every command, stored, and resumed in another process.

The card and the PSAM live in this process, which keeps their session; the operation runs in a
forked one that dies after a number of answers, and then in another that knows only the file. The
outcome is compared with that of an operation nobody stopped: result, card memory and PSAM memory.
"""

from __future__ import annotations

import copy
import datetime as dt
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from card.apdu import CommandApdu, ResponseApdu
from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.operation import Connection, Operation, Outside, run
from card.personalise import personalise
from card.protocol import ByteConnection, T0Connection
from card.psam import PsamCard, open_psam
from card.stored import AnswerUnknown, StoredRun, StoreSeal, run_stored
from card.tap import TapRequest, tapping
from card.updates import Wanted, apply_update, plan_update, read_contents
from card.volunteer import DeskKeys, authenticate_desk, read_composite, read_log, select
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.psam import VirtualPsam
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import (
    ASN,
    PSAM_NO,
    PSAM_SERIAL,
    UID,
    card_data,
    issued_card,
    issued_psam,
    make_store,
)

TITLE, SESSION = "operation at card 17", "reader 1, insertion 4"
NINE = 1_795_222_800
CHINA = 32
DAY = dt.date(2026, 11, 22)
_CARD, _PSAM, _RESULT = b"C", b"P", b"R"
_SIZE_BYTES = 4

Make = Callable[[Outside, Connection], Operation[Any]]


@dataclass
class Bench:
    """Where cards come from: the memory of an issued card and PSAM, and the keys."""

    store: FileKeyStore
    card: Any
    psam: Any

    @property
    def keys(self) -> CardKeys:
        """Return the card's keys."""
        return CardKeys.from_store(self.store, ASN, 1)

    @property
    def desk(self) -> DeskKeys:
        """Return the card's desk keys."""
        keys = self.keys
        return DeskKeys(keys[KeyUsage.DESK_READ], keys[KeyUsage.MAINTENANCE], ASN.hex().upper())


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Issue one card and one PSAM for all tests."""
    store = make_store(tmp_path_factory.mktemp("keys"))
    card, psam = issued_card(store), issued_psam(store)
    return Bench(store, copy.deepcopy(card.memory.image), copy.deepcopy(psam.memory.image))


def _counting() -> Callable[[int], bytes]:
    """Return challenges that are the same in every run."""
    state = {"n": 0}

    def draw(size: int) -> bytes:
        state["n"] += 1
        return state["n"].to_bytes(size, "big")

    return draw


class Reader:
    """The process that holds the cards: it serves operations that run in others."""

    def __init__(self, bench: Bench, *, blank: bool) -> None:
        self.card = VirtualCard(uid=UID, random=_counting())
        self.psam = VirtualPsam(random=_counting())
        for chip, image in ((self.card, bench.card), (self.psam, bench.psam)):
            if not (blank and chip is self.card):
                chip.memory.image = copy.deepcopy(image)
                chip.memory.commit()
            chip.reset()

    def memories(self) -> tuple[str, str]:
        """Return what both chips hold."""
        return repr(self.card.memory.image), repr(self.psam.memory.image)

    def serve(self, work: Callable[[socket.socket], Any]) -> str | None:
        """Fork, serve the child's commands, and return its result; None if it died."""
        here, there = socket.socketpair()
        child = os.fork()
        if child == 0:
            here.close()
            try:
                _send(there, _RESULT + repr(work(there)).encode())
            finally:
                os._exit(0)
        there.close()
        result = None
        while message := _receive(here):
            kind, body = message[:1], message[1:]
            if kind == _RESULT:
                result = body.decode()
            else:
                _send(here, (self.card if kind == _CARD else self.psam).transmit(body))
        here.close()
        os.waitpid(child, 0)
        return result


def _send(link: socket.socket, message: bytes) -> None:
    link.sendall(len(message).to_bytes(_SIZE_BYTES, "big") + message)


def _receive(link: socket.socket) -> bytes:
    head = link.recv(_SIZE_BYTES, socket.MSG_WAITALL)
    size = int.from_bytes(head, "big")
    return link.recv(size, socket.MSG_WAITALL) if size else b""


def _remote(link: socket.socket, kind: bytes) -> Connection:
    def send(apdu: bytes) -> bytes:
        _send(link, kind + apdu)
        return _receive(link)

    return T0Connection(ByteConnection(send))


class Dying(StoredRun):
    """A stored run whose process dies after an answer was stored, or before it is."""

    answers_left = -1
    unknown = False

    def exchange(self, command: CommandApdu, connection: Connection) -> ResponseApdu:
        """Die at the planned answer."""
        if self.unknown and self.answers_left == 0:
            connection = _Swallowing(connection)
        response = super().exchange(command, connection)
        self.answers_left -= 1
        if self.answers_left == 0 and not self.unknown:
            os._exit(1)
        return response


class _Swallowing:
    """The process dies when the card has answered."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Let the card do it, and die."""
        self._inner.transmit(apdu)
        os._exit(1)


def _run(bench: Bench, path: Path, make: Make, answers: int = -1, *, unknown: bool = False) -> Any:
    """Return what a child process does: open the file, make the operation, run it."""

    def work(link: socket.socket) -> Any:
        stored = Dying(path, StoreSeal(bench.store), TITLE, SESSION)
        stored.answers_left, stored.unknown = answers, unknown
        psam = _remote(link, _PSAM)
        return run_stored(lambda outside: make(outside, psam), _remote(link, _CARD), stored)

    return work


class Opened(PsamCard):
    """A PSAM that was opened before: opening it again would end the purchase under way."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.serial, self.number = PSAM_SERIAL, PSAM_NO


def _open(psam: Connection) -> bytes:
    run(open_psam(), psam)
    return b""


def _tap(outside: Outside, psam: Connection) -> Operation[Any]:
    face = yield from select()
    before = yield from read_composite()
    outside.once(lambda: _open(psam))
    request = TapRequest(Opened(psam), NINE, CHINA, 101, bytes(8))
    answer = yield from tapping(face.diversifier, 1, request, outside)
    return before, answer, (yield from read_composite())


def _operations(bench: Bench) -> dict[str, Make]:
    """Return the four operations by name."""
    keys, desk = bench.keys, bench.desk

    def issuing(outside: Outside, _: Connection) -> Operation[Any]:
        return (yield from personalise(card_data(), keys, outside=outside))

    def reading(outside: Outside, _: Connection) -> Operation[Any]:
        face = yield from select()
        yield from authenticate_desk(desk, AttemptGuard())
        contents = yield from read_contents(desk, AttemptGuard())
        return face, contents, (yield from read_log(desk, AttemptGuard()))

    def update(outside: Outside, _: Connection) -> Operation[Any]:
        found = yield from read_contents(desk, AttemptGuard())
        script = plan_update(found, Wanted(level=3, total_minutes=6000), DAY)
        return (yield from apply_update(script, desk, AttemptGuard()))

    return {"tap": _tap, "issuing": issuing, "reading": reading, "update": update}


@pytest.mark.parametrize("name", ["tap", "reading", "update"])
def test_stopped_after_every_answer_it_ends_the_same(
    bench: Bench, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stop after each answer in turn, resume in another process: nothing differs in the end."""
    make = _operations(bench)[name]
    whole = Reader(bench, blank=False)
    result = whole.serve(_run(bench, tmp_path / "whole", make))
    assert result is not None
    answers = 0
    while True:
        answers += 1
        reader, path = Reader(bench, blank=False), tmp_path / str(answers)
        if reader.serve(_run(bench, path, make, answers)) is not None:
            break

        assert reader.serve(_run(bench, path, make)) == result, answers
        assert reader.memories() == whole.memories(), answers
        assert not path.exists()
    _tell(capsys, f"{name}: stopped and resumed at {answers - 1} positions")
    assert answers > 5


@pytest.mark.parametrize("name", ["tap", "issuing", "reading", "update"])
def test_a_process_for_every_answer_ends_the_same(
    bench: Bench, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No process lives for more than one answer: the last one returns what one alone returns."""
    make = _operations(bench)[name]
    blank = name == "issuing"
    whole = Reader(bench, blank=blank)
    due = whole.serve(_run(bench, tmp_path / "whole", make))
    reader, path = Reader(bench, blank=blank), tmp_path / "run"
    processes = 1
    while (result := reader.serve(_run(bench, path, make, processes))) is None:
        processes += 1

    assert result == due
    assert reader.memories() == whole.memories()
    _tell(capsys, f"{name}: {processes} processes, one after the other")
    assert processes > 5


def _tell(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{text}\n")


@pytest.mark.parametrize("name", ["issuing", "update"])
def test_an_answer_that_was_never_stored_means_to_begin_anew(
    bench: Bench, tmp_path: Path, name: str
) -> None:
    """The card did a command and the process died before it knew: the file says so.

    Begun anew at a card that lost its power, the operation finds what is done and ends the same.
    """
    make = _operations(bench)[name]
    blank = name == "issuing"
    whole = Reader(bench, blank=blank)
    whole.serve(_run(bench, tmp_path / "whole", make))
    for answers in (3, 9, 14):
        reader, path = Reader(bench, blank=blank), tmp_path / str(answers)
        assert reader.serve(_run(bench, path, make, answers, unknown=True)) is None

        with pytest.raises(AnswerUnknown):
            StoredRun(path, StoreSeal(bench.store), TITLE, SESSION)
        path.unlink()
        reader.card.reset()
        assert reader.serve(_run(bench, path, make)) is not None
        assert reader.memories()[0] == whole.memories()[0]
