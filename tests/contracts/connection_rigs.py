# SPDX-License-Identifier: Apache-2.0
"""Ways to reach a card without PC/SC: in process, over a serial line, from a cassette."""

from __future__ import annotations

from pathlib import Path

from card.cassette import Player, Recorder
from card.errors import MuteCard
from card.operation import Connection
from card.psam import PsamCard
from card.readers import CardConnection
from card.readers.serial_ccid import Patience
from card.readers.serial_reader import SerialReader
from card.trace import Tape, Trace
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.serial_reader import Fault, Kind, SerialReaderMock, T0Card, T1Card
from hardware_mocks.serial_reader.sockets import Inserted
from keys.psam import Psam
from keys.store import FileKeyStore
from tests.contracts.connection_cards import in_process, issued_card, issued_psam

# Lines in this process answer in microseconds; a loaded machine gets a margin of thousands.
PATIENCE = Patience(reader_s=5.0)


class InProcessRig:
    """A virtual card in this process, contactless or T=0."""

    def __init__(self, store: FileKeyStore, *, contactless: bool) -> None:
        self.store = store
        self._contactless = contactless
        self._chip = issued_card(store, contactless=contactless)
        self._mute = False

    def power(self) -> CardConnection:
        """Reset the card."""
        self._mute = False
        self._chip.reset()
        return _Powered(self, self._chip, contactless=self._contactless)

    def psam(self) -> Psam:
        """Return a virtual PSAM in this process."""
        return PsamCard(in_process(issued_psam(self.store)))

    def pull(self) -> None:
        """Take its power away."""
        self._chip.power_off()

    def hush(self) -> None:
        """Let it ignore what it is sent."""
        self._mute = True

    @property
    def mute(self) -> bool:
        """Whether the card answers nothing."""
        return self._mute


class _Powered:
    """A connection in process with the answer to reset, that can fall silent."""

    def __init__(self, rig: InProcessRig, chip: VirtualCard, *, contactless: bool) -> None:
        self._rig = rig
        self._connection = in_process(chip, contactless=contactless)
        self.atr = chip.atr

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Pass the command on."""
        if self._rig.mute:
            raise MuteCard
        return self._connection.transmit(apdu)

    def close(self) -> None:
        """Hold nothing."""


class SerialRig:
    """A virtual card in a serial reader at the other end of a pseudo-terminal."""

    def __init__(self, store: FileKeyStore, mock: SerialReaderMock, model: str, card: str) -> None:
        self.store = store
        self._mock = mock
        self._t1 = card != "T=0"
        chip = issued_card(store, contactless=self._t1)
        self._card: Inserted = _T1_CARDS[card](chip) if self._t1 else T0Card(chip)
        mock.insert(self._card)
        self._reader = SerialReader(f"serial:{mock.path}?model={model}", PATIENCE)
        self._connection: CardConnection | None = None

    def power(self) -> Connection:
        """Connect anew."""
        if self._connection is not None:
            self._connection.close()
        assert self._reader.wait_card(0.0)
        self._connection = self._reader.connect()
        return self._connection

    def psam(self) -> Psam:
        """Return a virtual PSAM in this process."""
        return PsamCard(in_process(issued_psam(self.store)))

    def pull(self) -> None:
        """Take the card out of the reader."""
        self._mock.remove()

    def hush(self) -> None:
        """Let the card ignore the reader."""
        self._card.faults.plan(Fault.MUTE, 1_000)

    def close(self) -> None:
        """Let go of card and line."""
        if self._connection is not None:
            self._connection.close()
        self._reader.close()


_T1_CARDS = {
    "T=1": T1Card,
    "T=1 in small blocks with CRC": lambda chip: T1Card(chip, use_crc=True, ifsc=32),
}


class RecordingRig:
    """Any rig, with every connection on a tape of its own."""

    def __init__(self, inner: InProcessRig) -> None:
        self.store = inner.store
        self._inner = inner
        self._traces: list[Trace] = []

    def power(self) -> Connection:
        """Connect and record."""
        trace = Trace("contract", reveal=True)
        self._traces.append(trace)
        return Recorder(self._inner.power(), trace)

    def psam(self) -> Psam:
        """Return the inner rig's PSAM."""
        return self._inner.psam()

    def pull(self) -> None:
        """Take the card away."""
        self._inner.pull()

    def hush(self) -> None:
        """Let the card fall silent."""
        self._inner.hush()

    def tapes(self) -> list[Tape]:
        """Return what was recorded, connection by connection."""
        return [trace.tape() for trace in self._traces]


class CassetteRig:
    """Tapes instead of a card; what was pulled or silent at recording is so again."""

    def __init__(self, store: FileKeyStore, tapes: list[Tape]) -> None:
        self.store = store
        self._left = list(tapes)
        self._players: list[Player] = []

    def power(self) -> Connection:
        """Put in the next tape."""
        player = Player(self._left.pop(0))
        self._players.append(player)
        return player

    def psam(self) -> Psam:
        """Return a PSAM as fresh as the one at recording."""
        return PsamCard(in_process(issued_psam(self.store)))

    def pull(self) -> None:
        """Do nothing: it is on the tape."""

    def hush(self) -> None:
        """Do nothing: it is on the tape."""

    def finish(self) -> None:
        """Check that every tape was played to its end."""
        assert not self._left
        for player in self._players:
            player.finish()


def serial_mock(folder: Path, kind: Kind) -> SerialReaderMock:
    """Plug a virtual serial reader in."""
    return SerialReaderMock(folder / "ttyS-yika", kind)
