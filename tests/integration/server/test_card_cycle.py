# SPDX-License-Identifier: Apache-2.0
"""The life of a card and what hangs on it, on both databases."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import sqlalchemy as sa

from server.benefits import campaigns, insurance
from server.benefits.campaigns import NewCampaign
from server.benefits.services import DonationRow, book_donations, month_total_fen
from server.db import Database
from server.issuing import bulk, checking, dates, dues, search, services, work_calendar, worklists
from server.issuing.bulk import UNDO_MS, Wanted
from server.issuing.models import CardOrder
from server.issuing.services import Choice
from tests.unit.server.issuing.people import BANK, DAY_MS, found_town


def test_a_life_of_a_card_from_order_to_leaving(database: Database, tmp_path: Path) -> None:
    """Ordered, collected, lost, replaced, suspended, expired, left: every step and list works."""
    town = found_town(database, tmp_path)
    with database.writing() as session:
        person = town.volunteer(session, "欧阳娜娜")
        old = town.bring(session, town.order(session, person), "arrived")
        dues.run(session, town.now_ms)
        assert old.state == "announced"
        assert worklists.counts(session, town.now_ms)["collect"] == 1
        town.tell(session, old, "collected")
    assert dues.work(database, town.now_ms) >= 1
    with database.writing() as session:
        old = session.scalars(sa.select(CardOrder)).one()
        assert old.state == "active"
        assert town.tell(session, old, "lost").ok
        wish = {"id_checked": True, "branch": old.branch_code}
        assert town.tell(session, old, "reissue_requested", **wish).ok
        new = session.scalars(sa.select(CardOrder).where(CardOrder.replaces_id == old.id)).one()
        town.bring(session, new, "active")
        assert old.state == "replaced"
        bulk.begin(session, Wanted("suspended", [new.order_no], "核查"), "li", town.now_ms)
        assert bulk.run(session, town.now_ms + UNDO_MS) == 1
        assert town.tell(session, new, "resumed", "staff").ok
        search.index_new(session, town.store, town.now_ms)
        assert search.find(session, town.store, "oynn") == [new.volunteer_id]
        services.set_consent(
            session, new.volunteer_id, Choice("offers", True, "online"), "self", town.now_ms
        )
        new_campaign = NewCampaign("体检", "check", dt.date(2026, 12, 1), dt.date(2026, 12, 31))
        care = campaigns.add(session, new_campaign, "li", town.now_ms)
        number = campaigns.eligible(session, care, "", 10)[0]
        day = dates.local_day(town.now_ms)
        assert insurance.daily_file(session, day, "li", town.now_ms).insured == 1
        rows = [DonationRow(number, 3, 1, 20)]
        book_donations(session, BANK, "2026-11", rows, "file:D", town.now_ms)
        assert month_total_fen(session, BANK, "2026-11") == 20
        assert checking.violations(session) == []
    with database.writing() as session:
        text = "2027-01-01,放假,元旦"
        work_calendar.load(session, work_calendar.parse(text, 2027, "notice"), "li", town.now_ms)
        new = session.scalars(sa.select(CardOrder).where(CardOrder.state == "active")).one()
        services.deregister(session, new.volunteer_id, "搬家", "li", town.now_ms)
        tomorrow = dates.local_day(town.now_ms + DAY_MS)
        assert insurance.daily_file(session, tomorrow, "li", town.now_ms).removed == 1
        assert len(services.person_history(session, new.volunteer_id).orders) == 2
        assert worklists.read(session, "expiring", town.now_ms) == []
        assert checking.violations(session) == []
    assert dues.work(database, town.now_ms + 400 * DAY_MS) <= 1
