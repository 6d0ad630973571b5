# SPDX-License-Identifier: Apache-2.0
"""One stored event in words: when it arrived, what was proven, and why its verdict is what it is.

A verdict never changes; what is known of a PSAM does. So the reason is told from what stands now.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import from_millis
from server.errors import Refused
from server.ingest.models import StoredEvent
from server.ingest.verdicts import Proof, Verdict
from server.ingest.whereabouts import find_event
from server.people.models import Audit
from server.terminals.models import Psam, TerminalKey
from swipe.kinds import EventType

Words = tuple[str, str]


def describe(session: Session, terminal_id: int, seq: int) -> dict[str, Any]:
    """Return one stored event as plain values, the reason in both languages.

    Raises:
        Refused: it is not stored.
    """
    event = find_event(session, terminal_id, seq)
    if event is None:
        raise Refused("unknown-event", "没有这条记录", f"terminal {terminal_id} has no event {seq}")
    kind, verdict = event.type, Verdict(event.verdict)
    zh, en = _reason(session, event)
    return {
        "terminal": terminal_id,
        "seq": seq,
        "type": EventType(kind).name if kind in set(EventType) else str(kind),
        "claimed": _when(event.utc_ms),
        "received": _when(event.received_ms),
        "batch": event.batch_id,
        "card": event.card_asn,
        "card_counter": event.card_ctr,
        "psam": event.psam_no.hex() if event.psam_no else None,
        "proofs": [proof.name for proof in Proof if event.proof & proof],
        "verdict": verdict.name,
        "reason": {"zh": zh, "en": en},
        "leaf": event.leaf_index,
        "hash": bytes(event.event_hash).hex(),
    }


def _reason(session: Session, event: StoredEvent) -> Words:
    if event.verdict != Verdict.UNKNOWN_PSAM:
        return "", ""
    psam = session.get(Psam, event.psam_no) if event.psam_no else None
    if psam is None:
        return "此 PSAM 从未登记", "the PSAM was never enrolled"
    if psam.state == "revoked":
        at = _when(_revoked_ms(session, psam.terminal_id))
        return (
            f"此 PSAM 已随终端 {psam.terminal_id} 于 {at} 停用",
            f"the PSAM was revoked with terminal {psam.terminal_id} at {at}",
        )
    if psam.terminal_id != event.terminal_id:
        return (
            f"此 PSAM 登记在终端 {psam.terminal_id}",
            f"the PSAM is enrolled to terminal {psam.terminal_id}",
        )
    if event.seq < psam.from_seq:
        return (
            f"此 PSAM 自第 {psam.from_seq} 条起登记",
            f"the PSAM is enrolled from event {psam.from_seq} on",
        )
    return _by_state(session, psam)


def _by_state(session: Session, psam: Psam) -> Words:
    if psam.state == "quarantined":
        at = _when(_quarantined_ms(session, psam))
        return f"此 PSAM 于 {at} 被隔离", f"the PSAM was set apart at {at}"
    if psam.state == "pending":
        return "此 PSAM 尚未批准", "the PSAM is not approved yet"
    return (
        "收到记录时此 PSAM 未在用，现已在用",
        "the PSAM was not in use when the event arrived; it is now",
    )


def _revoked_ms(session: Session, terminal_id: int) -> int | None:
    mine = TerminalKey.terminal_id == terminal_id
    return session.scalar(sa.select(sa.func.max(TerminalKey.revoked_ms)).where(mine))


def _quarantined_ms(session: Session, psam: Psam) -> int | None:
    subject = f"psam:{psam.number.hex()}"
    told = sa.select(sa.func.max(Audit.at_ms)).where(
        Audit.subject == subject, Audit.action == "psam.quarantined"
    )
    return session.scalar(told)


def _when(millis: int | None) -> str:
    """Write an instant in UTC.

    >>> _when(1795222923004), _when(None)
    ('2026-11-21T01:02:03.004+00:00', '?')
    """
    return "?" if millis is None else from_millis(millis).isoformat(timespec="milliseconds")
