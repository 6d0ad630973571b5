# SPDX-License-Identifier: Apache-2.0
"""The insurance register: every volunteer is covered, and the insurer hears each day who changed.

Cover goes by whole days. A day's file is rendered from the register, so that it is the same bytes
whenever it is asked for again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.benefits.models import InsuranceFile, Insured
from server.errors import Refused
from server.issuing.models import Deregistration
from server.people import audit
from server.people.models import Volunteer
from server.people.policy import NUMBER_LENGTH

FORMAT = "yika-insured/1"
NUMBER_MODULUS = 10**NUMBER_LENGTH


@dataclass(frozen=True, slots=True)
class Difference:
    """One day's file: who came, who went, how many are covered now."""

    day: dt.date
    added: int
    removed: int
    insured: int
    content: bytes
    sha256: bytes


def daily_file(session: Session, day: dt.date, actor: str, now_ms: int) -> Difference:
    """Bring the register up to a day and return that day's file; the same again later.

    Raises:
        Refused: a later day's file was written already and this day's never was.
    """
    known = session.get(InsuranceFile, day)
    if known is None:
        later = session.scalar(sa.select(sa.func.max(InsuranceFile.day)))
        if later is not None and later > day:
            raise Refused(
                "insurance-day", f"已有 {later} 的文件，不能补做 {day}",
                f"the file of {later} is written: none can be made for {day}",
            )  # fmt: skip
        _bring_up(session, day)
    made = _rendered(session, day)
    if known is not None:
        if known.sha256 != made.sha256:
            raise Refused(
                "insurance-differs", f"{day} 的登记与已发文件不符",
                f"the register of {day} is not what its file said",
            )  # fmt: skip
        return made
    session.add(
        InsuranceFile(
            day=day, added=made.added, removed=made.removed, insured=made.insured,
            sha256=made.sha256, made_ms=now_ms,
        )
    )  # fmt: skip
    audit.record(
        session, now_ms, actor, "insurance.exported", f"insurance:{day}",
        added=made.added, removed=made.removed, insured=made.insured,
    )  # fmt: skip
    return made


def is_insured(session: Session, volunteer_id: int, day: dt.date) -> bool:
    """Tell whether a volunteer is covered on a day."""
    covered = sa.select(Insured.id).where(Insured.volunteer_id == volunteer_id, _covers(day))
    return session.scalar(covered.limit(1)) is not None


def registered() -> sa.ColumnElement[bool]:
    """Return the condition of an active registered volunteer: official number, not gone."""
    left = sa.exists().where(Deregistration.volunteer_id == Volunteer.id)
    return sa.and_(~Volunteer.number.like("Y%"), Volunteer.erased_ms.is_(None), ~left)


def _covers(day: dt.date) -> sa.ColumnElement[bool]:
    return sa.and_(
        Insured.from_day <= day, sa.or_(Insured.until_day.is_(None), Insured.until_day > day)
    )


def _bring_up(session: Session, day: dt.date) -> None:
    """Cover whoever registered since, end the cover of whoever left."""
    still = sa.select(Volunteer.id).where(registered())
    open_cover = sa.exists().where(
        Insured.volunteer_id == Volunteer.id, Insured.until_day.is_(None)
    )
    session.execute(
        sa.update(Insured)
        .where(Insured.until_day.is_(None), Insured.volunteer_id.not_in(still))
        .values(until_day=day)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        sa.insert(Insured).from_select(
            ["volunteer_id", "from_day"],
            sa.select(Volunteer.id, sa.literal(day, sa.Date)).where(registered(), ~open_cover),
        )
    )


def _rendered(session: Session, day: dt.date) -> Difference:
    added = _numbers(session, Insured.from_day == day)
    removed = _numbers(session, Insured.until_day == day)
    insured = session.scalar(sa.select(sa.func.count()).where(_covers(day))) or 0
    content = b"".join(_lines(day, added, removed, insured))
    return Difference(
        day, len(added), len(removed), insured, content, hashlib.sha256(content).digest()
    )


def _numbers(session: Session, chosen: sa.ColumnElement[bool]) -> list[str]:
    return list(
        session.scalars(
            sa.select(Volunteer.number)
            .join(Insured, Insured.volunteer_id == Volunteer.id)
            .where(chosen)
            .order_by(Volunteer.number)
        )
    )


def _lines(day: dt.date, added: list[str], removed: list[str], insured: int) -> Iterator[bytes]:
    yield _line({"format": FORMAT, "day": day.isoformat()})
    for number in removed:
        yield _line({"change": "remove", "number": number, "until": day.isoformat()})
    for number in added:
        yield _line({"change": "add", "number": number, "from": day.isoformat()})
    yield _line({
        "end": FORMAT, "added": len(added), "removed": len(removed), "insured": insured,
        "yesterday": insured - len(added) + len(removed),
        "number_total": sum(map(int, added + removed)) % NUMBER_MODULUS,
    })  # fmt: skip


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
