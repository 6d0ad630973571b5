# SPDX-License-Identifier: Apache-2.0
"""An outage is settled in bulk: every entry of a rule, a site and a span, each as proposed.

By command one person settles at once. On the pages one person proposes and a second approves;
until the undo window is over either calls it off, then the worker settles entry by entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.ingest.models import StoredEvent
from server.people import audit
from server.reconciliation.corrections import REASON_LENGTH_MAX, REASON_LENGTH_MIN, Said, Signer
from server.reconciliation.credit import approvable
from server.reconciliation.models import OutageSettlement, ReconException
from server.reconciliation.parameters import DAY_MS
from server.reconciliation.requests import notify
from server.reconciliation.services import decide_credit, reconcile
from server.terminals.models import Terminal

PROPOSED, APPROVED, REFUSED, UNDONE, DONE = "proposed", "approved", "refused", "undone", "done"
BULK_MAX = 2_000  # entries of an outage that are settled at once by command
LISTED_MAX = 200  # what two people look through on a page before they put their names to it
SPAN_MS_MAX = 31 * DAY_MS  # a longer outage is several
UNDO_MS = 5 * 60_000  # who sees the slip sees it at once
SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Outage:
    """Entries of one rule at a site whose taps lie in a span: a day on which something failed."""

    site: int
    rule: int
    from_ms: int
    until_ms: int


def outage_entries(session: Session, outage: Outage, limit: int = BULK_MAX) -> list[ReconException]:
    """Return the open entries of an outage that have a proposal, the oldest first.

    What waits in another settlement of the site is not among them.
    """
    where = sa.func.coalesce(sa.func.nullif(StoredEvent.site, 0), Terminal.site_id)
    statement = (
        sa.select(ReconException)
        .join(
            StoredEvent,
            sa.and_(
                StoredEvent.terminal_id == ReconException.terminal,
                StoredEvent.seq == ReconException.seq,
            ),
        )
        .join(Terminal, Terminal.id == ReconException.terminal)
        .where(
            ReconException.current,
            ReconException.state == "open",
            ReconException.rule == outage.rule,
            ReconException.proposed_start_ms.is_not(None),
            ReconException.proposed_end_ms.is_not(None),
            StoredEvent.utc_ms.between(outage.from_ms, outage.until_ms),
            where == outage.site,
            ReconException.id.not_in(_waiting_elsewhere(session, outage.site)),
        )
        .order_by(ReconException.id)
        .limit(limit)
    )
    return list(session.scalars(statement))


def _waiting_elsewhere(session: Session, site: int) -> list[int]:
    waiting = sa.select(OutageSettlement.entries).where(
        OutageSettlement.site == site, OutageSettlement.state.in_((PROPOSED, APPROVED))
    )
    return [number for listed in session.scalars(waiting) for number in listed]


def settle_outage(session: Session, outage: Outage, said: Said) -> int:
    """Approve every entry of an outage as proposed, each with its own signed record.

    Raises:
        Refused: the rule is not a leader's to set aside.
    """
    _check_rule(outage.rule)
    return _settle(session, outage_entries(session, outage), said)


def propose(session: Session, outage: Outage, said: Said) -> OutageSettlement:
    """Ask that the entries of an outage be settled as proposed; a second person decides.

    Raises:
        Refused: the rule is not a leader's, the span or the reason is none, nothing waits there.
    """
    _check_rule(outage.rule)
    check_span(outage)
    if not REASON_LENGTH_MIN <= len(said.reason) <= REASON_LENGTH_MAX:
        raise Refused("reason", "请写明原因（4 至 200 字）", "say why in 4 to 200 characters")
    found = outage_entries(session, outage, LISTED_MAX)
    if not found:
        raise Refused("outage-empty", "没有可以批量处理的异常", "nothing waits there")
    made = OutageSettlement(
        site=outage.site, rule=outage.rule, from_ms=outage.from_ms, until_ms=outage.until_ms,
        entries=[entry.id for entry in found], reason=said.reason, state=PROPOSED,
        proposed_by=said.actor, proposed_ms=said.now_ms,
    )  # fmt: skip
    session.add(made)
    session.flush()
    words = ("批量处理待第二人批准", "a settlement of an outage waits for a second person")
    notify(session, said.now_ms, words, site=outage.site)
    _note(session, made, "outage.proposed", said, entries=len(found), reason=said.reason)
    return made


def answer(session: Session, found: OutageSettlement, said: Said, *, approve: bool) -> None:
    """Approve what somebody else proposed, or refuse it; who proposed may only take it back.

    Raises:
        Refused: it does not wait any more, or who approves is who proposed.
    """
    if found.state != PROPOSED:
        raise Refused("outage-answered", "这次批量处理已有结论", "it does not wait any more")
    if approve and found.proposed_by == said.actor:
        raise Refused("same-person", "须由另一人批准", "a second person approves it")
    found.state = APPROVED if approve else REFUSED
    found.decided_by, found.decided_ms = said.actor, said.now_ms
    if approve:
        found.effective_ms = said.now_ms + UNDO_MS
    _note(session, found, f"outage.{found.state}", said)


def undo(session: Session, found: OutageSettlement, said: Said) -> None:
    """Call an approved settlement off while its window is open.

    Raises:
        Refused: it took effect, or was not approved.
    """
    if found.state != APPROVED or (found.effective_ms or 0) <= said.now_ms:
        raise Refused("outage-done", "已生效或未获批准", "it took effect, or was not approved")
    found.state = UNDONE
    _note(session, found, "outage.undone", said)


def run(session: Session, now_ms: int, signer: Signer | None) -> int:
    """Settle what was approved and whose window is over; return of how many entries."""
    due = session.scalars(
        sa.select(OutageSettlement)
        .where(OutageSettlement.state == APPROVED, OutageSettlement.effective_ms <= now_ms)
        .order_by(OutageSettlement.id)
        .with_for_update(skip_locked=True)
    ).all()
    settled = 0
    for one in due:
        said = Said(one.proposed_by, one.reason, now_ms, signer)
        wanted = sa.select(ReconException).where(ReconException.id.in_(one.entries))
        waiting = session.scalars(wanted.order_by(ReconException.id)).all()
        one.settled = _settle(session, waiting, said, one.decided_by)
        one.state = DONE
        settled += one.settled
        _note(session, one, "outage.settled", said, settled=one.settled)
    return settled


def find(session: Session, site: int, number: int) -> OutageSettlement:
    """Return one settlement of a site, locked until the unit of work ends.

    Raises:
        Refused: the site has none of that number.
    """
    found = session.get(OutageSettlement, number, with_for_update=True)
    if found is None or found.site != site:
        raise Refused("unknown-outage", "没有这次批量处理", f"no settlement {number}")
    return found


def lately(session: Session, site: int) -> Sequence[OutageSettlement]:
    """Return the newest settlements of a site."""
    newest = sa.select(OutageSettlement).where(OutageSettlement.site == site)
    return session.scalars(newest.order_by(OutageSettlement.id.desc()).limit(SHOWN_MAX)).all()


def check_span(outage: Outage) -> None:
    """Refuse a span that is empty or longer than a month.

    >>> check_span(Outage(1, 12, 0, 60_000))
    """
    if not 0 < outage.until_ms - outage.from_ms <= SPAN_MS_MAX:
        raise Refused(
            "span", "时间段须晚于开始且不超过 31 天", "an end after its start, within 31 days"
        )


def _check_rule(rule: int) -> None:
    if not approvable(rule):
        raise Refused("not-approvable", "这类异常不能批量批准", f"rule {rule}: one by one")


def _settle(
    session: Session, entries: Sequence[ReconException], said: Said, second: str | None = None
) -> int:
    """Credit what still waits, derive its people once, and tell them."""
    people = []
    for entry in entries:
        if entry.state != "open" or not entry.current:
            continue  # settled by itself or one by one meanwhile
        start_ms, end_ms = entry.proposed_start_ms, entry.proposed_end_ms
        assert start_ms is not None, "asked for"
        assert end_ms is not None, "asked for"
        decide_credit(session, entry.id, (start_ms, end_ms), said, second)
        words = ("设备故障期间的一段时长已批准", "after an outage your time was approved")
        notify(session, said.now_ms, words, person=entry.person)
        people.append(entry.person)
    if people:
        reconcile(session, people, said.now_ms)
    return len(people)


def _note(
    session: Session, settlement: OutageSettlement, act: str, said: Said, **facts: int | str
) -> None:
    audit.record(session, said.now_ms, said.actor, act, f"outage:{settlement.id}", **facts)
