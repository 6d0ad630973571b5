# SPDX-License-Identifier: Apache-2.0
"""What the keys do: choose the mode, undo, announce a guardian, settle."""

from __future__ import annotations

from swipe.event import event_hash
from swipe.kinds import EventType
from terminal.chain import Chain
from terminal.desk import Desk, local_date
from terminal.keypad import Key
from terminal.policy import Mode, Say, may_void

MODES = {Key.AUTO: Mode.AUTO, Key.IN: Mode.IN, Key.OUT: Mode.OUT}


def press(desk: Desk, key: Key) -> Say:
    """Do what a key stands for and return what to say.

    Raises:
        NotSaved: The journal refused; nothing was done.
    """
    if key in MODES:
        set_mode(desk, MODES[key])
        return Say.MODE
    if key is Key.UNDO:
        return void_last(desk)
    if key is Key.GUARDIAN:
        desk.guardian_key_ms = desk.chain.time.uptime_ms()
        return Say.GUARDIAN_KEY
    close_period(desk.chain)
    return Say.SETTLING


def set_mode(desk: Desk, mode: Mode) -> None:
    """Open the service in this mode; pressing the key of the mode in force changes nothing."""
    state = desk.chain.journal.state
    if not state.service_open or state.mode is not mode:
        cfg_ver = desk.chain.around.cfg_ver
        desk.chain.record(EventType.OPEN, mode=mode, cfg_ver=cfg_ver)


def void_last(desk: Desk) -> Say:
    """Undo the terminal's last tap while that is allowed; the event says which tap it was."""
    chain = desk.chain
    state = chain.journal.state
    reading = chain.time.now()
    trace = state.trace(state.last_asn)
    last = trace.as_last(chain.boot, reading.uptime_ms, reading.utc_s)
    if last is None or not may_void(last, desk.rules):
        return Say.NOTHING_TO_VOID
    digest = event_hash(chain.journal.event(last.seq), chain.identity.suite)[:8]
    core = {"card_asn": state.last_asn}
    chain.record(EventType.VOID_LAST, core, voided_seq=last.seq, voided_hash=digest)
    return Say.VOIDED


def close_period(chain: Chain) -> None:
    """Close the service period with its totals, for both sides to compare."""
    state, period = chain.journal.state, chain.journal.state.period
    day = local_date(chain.time.now().utc_s, chain.around.tz_q)
    chain.record(
        EventType.CLOSE,
        n_in=period.n_in,
        n_out=period.n_out,
        n_rej=period.n_rej,
        first_seq=period.first_seq,
        last_seq=state.last_seq,
        day=day.year * 10_000 + day.month * 100 + day.day,
    )
