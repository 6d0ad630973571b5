# SPDX-License-Identifier: Apache-2.0
"""What staff must look at: terminals that are silent, miss events, forked, or do not settle.

And PSAMs that were set apart: until somebody acts, every tap with them goes without credit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.ingest import endings, overview, settlement, silence
from server.ingest.silence import Pauses
from server.terminals.models import Terminal

SILENT, GAP, FORKED, QUARANTINED, PSAM, ENDED, UNSETTLED = KINDS = (
    "silent", "gap", "forked", "quarantined", "psam", "ended", "unsettled",
)  # fmt: skip
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class TerminalAlarm:
    """One reason to look at one terminal."""

    terminal_id: int
    name: str
    kind: str
    zh: str
    en: str


def alarms(session: Session, now_ms: int, pauses: Pauses | None = None) -> list[TerminalAlarm]:
    """Return every alarm, by kind and terminal."""
    terminals = {
        row.id: row
        for row in session.execute(sa.select(Terminal.id, Terminal.name, Terminal.state))
    }
    found: list[TerminalAlarm] = []

    def add(terminal_id: int, kind: str, zh: str, en: str) -> None:
        name = terminals[terminal_id].name if terminal_id in terminals else str(terminal_id)
        found.append(TerminalAlarm(terminal_id, name, kind, zh, en))

    for each in silence.silent(session, now_ms, pauses):
        hours, usual = each.silent_ms / HOUR_MS, each.limit_ms / HOUR_MS
        add(each.terminal_id, SILENT, f"已 {hours:.1f} 小时无消息，平常不超过 {usual:.1f} 小时",
            f"no word for {hours:.1f} h, usually never beyond {usual:.1f} h")  # fmt: skip
    for told in _of_holdings(session):
        add(*told)
    for number, row in terminals.items():
        if row.state == QUARANTINED:
            add(number, QUARANTINED, "已隔离", "set apart: look, then release or revoke")
    for number, psam in overview.psams_apart(session):
        add(number, PSAM,
            f"PSAM {psam} 已被隔离，其刷卡不计时：查明后运行 psam release {psam} --reason …，"
            "或换 PSAM",
            f"PSAM {psam} is set apart and its taps are not credited: look, then psam release "
            f"{psam} --reason …, or put in another PSAM")  # fmt: skip
    for number in sorted(endings.ended(session)):
        add(
            number,
            ENDED,
            "本机已自行停用：请 terminal revoke 停用，或 fleet replace 更换",
            "it has ended itself: revoke it (terminal revoke) or replace it (fleet replace)",
        )
    for open_one in settlement.open_settlements(session):
        add(open_one.terminal_id, UNSETTLED,
            f"{open_one.day} 结算 {open_one.close_seq} {open_one.state}",
            f"day {open_one.day}, CLOSE {open_one.close_seq}: {open_one.state}")  # fmt: skip
    return sorted(found, key=lambda alarm: (KINDS.index(alarm.kind), alarm.terminal_id))


def _of_holdings(session: Session) -> Iterator[tuple[int, str, str, str]]:
    """Give what is missing and what contradicts itself: terminal, kind, and both languages."""
    for number, held in overview.holdings(session).items():
        first = held.missing_from
        if first is not None:
            last = first + held.missing - 1
            yield number, GAP, f"缺 {first}–{last}", f"{first}–{last} missing"
        if held.forked_from is not None:
            forked = held.forked_from
            yield number, FORKED, f"从 {forked} 起分叉", f"forked at {forked}"


def counts(found: list[TerminalAlarm]) -> dict[str, int]:
    """Return how many terminals each kind of alarm is about; every kind is named.

    >>> counts([])["silent"]
    0
    """
    about = Counter({(alarm.kind, alarm.terminal_id): 1 for alarm in found})
    kinds = Counter(kind for kind, _ in about)
    return {kind: kinds[kind] for kind in KINDS}
