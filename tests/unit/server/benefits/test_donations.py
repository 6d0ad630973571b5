# SPDX-License-Identifier: Apache-2.0
"""Donations of ten fen a purchase, and campaigns for those who opted in."""

from __future__ import annotations

import datetime as dt

import pytest

from server.benefits import campaigns
from server.benefits.campaigns import NewCampaign
from server.benefits.services import DonationRow, book_donations, month_total_fen
from server.errors import Refused
from server.issuing import services
from server.issuing.services import Choice
from tests.unit.server.issuing.people import BANK, Town

MONTH = "2026-11"


def test_s35_ten_fen_a_purchase_for_each_volunteer(town: Town) -> None:
    """A month is booked by volunteer, refunds take theirs back, and the control total is equal."""
    with town.database.writing() as session:
        one, two = town.volunteer(session), town.volunteer(session, "李四")
        rows = [DonationRow(one.number, 12, 0, 120), DonationRow(two.number, 3, 5, -20)]
        booked = book_donations(session, BANK, MONTH, rows, "file:D1", town.now_ms)

        assert (booked.rows, booked.purchases, booked.amount_fen) == (2, 15, 100)
        assert month_total_fen(session, BANK, MONTH) == 100
        again = book_donations(session, BANK, MONTH, rows, "file:D1", town.now_ms)
        assert again.repeated
        assert month_total_fen(session, BANK, MONTH) == 100
        with pytest.raises(Refused, match="booked with other rows"):
            book_donations(session, BANK, MONTH, rows[:1], "file:D2", town.now_ms)


def test_one_wrong_row_books_nothing(town: Town) -> None:
    """A row that does not follow the rule is named, and none of the file is booked."""
    with town.database.writing() as session:
        one = town.volunteer(session).number
        rows = [
            DonationRow(one, 2, 0, 20), DonationRow(one, 1, 0, 10),
            DonationRow("0000009999", 1, 0, 10), DonationRow("x", -1, 0, -10),
        ]  # fmt: skip
        booked = book_donations(session, BANK, MONTH, rows, "file:D1", town.now_ms)
        assert [(fault.row, fault.code) for fault in booked.faults] == [
            (1, "twice"), (2, "unknown-volunteer"), (3, "unknown-volunteer"),
        ]  # fmt: skip
        wrong = [DonationRow(one, 2, 0, 21)]
        booked = book_donations(session, BANK, MONTH, wrong, "file:D1", town.now_ms)

        assert [fault.code for fault in booked.faults] == ["amount"]
        assert month_total_fen(session, BANK, MONTH) == 0
        with pytest.raises(Refused):
            book_donations(session, BANK, "2026-13", wrong, "file:D1", town.now_ms)


def test_s17_campaign_lists_only_eligible_cardholders(town: Town) -> None:
    """Invited is who holds an active card, opted into offers and served long enough."""
    with town.database.writing() as session:
        holder = town.bring(session, town.order(session, town.volunteer(session)), "active")
        silent = town.bring(session, town.order(session, town.volunteer(session)), "active")
        cardless = town.volunteer(session)
        for person in (holder.volunteer_id, cardless.id):
            services.set_consent(session, person, Choice("offers", True, "online"), "self", 1)
        days = (dt.date(2026, 12, 1), dt.date(2026, 12, 31))
        care = campaigns.add(session, NewCampaign("体检", "check", *days), "li", 1)
        long = campaigns.add(session, NewCampaign("体检", "check", *days, 60), "li", 1)

        invited = campaigns.eligible(session, care, "", 10)
        person = services.person_history(session, holder.volunteer_id)
        assert len(invited) == 1
        assert person.functions["offers"]
        assert silent.volunteer_id != holder.volunteer_id
        assert campaigns.eligible(session, care, invited[0], 10) == []
        assert campaigns.eligible(session, long, "", 10) == []
        services.deregister(session, holder.volunteer_id, "搬家", "li", town.now_ms)
        assert campaigns.eligible(session, care, "", 10) == []
