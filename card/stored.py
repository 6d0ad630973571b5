# SPDX-License-Identifier: Apache-2.0
"""An operation that outlives its process: stored after every command, resumed in another.

An operation does no I/O, so its whole state is the list of answers it was given and of what it
took from outside (random bytes, a PSAM's answer). Both are appended, sealed, to one file. Another
process makes the operation afresh, feeds it the recorded answers, compares each command it yields
with what was sent, and goes on at the card.

That is right only while the card still is in the same session: a card that lost its power has
forgotten what was selected and proved. Whoever holds the card names the session; another name, or
a command sent whose answer was never stored, ends in an error and the operation is begun anew.
Answers hold personal data, so the file is sealed and for its owner only.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from card.apdu import CommandApdu, ResponseApdu
from card.errors import CardError, ProtocolFault
from card.operation import COMMANDS_MAX, Connection, Operation, Outside
from card.status_words import Text
from keys.usage import KeyUsage

T = TypeVar("T")

STORED_BYTES_MAX = 1 << 20  # a personalisation with a photo stores about 40 KB
_LENGTH_BYTES = 2
_DIGEST_BYTES = 16
_SENT, _ANSWER, _TAKEN, _TITLE = b"S", b"A", b"O", b"T"


class Seal(Protocol):
    """Seals the records of a stored operation; `place` binds each to its file and position."""

    def seal(self, data: bytes, place: bytes, /) -> bytes:
        """Return the data sealed."""
        ...

    def unseal(self, sealed: bytes, place: bytes, /) -> bytes:
        """Return the data again.

        Raises:
            KeysError: Something differs.
        """
        ...


class SealingStore(Protocol):
    """Any key store that seals personal data."""

    def seal(self, usage: KeyUsage, data: bytes, aad: bytes) -> bytes:
        """Return the data sealed."""
        ...

    def open_sealed(self, usage: KeyUsage, sealed: bytes, aad: bytes) -> bytes:
        """Return the data again."""
        ...


@dataclass(frozen=True, slots=True)
class StoreSeal:
    """Seals with the key store's key for personal data."""

    store: SealingStore

    def seal(self, data: bytes, place: bytes, /) -> bytes:
        """Return the data sealed."""
        return self.store.seal(KeyUsage.PERSONAL_DATA, data, place)

    def unseal(self, sealed: bytes, place: bytes, /) -> bytes:
        """Return the data again."""
        return self.store.open_sealed(KeyUsage.PERSONAL_DATA, sealed, place)


class StoredOtherwise(CardError):
    """The file holds another operation than the one to be resumed; `reason` says where."""

    advice = Text("请删除该文件后从头再来", "remove the file and begin anew")

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.meaning = Text(
            f"保存的操作不符（{reason}）", f"another operation is stored ({reason})"
        )


class SessionLost(CardError):
    """The card is in another session than the one the operation began in."""

    meaning = Text("卡片会话已变", "the card's session is another one")
    advice = Text("请从头再来", "begin anew")


class AnswerUnknown(CardError):
    """A command was sent and its answer was not stored; `number` counts commands from 0."""

    advice = Text("请让卡片断电后从头再来", "take the card's power and begin anew")

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.meaning = Text(
            f"第 {number} 条指令的应答未知", f"no answer stored to command {number}"
        )


@dataclass(slots=True)
class _Past:
    """What a file says happened."""

    sent: list[bytes] = field(default_factory=list)
    answers: list[ResponseApdu] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)


class StoredRun:
    """One operation's file: opened again, it holds what happened so far.

    Args:
        path: The file; it is made for its owner only.
        seal: How its records are sealed.
        title: What the operation is and for which card; the same in every process.
        session: What whoever holds the card calls its session.

    Raises:
        StoredOtherwise: The file is of another operation, or damaged.
        SessionLost: It was begun in another session.
        AnswerUnknown: The last command's answer was never stored.
    """

    def __init__(self, path: Path, seal: Seal, title: str, session: str) -> None:
        self._path, self._seal, self._title = path, seal, title
        self._records = 0
        self._past = _Past()
        fresh = not path.exists() or path.stat().st_size == 0
        if not fresh:
            whole = self._load(session)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(path, flags, 0o600)
        if fresh:
            self._append(_TITLE + f"{title}\n{session}".encode())
        else:
            os.truncate(self._file, whole)

    def close(self) -> None:
        """Close the file and keep it."""
        os.close(self._file)

    def remove(self) -> None:
        """Close the file and remove it: the operation is over."""
        self.close()
        self._path.unlink(missing_ok=True)

    def once(self, ask: Callable[[], bytes]) -> bytes:
        """Return what was taken from outside at this place before, or take it now and store it."""
        if self._past.taken:
            return self._past.taken.pop(0)
        value = ask()
        self._append(_TAKEN + value)
        return value

    def random(self, size: int) -> bytes:
        """Return random bytes, the same ones when resumed."""
        return self.once(lambda: os.urandom(size))

    def exchange(self, command: CommandApdu, connection: Connection) -> ResponseApdu:
        """Answer from the file, or from the card.

        Raises:
            StoredOtherwise: The operation asks something else than it did before.
        """
        digest = hashlib.sha256(command.to_bytes()).digest()[:_DIGEST_BYTES]
        if self._past.answers:
            if not hmac.compare_digest(self._past.sent.pop(0), digest):
                raise StoredOtherwise(f"INS {command.ins:02X}")
            return self._past.answers.pop(0)
        self._append(_SENT + digest)
        data, sw = connection.transmit(command.to_bytes())
        self._append(_ANSWER + sw.to_bytes(2, "big") + data)
        return ResponseApdu(data, sw)

    def _append(self, record: bytes) -> None:
        sealed = self._seal.seal(record, self._place(self._records))
        os.write(self._file, len(sealed).to_bytes(_LENGTH_BYTES, "big") + sealed)
        os.fdatasync(self._file)
        self._records += 1

    def _place(self, number: int) -> bytes:
        return f"yika/stored/1\n{self._title}\n{number}".encode()

    def _load(self, session: str) -> int:
        """Read the records; return how many bytes of the file are whole records."""
        if self._path.stat().st_size > STORED_BYTES_MAX:
            raise StoredOtherwise("size")
        blob = self._path.read_bytes()
        whole = 0
        past = self._past
        for sealed in _records(blob):
            whole += _LENGTH_BYTES + len(sealed)
            record = self._seal.unseal(sealed, self._place(self._records))
            self._records += 1
            kind, body = record[:1], record[1:]
            if kind == _TITLE and body != f"{self._title}\n{session}".encode():
                raise SessionLost
            if kind == _SENT:
                past.sent.append(body)
            elif kind == _ANSWER:
                past.answers.append(ResponseApdu(body[2:], int.from_bytes(body[:2], "big")))
            elif kind == _TAKEN:
                past.taken.append(body)
        if len(past.sent) > len(past.answers):
            raise AnswerUnknown(len(past.answers))
        return whole


def _records(blob: bytes) -> Iterator[bytes]:
    """Yield whole records; a cut last one is left out: its write never counted.

    >>> [record.hex() for record in _records(bytes.fromhex("0001AA 0002BB"))]
    ['aa']
    """
    offset = 0
    while offset + _LENGTH_BYTES <= len(blob):
        size = int.from_bytes(blob[offset : offset + _LENGTH_BYTES], "big")
        offset += _LENGTH_BYTES
        if offset + size > len(blob):
            return
        yield blob[offset : offset + size]
        offset += size


def run_stored(
    make: Callable[[Outside], Operation[T]], connection: Connection, stored: StoredRun
) -> T:
    """Drive an operation from where its file stands and remove the file when it is over.

    An operation is over when it returns, when it fails, and when the card leaves: what follows
    is then begun anew. Only the death of the process keeps the file.

    Args:
        make: Makes the operation afresh; what it needs from outside it takes through its argument.
        connection: Where the card is, in the session the file names.
        stored: The operation's file.

    Raises:
        CardError: Whatever the operation or the connection raises.
    """
    operation = make(stored)
    try:
        result = _drive(operation, connection, stored)
    except CardError:
        stored.remove()
        raise
    finally:
        operation.close()
    stored.remove()
    return result


def _drive(operation: Operation[T], connection: Connection, stored: StoredRun) -> T:
    try:
        command = next(operation)
        for _ in range(COMMANDS_MAX):
            command = operation.send(stored.exchange(command, connection))
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise ProtocolFault(f"more than {COMMANDS_MAX} commands")
