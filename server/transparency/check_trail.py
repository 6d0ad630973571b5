# SPDX-License-Identifier: Apache-2.0
"""Check the audit trail's chain, what the log says of enrolments, and the ledger's seals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.evidence import LogRecord
from server.people.audit import HEAD_ID, line_of
from server.people.audit_chain import GENESIS, link_hash
from server.people.models import Audit, AuditHead, AuditLink
from server.terminals.models import Psam, TerminalKey
from server.timebank.models import Entry, Transfer
from server.transparency import seals
from server.transparency.findings import Finding, shown
from server.transparency.seals import Seal, transfer_digest

PIECE = 1_000


def audit_findings(session: Session) -> Iterator[Finding]:
    """Follow the chain from its start; a changed line does not hide those after it."""
    anchors = dict(_anchors(session))
    number, last = 0, GENESIS
    statement = (
        sa.select(AuditLink, Audit)
        .outerjoin(Audit, Audit.id == AuditLink.audit_id)
        .order_by(AuditLink.number)
    )
    for pair in session.execute(statement.execution_options(yield_per=PIECE)):
        link, row = cast("tuple[AuditLink, Audit | None]", tuple(pair))
        number += 1
        name = f"id {link.audit_id}, link {link.number}"
        if link.number != number:
            yield Finding("audit_link", name, "number", str(number), str(link.number),
                          "链条缺环", "links before it are missing")  # fmt: skip
            number, last = link.number, bytes(link.hash)
            continue
        digest = b"" if row is None else link_hash(last, number, line_of(row))
        if row is None:
            yield Finding(
                "audit", name, "row", shown(link.hash), "null", "此行被删除", "the line is gone"
            )
        elif digest != bytes(link.hash):
            yield Finding(
                "audit", name, "line", shown(link.hash), shown(digest),
                f"{row.action} {row.subject}: 此行被改动", "the line or its link was changed",
            )  # fmt: skip
        if anchors.get(number, bytes(link.hash)) != bytes(link.hash):
            yield Finding(
                "audit_link", name, "hash", shown(anchors[number]), shown(link.hash),
                "与存证中的链尾不符", "differs from the head that the log holds",
            )  # fmt: skip
        last = bytes(link.hash)
    head = session.get_one(AuditHead, HEAD_ID)
    if (head.number, bytes(head.hash)) != (number, last):
        yield Finding("audit_head", "id 1", "hash", shown(last), shown(bytes(head.hash)),
                      f"第 {number} 环", f"link {number}, head {head.number}")  # fmt: skip
    if anchors and max(anchors) > number:
        yield Finding("audit_link", f"link {max(anchors)}", "row", shown(anchors[max(anchors)]),
                      "null", "链尾被截去", "the end of the chain was cut off")  # fmt: skip
    loose = sa.select(Audit.id).where(~sa.exists().where(AuditLink.audit_id == Audit.id))
    for audit_id in session.scalars(loose):
        yield Finding("audit", f"id {audit_id}", "row", "null", "a line",
                      "不经服务器写入", "no link: the server did not write it")  # fmt: skip


def enrolment_findings(session: Session) -> Iterator[Finding]:
    """Compare keys and PSAMs with the records of their enrolment in the log."""
    for index, record in _records(session, "terminal-key"):
        key = session.get(TerminalKey, record["key_id"])
        should = (record["terminal"], record["public_key"])
        found = None if key is None else (key.terminal_id, shown(key.public_key))
        if should != found:
            name = f"id {record['key_id']}"
            yield Finding("terminal_key", name, "public_key", str(should), str(found),
                          f"存证第 {index} 片叶", f"leaf {index}")  # fmt: skip
    # One that was revoked before it did anything may have been enrolled anew: the last leaf counts.
    psams = {record["number"]: (index, record) for index, record in _records(session, "psam")}
    freed = {record["number"]: index for index, record in _records(session, "psam-freed")}
    for index, record in psams.values():
        psam = session.get(Psam, bytes.fromhex(record["number"]))
        let_go = freed.get(record["number"], 0)
        if let_go > index:
            yield from _unapproved(psam, let_go)
            continue
        names = ("terminal", "dpk_idx", "from_seq")
        wanted = tuple(record[name] for name in names)
        here = None if psam is None else (psam.terminal_id, psam.dpk_idx, psam.from_seq)
        if wanted != here:
            yield Finding("psam", record["number"], ", ".join(names), str(wanted), str(here),
                          f"存证第 {index} 片叶", f"leaf {index}")  # fmt: skip


def _unapproved(psam: Psam | None, index: int) -> Iterator[Finding]:
    """Check a PSAM that was let go: it waits for an approval or is gone, and does not serve."""
    if psam is not None and psam.state != "pending":
        yield Finding("psam", psam.number.hex(), "state", "pending", psam.state,
                      f"存证第 {index} 片叶", f"leaf {index}")  # fmt: skip


def ledger_findings(session: Session) -> Iterator[Finding]:
    """Check that every transfer sums to zero and is as it was when it was sealed."""
    sums = (
        sa.select(Entry.transfer_id, sa.func.sum(Entry.minutes))
        .group_by(Entry.transfer_id)
        .having(sa.func.sum(Entry.minutes) != 0)
    )
    for number, total in session.execute(sums):
        yield Finding("entry", f"transfer {number}", "sum of minutes", "0", str(total))
    for index, body in _bodies(session, seals.LEDGER):
        try:
            seal = Seal.from_body(body)
        except (ValueError, KeyError):
            yield Finding("log_record", f"leaf {index} (ledger)", "body", "a seal", "no seal")
            continue
        yield from _transfers(session, seal)


def _transfers(session: Session, seal: Seal) -> Iterator[Finding]:
    known = set(seals.TRANSFER_COLUMNS)
    names = [name for name in seal.columns if name in known]
    rows = seals.transfers(session, names, Transfer.id.between(seal.first, seal.last))
    entries = seals.entries_of(session, seal.first, seal.last)
    found: dict[bytes, int] = {
        transfer_digest(row[1:], entries.get(row[0], []))[: seals.TAG]: row[0] for row in rows
    }
    count = len(seal.tags) // seals.TAG
    if [seal.tag(place) for place in range(count)] == list(found):
        return
    sealed = {seal.tag(place) for place in range(count)}
    for tag, number in found.items():
        if tag not in sealed:
            yield Finding(
                "transfer", f"id {number}", "row or its entries", "as sealed", tag.hex() + "…",
                "与封存不符", "differs from what was sealed in the log",
            )  # fmt: skip
    if len(rows) != count:
        yield Finding("transfer", f"id {seal.first}–{seal.last}", "rows", str(count),
                      str(len(rows)), "有转账被删除", "transfers were removed")  # fmt: skip


def _anchors(session: Session) -> Iterator[tuple[int, bytes]]:
    for _, record in _records(session, seals.AUDIT_HEAD):
        yield record["number"], bytes.fromhex(record["hash"])


def _records(session: Session, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, body in _bodies(session, kind):
        try:
            yield index, json.loads(body)
        except ValueError:
            continue  # the log's own check names a body that was changed


def _bodies(session: Session, kind: str) -> Iterator[tuple[int, bytes]]:
    statement = (
        sa.select(LogRecord.leaf_index, LogRecord.body)
        .where(LogRecord.kind == kind)
        .order_by(LogRecord.leaf_index)
    )
    for index, body in session.execute(statement.execution_options(yield_per=PIECE)):
        yield index, bytes(body)
