# SPDX-License-Identifier: Apache-2.0
"""What partners' files do to orders of cards: judged and applied as sets, by issuing's own table.

`judge` makes a temporary table with one verdict for each record; `settle` moves all orders whose
verdict is empty. The same records one by one through `issuing.services.apply` give the same states,
steps and refusals: a test compares them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.bank.files.declaration import CARD_REASONS, Declaration
from server.bank.files.layout import Kind
from server.bank.files.manifest import file_name
from server.bank.files.reasons import REASONS, Level
from server.errors import Refused
from server.issuing import dates
from server.issuing.policy import PLAIN_EVENTS, rows

# (kind of file, outcome of the record) → event of issuing's table.
EVENT_OF: dict[tuple[Kind, str], str] = {
    (Kind.RESULT, "OK"): "produced",
    (Kind.RESULT, "RJ"): "rejected",
    (Kind.AUDIT, "OK"): "audited",
    (Kind.AUDIT, "RJ"): "rejected",
    (Kind.ARRIVAL, ""): "arrived",
    (Kind.COLLECTION, ""): "collected",
    (Kind.CUT, ""): "cut_closed",
    (Kind.ANSWER, "RJ"): "rejected",
}
SET_KINDS = tuple(dict.fromkeys(kind for kind, _ in EVENT_OF))
assert set(EVENT_OF.values()) <= set(PLAIN_EVENTS)
SOURCE = "bank"
# A partner that refuses a record of ours names a reason of the table of files.
ANSWER_REASONS = {
    code: "PHNO" if code == "R17" else "DATA"
    for code, reason in REASONS.items()
    if reason.level is Level.RECORD
}


@dataclass(frozen=True, slots=True)
class Load:
    """One file being loaded: whose, which, under what name and id, by whom, when."""

    declared: Declaration
    kind: Kind
    name: str
    actor: str
    now_ms: int
    file_id: int


def judge(session: Session, load: Load) -> None:
    """Judge every staged record; the verdicts stand in a temporary table."""
    if _is_postgresql(session):
        session.execute(sa.text("ANALYZE bank_stage"))  # a temporary table has no figures else
    _small_table(session, "bank_move", _moves(load.kind), ("state", "outcome", "kind", "event",
                                                           "to_state"))  # fmt: skip
    _small_table(session, "bank_reason", _reasons(load.declared), ("code", "ours"))
    _days(session)
    session.execute(sa.text(_JUDGE[_is_postgresql(session)]), _parameters(load))
    if _is_postgresql(session):
        session.execute(sa.text("ANALYZE bank_verdict"))
    session.execute(sa.text("CREATE UNIQUE INDEX bank_verdict_line ON bank_verdict (line)"))
    if load.kind in (Kind.RESULT, Kind.COLLECTION):
        _judge_serials(session)


def stop_batches(session: Session) -> None:
    """Stop whole batches where a record was refused, as the partner's contract has it."""
    session.execute(sa.text(
        "UPDATE bank_verdict SET code = 'R15' WHERE code = '' AND batch IN "
        "(SELECT batch FROM bank_verdict WHERE code <> '')"
    ))  # fmt: skip


def settle(session: Session, load: Load) -> int:
    """Move the orders whose verdict is empty, and write their steps; return how many.

    Raises:
        Refused: an order moved since it was judged; the file is to be loaded again.
    """
    moved = session.execute(
        sa.text(_MOVE), {"now": load.now_ms}, execution_options={"synchronize_session": False}
    ).rowcount  # type: ignore[attr-defined]
    expected = session.scalar(sa.text("SELECT count(*) FROM bank_verdict WHERE code = ''"))
    if moved != expected:
        raise Refused(
            "moved-meanwhile", "制卡单状态刚刚有变，请重新导入",
            "an order moved in the meantime: load the file again",
        )  # fmt: skip
    session.execute(sa.text(_STEPS), {
        "now": load.now_ms, "cause": f"file:{load.name}:", "actor": load.actor, "source": SOURCE,
    })  # fmt: skip
    session.expire_all()
    return int(moved)


def note_refused(session: Session, load: Load) -> None:
    """Write down the refused records that no finding told of; unknown reasons go to quarantine."""
    session.execute(sa.text(_NOTE[_is_postgresql(session)]), {"file": load.file_id})


def batches(session: Session) -> list[tuple[int, int, int]]:
    """Give of each batch its number, how many records took effect, and how many did not."""
    found = session.execute(sa.text(
        "SELECT batch, sum(CASE WHEN code = '' THEN 1 ELSE 0 END), "
        "sum(CASE WHEN code = '' THEN 0 ELSE 1 END) FROM bank_verdict GROUP BY batch "
        "ORDER BY batch"
    ))  # fmt: skip
    return [(int(batch), int(good), int(bad)) for batch, good, bad in found]


def drop(session: Session) -> None:
    """Take the temporary tables away."""
    for table in ("bank_verdict", "bank_move", "bank_reason", "bank_day"):
        session.execute(sa.text(f"DROP TABLE {table}"))


def _moves(kind: Kind) -> list[dict[str, str]]:
    """Give issuing's table as far as this kind of file can use it."""
    return [
        {"state": row.state, "outcome": outcome, "kind": row.kind, "event": event,
         "to_state": row.to}
        for (of, outcome), event in EVENT_OF.items()
        if of is kind
        for row in rows()
        if row.event == event and SOURCE in row.sources
    ]  # fmt: skip


def _reasons(declared: Declaration) -> list[dict[str, str]]:
    known = {**{code: code for code in CARD_REASONS}, **ANSWER_REASONS, **declared.reasons}
    return [{"code": code, "ours": ours} for code, ours in known.items()]


def _small_table(
    session: Session, name: str, rows_: list[dict[str, str]], columns: tuple[str, ...]
) -> None:
    listed = ", ".join(f"{column} text" for column in columns)
    session.execute(sa.text(f"CREATE TEMPORARY TABLE {name} ({listed})"))
    marks = ", ".join(f":{column}" for column in columns)
    if rows_:
        session.execute(sa.text(f"INSERT INTO {name} VALUES ({marks})"), rows_)  # noqa: S608 - no value of a caller


def _days(session: Session) -> None:
    """Note of each day in the file when it began, and until when a branch keeps its cards."""
    session.execute(sa.text("CREATE TEMPORARY TABLE bank_day (day integer, at_ms bigint, "
                            "due_ms bigint)"))  # fmt: skip
    found = session.scalars(sa.text("SELECT DISTINCT day FROM bank_stage WHERE rtrim(code) = ''"))
    values = [_day(day) for day in found]
    if values:
        session.execute(sa.text("INSERT INTO bank_day VALUES (:day, :at_ms, :due_ms)"), values)


def _day(day: int) -> dict[str, int]:
    start = dates.start_of(dt.date(day // 10_000, day // 100 % 100, day % 100))
    return {"day": day, "at_ms": start, "due_ms": dates.due_at_branch(start)}


def _parameters(load: Load) -> Mapping[str, object]:
    empty = file_name(load.declared.code, Kind.ORDER, 0)
    return {
        "partner": load.declared.code,
        "batch_head": empty[: -len("00000000.dat")],
        "batch_tail": ".dat",
        "branches": int(load.kind is Kind.ARRIVAL),
    }


def _judge_serials(session: Session) -> None:
    """Refuse serials that belong to another card, or to an earlier record of the same file.

    A serial that a record of this file gives free is free from the next file on.
    """
    session.execute(sa.text(_SERIAL_TAKEN))
    twice = session.scalar(sa.text(
        "SELECT count(asn) - count(DISTINCT asn) FROM bank_verdict WHERE code = '' AND asn <> ''"
    ))  # fmt: skip
    if twice:
        session.execute(sa.text(_SERIAL_TWICE))


def _is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _judge_sql(padded_batch: str) -> str:
    return f"""
CREATE TEMPORARY TABLE bank_verdict AS
SELECT s.line, s.batch, s.order_no, s.outcome, s.reason, s.asn, s.branch, s.day,
       o.id AS order_id, o.state AS from_state, m.to_state, m.event, r.ours AS reject,
  CASE WHEN s.code <> '' THEN s.code
       WHEN s.place > 1 THEN 'R06'
       WHEN o.id IS NULL THEN 'R07'
       WHEN o.partner IS NULL OR o.partner <> :partner THEN 'R08'
       WHEN o.batch_ref IS NULL OR o.batch_ref <> :batch_head || {padded_batch} || :batch_tail
         THEN 'R12'
       WHEN :branches = 1 AND o.branch_code <> s.branch THEN 'R11'
       WHEN s.outcome = 'RJ' AND r.ours IS NULL THEN 'R14'
       WHEN m.to_state IS NULL THEN 'R09'
       ELSE '' END AS code
FROM (SELECT line, batch, day, rtrim(outcome) AS outcome, rtrim(reason) AS reason,
             rtrim(branch) AS branch, rtrim(code) AS code,
             CAST(rtrim(order_no) AS char(12)) AS order_no, CAST(rtrim(asn) AS char(20)) AS asn,
             row_number() OVER (PARTITION BY order_no ORDER BY line) AS place
      FROM bank_stage) s
LEFT JOIN card_order o ON o.order_no = s.order_no
LEFT JOIN bank_reason r ON r.code = s.reason
LEFT JOIN bank_move m ON m.state = o.state AND m.outcome = s.outcome
  AND (m.kind = '' OR m.kind = o.kind)
"""  # noqa: S608 - only names of our own


_JUDGE = {
    True: _judge_sql("lpad(s.batch::text, 8, '0')"),
    False: _judge_sql("printf('%08d', s.batch)"),
}
_SERIAL_TAKEN = """
UPDATE bank_verdict SET code = 'R16' WHERE code = '' AND asn <> '' AND (
  EXISTS (SELECT 1 FROM card_order o
          WHERE o.asn = bank_verdict.asn AND o.id <> bank_verdict.order_id)
  OR EXISTS (SELECT 1 FROM card c JOIN card_order o ON o.id = bank_verdict.order_id
             WHERE c.asn = bank_verdict.asn AND c.volunteer_id <> o.volunteer_id))
"""
_SERIAL_TWICE = """
UPDATE bank_verdict SET code = 'R16'
FROM (SELECT asn, min(line) AS line FROM bank_verdict
      WHERE code = '' AND asn <> '' AND to_state <> 'correction' GROUP BY asn) first
WHERE code = '' AND first.asn = bank_verdict.asn AND bank_verdict.line > first.line
"""
# As issuing.events does for one order: serial, reject code, days at the branch; what goes back to
# be corrected loses its dates, batch and serial.
_MOVE = """
UPDATE card_order SET
  state = v.to_state, changed_ms = :now,
  reject_code = CASE WHEN v.event = 'rejected' THEN v.reject ELSE reject_code END,
  asn = CASE WHEN v.to_state = 'correction' THEN NULL
             WHEN v.asn <> '' THEN v.asn ELSE card_order.asn END,
  due_make_ms = CASE WHEN v.to_state = 'correction' THEN NULL ELSE due_make_ms END,
  due_notice_ms = CASE WHEN v.to_state = 'correction' THEN NULL ELSE due_notice_ms END,
  due_branch_ms = CASE WHEN v.to_state = 'correction' THEN NULL
                       WHEN v.event = 'arrived' THEN d.due_ms ELSE due_branch_ms END,
  batch_ref = CASE WHEN v.to_state = 'correction' THEN NULL ELSE batch_ref END
FROM bank_verdict v, bank_day d
WHERE d.day = v.day AND v.code = '' AND card_order.id = v.order_id
  AND card_order.state = v.from_state
"""
_STEPS = """
INSERT INTO card_step
  (order_id, from_state, to_state, event, source, cause_ref, actor, at_ms, made_ms)
SELECT v.order_id, v.from_state, v.to_state, v.event, :source,
       :cause || CAST(v.line AS text), :actor, d.at_ms, :now
FROM bank_verdict v JOIN bank_day d ON d.day = v.day WHERE v.code = '' ORDER BY v.line
"""


def _note_sql(json_object: str, json_type: str) -> str:
    record = ", ".join(f"'{name}', {name}" for name in ("order_no", "outcome", "reason", "asn"))
    return f"""
INSERT INTO bank_line (file_id, line, batch, state, code, field, expected, found, record)
SELECT :file, line, batch, CASE WHEN code = 'R14' THEN 'QUAR' ELSE 'RJCT' END, code,
  CASE code WHEN 'R11' THEN 'branch' WHEN 'R12' THEN 'batch' WHEN 'R14' THEN 'reason'
            WHEN 'R15' THEN 'batch' WHEN 'R16' THEN 'asn' ELSE 'order_no' END,
  CASE code WHEN 'R06' THEN 'once' WHEN 'R07' THEN 'known' WHEN 'R08' THEN 'own'
            WHEN 'R09' THEN 'state before' WHEN 'R11' THEN 'branch of the order'
            WHEN 'R12' THEN 'batch of the order' WHEN 'R14' THEN 'agreed code'
            WHEN 'R15' THEN 'whole' ELSE 'free' END,
  CASE code WHEN 'R09' THEN from_state WHEN 'R11' THEN branch
            WHEN 'R12' THEN CAST(batch AS text) WHEN 'R14' THEN reason
            WHEN 'R15' THEN CAST(batch AS text) WHEN 'R16' THEN asn ELSE order_no END,
  CASE WHEN code = 'R14' THEN {json_object}({record}, 'day', CAST(day AS text)){json_type} END
FROM bank_verdict WHERE code > 'R05'
"""  # noqa: S608 - only names of our own


_NOTE = {True: _note_sql("json_build_object", "::json"), False: _note_sql("json_object", "")}
