# SPDX-License-Identifier: Apache-2.0
"""Queue a message with what causes it, take what is due, and note what became of it.

Never twice: `once` admits a cause one time only, a try is committed before the provider is called,
and a try cut off in the middle goes on only where the provider knows a repeated reference.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.db import insert_new, one_of
from server.errors import Refused
from server.outbox import templates
from server.outbox.models import OutboxMessage, OutboxTry
from server.outbox.policy import (
    CANCELLABLE,
    DAY_MS,
    PER_DAY_MAX,
    RETRYABLE,
    STALE_MS,
    Channel,
    Quiet,
    State,
    life_ms,
    retry_after_ms,
)
from server.people import audit

ONCE_MAX = 96
OUTCOME_MAX = 200
PIECE_MAX = 200  # messages taken in one turn, so that one turn ends


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be said: `once` names the cause, such as "card.arrived/000000000017"."""

    kind: str
    volunteer_id: int | None
    once: str
    params: dict[str, str] = field(default_factory=dict)
    channel: Channel = Channel.SMS


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a try: sent, or not, and whether another try may help."""

    sent: bool
    again: bool = False
    outcome: str = ""


def queue(session: Session, message: Message, now_ms: int) -> bool:
    """Queue a message in the caller's unit of work; False when its cause was heard before.

    Raises:
        Refused: unknown kind, wrong parameters, or nobody to tell.
    """
    return queue_many(session, [message], now_ms) == 1


def queue_many(session: Session, messages: list[Message], now_ms: int) -> int:
    """Queue many messages; return how many had a cause not heard before."""
    causes = [message.once for message in messages]
    heard = one_of(session, OutboxMessage.once, causes)
    known = set(session.scalars(sa.select(OutboxMessage.once).where(heard)))
    rows = {m.once: _row(m, now_ms) for m in messages if m.once not in known}
    added = 0
    for row in rows.values():
        # Somebody else may queue the same cause at this moment: the database decides.
        added += insert_new(session, OutboxMessage, **row)
    return added


def _row(message: Message, now_ms: int) -> dict[str, object]:
    templates.checked(message.kind, message.params)
    if not 0 < len(message.once) <= ONCE_MAX:
        raise Refused("message-cause", "消息缺少起因", f"a cause has 1 to {ONCE_MAX} characters")
    public = message.channel is Channel.PUBLIC
    if message.volunteer_id is None and not public:
        raise Refused("message-to", "消息没有收件人", "this message is for nobody")
    return {
        "once": message.once,
        "reference": hashlib.sha256(b"yika/message/1\0" + message.once.encode()).hexdigest()[:32],
        "kind": message.kind,
        "channel": message.channel,
        "volunteer_id": message.volunteer_id,
        "params": dict(message.params),
        "state": State.PUBLISHED if public else State.QUEUED,
        "tries": 0,
        "due_ms": now_ms,
        "expires_ms": now_ms + life_ms(message.channel),
        "outcome": "",
        "created_ms": now_ms,
        "changed_ms": now_ms,
    }


def take(session: Session, provider: str, quiet: Quiet, now_ms: int) -> list[OutboxMessage]:
    """Take what is due: each is marked as being sent, and the try noted, before anybody calls.

    Late ones expire, a telephone does not ring in quiet hours, and one person gets so many a day.
    """
    _expire(session, now_ms)
    due = session.scalars(
        sa.select(OutboxMessage)
        .where(OutboxMessage.state == State.QUEUED, OutboxMessage.due_ms <= now_ms)
        .order_by(OutboxMessage.due_ms, OutboxMessage.id)
        .limit(PIECE_MAX)
        .with_for_update(skip_locked=True)
    ).all()
    counts = _told_today(session, {row.volunteer_id for row in due}, now_ms)
    taken = []
    for row in due:
        later_ms = _not_before(row, counts, quiet, now_ms)
        if later_ms > now_ms:
            row.due_ms = later_ms
            continue
        row.state, row.tries, row.changed_ms = State.SENDING, row.tries + 1, now_ms
        session.add(OutboxTry(message_id=row.id, at_ms=now_ms, provider=provider))
        counts[row.volunteer_id] = counts.get(row.volunteer_id, 0) + 1
        taken.append(row)
    return taken


def _expire(session: Session, now_ms: int) -> None:
    session.execute(
        sa.update(OutboxMessage)
        .where(
            OutboxMessage.state.in_((State.QUEUED, State.PUBLISHED)),
            OutboxMessage.expires_ms <= now_ms,
        )
        .values(state=State.EXPIRED, changed_ms=now_ms, outcome="too late")
        .execution_options(synchronize_session=False)
    )


def _told_today(session: Session, people: set[int | None], now_ms: int) -> dict[int | None, int]:
    rows = session.execute(
        sa.select(OutboxMessage.volunteer_id, sa.func.count())
        .join(OutboxTry, OutboxTry.message_id == OutboxMessage.id)
        .where(
            OutboxMessage.volunteer_id.in_([one for one in people if one is not None]),
            OutboxTry.at_ms > now_ms - DAY_MS,
        )
        .group_by(OutboxMessage.volunteer_id)
    )
    return dict(rows.all())


def _not_before(
    row: OutboxMessage, counts: dict[int | None, int], quiet: Quiet, now_ms: int
) -> int:
    if row.channel != Channel.SMS:
        return now_ms
    if counts.get(row.volunteer_id, 0) >= PER_DAY_MAX:
        return now_ms + DAY_MS // 4
    return quiet.awake_ms(now_ms)


def settle(session: Session, message_id: int, answer: Answer, now_ms: int) -> None:
    """Note what became of a try."""
    row = session.get(OutboxMessage, message_id, with_for_update=True)
    if row is None or row.state != State.SENDING:
        return  # a delivery report was faster
    row.outcome, row.changed_ms = answer.outcome[:OUTCOME_MAX], now_ms
    wait_ms = retry_after_ms(row.tries) if answer.again else None
    if answer.sent:
        row.state = State.SENT
    elif wait_ms is None:
        row.state = State.FAILED
    else:
        row.state, row.due_ms = State.QUEUED, now_ms + wait_ms


def recover(session: Session, repeatable: bool, now_ms: int) -> int:
    """Pick up tries that were cut off; return how many.

    With a provider that takes the same reference once (`repeatable`) they are tried again; else
    nobody knows whether the message went out, and a person decides.
    """
    stale = session.scalars(
        sa.select(OutboxMessage)
        .where(OutboxMessage.state == State.SENDING, OutboxMessage.changed_ms <= now_ms - STALE_MS)
        .limit(PIECE_MAX)
        .with_for_update(skip_locked=True)
    ).all()
    for row in stale:
        row.state = State.QUEUED if repeatable else State.UNKNOWN
        row.due_ms, row.changed_ms, row.outcome = now_ms, now_ms, "cut off while sending"
    return len(stale)


def report(session: Session, reference: str, delivered: bool, detail: str, now_ms: int) -> bool:
    """Take a provider's report on a delivery; False when there is no such message.

    The last word stays: what was delivered is not undelivered by a late report.
    """
    row = session.scalar(
        sa.select(OutboxMessage).where(OutboxMessage.reference == reference).with_for_update()
    )
    if row is None:
        return False
    if row.state in (State.SENDING, State.SENT, State.UNKNOWN, State.FAILED):
        row.state = State.DELIVERED if delivered else State.FAILED
        row.outcome, row.changed_ms = detail[:OUTCOME_MAX], now_ms
    return True


def retry(session: Session, message_id: int, actor: str, now_ms: int) -> None:
    """Set a message going again, as a person's decision.

    Raises:
        Refused: it is under way, or said already.
    """
    row = _held(session, message_id, RETRYABLE)
    row.state, row.tries, row.due_ms = State.QUEUED, 0, now_ms
    row.expires_ms, row.changed_ms = now_ms + life_ms(Channel(row.channel)), now_ms
    audit.record(session, now_ms, actor, "message.retried", f"message:{row.id}", kind=row.kind)


def cancel(session: Session, message_id: int, actor: str, now_ms: int) -> None:
    """Call a message off.

    Raises:
        Refused: it is under way, or said already.
    """
    row = _held(session, message_id, CANCELLABLE)
    row.state, row.changed_ms = State.CANCELLED, now_ms
    audit.record(session, now_ms, actor, "message.cancelled", f"message:{row.id}", kind=row.kind)


def _held(session: Session, message_id: int, states: tuple[State, ...]) -> OutboxMessage:
    row = session.get(OutboxMessage, message_id, with_for_update=True)
    if row is None:
        raise Refused("unknown-message", "没有这条消息", f"no message {message_id}")
    if row.state not in states:
        raise Refused(
            "message-state", f"消息状态为 {row.state}，不能这样处理",
            f"message {message_id} is {row.state}: only {', '.join(states)} can be",
        )  # fmt: skip
    return row


def published(session: Session, now_ms: int, limit: int) -> list[OutboxMessage]:
    """Give the public notices that hang now, newest first."""
    return list(
        session.scalars(
            sa.select(OutboxMessage)
            .where(OutboxMessage.state == State.PUBLISHED, OutboxMessage.expires_ms > now_ms)
            .order_by(OutboxMessage.id.desc())
            .limit(limit)
        )
    )
