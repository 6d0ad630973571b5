# SPDX-License-Identifier: Apache-2.0
"""A PC/SC client of a few lines for the tests, and the images of issued cards."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from smartcard import scard

from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.psam import VirtualPsam
from tests.unit.hardware_mocks.cardos import issuing

# pcscd looks at each reader about every 0.4 s; a busy machine may take several times as long.
PRESENCE_TIMEOUT_S = 10.0
POLL_S = 0.02


class PcscFault(Exception):
    """A PC/SC call failed; carries its code."""

    def __init__(self, code: int) -> None:
        super().__init__(scard.SCardGetErrorMessage(code))
        self.code = code


def _checked(answer: Any) -> Any:
    code, *rest = answer if isinstance(answer, (list, tuple)) else (answer,)
    if code != scard.SCARD_S_SUCCESS:
        raise PcscFault(code)
    return rest[0] if len(rest) == 1 else rest


class Context:
    """One PC/SC context."""

    def __enter__(self) -> Self:
        self._handle = _checked(scard.SCardEstablishContext(scard.SCARD_SCOPE_USER))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        scard.SCardReleaseContext(self._handle)

    def readers(self) -> list[str]:
        """Return the names of all readers."""
        return list(_checked(scard.SCardListReaders(self._handle, [])))

    def present(self, reader: str) -> bool:
        """Whether a card is on the reader."""
        states = [(reader, scard.SCARD_STATE_UNAWARE)]
        ((_, state, _),) = _checked(scard.SCardGetStatusChange(self._handle, 0, states))
        return bool(state & scard.SCARD_STATE_PRESENT)

    def wait(self, reader: str, *, present: bool) -> float:
        """Wait until a card is there or gone; return the seconds it took."""
        start = time.monotonic()
        while self.present(reader) is not present:
            assert time.monotonic() - start < PRESENCE_TIMEOUT_S, f"{reader}: {present=} not seen"
            time.sleep(POLL_S)
        return time.monotonic() - start

    def connect(self, reader: str) -> Link:
        """Wait for a card and connect to it.

        What `present` tells may be the card before, which pcscd is about to miss: then it answers
        that there is none, and the next look tells about the next card.
        """
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        deadline = time.monotonic() + PRESENCE_TIMEOUT_S
        while True:
            self.wait(reader, present=True)
            try:
                card, protocol = _checked(
                    scard.SCardConnect(self._handle, reader, scard.SCARD_SHARE_SHARED, protocols)
                )
            except PcscFault as fault:
                if fault.code != scard.SCARD_E_NO_SMARTCARD or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)
            else:
                return Link(card, protocol)


class Link:
    """A connected card: bytes in, bytes out, as the card OS has it."""

    def __init__(self, card: Any, protocol: int) -> None:
        self._card = card
        self.protocol = protocol
        t0 = protocol == scard.SCARD_PROTOCOL_T0
        self._pci = scard.SCARD_PCI_T0 if t0 else scard.SCARD_PCI_T1

    def transmit(self, apdu: bytes) -> bytes:
        """Send one APDU and return data and status word.

        vpcd reports a card that left in mid-command as success without a single byte.
        """
        answer = bytes(_checked(scard.SCardTransmit(self._card, self._pci, list(apdu))))
        if not answer:
            raise PcscFault(scard.SCARD_W_REMOVED_CARD)
        return answer

    @property
    def atr(self) -> bytes:
        """The ATR as PC/SC reports it."""
        return bytes(_checked(scard.SCardStatus(self._card))[-1])

    def close(self) -> None:
        """Disconnect and leave the card as it is."""
        scard.SCardDisconnect(self._card, scard.SCARD_LEAVE_CARD)


def issue_card(path: Path) -> None:
    """Make the image of an issued card."""
    card = VirtualCard.blank(path=path)
    issuing.personalise(issuing.Session(card.transmit))
    card.power_off()


def issue_psam(path: Path) -> None:
    """Make the image of an issued PSAM."""
    psam = VirtualPsam(path)
    issuing.personalise_psam(issuing.Session(psam.transmit))
    psam.power_off()


def copy_card(template: Path, path: Path) -> None:
    """Copy an image; issuing anew for each test would only cost time."""
    shutil.copyfile(template, path)
