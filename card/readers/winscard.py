# SPDX-License-Identifier: Apache-2.0
"""The PC/SC calls we use, with errors as exceptions. The only module that loads pyscard.

pyscard's own CardMonitor and connection classes are not used: they fall silent when the service
goes away. These are the plain calls of the PC/SC standard, which say so.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from card.errors import (
    CardError,
    CardRemoved,
    MuteCard,
    NoCard,
    NoDriver,
    NoPermission,
    NoReader,
    NoService,
    ReaderBusy,
    ReaderError,
)

T0 = 1
T1 = 2

# State bits of SCardGetStatusChange (PC/SC part 5).
STATE_UNAWARE = 0x0000
STATE_CHANGED = 0x0002
STATE_UNKNOWN = 0x0004
STATE_UNAVAILABLE = 0x0008
STATE_PRESENT = 0x0020
STATE_MUTE = 0x0200
EVENT_SHIFT = 16  # pcsc-lite counts insertions and removals above the state bits

PLUG_AND_PLAY = "\\\\?PnP?\\Notification"  # a reader that stands for changes of the reader list

_SUCCESS = 0
_TIMEOUT = 0x8010000A

# Codes by name in winscard.h; pcsc-lite's pcsclite.h gives the values.
_ERRORS: dict[int, type[CardError]] = {
    0x80100003: NoService,  # INVALID_HANDLE: the service was restarted under us
    0x80100009: NoReader,  # UNKNOWN_READER
    0x8010000B: ReaderBusy,  # SHARING_VIOLATION
    0x8010000C: NoCard,  # NO_SMARTCARD
    0x8010000F: MuteCard,  # PROTO_MISMATCH
    0x80100013: NoService,  # F_COMM_ERROR
    0x80100016: MuteCard,  # NOT_TRANSACTED
    0x80100017: NoReader,  # READER_UNAVAILABLE
    0x8010001D: NoService,  # NO_SERVICE
    0x8010001E: NoService,  # SERVICE_STOPPED
    0x80100027: NoPermission,  # NO_ACCESS
    0x8010002E: NoReader,  # NO_READERS_AVAILABLE
    0x80100066: MuteCard,  # UNRESPONSIVE_CARD
    0x80100067: MuteCard,  # UNPOWERED_CARD
    0x80100068: CardRemoved,  # RESET_CARD: somebody else reset it; what we selected is gone
    0x80100069: CardRemoved,  # REMOVED_CARD
    0x8010006A: NoPermission,  # SECURITY_VIOLATION
}


def _library() -> ModuleType:
    try:
        return importlib.import_module("smartcard.scard")
    except ImportError as exc:
        raise NoDriver(str(exc)) from exc


def _check(code: int, call: str) -> None:
    code &= 0xFFFFFFFF
    if code == _SUCCESS:
        return
    kind = _ERRORS.get(code, ReaderError)
    detail = f"{call} {code:08X}"
    raise kind(detail) if issubclass(kind, ReaderError) else kind()


class Context:
    """One session with the PC/SC service, for one thread.

    Args:
        library: Module with the calls of winscard.h; pyscard's by default.
    """

    def __init__(self, library: Any = None) -> None:
        self._scard = library or _library()
        code, self._handle = self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_USER)
        _check(code, "SCardEstablishContext")

    def close(self) -> None:
        """End the session; a service that is gone has ended it already."""
        self._scard.SCardReleaseContext(self._handle)

    def readers(self) -> list[str]:
        """Return the names of all readers."""
        code, names = self._scard.SCardListReaders(self._handle, [])
        try:
            _check(code, "SCardListReaders")
        except NoReader:
            return []
        return [str(name) for name in names]

    def wait(self, name: str, state: int, timeout_ms: int) -> int:
        """Wait until a reader's state differs from `state`; return what it is then.

        Raises:
            NoReader, NoService: It is not there.
        """
        code, found = self._scard.SCardGetStatusChange(self._handle, timeout_ms, [(name, state)])
        if code & 0xFFFFFFFF == _TIMEOUT:
            return state
        _check(code, "SCardGetStatusChange")
        event = int(found[0][1])
        if event & (STATE_UNKNOWN | STATE_UNAVAILABLE):
            raise NoReader(name)
        return event & ~STATE_CHANGED

    def wait_any(
        self, states: list[tuple[str, int]], timeout_ms: int
    ) -> list[tuple[int, bytes]] | None:
        """Wait until any of several readers differs from its state.

        Returns:
            State and answer to reset of each, in the order asked; None after the timeout.

        Raises:
            NoReader, NoService: One of them, or the service, is not there.
        """
        code, found = self._scard.SCardGetStatusChange(self._handle, timeout_ms, states)
        if code & 0xFFFFFFFF == _TIMEOUT:
            return None
        _check(code, "SCardGetStatusChange")
        return [(int(state), bytes(atr)) for _name, state, atr in found]

    def connect(self, name: str) -> Handle:
        """Power the card in a reader and take it exclusively."""
        code, handle, protocol = self._scard.SCardConnect(
            self._handle,
            name,
            self._scard.SCARD_SHARE_EXCLUSIVE,
            self._scard.SCARD_PROTOCOL_T0 | self._scard.SCARD_PROTOCOL_T1,
        )
        _check(code, "SCardConnect")
        return Handle(self._scard, handle, protocol)


class Handle:
    """One powered card."""

    def __init__(self, library: Any, handle: int, protocol: int) -> None:
        self._scard = library
        self._handle = handle
        self._take(protocol)

    def _take(self, protocol: int) -> None:
        self._pci = self._scard.SCARD_PCI_T0 if protocol == T0 else self._scard.SCARD_PCI_T1
        self.protocol = protocol

    def atr(self) -> bytes:
        """Return the answer to reset."""
        code, _name, _state, _protocol, atr = self._scard.SCardStatus(self._handle)
        _check(code, "SCardStatus")
        return bytes(atr)

    def transmit(self, tpdu: bytes) -> bytes:
        """Send bytes and return the card's."""
        code, response = self._scard.SCardTransmit(self._handle, self._pci, list(tpdu))
        _check(code, "SCardTransmit")
        return bytes(response)

    def power_again(self) -> None:
        """Take the power away and give it back: a card that came unnoticed is powered too."""
        scard = self._scard
        code, protocol = scard.SCardReconnect(
            self._handle,
            scard.SCARD_SHARE_EXCLUSIVE,
            scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1,
            scard.SCARD_UNPOWER_CARD,
        )
        _check(code, "SCardReconnect")
        self._take(protocol)

    def close(self, *, reset: bool) -> None:
        """Let go of the card, after a reset if it is still there.

        Resetting a card that has left fails, and pcscd (seen with 1.9.9) then misses the next
        card if that comes before it has looked again.
        """
        scard = self._scard
        disposition = scard.SCARD_RESET_CARD if reset else scard.SCARD_LEAVE_CARD
        scard.SCardDisconnect(self._handle, disposition)
