# SPDX-License-Identifier: Apache-2.0
"""What the keys do to the journal: open, choose the mode, undo, sign on, enter a sheet, settle."""

from __future__ import annotations

from swipe.event import Event, event_hash
from swipe.kinds import EventType, RejectReason
from terminal.chain import Chain
from terminal.desk import Desk, local_date
from terminal.keypad import Key
from terminal.modes.sheet_policy import Sheet, activity_of
from terminal.opening import open_period
from terminal.policy import Mode, Say

MODES = {Key.AUTO: Mode.AUTO, Key.IN: Mode.IN, Key.OUT: Mode.OUT}


def press(desk: Desk, key: Key) -> Say:
    """Do what a key stands for in service and return what to say.

    Keys that ask for more, a card or digits, are the panel's (`terminal.modes.console`); here they
    do nothing.

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
    if key is Key.SETTLE:
        close_period(desk.chain)
        return Say.SETTLING
    return Say.LEFT


def set_mode(desk: Desk, mode: Mode) -> None:
    """Open the service in this mode; pressing the key of the mode in force changes nothing."""
    state = desk.chain.journal.state
    if not state.service_open or state.mode is not mode:
        open_period(desk.chain, mode=mode)


def sign_on(desk: Desk, asn: bytes) -> None:
    """Record that the holder of an operator's card has signed on (签到)."""
    open_period(desk.chain, operator=asn)


def refuse_pin(desk: Desk, asn: bytes) -> int:
    """Record a wrong PIN; return how many there were in a row. The PIN itself is nowhere.

    Raises:
        NotSaved: It is not counted, so no other may be tried.
    """
    desk.chain.record(EventType.REJECTED, {"card_asn": asn}, reason=RejectReason.WRONG_PIN)
    return desk.chain.journal.state.wrong_pins[asn][0]


def choose_activity(desk: Desk, code: str) -> Say:
    """Take the activity with this code for the taps from now on."""
    activity = desk.notices.config.activity_by_code(code)
    if activity is None:
        return Say.NO_SUCH_CODE
    if desk.chain.journal.state.activity != activity.id:
        open_period(desk.chain, activity=activity.id)
    return Say.ACTIVITY_CHOSEN


def enter_sheet(desk: Desk, sheet: Sheet) -> Event:
    """Record a paper sheet in the name of the operator who is signed on."""
    state = desk.chain.journal.state
    activity = activity_of(desk.notices.config, state.activity, sheet.start_s)
    return desk.chain.record(
        EventType.MANUAL,
        {"card_asn": sheet.asn, "activity": activity},
        entered_by=state.operator,
        planned_min=sheet.planned_min,
        start=sheet.start_s,
        end=sheet.end_s,
        sheet=sheet.number,
    )


def void_last(desk: Desk) -> Say:
    """Undo the tap of the card answered last while that is allowed; the event says which it was."""
    chain = desk.chain
    asn = desk.answered.asn if desk.answered is not None else b""
    hindrance = desk.undo_hindrance(asn)
    if hindrance is not None:
        return hindrance
    tap = chain.journal.recall(chain.journal.state.trace(asn).seq)
    if tap is None:  # lost to a bad sector: what cannot be named cannot be undone
        return Say.NOTHING_TO_VOID
    digest = event_hash(tap.to_bytes(), chain.identity.suite)[:8]
    core = {"card_asn": asn}
    chain.record(EventType.VOID_LAST, core, voided_seq=tap.seq, voided_hash=digest)
    return Say.VOIDED


def close_period(chain: Chain) -> None:
    """Close the service period with its totals, for both sides to compare; sign off (签退)."""
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
