# SPDX-License-Identifier: Apache-2.0
"""The reader: a thread that answers frames on the master end of a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import tty
from functools import reduce
from operator import xor
from pathlib import Path
from types import TracebackType
from typing import Self

from hardware_mocks.serial_reader.faults import Fault, Faults
from hardware_mocks.serial_reader.kinds import GEMPC_TWIN, Kind
from hardware_mocks.serial_reader.sockets import Inserted, runs

ACTIVE, INACTIVE, ABSENT = 0, 1, 2
FAILED, MORE_TIME = 0x40, 0x80
MUTE_CARD, NO_SLOT, UNKNOWN = 0xFE, 0x05, 0x00
NAK = bytes.fromhex("031516")
PUT_IN, TAKEN_OUT = bytes.fromhex("5003"), bytes.fromhex("5002")
JOIN_TIMEOUT_S = 5.0
FRAME_BYTES_MAX = 274
TIME_REQUESTS = 3
_ANSWERS = {0x62: 0x80, 0x63: 0x81, 0x65: 0x81, 0x61: 0x82, 0x6B: 0x83, 0x6F: 0x80}


class SerialReaderMock:
    """One reader that can be unplugged and plugged in again; `path` stays the same.

    Args:
        path: Where the device appears: a symbolic link to the pseudo-terminal.
        kind: What reader it is.
    """

    def __init__(self, path: Path, kind: Kind = GEMPC_TWIN) -> None:
        self.path = path
        self.faults = Faults()
        self.received: list[bytes] = []
        self._kind = kind
        self._lock = threading.RLock()
        self._cards: dict[int, Inserted] = {}
        self._powered: set[int] = set()
        self._notices = False
        self._unread = b""  # movements wait until the host speaks: synchronous mode
        self._last = b""
        self._master = -1
        self._thread: threading.Thread | None = None
        self.plug()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.unplug()

    def plug(self) -> None:
        """Plug the reader in: the device appears."""
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self._notices, self._unread, self._last = False, b"", b""
        self._powered.clear()
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.symlink_to(os.ttyname(slave))
        fresh.replace(self.path)
        self._wake, self._alarm = os.pipe()
        self._thread = threading.Thread(target=self._serve, args=(slave,), daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Unplug it: the device goes away, cards lose their power."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        os.write(self._alarm, b"!")
        thread.join(JOIN_TIMEOUT_S)
        for end in (self._wake, self._alarm):
            os.close(end)
        self.path.unlink(missing_ok=True)
        with self._lock:
            for card in self._cards.values():
                card.power_off()

    def insert(self, card: Inserted, slot: int = 0) -> None:
        """Put a card into a slot."""
        with self._lock:
            assert slot not in self._cards, "the slot is taken"
            self._cards[slot] = card
            self._move(slot, PUT_IN)

    def remove(self, slot: int = 0) -> None:
        """Take the card out of a slot, also in the middle of a command."""
        with self._lock:
            self._cards.pop(slot).power_off()
            self._powered.discard(slot)
            self._move(slot, TAKEN_OUT)

    def _move(self, slot: int, notice: bytes) -> None:
        if slot == 0 and self._notices:
            self._unread += notice

    def _serve(self, slave: int) -> None:
        # The slave end stays open here, so that a host may close and open it at will.
        buffer = b""
        while True:
            ready, _, _ = select.select([self._master, self._wake], [], [])
            if self._wake in ready:
                break
            buffer += os.read(self._master, FRAME_BYTES_MAX)
            buffer = self._consume(buffer)
        os.close(slave)
        os.close(self._master)

    def _consume(self, buffer: bytes) -> bytes:
        """Answer whole frames; return what is left over."""
        while buffer:
            if buffer.startswith(NAK):
                self._send_last()
                buffer = buffer[len(NAK) :]
            elif not buffer.startswith((b"\x03\x06", b"\x03\x15", b"\x03")):
                buffer = buffer[1:]
            elif len(buffer) < 7 or len(buffer) < (size := self._size(buffer)):
                break
            else:
                self._take(buffer[:size])
                buffer = buffer[size:]
        return buffer

    @staticmethod
    def _size(buffer: bytes) -> int:
        return 2 + 10 + int.from_bytes(buffer[3:7], "little") + 1

    def _take(self, frame: bytes) -> None:
        with self._lock:
            if self.faults.strikes(Fault.LOST_COMMAND):
                return
            if reduce(xor, frame) or self.faults.strikes(Fault.NAK):
                self._send(NAK)
                return
            if self._kind.echoes:
                self._send(_spoilt(frame) if self.faults.strikes(Fault.BAD_ECHO) else frame)
            message = frame[2:-1]
            self.received.append(message)
            answer = self._execute(message)
            self._send(self._unread)
            self._unread = b""
            self._last = _framed(answer)
            self._deliver(message)

    def _deliver(self, message: bytes) -> None:
        if self.faults.strikes(Fault.NOISE):
            self._send(b"\x41\x50\x02\x99")
            return  # the answer is drowned; the host has to ask for it
        if self.faults.strikes(Fault.LATE):
            self._ask_for_time(message)
        self._send_last()

    def _send_last(self) -> None:
        if self.faults.strikes(Fault.LOST_ANSWER):
            return
        if self.faults.strikes(Fault.LOST_BYTE):
            self._send(self._last[:4] + self._last[5:])
        elif self.faults.strikes(Fault.BAD_LRC):
            self._send(_spoilt(self._last))
        else:
            self._send(self._last)

    def _ask_for_time(self, message: bytes) -> None:
        """Single bytes, and a message with the time extension bit: hosts take both."""
        self._send(b"\x80\xff\x90")
        head = bytes((0x80, 0, 0, 0, 0, message[5], message[6], MORE_TIME, 2, 0))
        for _ in range(TIME_REQUESTS):
            self._send(_framed(head))

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._master, data) :]

    def _execute(self, message: bytes) -> bytes:
        kind, slot, data = message[0], message[5], message[10:]
        if slot >= self._kind.slots:
            return self._answer(message, FAILED | ABSENT, NO_SLOT)
        if kind == 0x62:
            return self._power_on(message, slot)
        if kind == 0x63:
            self._powered.discard(slot)
            if slot in self._cards:
                self._cards[slot].power_off()
        elif kind == 0x6F:
            return self._transfer(message, slot, data)
        elif kind == 0x6B:
            return self._escape(message, data)
        elif kind == 0x61:
            return self._answer(message, self._state(slot), data=data, own=message[7])
        elif kind != 0x65:
            return self._answer(message, FAILED | self._state(slot), UNKNOWN)
        return self._answer(message, self._state(slot))

    def _power_on(self, message: bytes, slot: int) -> bytes:
        card = self._cards.get(slot)
        if card is None:
            return self._answer(message, FAILED | ABSENT, MUTE_CARD)
        if card.faults.strikes(Fault.MUTE):
            return self._answer(message, FAILED | INACTIVE, MUTE_CARD)
        atr = card.power_on()
        self._powered.add(slot)
        return self._answer(message, ACTIVE, data=atr)

    def _transfer(self, message: bytes, slot: int, data: bytes) -> bytes:
        state = self._state(slot)
        if state != ACTIVE:
            return self._answer(message, FAILED | state, MUTE_CARD)
        answer = runs(self._cards[slot], data)
        if answer is None:  # pulled in the middle
            self.remove(slot)
            return self._answer(message, FAILED | ABSENT, MUTE_CARD)
        if not answer:
            return self._answer(message, FAILED | ACTIVE, MUTE_CARD)
        return self._answer(message, ACTIVE, data=answer)

    def _escape(self, message: bytes, data: bytes) -> bytes:
        if data == b"\x02":
            return self._answer(message, self._state(0), data=self._kind.firmware)
        if data == b"\x01\x01\x01":
            self._notices = True
            return self._answer(message, self._state(0))
        return self._answer(message, FAILED | self._state(0), UNKNOWN)

    def _state(self, slot: int) -> int:
        if slot not in self._cards:
            return ABSENT
        return ACTIVE if slot in self._powered else INACTIVE

    @staticmethod
    def _answer(
        message: bytes, status: int, error: int = 0, data: bytes = b"", own: int = 0
    ) -> bytes:
        head = bytes([_ANSWERS.get(message[0], 0x81)]) + len(data).to_bytes(4, "little")
        return head + message[5:7] + bytes((status, error, own)) + data


def _framed(message: bytes) -> bytes:
    body = b"\x03\x06" + message
    return body + bytes([reduce(xor, body)])


def _spoilt(frame: bytes) -> bytes:
    return frame[:-1] + bytes([frame[-1] ^ 0x55])
