# SPDX-License-Identifier: Apache-2.0
"""A terminal on a bench: virtual cards in process, a real journal, a clock moved by hand."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from card.card_keys import CardKeys
from card.errors import CardRemoved
from card.operation import Connection, run
from card.personalise import CardData, personalise
from card.protocol import T0Connection
from card.psam import PsamCard
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from hardware_mocks.cardos import state
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.errors import CardGone
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.shell import ChipCard
from keys.identity import Identity
from keys.psam import Psam, SoftwarePsam
from keys.store import FileKeyStore
from swipe.event import Event
from swipe.frames import FILE_HEADER_SIZE, FileHeader, FrameKind, FrameReader
from swipe.notices import Config as ConfigNotice
from terminal.chain import Chain, Surroundings
from terminal.clock import Earlier, TerminalTime
from terminal.config import Config, TerminalSection
from terminal.desk import Desk, dpk_idx
from terminal.files import IDENTITY, JOURNAL
from terminal.journal import Journal
from terminal.notices import Notices, parse_config
from terminal.passport import Passport
from terminal.receipts import ServerKey
from terminal.recover import start_up
from terminal.station import earlier_time
from terminal.tap import Outcome, present
from tests.factories import (
    CHEAP,
    KEY_ID,
    PASSPHRASE,
    TERMINAL_ID,
    make_identity,
    make_store,
)
from tests.unit.terminal.clocks import HandClock

SOFT_NUMBER = bytes.fromhex("880000000002")
HARD_NUMBER = bytes.fromhex("880000000001")
SERVER_KEY_ID = 9
DRIFT_PPM = 50
TZ_Q = 32
SITE = 3


class InProcess:
    """A connection to a virtual card of this process."""

    def __init__(self, card: ChipCard) -> None:
        self._card = card

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send the bytes; a card that was torn away is a removed card."""
        try:
            answer = self._card.transmit(apdu)
        except CardGone as exc:
            raise CardRemoved from exc
        return answer[:-2], int.from_bytes(answer[-2:])


def connect(card: ChipCard) -> Connection:
    """Power the card and return a connection with whole answers."""
    card.power_on()
    return T0Connection(InProcess(card))


@cache
def keys_in(folder: Path) -> FileKeyStore:
    """Return the key store of a folder, made at the first call."""
    return make_store(folder / "keys.yika")


def asn(number: int) -> bytes:
    """Return the serial of the n-th card."""
    return bytes.fromhex(f"00005949{number:012d}")


@cache
def _issued(store: FileKeyStore, number: int, born: dt.date | None) -> bytes:
    card = VirtualCard()
    data = CardData(
        asn=asn(number),
        valid_from=dt.date(2026, 1, 1),
        valid_to=dt.date(2030, 12, 31),
        masked_name="林**",
        name="林晓燕",
        volunteer_number="1000000004",
        birth_date=born,
        minor_rules=born is not None,
    )
    run(personalise(data, CardKeys.from_store(store, data.asn, 1)), connect(card))
    return state.dump(card.memory.image)


def issue(
    store: FileKeyStore, number: int, born: dt.date | None = None, path: Path | None = None
) -> VirtualCard:
    """Return a volunteer card that was issued from blank, in RAM or in a file."""
    card = VirtualCard(path)
    card.memory.image = state.load(_issued(store, number, born))
    card.memory.commit()
    return card


def software_psam(folder: Path, store: FileKeyStore) -> SoftwarePsam:
    """Return the software PSAM of a folder, made at the first call."""
    path = folder / "psam"
    if not path.exists():
        store.export_software_psam(path, SOFT_NUMBER, PASSPHRASE, CHEAP)
    return SoftwarePsam.open(path, PASSPHRASE)


def psam_chip(store: FileKeyStore, path: Path | None = None) -> VirtualPsam:
    """Return a virtual PSAM that was issued from blank, in RAM or in a file."""
    chip = VirtualPsam(path)
    data = PsamData(bytes.fromhex("00005949990000000001"), HARD_NUMBER)
    run(personalise_psam(data, PsamKeys.from_store(store, data.serial, 1)), connect(chip))
    return chip


def hardware_psam(store: FileKeyStore) -> PsamCard:
    """Return an issued virtual PSAM behind its driver."""
    return PsamCard(connect(psam_chip(store)))


@dataclass
class Bench:
    """One terminal: folder, clock, keys, and the desk of the start in progress."""

    folder: Path
    store: FileKeyStore
    psam: Psam
    clock: HandClock = field(default_factory=HandClock)
    server: Identity = field(default_factory=lambda: make_identity("server"))
    identity: Identity = field(default_factory=make_identity)
    terminal_id: int = TERMINAL_ID

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        if not self.journal_path.exists():
            header = FileHeader(self.terminal_id, KEY_ID, self.identity.public_key)
            Journal.create(self.journal_path, header)
            self.identity.save(self.folder / IDENTITY)
            self.passport.save(self.folder)
        self.desk = self.start()

    @property
    def journal_path(self) -> Path:
        """Return the journal's file."""
        return self.folder / JOURNAL

    @property
    def passport(self) -> Passport:
        """Return what enrolment would have given."""
        public = self.server.public_key.hex()
        return Passport(
            self.terminal_id, KEY_ID, SERVER_KEY_ID, public, SITE, "莲花山", "Lianhua", TZ_Q
        )

    @property
    def config(self) -> Config:
        """Return a configuration that points at the folder."""
        return Config(terminal=TerminalSection(name="gate", data_dir=str(self.folder)))

    @property
    def server_key(self) -> ServerKey:
        """Return the pinned key."""
        return ServerKey(SERVER_KEY_ID, self.server.public_key)

    def start(self) -> Desk:
        """Start the terminal once more on what is on the disk."""
        journal = Journal.open(self.journal_path)
        earlier = earlier_time(journal.state)
        if journal.state.receipt is None:  # most tests want a clock that is right
            earlier = Earlier(0, self.clock.utc_ms() - 1000, 0)
        time = TerminalTime(self.clock, DRIFT_PPM, earlier)
        chain = Chain(journal, self.identity, time, journal.state.boot + 1)
        chain.around = Surroundings(
            site=SITE, tz_q=TZ_Q, psam_no=self.psam.number, dpk_idx=dpk_idx(self.psam)
        )
        start_up(chain, bytes(8))
        self.desk = Desk(chain, self.psam, Notices(self.folder, self.server_key, self.terminal_id))
        return self.desk

    def tap(self, card: ChipCard) -> Outcome:
        """Present a card."""
        return present(self.desk, connect(card))

    def configure(self, notice: ConfigNotice) -> None:
        """Put a configuration into use without a server."""
        self.desk.notices.config = parse_config(notice)

    def events(self) -> list[Event]:
        """Return all events of the journal file."""
        return [Event.from_bytes(body) for body in self.frames(FrameKind.EVENT)]

    def frames(self, kind: FrameKind) -> list[bytes]:
        """Return the bodies of all frames of a kind in the journal file."""
        with self.journal_path.open("rb") as file:
            file.seek(FILE_HEADER_SIZE)
            return [item.body for item in FrameReader(file) if item.kind == kind]
