# SPDX-License-Identifier: Apache-2.0
"""Records whose reason nobody knew: staff says what it means, and the record takes effect."""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from server.bank.files.declaration import CARD_REASONS
from server.bank.models import BankFile, BankLine
from server.errors import Refused
from server.issuing import dates
from server.issuing.services import CardEvent, Detail, Result, apply
from server.people import audit, services


def resolve(
    session: Session, place: tuple[int, int], reason: str, actor: str, now_ms: int
) -> Result:
    """Settle one record at the console; raises as `settle`, and for whoever is no staff."""
    services.require_staff(session, actor)
    return settle(session, place, reason, actor, now_ms)


def settle(
    session: Session, place: tuple[int, int], reason: str, actor: str, now_ms: int
) -> Result:
    """Settle one record, named by file and line, with a reason of ours.

    Raises:
        Refused: there is no such record in quarantine, or its order has moved on since.
    """
    if reason not in CARD_REASONS:
        raise Refused("unknown-code", f"没有代码 {reason}", f"no code {reason}")
    file_id, line = place
    row = session.get(BankLine, (file_id, line), with_for_update=True)
    if row is None or row.state != "QUAR" or row.record is None:
        raise Refused("not-quarantined", "该记录不在待处理中", f"line {line} is not in quarantine")
    file = session.get_one(BankFile, file_id)
    day = row.record["day"]
    at_ms = dates.start_of(dt.date(int(day[:4]), int(day[4:6]), int(day[6:])))
    result = apply(
        session,
        CardEvent(
            row.record["order_no"], "rejected", at_ms, f"file:{file.name}:{line}", "bank", actor,
            file.partner, Detail(reject_code=reason),
        ),
        now_ms,
    )  # fmt: skip
    if not result.ok:
        raise Refused(result.code, result.zh, result.en)
    row.state, row.resolved_by, row.resolved_ms = "DONE", actor, now_ms
    audit.record(
        session, now_ms, actor, "bankline.resolved", f"bankfile:{file.name}",
        line=line, reason=reason, found=row.found,
    )  # fmt: skip
    return result
