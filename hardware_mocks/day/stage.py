# SPDX-License-Identifier: Apache-2.0
"""Build the stage: readers, keys, server, terminals with their devices, each to be taken down."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from card.readers.winscard import EVENT_SHIFT, STATE_PRESENT, STATE_UNAWARE, Context
from hardware_mocks.clock import DayClock
from hardware_mocks.day import keyroom
from hardware_mocks.day.furnish import SECOND, Ordered
from hardware_mocks.day.issue import PSAM_NUMBERS, READER_TIMEOUT_S, ReaderSilent
from hardware_mocks.day.play import PostStage
from hardware_mocks.day.programs import Program, Programs
from hardware_mocks.keypad import Keypad
from hardware_mocks.lcd import Lcd
from hardware_mocks.link import Link
from hardware_mocks.pcsc import PcscStack
from keys.custody import KeyStore
from keys.psam import Psam, SoftwarePsam
from server.config import Config as ServerConfig
from server.config import DataSection
from server.db import Database
from server.runtime import initialise_files
from server.terminals import enrolment
from terminal.provision import provision
from terminal.psam_slot import PsamSlot, open_psam
from terminal.transport import HttpTransport

HOST = "127.0.0.1"
SERVER_START_TIMEOUT_S = 60.0  # the first start compiles the rules
TERMINAL_TIMEOUT_S = 10
PASSPHRASE_BYTES = 24
LAUNCH = (sys.executable, "-m", "hardware_mocks.day.launch")
COME_AND_GONE = 2  # one insertion and one removal
HARDWARE_PSAMS = ("A",)
SOFTWARE_PSAM = "psam-b.yks"


class PortTaken(RuntimeError):
    """Somebody else listens where the server should."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"端口 {port} 已被占用 / port {port} is taken: end the program that uses it, "
            f"or choose another with --port"
        )


@dataclass(slots=True)
class Premises:
    """What everything on the stage has in common."""

    folder: Path
    clock: DayClock
    stack: PcscStack
    programs: Programs
    passphrase: str
    port: int
    keys: str = "file"

    @property
    def key_store(self) -> str:
        """Return the name of the store with the issuer's keys."""
        return keyroom.name_of(self.keys, self.folder)


def new_passphrase() -> str:
    """Return a passphrase for this day's files; nobody needs to know it."""
    return secrets.token_urlsafe(PASSPHRASE_BYTES)


def check_port(port: int) -> None:
    """Raise PortTaken unless the port can be listened on."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as exc:
            raise PortTaken(port) from exc


def start_server(premises: Premises, database_url: str) -> Program:
    """Start the server on the day clock; secrets go by environment, never by argument."""
    data_dir = premises.folder / "server"
    initialise_files(ServerConfig(data=DataSection(dir=data_dir)))
    config = premises.folder / "server.toml"
    config.write_text(
        f'[data]\ndir = "{data_dir}"\n\n[http]\nhost = "{HOST}"\nport = {premises.port}\n\n'
        f'[keys]\nstore = "{premises.key_store}"\n\n[worker]\ninterval_ms = 200\n\n'
        f'[outbox]\nprovider = "folder"\n',
        encoding="utf-8",
    )
    return premises.programs.start(
        "server",
        [*LAUNCH, "server", str(premises.clock.path), str(config)],
        {"YIKA_KEYS_PASSPHRASE": premises.passphrase, "YIKA_DATABASE_URL": database_url},
    )


def await_server(server: Program, port: int) -> None:
    """Wait until the server says that it is ready."""
    limit = time.monotonic() + SERVER_START_TIMEOUT_S
    while not _is_ready(port):
        server.check()
        if time.monotonic() > limit:
            raise TimeoutError(f"the server is not ready after {SERVER_START_TIMEOUT_S:.0f} s")
        time.sleep(0.05)


def _is_ready(port: int) -> bool:
    with contextlib.closing(http.client.HTTPConnection(HOST, port, timeout=5)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False


@dataclass(slots=True)
class TerminalSwitch:
    """The power switch of one terminal program."""

    name: str
    premises: Premises
    config: Path
    program: Program | None = None

    def switch_on(self, *, wall_offset_ms: int) -> None:
        """Start the program with a clock that is ahead by the offset."""
        clock = [str(self.premises.clock.path), str(wall_offset_ms)]
        argv = [*LAUNCH, "terminal", *clock, "--config", str(self.config), "run", "--verbose"]
        environment = {"YIKA_PSAM_PASSPHRASE": self.premises.passphrase}
        self.program = self.premises.programs.start(self.name, argv, environment)

    def cut_off(self) -> None:
        """Take the power away."""
        assert self.program is not None
        self.program.kill()

    def check(self) -> None:
        """Raise if the program has ended by itself."""
        if self.program is not None:
            self.program.check()


def build_post(premises: Premises, letter: str, devices: contextlib.ExitStack) -> PostStage:
    """Set up one terminal's devices, cable and configuration; nothing is switched on."""
    name = f"pos-{letter.lower()}"
    lcd = devices.enter_context(Lcd().running())
    keypad = devices.enter_context(Keypad().running())
    link = devices.enter_context(Link(premises.port).running())
    config = premises.folder / f"{name}.toml"
    config.write_text(
        f'[terminal]\nname = "POS {letter}"\ndata_dir = "{data_dir(premises.folder, letter)}"\n\n'
        f'[server]\nurl = "{link.url}"\ntimeout_s = {TERMINAL_TIMEOUT_S}\n\n'
        f'[reader]\ncard = "pcsc:{premises.stack.reader_of(name)}"\n'
        f'psam = "{_psam_name(premises, letter)}"\n\n'
        f'[display]\ndevice = "tty:{lcd.device}"\n\n[keypad]\ndevice = "tty:{keypad.device}"\n',
        encoding="utf-8",
    )
    switch = TerminalSwitch(name, premises, config)
    watch = devices.enter_context(contextlib.closing(Watch(premises.stack.reader_of(name))))
    return PostStage(name, lcd, keypad, link, switch, watch)


def data_dir(folder: Path, letter: str) -> Path:
    """Return the data folder of a terminal."""
    return folder / f"terminal-{letter.lower()}"


class Watch:
    """Watches one reader by PC/SC, as its light would show: is a card there or not?

    It counts insertions and removals as pcscd does. The state alone is not enough: it says "empty"
    as soon as a reset fails, before pcscd has noticed that the card is gone, and a card put there
    in between would never be seen.
    """

    def __init__(self, reader: str) -> None:
        self._reader = reader
        self._context = Context()
        self._events = 0

    def note_empty(self) -> None:
        """Remember the count before a card is put there."""
        self._events = self._state(STATE_UNAWARE, 0) >> EVENT_SHIFT

    def await_removal(self) -> None:
        """Wait until a card has come and gone since `note_empty`."""
        limit = time.monotonic() + READER_TIMEOUT_S
        state = self._state(STATE_UNAWARE, 0)
        while (state >> EVENT_SHIFT) - self._events < COME_AND_GONE or state & STATE_PRESENT:
            left_ms = round((limit - time.monotonic()) * 1000)
            if left_ms <= 0:
                raise ReaderSilent(self._reader, "removal")
            state = self._state(state, left_ms)

    def close(self) -> None:
        """Give the session with PC/SC back."""
        self._context.close()

    def _state(self, known: int, timeout_ms: int) -> int:
        return self._context.wait(self._reader, known, timeout_ms)


def enrol(
    premises: Premises, database: Database, store: KeyStore, letter: str, ordered: Ordered
) -> None:
    """Enrol a terminal: it shows its key and PSAM with its token, a second person approves."""
    path = premises.folder / SOFTWARE_PSAM
    if letter not in HARDWARE_PSAMS:
        store.export_software_psam(path, PSAM_NUMBERS[letter], premises.passphrase)
    psam = open_psam(_psam_name(premises, letter), premises.passphrase)
    try:
        transport = HttpTransport(f"http://{HOST}:{premises.port}", TERMINAL_TIMEOUT_S)
        provision(data_dir(premises.folder, letter), psam, ordered.token, transport)
    finally:
        _let_go(psam)
    with database.writing() as session:
        enrolment.approve(session, ordered.terminal_id, SECOND, premises.clock.utc_ms())


def _let_go(psam: Psam) -> None:
    if isinstance(psam, PsamSlot):
        psam.release()
    elif isinstance(psam, SoftwarePsam):
        psam.close()


def _psam_name(premises: Premises, letter: str) -> str:
    if letter in HARDWARE_PSAMS:
        return f"pcsc:{premises.stack.reader_of(f'psam-{letter.lower()}')}"
    return f"soft:{premises.folder / SOFTWARE_PSAM}"
