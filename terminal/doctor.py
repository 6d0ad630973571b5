# SPDX-License-Identifier: Apache-2.0
"""What is wrong with this terminal, part by part: found, expected, and the next step.

Nothing is changed, and every part is looked at whatever the others say. It may be run beside the
program: what only one process can hold (a PSAM in its slot) is then reported as in use.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from card import doctor as cards
from card.errors import CardError, NoCard
from keys.errors import KeysError
from keys.identity import Identity
from terminal.config import Config
from terminal.doctor_words import Words, words
from terminal.errors import AlreadyRunning, IdentityLost, JournalMissing, Refused, TerminalError
from terminal.files import CONFIG, HOTLIST, IDENTITY, JOURNAL, sole_writer
from terminal.journal import read_only
from terminal.notices import Notices
from terminal.passport import Passport
from terminal.psam_slot import SOFT, UNNAMED, open_psam
from terminal.releases import slots
from terminal.state import State
from terminal.transport import Request, Transport

KEYS_PATH = "/.well-known/yika-keys.json"
DISK_FREE_MIN_MB = 64
DISK_USED_MAX_PERCENT = 80
CLOCK_OFF_MAX_S = 300
TTY, NONE = "tty:", "none"
DEVICES = ("display", "keypad", "printer", "gps", "scanner")


@dataclass(frozen=True, slots=True)
class Finding:
    """One part: whether it is fine, what was found, what is expected, and what to do next.

    Expectation and next step are (Chinese, English); the next step is empty where all is well.
    """

    part: str
    fine: bool
    found: str
    expected: tuple[str, str]
    next_step: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Around:
    """What the doctor reaches through: the server, the PSAM's passphrase, the readers."""

    transport: Transport
    passphrase: Callable[[], str] = str
    diagnose: Callable[..., list[cards.Diagnosis]] = cards.diagnose
    now_s: Callable[[], float] = time.time


def examine(config: Config, around: Around) -> list[Finding]:
    """Look at every part, in the order in which one depends on another."""
    return list(_examine(config, around))


def _examine(config: Config, around: Around) -> Iterator[Finding]:
    yield _finding("config", words("config"), "", config.terminal.name)
    running = _is_running(config)
    yield _reader(config, around)
    yield _psam(config, around, running=running)
    passport = _passport(config)
    yield _identity(config, passport)
    state, journal = _journal(config, passport)
    yield journal
    yield _disk(config)
    yield _notices(config, passport, state)
    answer, server = _server(around)
    yield server
    yield _pin(passport, answer)
    yield _clock(state, around)
    yield _update(config)
    for name in DEVICES:
        yield _device(name, getattr(config, name).device)


def _finding(part: str, text: Words, complaint: str, found: str) -> Finding:
    """Return what is to be told: with a complaint the next step, without one that all is well."""
    step = text.next_step if complaint else ("", "")
    return Finding(part, not complaint, complaint or found, text.expected, step)


def _is_running(config: Config) -> bool:
    try:
        with sole_writer(config.data_dir):
            return False
    except AlreadyRunning:
        return True
    except (TerminalError, OSError):
        return False


def _reader(config: Config, around: Around) -> Finding:
    name = config.reader.card
    text = words("reader")
    if name == UNNAMED:
        return _finding("reader", text, "not named: [reader] card", "")
    found = around.diagnose(0.0, only=[name])
    wrong = [one for one in found if not one.fine and one.code != NoCard.__name__]
    if not wrong:
        return _finding("reader", text, "", f"{name} ok")
    first = wrong[0]
    step = (first.advice.zh or text.next_step[0], first.advice.en or text.next_step[1])
    said = f"{first.check}: {first.meaning.zh} {first.meaning.en}"
    return Finding("reader", fine=False, found=said, expected=text.expected, next_step=step)


def _psam(config: Config, around: Around, *, running: bool) -> Finding:
    text, name = words("psam"), config.reader.psam
    if running:
        return _finding("psam", text, "", "in use by the program")
    try:
        psam = open_psam(name, around.passphrase() if name.startswith(SOFT) else "")
    except (TerminalError, CardError, KeysError) as exc:
        return _finding("psam", text, str(exc), "")
    kind = "hardware" if psam.hardware else "software, grade B at most"
    return _finding("psam", text, "", f"…{psam.number.hex()[-4:]} ({kind})")


def _passport(config: Config) -> Passport | None:
    try:
        return Passport.load(config.data_dir)
    except TerminalError:
        return None


def _identity(config: Config, passport: Passport | None) -> Finding:
    text, path = words("identity"), config.data_dir / IDENTITY
    if passport is None:
        return _finding("identity", text, "not enrolled", "")
    try:
        suite = Identity.load(path).suite.name
        open_to_others = path.stat().st_mode & 0o077
    except (KeysError, FileNotFoundError):
        lost = IdentityLost(str(path))
        return _finding("identity", Words(text.expected, lost.advice), str(lost), "")
    except OSError as exc:
        return _finding("identity", text, str(exc), "")
    complaint = f"{path} is open to others" if open_to_others else ""
    return _finding("identity", text, complaint, f"terminal {passport.terminal_id}, {suite}")


def _journal(config: Config, passport: Passport | None) -> tuple[State | None, Finding]:
    text = words("journal")
    try:
        header, state, repair = read_only(config.data_dir / JOURNAL)
    except JournalMissing as exc:
        never = passport is None  # what was begun and what is gone, the error itself knows
        step = words("identity") if never else Words(text.expected, exc.advice)
        return None, _finding("journal", step, "none yet" if never else str(exc), "")
    except (TerminalError, OSError) as exc:
        return None, _finding("journal", text, str(exc), "")
    complaint = ""
    if passport is not None and header.terminal_id != passport.terminal_id:
        complaint = f"belongs to terminal {header.terminal_id}"
    elif repair.state:
        complaint = repair.state.name.lower().replace("_", " ")
    return state, _finding("journal", text, complaint, f"{state.events} / unsent {state.unsent}")


def _disk(config: Config) -> Finding:
    text = words("disk")
    folder = config.data_dir  # before the box is enrolled, the place where it will be made
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        usage = shutil.disk_usage(folder)
        writable = os.access(folder, os.W_OK)
    except OSError as exc:
        return _finding("disk", text, f"{exc.filename}: {exc.strerror}", "")
    free_mb = usage.free // 1_000_000
    used = round(100 * (usage.total - usage.free) / usage.total)
    found = f"{free_mb} MB free, {used} % used"
    fine = writable and free_mb >= DISK_FREE_MIN_MB and used < DISK_USED_MAX_PERCENT
    complaint = found if writable else f"{folder} cannot be written"
    return _finding("disk", text, "" if fine else complaint, found)


def _notices(config: Config, passport: Passport | None, state: State | None) -> Finding:
    text = words("notices")
    told = state and state.receipt
    due = (CONFIG,) if told and not told.hot_ver else (CONFIG, HOTLIST)  # 0: no card listed yet
    missing = [name for name in due if not (config.data_dir / name).exists()]
    if passport is None or state is None or missing:
        return _finding("notices", text, f"none yet: {', '.join(missing) or 'not enrolled'}", "")
    notices = Notices(config.data_dir, passport.server_key, passport.terminal_id)
    wrong = notices.load(state.cfg_ver, state.hot_ver)
    found = f"config {notices.config.version}, hotlist {notices.hotlist.version}"
    return _finding("notices", text, "; ".join(map(str, wrong)), found)


def _server(around: Around) -> tuple[bytes, Finding]:
    text = words("server")
    try:
        answer = around.transport.send(Request("GET", KEYS_PATH))
    except Refused as exc:
        return b"", _finding("server", text, f"status {exc.status}", "")
    except TerminalError as exc:
        return b"", _finding("server", text, str(exc), "")
    return answer, _finding("server", text, "", "answers")


def _pin(passport: Passport | None, answer: bytes) -> Finding:
    """Hold the key that was pinned at enrolment against those the server shows."""
    text = words("pin")
    if passport is None or not answer:
        return _finding("pin", text, "", "nothing to compare")
    try:
        shown = {str(key["public_key"]) for key in json.loads(answer)["keys"]}
    except (ValueError, TypeError, KeyError):
        return _finding("pin", text, "the server's list of keys cannot be read", "")
    known = passport.server_public_key in shown
    return _finding("pin", text, "" if known else "the server shows another key", "the same key")


def _clock(state: State | None, around: Around) -> Finding:
    """Hold the device's clock against the last time the server signed: it cannot be earlier."""
    text = words("clock")
    if state is None or state.receipt is None:
        return _finding("clock", text, "no time signed by the server yet", "")
    behind_s = state.receipt.srv_utc_ms / 1000 - around.now_s()
    late = behind_s > CLOCK_OFF_MAX_S
    return _finding("clock", text, f"{behind_s:.0f} s behind" if late else "", "plausible")


def _update(config: Config) -> Finding:
    folder = config.update_dir
    switch = slots.load(folder)
    slot = slots.next_up(folder, switch)
    release, version = slots.release_of(folder, slot)
    complaint = ""
    if switch.active != slots.BASE and not slots.is_intact(folder / switch.active):
        complaint = f"slot {switch.active} is damaged, {slot} runs"
    found = f"{slot} release {release} {version}".strip()
    return _finding("update", words("update"), complaint, found)


def _device(name: str, device: str) -> Finding:
    text = words(name)
    if device == NONE:
        return _finding(name, text, "", "not configured")
    path = Path(device.partition(":")[2])
    if not path.exists():
        return _finding(name, text, f"{path} is not there", "")
    usable = os.access(path, os.R_OK | os.W_OK)
    return _finding(name, text, "" if usable else f"{path}: no permission", str(path))
