# SPDX-License-Identifier: Apache-2.0
"""Torn taps: close what a crash left open, and fetch the proof of a tap whose answer was lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from card.layouts import Composite
from card.tap import DebitAnswer
from card.volunteer import LOG_RECORDS, CardFace
from swipe.batch import BatchHeader
from swipe.event import NO_POSITION, Event
from swipe.frames import FrameKind
from swipe.kinds import (
    BootCause,
    CardKind,
    ConfigKind,
    EventType,
    JournalState,
    Result,
    TamperKind,
)
from swipe.receipt import Receipt
from terminal.chain import Chain
from terminal.clock import Reading
from terminal.journal import Journal, Repair

# Boot numbers skipped when the journal has lost events: none of those may be used twice.
BOOT_SKIP = 1_000
LOG_RECORD_SIZE = 23
UINT16_MAX = 0xFFFF


def close_open_intent(chain: Chain) -> Event | None:
    """Turn an INTENT without event into the torn event it already describes.

    The card may have committed or not: only its next tap can tell.

    Raises:
        NotSaved: The event is not durable; the INTENT stays open.
    """
    intent = chain.journal.state.intent
    if intent is None:
        return None
    return chain.put(chain.sign_bytes(intent))


def note_damaged_intent(chain: Chain, repair: Repair) -> Event | None:
    """Record what can still be read of an INTENT whose CRC is wrong: card and PSAM number.

    A number that is not the next one of our own PSAM may be the damage itself: it is told as 0.
    """
    lost, state = repair.damaged_intent, chain.journal.state
    if lost is None:
        return None
    next_one = lost.psam_no == state.own_psam_no and lost.psam_seq == state.psam_last + 1
    core = {
        "card_kind": CardKind.PBOC_PURSE,
        "card_asn": lost.card_asn,
        "psam_no": state.own_psam_no,
    }
    psam_seq = lost.psam_seq if next_one else 0
    return chain.record(EventType.TORN, core, durable=False, psam_seq=psam_seq, result=Result.TORN)


def skip_lost(
    journal: Journal, stored: tuple[Receipt, bytes] | None, sent: BatchHeader | None
) -> int | None:
    """Go on after the numbers that have left or are confirmed, if the journal has lost its end.

    A receipt kept beside the journal confirms more events than the journal holds, or the header of
    a batch that has left names more: somebody put back an older copy, or a bad sector took the end.
    Using those numbers again would be a fork. Nothing is known then of the device's clock.

    Args:
        journal: What was read at this start.
        stored: The copy of the last receipt, with its bytes.
        sent: The header with the highest number that has left.

    Returns:
        The last number that the journal held, or None if it has lost nothing.
    """
    held = journal.state.last_seq
    if stored is not None and stored[0].missing is None and stored[0].up_to_seq > held:
        journal.add((FrameKind.RECEIPT, stored[1]), durable=False)
    if sent is not None and sent.last_seq > journal.state.last_seq:
        journal.state.skip_to(sent.last_seq, sent.head)
    return None if journal.state.last_seq == held else held


def start_up(chain: Chain, firmware: bytes, rolled_back_to: int | None = None) -> None:
    """Bring the journal to order and record the start: BOOT, and what was found.

    `rolled_back_to` is what `skip_lost` has returned.

    Raises:
        NotSaved: Nothing may be accepted before this is durable.
    """
    journal, repair, state = chain.journal, chain.journal.repair, chain.journal.state
    cause, rolled_back = _cause(chain), rolled_back_to is not None
    # Where the end cannot be read, or is not here, starts are lost as well.
    if rolled_back or state.last_seq > len(state.kinds):
        chain.boot += BOOT_SKIP
    if not rolled_back:
        close_open_intent(chain)
        note_damaged_intent(chain, repair)
    chain.record(
        EventType.BOOT,
        durable=False,
        psam_last=state.psam_last,
        journal_events=state.events,
        fw_hash=firmware,
        cause=cause,
        journal_state=JournalState.ROLLED_BACK if rolled_back else repair.state,
        torn=min(state.torn, UINT16_MAX),
    )
    if rolled_back_to is not None:
        chain.record(
            EventType.TAMPER,
            durable=False,
            kind=TamperKind.ROLLBACK,
            expected=state.last_seq - 1,
            found=rolled_back_to,
        )
    if state.own_psam_no != chain.around.psam_no:
        note_config(chain, ConfigKind.PSAM, bytes(8))
    journal.add()


def note_config(chain: Chain, kind: ConfigKind, digest: bytes) -> Event:
    """Record that a configuration, hotlist or PSAM is now in use."""
    around = chain.around
    return chain.record(
        EventType.CONFIG,
        durable=False,
        cfg_ver=around.cfg_ver,
        hot_ver=around.hot_ver,
        psam_no=around.psam_no,
        dpk_idx=around.dpk_idx,
        kind=kind,
        config_hash=digest,
    )


def resolved_event(
    chain: Chain, face: CardFace, composite: Composite, answer: DebitAnswer, reading: Reading
) -> Event:
    """Return the signed TORN_RESOLVED event: the original tap with the proof now fetched.

    Second, zone, PSAM number, counters and activity are those of the tap, because the card's
    proof is over them; boot and uptime tell when it was resolved, and the place is left out.
    """
    utc_ms, unc_ms = _original_time(chain, face.asn, composite) or (0, reading.unc_ms)
    draft = chain.core(
        EventType.TORN_RESOLVED,
        reading,
        flags=0,
        tz_q=composite.tz_q,
        site=0,
        lat=NO_POSITION,
        lon=NO_POSITION,
        card_kind=CardKind.PBOC_PURSE,
        card_asn=face.asn,
        psam_no=composite.psam_no,
        activity=composite.activity,
    )
    return chain.close_intent(
        replace(draft, utc_s=composite.utc_s, utc_ms=utc_ms, unc_ms=unc_ms),
        card_ctr=composite.card_ctr,
        card_rand=composite.card_rand,
        psam_seq=composite.psam_seq,
        tac=answer.tac,
        mac2=answer.mac2,
        card_acc=composite.kind << 24,
        key_ver=face.key_version,
        result=Result.RESOLVED,
    )


def write_recovered(chain: Chain, asn: bytes, entries: list[dict[str, Any]]) -> list[Event]:
    """Record entries of a card's log that the server has read through this terminal.

    They are taps that never reached the server, mostly of a terminal that is no more. No cryptogram
    goes with them: they are evidence for people to decide on.

    Raises:
        NotSaved: They are not durable.
        ValueError, KeyError, TypeError: An entry is none.
    """
    records = [(int(entry["index"]), bytes.fromhex(entry["record"])) for entry in entries]
    for index, record in records:
        if not 1 <= index <= LOG_RECORDS or len(record) != LOG_RECORD_SIZE:
            raise ValueError(f"entry {index} of {len(record)} bytes")
    core = {"card_kind": CardKind.PBOC_PURSE, "card_asn": asn}
    written = [
        chain.record(EventType.RECOVERED, core, durable=False, log_record=record, index=index)
        for index, record in sorted(records, reverse=True)
    ]
    if written:
        chain.journal.add()
    return written


def _original_time(chain: Chain, asn: bytes, composite: Composite) -> tuple[int, int] | None:
    """Return milliseconds and uncertainty of a torn tap of our own; None for anybody else's."""
    trace = chain.journal.state.trace(asn)
    ours = composite.psam_no == chain.around.psam_no and trace.psam_seq == composite.psam_seq
    if not ours or trace.result != Result.TORN:
        return None
    torn = chain.journal.recall(trace.seq)
    return None if torn is None else (torn.utc_ms, torn.unc_ms)


def _cause(chain: Chain) -> BootCause:
    """Uptime goes on over a restart of the program and begins anew with the power."""
    before = chain.journal.state.up_ms
    restarted = 0 < before <= chain.time.uptime_ms()
    return BootCause.RESTART if restarted else BootCause.POWER_ON
