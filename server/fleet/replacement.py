# SPDX-License-Identifier: Apache-2.0
"""A new box in the place of a dead one: the terminal keeps its number and its history.

One person orders it and gets a pairing code; the new box shows its key; another person approves.
The old key ends behind the last event that the server holds, and the new key goes on from there:
no number is used twice. What the dead box still held comes back from the cards, or with an export
of its disk. That is best imported before the approval: afterwards it fills holes below the end, and
the numbers behind are the new box's.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.suite import Suite
from keys.verify import verify
from server.errors import Problem, Refused
from server.ingest import boxes, ranges
from server.ingest.models import Batch, StoredEvent
from server.people import audit
from server.terminals import enrolment, key_change
from server.terminals.models import Replacement, Terminal, TerminalKey
from server.terminals.services import find_terminal, keys_of
from swipe.event import Event, event_hash, tap_counts
from swipe.kinds import EventType
from swipe.requests import REQUEST_CONTEXT, request_message, succession_message

REPLACED_STATES = ("active", "quarantined")
# No box has ever so many batches: a number above was made up, and behind it there may be no room.
BATCHES_MAX = 1 << 31
SUCCESSION_PATH = "/api/v1/terminals/{}/succession"


@dataclass(frozen=True, slots=True)
class Succession:
    """Where the new box, told by its key, goes on: a receipt, the last event, the figures.

    The receipt is that of the highest batch number. It covers less than the last event where
    records in the middle were missing; the next one need not follow it, if others were given since.
    """

    public_key: bytes
    receipt: bytes
    head: bytes
    last_seq: int
    boot: int
    n_in: int
    n_out: int
    n_rej: int

    @property
    def message(self) -> bytes:
        """Return what the server signs of it."""
        figures = (self.last_seq, self.boot, self.n_in, self.n_out, self.n_rej)
        return succession_message(self.public_key, self.receipt, self.head, figures)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A replacement that nobody has approved: what the approval will end, and what is lacking."""

    reason: str
    ordered_by: str
    shown: bool  # the new box has shown its key
    last_seq: int
    missing: list[tuple[int, int]]


def order(
    session: Session, terminal_id: int, reason: str, actor: str, now_ms: int
) -> tuple[Terminal, str]:
    """Order a replacement; return the terminal and the pairing code for the new box.

    Raises:
        Refused: It is not in service, or has never uploaded.
    """
    terminal = find_terminal(session, terminal_id)
    if terminal.state not in REPLACED_STATES:
        raise Refused(
            "not-active",
            "终端不在用，无需更换；待批准的终端请用 terminal letter 再打印入网单",
            f"terminal {terminal_id} is {terminal.state}; for another box of one that is pending "
            "print the letter again: terminal letter",
        )
    _last_held(session, terminal_id)
    _cancel(session, terminal_id)
    session.add(
        Replacement(
            terminal_id=terminal_id,
            reason=reason[:200],
            ordered_by=actor,
            ordered_ms=now_ms,
            state="ordered",
        )
    )
    token = enrolment.new_token(session, terminal_id, now_ms)
    subject = f"terminal:{terminal_id}"
    audit.record(session, now_ms, actor, "replacement.ordered", subject, reason=reason)
    return terminal, token


def approve(session: Session, terminal_id: int, actor: str, now_ms: int) -> Replacement:
    """Let the new box in and end the old one's key behind the last event that is held.

    Raises:
        Refused: None is ordered, the terminal is out of service by now, the same person ordered
            it, its code or its PSAM, or the new box has not shown its key yet.
    """
    terminal = find_terminal(session, terminal_id)
    ordered = _ordered(session, terminal_id)
    if ordered is None:
        raise Refused("not-ordered", "没有待批准的更换", "no replacement is waiting")
    if terminal.state not in REPLACED_STATES:
        raise Refused(
            "not-active",
            "终端已不在用，不能批准新机",
            f"terminal {terminal_id} is {terminal.state}: no new box is let in",
        )
    enrolment.refuse_author(ordered.ordered_by, actor)
    fresh = [key for key in keys_of(session, terminal_id) if key.valid_from_ms is None]
    if not fresh:
        raise Refused(
            "not-enrolled",
            "新机还没有入网，请先在新机上运行 provision",
            "the new box has not shown its key yet: run provision on it first",
        )
    last_seq = _last_held(session, terminal_id)
    by, end = (actor, now_ms), last_seq + 1
    enrolment.let_in(session, fresh[-1], ordered.ordered_by, by, from_seq=end)
    for key in keys_of(session, terminal_id):
        lasts_longer = key.until_seq is None or key.until_seq > end
        if key is not fresh[-1] and key.valid_from_ms is not None and lasts_longer:
            key_change.end_key(session, key.id, end, ordered.reason, by)
    ordered.state, ordered.key_id, ordered.last_seq = "approved", fresh[-1].id, last_seq
    ordered.approved_by, ordered.approved_ms = actor, now_ms
    subject = f"terminal:{terminal_id}"
    audit.record(
        session, now_ms, actor, "replacement.approved", subject, last_seq=last_seq,
        key_id=fresh[-1].id,
    )  # fmt: skip
    return ordered


def succession(session: Session, terminal_id: int, signature: bytes) -> Succession | None:
    """Return where the box that signed goes on; None while nobody has approved it.

    Raises:
        Problem: 401 no box that replaces this terminal signed.
    """
    message = request_message("POST", SUCCESSION_PATH.format(terminal_id), 0)
    keys = [
        key
        for key in keys_of(session, terminal_id)
        if verify(key.public_key, signature, REQUEST_CONTEXT, message)
    ]
    if not keys:
        raise Problem(401, "terminal-refused", "签名不对", "the signature is wrong")
    if keys[0].valid_from_ms is None:
        return None
    statement = sa.select(Replacement).where(Replacement.key_id == keys[0].id)
    replaced = session.scalars(statement).one_or_none()
    if replaced is None or replaced.last_seq is None:
        raise Problem(
            404,
            "no-succession",
            "此机不是更换机，服务器已有本机的记录，不能从头开始；日志丢失：请将 identity.pem 改名，"
            "用 fleet replace 的入网单重新入网",
            "this box replaces none, and may not begin anew, for the server holds events of it; if "
            "its journal is lost, rename identity.pem and enrol it with a letter of fleet replace",
        )
    return _figures(session, keys[0], replaced.last_seq)


def _figures(session: Session, key: TerminalKey, last_seq: int) -> Succession:
    terminal_id = key.terminal_id
    mine = StoredEvent.terminal_id == terminal_id
    statement = sa.select(StoredEvent.raw).where(mine, StoredEvent.seq == last_seq)
    last = Event.from_bytes(session.scalars(statement).one())
    boot = session.scalar(sa.select(sa.func.max(StoredEvent.boot)).where(mine)) or 0
    rejected = session.scalar(
        sa.select(sa.func.count()).where(
            mine, StoredEvent.seq <= last_seq, StoredEvent.type == int(EventType.REJECTED)
        )
    )
    n_in, n_out = tap_counts(last)
    totals = (last.n_in + n_in, last.n_out + n_out, rejected or 0)
    head = event_hash(last.to_bytes(), Suite(key.suite))
    receipt = _last_receipt(session, terminal_id, last_seq)
    return Succession(key.public_key, receipt, head, last_seq, boot, *totals)


def _last_receipt(session: Session, terminal_id: int, last_seq: int) -> bytes:
    """Return the receipt of the highest batch number: the new box takes the numbers behind it.

    The last one given need not be it: a box replaced earlier, or a stick, may have come since.
    """
    statement = (
        sa.select(Batch.receipt)
        .where(Batch.terminal_id == terminal_id, Batch.batch_no < 1 << boxes.NUMBER_BITS)
        .order_by((Batch.batch_no < BATCHES_MAX).desc(), Batch.batch_no.desc())
        .limit(1)
    )
    raw = session.scalar(statement)
    if raw is None or _last_held(session, terminal_id) != last_seq:
        raise Problem(
            409,
            "went-on",
            "该终端已有接续点以后的记录，不能再从那里接续；请再运行一次 fleet replace",
            "this terminal has gone on since: nothing to give; order one more box by fleet replace",
        )
    return raw


def waiting(session: Session, terminal_id: int) -> Waiting | None:
    """Return what waits for an approval; the old box's disk is best imported before it."""
    ordered = _ordered(session, terminal_id)
    if ordered is None:
        return None
    return Waiting(
        reason=ordered.reason,
        ordered_by=ordered.ordered_by,
        shown=any(key.valid_from_ms is None for key in keys_of(session, terminal_id)),
        last_seq=_last_held(session, terminal_id),
        missing=missing(session, terminal_id),
    )


def missing(session: Session, terminal_id: int) -> list[tuple[int, int]]:
    """Return the runs of numbers (first, last) that the server lacks below the last it holds."""
    runs = ranges.load(session, terminal_id)
    firsts = [1, *(run.last + 1 for run in runs)]
    gaps = ((low, run.first - 1) for low, run in zip(firsts, runs, strict=False))
    return [(low, high) for low, high in gaps if low <= high]


def _ordered(session: Session, terminal_id: int) -> Replacement | None:
    mine = sa.select(Replacement).where(Replacement.terminal_id == terminal_id)
    return session.scalars(mine.where(Replacement.state == "ordered")).one_or_none()


def _last_held(session: Session, terminal_id: int) -> int:
    """Return the number of the last event that the server holds of a terminal."""
    runs = ranges.load(session, terminal_id)
    if not runs:
        raise Refused(
            "never-uploaded",
            "该终端从未上传；请停用它并登记新终端，原 PSAM 可再用",
            "it has never uploaded: revoke it and add a new terminal, which may have its PSAM",
        )
    return runs[-1].last


def _cancel(session: Session, terminal_id: int) -> None:
    """End an order that was not carried through; its code and key end with the next code."""
    session.execute(
        sa.update(Replacement)
        .where(Replacement.terminal_id == terminal_id, Replacement.state == "ordered")
        .values(state="cancelled")
    )
