# SPDX-License-Identifier: Apache-2.0
"""Queue changes for cards, and carry them through terminals.

One card has one waiting update at a time: a new one takes the place of the one before. What a
terminal says of a card decides nothing: the card's MACs do, and the next answer comes from it.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from card.errors import AuthenticationFailed, Blocked, GuardRefused, KeyNotFound
from card.updates import UpdateOutOfOrder, UpdateResult, UpdateScript, Wanted
from card.volunteer import DeskKeys
from keys.custody import KeyStore
from keys.usage import KeyUsage
from server.db import insert_new
from server.errors import Problem, Refused
from server.people import audit
from server.people.models import Card
from server.updates import carrying
from server.updates.carrying import ANSWER_BYTES_MAX, COMMANDS_MAX, Job, LogRead, Step
from server.updates.models import CardUpdate, CarrySession

# A card lies on a reader for seconds; a session that stands longer is dead.
SESSION_MS = 120_000
# Beyond this something is wrong with the card or the terminals, and staff should look.
ATTEMPTS_MAX = 20
# As many cards as a batch has events.
ASKED_MAX = 1_000
# Stands in `fields` where a card's log is to be read and nothing changed.
LOG = "log"
# And where the application's use is to be ended.
BLOCK = "block"
OUTCOME_MAX = 400
# Trying again would use up the card's attempts, or finds the same.
HOPELESS = (AuthenticationFailed, Blocked, GuardRefused, KeyNotFound)


@dataclass(frozen=True, slots=True)
class Bench:
    """What carrying needs besides the database: the key store and the moment."""

    store: KeyStore
    now_ms: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What a carrier is told: the session's next command, or that it is over and how."""

    session: str
    step: int
    command: str | None
    state: str | None = None
    text_zh: str = ""
    text_en: str = ""
    log: list[dict[str, Any]] = field(default_factory=list)  # entries read: index, record (hex)


def queue(
    session: Session, bench: Bench, asn: str, wanted: Wanted, why: tuple[str, str]
) -> CardUpdate:
    """Let a card be changed at its next tap; `why` is the person and the reason.

    Raises:
        Refused: No such card, nothing is to change, or somebody queued another in this moment.
    """
    actor, reason = why
    card = session.scalars(sa.select(Card).where(Card.asn == asn)).one_or_none()
    if card is None:
        raise Refused("unknown-card", "没有这张卡", f"no card {asn}")
    fields = carrying.wanted_fields(wanted)
    if not fields:
        raise Refused("nothing-wanted", "没有要更新的内容", "nothing is to change")
    mobile = wanted.guardian_mobile
    if mobile is not None and not re.fullmatch(r"\d{11}", mobile, re.ASCII):
        raise Refused("mobile", "手机号须为 11 位数字", "a mobile number has 11 digits")
    _end_waiting(session, asn, "replaced", bench.now_ms)
    reference = secrets.token_hex(16)
    sealed = bench.store.seal(
        KeyUsage.PERSONAL_DATA, carrying.wanted_to_json(wanted), _aad("update", reference)
    )
    update = _queued(
        session,
        reference=reference,
        asn=asn,
        wanted=sealed,
        fields=",".join(fields),
        reason=reason,
        created_by=actor,
        created_ms=bench.now_ms,
    )
    if update is None:
        raise Refused(
            "already-waiting",
            "此卡刚被排入另一项更新，请查看后再试",
            f"another update was queued for card {asn} in this moment: look, then try again",
        )
    subject = f"card:{asn}"
    audit.record(
        session, bench.now_ms, actor, "card.update-queued", subject, fields=fields, reason=reason
    )
    return update


def queue_log(
    session: Session, bench: Bench, asn: str, counters: Sequence[int], why: tuple[str, str]
) -> CardUpdate | None:
    """Let entries of a card's log be read at its next tap; None if something waits already.

    `counters` are the taps wanted; `why` is the person and the reason. A change that waits comes
    first, and is never displaced by a reading.

    Raises:
        Refused: No such card.
    """
    actor, reason = why
    if session.scalars(sa.select(Card).where(Card.asn == asn)).one_or_none() is None:
        raise Refused("unknown-card", "没有这张卡", f"no card {asn}")
    if waiting(session, [asn]):
        return None
    reference = secrets.token_hex(16)
    wanted = json.dumps({LOG: sorted(counters, reverse=True)}).encode()
    update = _queued(
        session,
        reference=reference,
        asn=asn,
        wanted=bench.store.seal(KeyUsage.PERSONAL_DATA, wanted, _aad("update", reference)),
        fields=LOG,
        reason=reason,
        created_by=actor,
        created_ms=bench.now_ms,
    )
    if update is None:
        return None
    audit.record(
        session, bench.now_ms, actor, "card.log-asked", f"card:{asn}", entries=len(counters)
    )
    return update


def _queued(session: Session, reference: str, **values: Any) -> CardUpdate | None:
    """Let an update wait; None if by now another one does, which only the database can tell."""
    insert_new(session, CardUpdate, reference=reference, state="waiting", **values)
    mine = sa.select(CardUpdate).where(CardUpdate.reference == reference)
    return session.scalars(mine).one_or_none()


def cancel(session: Session, asn: str, actor: str, now_ms: int) -> None:
    """Take back what waits for a card.

    Raises:
        Refused: Nothing waits.
    """
    if not _end_waiting(session, asn, "cancelled", now_ms):
        raise Refused("nothing-waits", "此卡没有待更新内容", f"nothing waits for card {asn}")
    audit.record(session, now_ms, actor, "card.update-cancelled", f"card:{asn}")


def end_blocks(session: Session, asn: str, why: tuple[str, str], by: tuple[str, int]) -> list[int]:
    """End what waits for a card and would block it, and return its number; `why` in two languages.

    `by` is who says so and when, in milliseconds. A block may have been cut in its last exchange:
    the card obeyed, and nobody heard of it. At the next tap it would be tried again.
    """
    actor, now_ms = by
    statement = sa.select(CardUpdate).where(CardUpdate.asn == asn, CardUpdate.state == "waiting")
    ended = []
    for update in session.scalars(statement.with_for_update()):
        fields = update.fields.split(",")
        if BLOCK not in fields:
            continue
        update.state, update.ended_ms = "cancelled", now_ms
        update.outcome = f"{why[0]} · {why[1]}"[:OUTCOME_MAX]
        audit.record(
            session, now_ms, actor, "card.update-cancelled", f"card:{asn}",
            update=update.id, fields=fields, reason=why[1],
        )  # fmt: skip
        ended.append(update.id)
    return ended


def waiting(session: Session, asns: Sequence[str]) -> list[str]:
    """Return those of some cards that an update waits for."""
    statement = sa.select(CardUpdate.asn).where(
        CardUpdate.asn.in_(asns[:ASKED_MAX]), CardUpdate.state == "waiting"
    )
    return sorted(session.scalars(statement))


def begin(session: Session, bench: Bench, asn: str, terminal_id: int) -> Answered:
    """Begin to carry a card's update.

    Raises:
        Problem: 404 when nothing waits for the card.
    """
    statement = sa.select(CardUpdate).where(CardUpdate.asn == asn, CardUpdate.state == "waiting")
    update = session.scalars(statement.with_for_update()).one_or_none()
    if update is None:
        raise Problem(404, "nothing-waits", "此卡没有待更新内容", "nothing waits for this card")
    session.execute(sa.delete(CarrySession).where(CarrySession.expires_ms < bench.now_ms))
    update.attempts += 1
    update.carrier = f"terminal:{terminal_id}"
    carry = CarrySession(
        id=secrets.token_hex(16),
        update_id=update.id,
        terminal_id=terminal_id,
        step=0,
        fresh=update.script is None,
        expires_ms=bench.now_ms + SESSION_MS,
    )
    return _go_on(session, bench, carry, update, [])


def go_on(
    session: Session, bench: Bench, key: tuple[int, str], step: int, answer: bytes
) -> Answered:
    """Take the card's answer to a session's command; `key` is the terminal and the session.

    The answer to the command before, sent again because ours was lost, gets the same command.

    Raises:
        Problem: 404 unknown or expired session; 409 an answer out of turn; 413 too many.
    """
    terminal_id, session_id = key
    carry = session.get(CarrySession, session_id, with_for_update=True)
    if carry is None or carry.terminal_id != terminal_id or carry.expires_ms < bench.now_ms:
        raise Problem(404, "session-over", "会话不存在或已过期", "the session is over")
    if step == carry.step - 1:
        return Answered(**json.loads(carry.last))
    if step != carry.step:
        raise Problem(409, "out-of-turn", "应答次序不对", "an answer out of turn", step=carry.step)
    if not 2 <= len(answer) <= ANSWER_BYTES_MAX or step >= COMMANDS_MAX:
        raise Problem(413, "answer-length", "应答过长或过多", "an answer too long, or too many")
    update = session.get_one(CardUpdate, carry.update_id)
    answers = [*_answers(bench.store, carry), answer]
    carry.step += 1
    return _go_on(session, bench, carry, update, answers)


def _go_on(
    session: Session, bench: Bench, carry: CarrySession, update: CardUpdate, answers: list[bytes]
) -> Answered:
    found = carrying.step(_job(session, bench, update, fresh=carry.fresh), answers)
    if found.script is not None and update.script is None:
        document = json.dumps(found.script.to_document()).encode()
        update.script = bench.store.seal(
            KeyUsage.PERSONAL_DATA, document, _aad("script", update.reference)
        )
    if found.command is None:
        answered = _finish(session, bench, carry, update, found)
    else:
        answered = Answered(carry.id, carry.step, found.command.hex())
    carry.answers = bench.store.seal(
        KeyUsage.PERSONAL_DATA,
        json.dumps([answer.hex() for answer in answers]).encode(),
        _aad("carry", carry.id),
    )
    carry.last = json.dumps(asdict(answered))
    session.add(carry)
    return answered


def _finish(
    session: Session, bench: Bench, carry: CarrySession, update: CardUpdate, found: Step
) -> Answered:
    """Write down how it ended; an attempt that failed waits for the next tap, within limits."""
    entries: list[dict[str, Any]] = []
    if isinstance(found.result, LogRead):
        entries = [{"index": at, "record": raw.hex()} for at, raw in found.result.entries]
        zh = f"已读取卡内记录 {len(entries)} 条"
        en = f"{len(entries)} entries of the card's log were read"
        update.state = "done" if update.state == "waiting" else update.state
    elif found.result is not None:
        told = ", ".join(found.result.fields) or "–"
        zh, en = f"卡片已更新：{told}", f"the card was updated: {told}"
        if update.state == "waiting":
            update.state = "done"
    else:
        zh, en = found.told
        if isinstance(found.error, UpdateOutOfOrder):
            update.script = None  # the next session works it out anew
        hopeless = isinstance(found.error, HOPELESS) or update.attempts >= ATTEMPTS_MAX
        if hopeless and update.state == "waiting":
            update.state = "failed"
    update.outcome = f"{zh} · {en}"[:OUTCOME_MAX]
    if update.state != "waiting":
        update.ended_ms = bench.now_ms
    audit.record(
        session,
        bench.now_ms,
        f"terminal:{carry.terminal_id}",
        "card.update-carried",
        f"card:{update.asn}",
        state=update.state,
        done=found.result is not None,
        writes=found.result.writes if isinstance(found.result, UpdateResult) else 0,
    )
    return Answered(carry.id, carry.step, None, update.state, zh, en, entries)


def _job(session: Session, bench: Bench, update: CardUpdate, *, fresh: bool) -> Job:
    """Return what is carried; a session that began without a script goes on without it."""
    card = session.scalars(sa.select(Card).where(Card.asn == update.asn)).one()
    asn, version, store = bytes.fromhex(update.asn), card.key_version, bench.store
    keys = DeskKeys(
        store.card_key(KeyUsage.DESK_READ, version, asn[2:]),
        store.card_key(KeyUsage.MAINTENANCE, version, asn[2:]),
        update.asn,
    )
    wanted = store.open_sealed(
        KeyUsage.PERSONAL_DATA, update.wanted, _aad("update", update.reference)
    )
    if update.fields == LOG:
        return Job(asn, Wanted(), keys, dt.date.min, log=tuple(json.loads(wanted)[LOG]))
    today = dt.datetime.fromtimestamp(update.created_ms / 1000, dt.UTC).date()
    script = None
    if update.script is not None and not fresh:
        document = store.open_sealed(
            KeyUsage.PERSONAL_DATA, update.script, _aad("script", update.reference)
        )
        script = UpdateScript.from_document(json.loads(document))
    return Job(asn, carrying.wanted_from_json(wanted), keys, today, script)


def _answers(store: KeyStore, carry: CarrySession) -> list[bytes]:
    sealed = store.open_sealed(KeyUsage.PERSONAL_DATA, carry.answers, _aad("carry", carry.id))
    return [bytes.fromhex(answer) for answer in json.loads(sealed)]


def _end_waiting(session: Session, asn: str, state: str, now_ms: int) -> bool:
    statement = (
        sa.update(CardUpdate)
        .where(CardUpdate.asn == asn, CardUpdate.state == "waiting")
        .values(state=state, ended_ms=now_ms)
    )
    return session.connection().execute(statement).rowcount > 0


def _aad(kind: str, reference: str) -> bytes:
    return f"yika/{kind}/1\n{reference}".encode()
