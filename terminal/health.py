# SPDX-License-Identifier: Apache-2.0
"""How this terminal is doing: the self-checks of its parts, and the figures the server is told."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from swipe import payloads
from swipe.event import Event
from swipe.kinds import EventType, TamperKind
from terminal.config import Config
from terminal.devices.protocols import Device, DeviceState
from terminal.journal import Journal
from terminal.releases import slots
from terminal.report import Report
from terminal.room import LATELY_S, days_left, grown_lately
from terminal.station import Station, firmware_hash

# A journal that could not be brought back for this long will not come back in this process.
JOURNAL_PATIENCE_MS = 60_000
THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
PROC = Path("/proc/self")
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
# What a device says of itself; anything longer is garbage.
WORD_MAX = 32
# Of the events that tell of tampering; a clock that is set at each start gives one each.
TAMPERS_MAX = 64


class JournalCheck:
    """Read the newest event back from the disk and hold it against the chain."""

    def __init__(self, journal: Journal, now_ms: Callable[[], int]) -> None:
        self._journal = journal
        self._now_ms = now_ms
        self._failed_since: int | None = None

    def __call__(self) -> str:
        """Return what is wrong, or nothing; a failure that is being healed is given a minute."""
        if self._journal.failed:
            now_ms = self._now_ms()
            self._failed_since = now_ms if self._failed_since is None else self._failed_since
            if now_ms - self._failed_since >= JOURNAL_PATIENCE_MS:
                return "not writable"
            return ""
        self._failed_since = None
        return self._read_back()

    def _read_back(self) -> str:
        state = self._journal.state
        seq = self._journal.durable_seq
        if seq != state.last_seq or not seq or not state.kinds[seq - 1]:
            return ""  # nothing durable to compare with, or a number that was skipped
        try:
            raw = self._journal.event(seq)
        except KeyError:
            return f"event {seq} cannot be read"
        if state.suite.digest(raw) != state.head:
            return f"event {seq} is not what was written"
        return ""


@dataclass(slots=True)
class Vitals:
    """What the loop knows of the devices, kept up by it and read by whoever reports."""

    reader: str = "ok"
    psam: str = "ok"
    devices: dict[str, Callable[[], str]] = field(default_factory=dict)

    def watch(self, name: str, device: Device) -> None:
        """Ask a device for its state whenever somebody wants to know."""

        def ask() -> str:
            try:
                return str(device.state)
            except OSError:  # a report ends no clocking
                return str(DeviceState.FAULT)

        self.devices[name] = ask

    def __call__(self) -> dict[str, str]:
        """Return one word for each device."""
        words = {name: ask()[:WORD_MAX] for name, ask in self.devices.items()}
        return {"reader": self.reader, "psam": self.psam, **words}


def figures(config: Config, station: Station, vitals: Vitals, slot: str = slots.BASE) -> Report:
    """Return what the server is told: counts, versions, parts, machine; no names, no serials.

    `slot` is the one this program was started from; without a launcher that is the base.
    """
    chain = station.chain
    state, reading = chain.journal.state, chain.time.now()
    release, named = slots.release_of(config.update_dir, slot)
    switch = slots.load(config.update_dir)
    return {
        "utc_ms": reading.utc_ms,
        "uptime_s": reading.uptime_ms // 1000,
        "boot": chain.boot,
        "version": named or package_version(),
        "release": release,
        "slot": slot or slots.BASE,
        "update_trial": switch.trial,
        "update_failed": list(switch.failed),
        "below_floor": release < switch.floor,
        "firmware": firmware_hash().hex(),
        "events": state.events,
        "unsent": state.unsent,
        "receipts_unseen": station.uplink.unseen,
        "oldest_unsent_s": _oldest_unsent_s(chain.journal, reading.utc_s),
        "last_tap_s": _last_tap_s(chain.journal, reading.utc_s),
        "journal": "failed" if chain.journal.failed else "clean",
        "rolled_back_s": rolled_back_s(chain.journal, reading.utc_s),
        "config_version": state.cfg_ver,
        "hotlist_version": state.hot_ver,
        "clock": "known" if reading.known else "unknown",
        "clock_uncertainty_ms": reading.unc_ms,
        **vitals(),
        **machine(config.data_dir),
        **_room(config.data_dir, chain.journal, reading.utc_s),
    }


def machine(data_dir: Path) -> Report:
    """Return what Linux says of the box; what it does not say is left out."""
    found: dict[str, Any] = {}
    with contextlib.suppress(OSError):
        usage = shutil.disk_usage(data_dir)
        found["disk_free_mb"] = usage.free // 1_000_000
        found["disk_used_percent"] = round(100 * (usage.total - usage.free) / usage.total)
    with contextlib.suppress(OSError, ValueError):
        found["temperature_c"] = int(THERMAL.read_text()) / 1000
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int((PROC / "statm").read_text().split()[1])
        found["rss_mb"] = round(pages * PAGE_SIZE / 1_000_000, 1)
        found["handles"] = len(list((PROC / "fd").iterdir()))
    return found


def _room(data_dir: Path, journal: Journal, utc_s: int) -> Report:
    """Return how long the disk lasts at the present rate of taps; nothing where that is unknown."""
    with contextlib.suppress(OSError):
        days = days_left(shutil.disk_usage(data_dir).free, *grown_lately(journal, utc_s))
        return {} if days is None else {"disk_days_left": days}
    return {}


def package_version() -> str:
    """Return the version of the installed package, for a program that runs from no slot."""
    try:
        return version("yika")
    except PackageNotFoundError:
        return "unknown"


def rolled_back_s(journal: Journal, utc_s: int) -> int | None:
    """Return how long ago a start found that the journal had lost its end; None if none lately.

    Somebody put back an older copy, or a bad sector took the newest events.
    """
    kinds, end = journal.state.kinds, len(journal.state.kinds)
    for _ in range(TAMPERS_MAX):
        end = kinds.rfind(EventType.TAMPER, 0, end)
        event = journal.recall(end + 1) if end >= 0 else None
        if event is None or event.utc_s < utc_s - LATELY_S:
            return None
        if payloads.parse(event.type, event.payload)["kind"] == TamperKind.ROLLBACK:
            return max(0, utc_s - event.utc_s)
    return None


def _oldest_unsent_s(journal: Journal, utc_s: int) -> int:
    state = journal.state
    for seq in range(state.covered + 1, state.last_seq + 1):
        if state.kinds[seq - 1]:
            return _age_s(journal, seq, utc_s) or 0
    return 0


def _last_tap_s(journal: Journal, utc_s: int) -> int | None:
    last = max((trace.seq for trace in journal.state.cards.values()), default=0)
    return _age_s(journal, last, utc_s) if last else None


def _age_s(journal: Journal, seq: int, utc_s: int) -> int | None:
    """Return the age of an event in seconds, None if the disk does not give it."""
    try:
        return max(0, utc_s - Event.from_bytes(journal.event(seq)).utc_s)
    except KeyError:
        return None
