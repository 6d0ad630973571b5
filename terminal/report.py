# SPDX-License-Identifier: Apache-2.0
"""What `status` tells: read from the journal, also while the program writes it."""

from __future__ import annotations

from typing import Any

from swipe.event import EVENT_SIZE, Event
from swipe.kinds import PROVEN_TYPES, EventType
from terminal.config import Config
from terminal.files import JOURNAL
from terminal.journal import Repair, read_only
from terminal.passport import Passport
from terminal.scan import EVENT_AT
from terminal.state import State

Report = dict[str, Any]


def read_report(config: Config, now_ms: int) -> Report:
    """Return the figures of a terminal.

    Raises:
        NotProvisioned, JournalForeign: As they say.
    """
    passport = Passport.load(config.data_dir)
    _, state, repair = read_only(config.data_dir / JOURNAL)
    return {
        "terminal": passport.terminal_id,
        "name": config.terminal.name,
        "site": passport.site_zh,
        **figures(state),
        "oldest_unsent_s": _oldest_unsent_s(config, state, now_ms),
        "journal": "clean" if _is_clean(repair) else "tail damaged",
    }


def figures(state: State) -> Report:
    """Return the counts the journal holds; system events are included."""
    receipt = state.receipt
    counts = {kind: state.kinds.count(kind) for kind in EventType}
    taps = sum(counts[kind] for kind in PROVEN_TYPES - {EventType.TORN_RESOLVED})
    return {
        "events_journaled": state.events,
        "events_acknowledged": state.events - state.unsent,
        "unsent": state.unsent,
        "taps": taps + counts[EventType.REJECTED],
        "in": state.n_in,
        "out": state.n_out,
        "rejected": state.n_rej,
        "torn_open": state.torn,
        "torn_resolved": state.n_resolved,
        "boots": counts[EventType.BOOT],
        "receipts": state.receipts,
        "last_receipt_ms": None if receipt is None else receipt.srv_utc_ms,
        "gap": None if receipt is None or receipt.missing is None else receipt.up_to_seq + 1,
        "config_version": state.cfg_ver,
        "hotlist_version": state.hot_ver,
        "mode": state.mode.name.lower(),
        "service_open": state.service_open,
    }


def _oldest_unsent_s(config: Config, state: State, now_ms: int) -> int:
    waiting = [seq for seq in range(state.covered + 1, state.last_seq + 1) if state.kinds[seq - 1]]
    if not waiting:
        return 0
    with (config.data_dir / JOURNAL).open("rb") as file:
        file.seek(state.offsets[waiting[0] - 1] + EVENT_AT)
        oldest = Event.from_bytes(file.read(EVENT_SIZE))
    return max(0, now_ms // 1000 - oldest.utc_s)


def _is_clean(repair: Repair) -> bool:
    return repair.cut_bytes == 0 and repair.state == 0
