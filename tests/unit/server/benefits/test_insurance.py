# SPDX-License-Identifier: Apache-2.0
"""Who is insured, what the insurer hears each day, what a claim comes to."""

from __future__ import annotations

import datetime as dt
import json

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.benefits import claims, insurance
from server.benefits.claims import Occurrence, Verdict
from server.benefits.models import Claim
from server.benefits.policy import MEDICAL, pays_fen
from server.errors import Refused
from server.issuing import services
from server.people.models import Audit, Volunteer
from server.reconciliation.models import ServiceInterval
from server.terminals.models import Site
from tests.unit.server.issuing.people import MONDAY, Town

DAY = dt.date(2026, 11, 23)
HOUR_MS = 3_600_000


def serve(session: Session, person: Volunteer, region: str, end_ms: int | None) -> int:
    """Let somebody serve from Monday 09:00 at a site of a region; return the service's id."""
    site = Site(name_zh="站", name_en="site", tz_q=32, region=region, config_version=1, rules={})
    session.add(site)
    session.flush()
    interval = ServiceInterval(
        person=person.id, key="in:1:1", start_ms=MONDAY, end_ms=end_ms, credited_minutes=60,
        grade="A", state="credited", rules="", site=site.id, service_day=DAY, engine_version=1,
        made_ms=MONDAY, current=True,
    )  # fmt: skip
    session.add(interval)
    session.flush()
    return interval.id


def claim(session: Session, town: Town, person: Volunteer, kind: str, cost: int = 0) -> Verdict:
    """Check an accident half an hour after the start of the service."""
    found = Occurrence(person.number, kind, MONDAY + HOUR_MS // 2, cost)
    return claims.check(session, found, "li", town.now_ms + HOUR_MS)


@pytest.mark.parametrize(("row", "kind"), [("s18", "death"), ("s19", "disability")])
def test_s18_s19_accident_in_service_pays_100_000_yuan(town: Town, row: str, kind: str) -> None:
    """Death and disability pay 100 000 yuan while in service in the city, and nothing else."""
    with town.database.writing() as session:
        person = town.volunteer(session)
        insurance.daily_file(session, DAY, "li", town.now_ms)
        assert (row, claim(session, town, person, kind).code) == (row, "no-service")
        proof = serve(session, person, "440304", MONDAY + HOUR_MS)
        paid = claim(session, town, person, kind)

        assert paid == Verdict("covered", 10_000_000, proof)


def test_s20_medical_cost_has_a_deductible_and_a_limit_an_occurrence(town: Town) -> None:
    """100 yuan are the volunteer's own each time; what is above is paid up to 5 000 yuan."""
    costs = (8_000, 10_000, 10_001, 510_000, 900_000)
    assert [pays_fen(MEDICAL, cost) for cost in costs] == [0, 0, 1, 500_000, 500_000]
    with town.database.writing() as session:
        person = town.volunteer(session)
        insurance.daily_file(session, DAY, "li", town.now_ms)
        serve(session, person, "440304", None)
        two = [claim(session, town, person, "medical", 25_000).pays_fen for _ in range(2)]

        assert two == [15_000, 15_000]


def test_s21_cover_is_within_the_city_and_proven_by_a_service(town: Town) -> None:
    """Outside the city nothing is paid; the service looked at stands with the claim."""
    with town.database.writing() as session:
        person = town.volunteer(session)
        insurance.daily_file(session, DAY, "li", town.now_ms)
        outside = serve(session, person, "440106", MONDAY + HOUR_MS)
        assert claim(session, town, person, "death") == Verdict("outside-city", 0, outside)
        inside = serve(session, person, "440304", MONDAY + HOUR_MS)
        assert claim(session, town, person, "death").interval_id == inside

        rows = session.scalars(sa.select(Claim).order_by(Claim.id)).all()
        assert [(row.code, row.interval_id) for row in rows] == [
            ("outside-city", outside), ("covered", inside),
        ]  # fmt: skip
        lines = session.scalars(sa.select(Audit.detail).where(Audit.action == "claim.checked"))
        assert [line["service"] for line in lines] == [outside, inside]


def test_who_is_not_registered_is_not_covered(town: Town) -> None:
    """Before the register knows somebody, and from the day of leaving on, nothing is paid."""
    with town.database.writing() as session:
        person = town.volunteer(session)
        serve(session, person, "440304", MONDAY + HOUR_MS)

        assert claim(session, town, person, "death").code == "not-insured"
        with pytest.raises(Refused):
            claim(session, town, person, "theft")


def test_daily_file_tells_who_came_and_went(town: Town) -> None:
    """Adds and removes against the day before, control totals, the same bytes when asked again."""
    with town.database.writing() as session:
        first, second = town.volunteer(session), town.volunteer(session, "李四")
        monday = insurance.daily_file(session, DAY, "li", town.now_ms)
        services.deregister(session, first.id, "搬家", "li", town.now_ms)
        third = town.volunteer(session, "赵五")
        tuesday = insurance.daily_file(session, DAY + dt.timedelta(1), "li", town.now_ms)
        again = insurance.daily_file(session, DAY, "li", town.now_ms)

        assert (monday.added, monday.removed, monday.insured) == (2, 0, 2)
        assert again.content == monday.content
        lines = [json.loads(line) for line in tuesday.content.splitlines()]
        assert lines[1] == {"change": "remove", "number": first.number, "until": "2026-11-24"}
        assert lines[2] == {"change": "add", "number": third.number, "from": "2026-11-24"}
        assert lines[3] == {
            "end": "yika-insured/1", "added": 1, "removed": 1, "insured": 2, "yesterday": 2,
            "number_total": int(first.number) + int(third.number),
        }  # fmt: skip
        assert insurance.is_insured(session, second.id, DAY + dt.timedelta(9))
        with pytest.raises(Refused, match="is written"):
            insurance.daily_file(session, DAY - dt.timedelta(1), "li", town.now_ms)


def test_applicant_is_not_insured(town: Town) -> None:
    """A preliminary number is no registration."""
    with town.database.writing() as session:
        person = town.volunteer(session)
        person.number = "Y123456780"
        session.flush()

        assert insurance.daily_file(session, DAY, "li", town.now_ms).insured == 0
