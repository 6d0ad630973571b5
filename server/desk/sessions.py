# SPDX-License-Identifier: Apache-2.0
"""A card on the reader: begin, take answers, give commands, end; nothing is asked twice.

Every answer is kept, sealed, in the unit of work that gives the next command away. Whoever repeats
an answer, because ours was lost, gets the same commands. A session belongs to one insertion of the
card: when the card has lost its power, the next session begins the operation anew, and the card
itself and its journal say where to go on.
"""

from __future__ import annotations

import dataclasses
import hmac
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from card.apdu import CommandApdu
from card.attempts import KeyFacts
from card.card_keys import CardKeys
from card.drivers import historical_bytes
from card.errors import CardError
from card.stored import StoredOtherwise
from card.trace_mask import Masker, masked
from keys.usage import KeyUsage
from server.db import from_millis
from server.desk import memory, tasks
from server.desk.content import Bench
from server.desk.driving import Past, Run, Under
from server.desk.live import Live
from server.desk.models import DeskJob, DeskSession
from server.desk.policy import ANSWER_BYTES, CHIP_BYTES_MAX, MAKING, RUNNING, SESSION_MS, may_lay
from server.desk.tasks import Work
from server.errors import Problem

LIVE = Live()


@dataclass(frozen=True, slots=True)
class Answered:
    """What the page is told: the session's next commands, or that it is over and how."""

    session: str
    step: int
    commands: list[str]
    state: str
    text_zh: str = ""
    text_en: str = ""
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """How an operation ended: what people may see of it, or the card's error."""

    told: dict[str, Any]
    error: CardError | None


@dataclass(frozen=True, slots=True)
class Table:
    """What a session works with: the job, what it does at the card, who writes down its end.

    `finish` returns one sentence in each language.
    """

    job: DeskJob
    work: Callable[[], Work]
    finish: Callable[[Ended], tuple[str, str]]


def begin(session: Session, bench: Bench, table: Table, atr: bytes) -> Answered:
    """Begin with the card that was just powered.

    Raises:
        Problem: 409 the job is over; 422 that is no answer to reset.
    """
    job = table.job
    if not may_lay(job.state):
        raise Problem(409, "job-over", "此任务已结束", "this job is over", state=job.state)
    if not 2 <= len(atr) <= CHIP_BYTES_MAX + 1:
        raise Problem(422, "malformed", "ATR 不合要求", "no answer to reset", fields=["atr"])
    _end_others(session, job)
    facts = memory.facts(session, job.asn)
    row = DeskSession(
        id=secrets.token_hex(16), job_id=job.id, actor=bench.actor,
        chip=historical_bytes(atr).hex().upper(), step=0, over=False, transcript="",
        began_ms=bench.now_ms, expires_ms=bench.now_ms + SESSION_MS,
    )  # fmt: skip
    past = Past(memory.entries(session, job.asn), facts)
    run = _run(bench, table.work(), past, row.chip)
    job.state = RUNNING
    under = Under(run, Masker(), facts, facts, memory.last_entry(session))
    return _go_on(session, bench, table, row, under)


def answer(
    session: Session, bench: Bench, table: Table, key: tuple[str, int], answers: Sequence[bytes]
) -> Answered:
    """Take the card's answers to a session's commands; `key` is the session and its step.

    Raises:
        Problem: 404 unknown or expired session; 409 an answer out of turn, or another one than
            before; 422 an answer too long or too short.
    """
    session_id, step = key
    row = session.get(DeskSession, session_id, with_for_update=True)
    known = row is not None and row.job_id == table.job.id
    if row is None or not known or (not row.over and row.expires_ms < bench.now_ms):
        raise Problem(
            404, "session-over", "会话不存在或已过期，请重新放卡",
            "the session is over: lay the card down again",
        )  # fmt: skip
    if len(answers) != 1 or len(answers[0]) not in ANSWER_BYTES:
        raise Problem(422, "malformed", "应答不合要求", "one answer is due", fields=["answers"])
    if step == row.step - 1:
        return _repeated(bench, row, answers[0])
    if step != row.step or row.over:
        raise Problem(409, "out-of-turn", "应答次序不对", "an answer out of turn", step=row.step)
    under = LIVE.take(row.id, row.step) or _made_again(session, bench, table, row)
    command = under.run.command
    assert command is not None, "a session without a command is over"
    under.run.take(answers[0])
    row.step += 1
    row.expires_ms = bench.now_ms + SESSION_MS
    row.transcript += _line(under.masker, command.to_bytes(), answers[0]) + "\n"
    return _go_on(session, bench, table, row, under)


def transcript(session: Session, job: DeskJob) -> list[str]:
    """Return the masked exchanges of all sessions of a job, oldest first."""
    wanted = sa.select(DeskSession.transcript).where(DeskSession.job_id == job.id)
    texts = session.scalars(wanted.order_by(DeskSession.began_ms))
    return [line for text in texts for line in text.splitlines()]


def _end_others(session: Session, job: DeskJob) -> None:
    """End the sessions of a job whose card is gone, and forget what their cards answered."""
    session.execute(
        sa.update(DeskSession)
        .where(DeskSession.job_id == job.id, DeskSession.over.is_(False))
        .values(over=True, sealed=b"")
    )


def _go_on(
    session: Session, bench: Bench, table: Table, row: DeskSession, under: Under
) -> Answered:
    """Keep what has become known, and say what comes next."""
    job, run = table.job, under.run
    lines = run.new_lines()
    if job.asn is not None:
        memory.note(session, job, job.asn, lines, bench.now_ms)
    job.writes += sum(line.get("writes", 0) for line in lines)
    job.changed_ms = bench.now_ms
    memory.keep_facts(session, under.kept, run.facts())
    under.kept = run.facts()
    zh = en = ""
    told: dict[str, Any] = {}
    if run.over:
        row.over = True
        told = {} if run.error is not None else tasks.told(run.result)
        zh, en = table.finish(Ended(told, run.error))
    commands = [] if run.command is None else [run.command.to_bytes().hex().upper()]
    answered = Answered(row.id, row.step, commands, job.state, zh, en, told)
    _seal(bench, row, under, answered)
    session.add(row)
    if not run.over:
        LIVE.put(row.id, row.step, under)
    return answered


def _repeated(bench: Bench, row: DeskSession, again: bytes) -> Answered:
    """Answer what was answered before; the card's answer must be the one we had."""
    if not row.sealed:
        raise Problem(404, "session-over", "会话已结束，请重新放卡", "the session is over")
    held = _unseal(bench, row)
    if not hmac.compare_digest(bytes.fromhex(held["answers"][-1]), again):
        raise Problem(
            409, "answered-otherwise", "同一步的应答前后不同", "another answer to the same command"
        )
    return Answered(**held["last"])


def _made_again(session: Session, bench: Bench, table: Table, row: DeskSession) -> Under:
    """Make an operation anew from its answers, as another process of the server does.

    Raises:
        Problem: 409 it would go another way than before: it is to be begun anew.
    """
    held = _unseal(bench, row)
    start = {name: KeyFacts(left, tuple(known)) for name, (left, known) in held["facts"].items()}
    past = Past(
        memory.entries(session, table.job.asn, held["before"]),
        start,
        [bytes.fromhex(text) for text in held["sent"]],
        [bytes.fromhex(text) for text in held["answers"]],
        [bytes.fromhex(text) for text in held["taken"]],
        held["kept"],
    )
    masker = Masker()
    try:
        run = _run(bench, table.work(), past, row.chip, masker)
    except StoredOtherwise as error:
        raise Problem(
            409, "session-over", "会话无法继续，请重新放卡",
            "the session cannot go on: lay the card down again",
        ) from error  # fmt: skip
    return Under(run, masker, start, memory.facts(session, table.job.asn), held["before"])


def _run(bench: Bench, work: Work, past: Past, chip: str, masker: Masker | None = None) -> Run:
    making = work.kind in MAKING
    source = bench.store.for_new_cards() if making else bench.store

    def keys(asn: bytes, version: int) -> CardKeys:
        return CardKeys.from_store(source, asn, version)

    def follow(command: CommandApdu, said: bytes) -> None:
        if masker is not None:
            masker.hide(command.to_bytes(), said[:-2], int.from_bytes(said[-2:]))

    return Run(tasks.make(work), past, keys, chip, lambda: from_millis(bench.now_ms), follow)


def _line(masker: Masker, command: bytes, said: bytes) -> str:
    """Return one line of the transcript, secrets overwritten."""
    data, sw = said[:-2], int.from_bytes(said[-2:])
    in_command, in_answer = masker.hide(command, data, sw)
    return f"{masked(command, in_command)} > {masked(data, in_answer)}{sw:04X}"


def _seal(bench: Bench, row: DeskSession, under: Under, answered: Answered) -> None:
    past = under.run.past
    # Of a session that is over no more is kept than a repeated last answer needs.
    over = under.run.over
    start = {} if over else under.start
    held = {
        "facts": {name: [fact.left, fact.known] for name, fact in start.items()},
        "before": under.before,
        "sent": [] if over else [digest.hex() for digest in past.sent],
        "answers": [said.hex() for said in (past.answers[-1:] if over else past.answers)],
        "taken": [] if over else [value.hex() for value in past.taken],
        "kept": past.kept,
        "last": dataclasses.asdict(answered),
    }
    text = json.dumps(held, ensure_ascii=False).encode()
    row.sealed = bench.store.seal(KeyUsage.PERSONAL_DATA, text, _place(row))


def _unseal(bench: Bench, row: DeskSession) -> dict[str, Any]:
    text = bench.store.open_sealed(KeyUsage.PERSONAL_DATA, row.sealed, _place(row))
    held: dict[str, Any] = json.loads(text)
    return held


def _place(row: DeskSession) -> bytes:
    return f"yika/desk-session/1\n{row.id}".encode()
