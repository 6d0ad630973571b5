# SPDX-License-Identifier: Apache-2.0
"""Why an interval is what it is: its events, rules, parameters, decisions and engine version."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import from_millis
from server.ingest.verdicts import Proof, Verdict
from server.ingest.whereabouts import find_event
from server.reconciliation.attendance import attendance
from server.reconciliation.models import Correction, RuleParameter, ServiceInterval
from server.reconciliation.parameters import DEFAULT_POLICY
from server.reconciliation.wording_table import meaning
from server.terminals.models import Activity, Site, Terminal
from swipe.kinds import EventType, Flag


def explain(session: Session, row: ServiceInterval) -> dict[str, Any]:
    """Return the explanation of one interval as plain values, texts in both languages."""
    numbers = [int(number) for number in row.rules.split(",") if number]
    site = session.get(Site, row.site) if row.site else None
    return {
        "interval": row.id,
        "key": row.key,
        "state": row.state,
        "grade": row.grade,
        "minutes": row.credited_minutes,
        "raw_minutes": (row.raw_ms or 0) // 60_000,
        "start": instant(row.start_ms),
        "end": instant(row.end_ms),
        "service_day": row.service_day.isoformat(),
        "attendance": _attendance(session, row),
        "site": {"id": row.site, "zh": site.name_zh, "en": site.name_en} if site else None,
        "engine_version": row.engine_version,
        "derived": instant(row.made_ms),
        "rules": [_rule(number) for number in numbers],
        "events": _events(session, row),
        "parameters": _parameters(session, row.parameters),
        "correction": _correction(session, row.correction_id),
    }


def _attendance(session: Session, row: ServiceInterval) -> dict[str, int] | None:
    """Return by how many minutes somebody came late and left early; None without a plan."""
    planned = session.get(Activity, row.activity) if row.activity else None
    if planned is None:
        return None
    found = attendance((row.start_ms, row.end_ms), (planned.start_ms, planned.end_ms))
    return asdict(found) if found else None


def instant(at_ms: int | None) -> str | None:
    """Return an instant as ISO 8601 in UTC.

    >>> instant(1_795_222_923_004)
    '2026-11-21T01:02:03.004+00:00'
    """
    return from_millis(at_ms).isoformat(timespec="milliseconds") if at_ms else None


def history_of(session: Session, row: ServiceInterval) -> list[dict[str, Any]]:
    """Return what was believed of this interval before, the oldest first."""
    earlier = sa.select(ServiceInterval).where(
        ServiceInterval.person == row.person,
        ServiceInterval.key == row.key,
        ServiceInterval.id < row.id,
    )
    return [
        {
            "interval": old.id, "state": old.state, "grade": old.grade,
            "minutes": old.credited_minutes, "rules": old.rules, "derived": instant(old.made_ms),
            "engine_version": old.engine_version,
        }
        for old in session.scalars(earlier.order_by(ServiceInterval.id))
    ]  # fmt: skip


def _rule(number: int) -> dict[str, Any]:
    zh, en = meaning(number)
    return {"number": number, "zh": zh, "en": en}


def _events(session: Session, row: ServiceInterval) -> list[dict[str, Any]]:
    found = []
    for role, terminal, seq, used_ms in (
        ("in", row.in_terminal, row.in_seq, row.start_ms),
        ("out", row.out_terminal, row.out_seq, row.end_ms),
    ):
        if terminal is None or seq is None:
            continue
        event = find_event(session, terminal, seq)
        place = session.get(Terminal, terminal)
        if event is None:
            continue
        found.append(
            {
                "role": role,
                "terminal": terminal,
                "terminal_name": place.name if place else "",
                "seq": seq,
                "type": EventType(event.type).name,
                "claimed": instant(event.utc_ms),
                "used": instant(used_ms),
                "moved_ms": (used_ms or event.utc_ms) - event.utc_ms,
                "uncertainty_ms": event.unc_ms,
                "received": instant(event.received_ms),
                "card_counter": event.card_ctr,
                "verdict": Verdict(event.verdict).name,
                "proofs": [proof.name for proof in Proof if event.proof & proof],
                "flags": [flag.name for flag in Flag if event.flags & flag],
                "leaf": event.leaf_index,
                "hash": bytes(event.event_hash).hex(),
            }
        )
    return found


def _parameters(session: Session, ids: str) -> dict[str, Any]:
    rows = [session.get_one(RuleParameter, int(number)) for number in ids.split(",") if number]
    return {
        "policy": asdict(DEFAULT_POLICY),
        "own": [
            {
                "id": made.id, "from": instant(made.from_ms), "activity": made.activity,
                "site": made.site, "region": made.region, "settings": made.settings,
                "actor": made.actor, "reason": made.reason,
            }
            for made in rows
        ],
    }  # fmt: skip


def _correction(session: Session, number: int | None) -> dict[str, Any] | None:
    if number is None:
        return None
    made = session.get_one(Correction, number)
    return {
        "id": made.id, "rule": made.rule, "decision": made.decision, "minutes": made.minutes,
        "leader": made.leader, "at": instant(made.at_ms), "reason": made.reason,
        "signature": made.signature.hex() if made.signature else None, "key_id": made.key_id,
    }  # fmt: skip
