# SPDX-License-Identifier: Apache-2.0
"""The command that waits for cards: run."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import sys
import time
from pathlib import Path

import click

from terminal.cli.session import Session, passphrase
from terminal.config import Config
from terminal.decommission import Decommissioned, is_ended
from terminal.devices.mirror import Mirror
from terminal.devices.opening import open_devices, open_display
from terminal.devices.raster import Raster
from terminal.display import Display
from terminal.errors import AlreadyRunning, TerminalError
from terminal.files import JOURNAL
from terminal.journal import read_only
from terminal.links import open_transport
from terminal.modes.power_on import cannot_start
from terminal.passport import Passport
from terminal.program import Parts, Program
from terminal.psam_slot import open_named, open_psam

QUICK_S = 2.0  # one answer of the server while a card is held still
# Half a second: a whole picture of 2.4 kB at 115 200 baud takes 0.2 s.
SHOWN_TIMES, SHOWN_EVERY_S = 5, 0.1
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


@click.command()
@click.option("--verbose", "-v", is_flag=True, help="log every tap")
@click.option("--mirror", is_flag=True, help="draw the displays in this window, byte for byte")
@click.pass_obj
def run(session: Session, *, verbose: bool, mirror: bool) -> None:
    """Wait for cards until SIGTERM or Ctrl-C.

    Example: yika-terminal --config gate.toml run
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format=LOG_FORMAT, stream=sys.stderr
    )
    config = session.config()
    try:
        known = _known_psam(config)
    except TerminalError as exc:
        with contextlib.suppress(TerminalError, OSError):  # why it does not start comes first
            display = open_display(config.display)
            _leave(display, exc)
            display.close()
        raise
    devices = open_devices(config)
    parts = Parts(
        reader=open_named("card", config.reader.card),
        psam=open_psam(config.reader.psam, passphrase(config), known),
        transport=open_transport(config.server),
        quick=open_transport(config.server, QUICK_S),
        display=_mirrored(config, devices.display) if mirror else devices.display,
        keypad=devices.keypad,
        printer=devices.printer,
        scanner=devices.scanner,
        sounder=devices.sounder,
        gps=devices.gps,
        every_slip=config.printer.every_tap,
    )
    program = Program(config, session.clock, parts)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: program.stop())
    gc.collect()
    gc.freeze()  # what the start made stays: no later sweep looks through it
    try:
        program.run()
    except AlreadyRunning:  # the display is that program's
        raise
    except TerminalError as exc:
        with contextlib.suppress(OSError):
            _leave(parts.display, exc)
        raise


def _leave(display: Display, error: TerminalError) -> None:
    """Leave on the display why the program does not start: nobody reads a log at the gate.

    A display shows what its line takes now and the rest with later calls.
    """
    for _ in range(SHOWN_TIMES):
        display.show(cannot_start(error.short))
        time.sleep(SHOWN_EVERY_S)


def _mirrored(config: Config, display: Display) -> Display:
    """Draw what the display shows in this window too, the bitmap if its font is there."""
    font = Path(config.display.font)
    return Mirror(display, sys.stdout, Raster(font) if font.exists() else None)


def _known_psam(config: Config) -> bytes:
    """Return the PSAM number the journal knows: with it the terminal starts without its PSAM."""
    Passport.load(config.data_dir)
    _, state, _ = read_only(config.data_dir / JOURNAL)
    if is_ended(state):
        raise Decommissioned
    return state.own_psam_no


COMMANDS = (run,)
