# SPDX-License-Identifier: Apache-2.0
"""Working days, half years, and what the worker does when a date has passed."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.issuing import dates, dues, services, work_calendar
from server.issuing.dates import start_of
from server.issuing.models import CardOrder, DueEvent
from server.outbox.models import OutboxMessage
from server.people.models import Volunteer
from tests.unit.server.issuing.people import BANK, DAY_MS, Town


def raised(session: Session) -> list[str]:
    """Return the kinds of due dates told so far."""
    return list(session.scalars(sa.select(DueEvent.kind).order_by(DueEvent.id)))


def messages(session: Session) -> list[tuple[str, str]]:
    """Return kind and channel of what is to be said so far."""
    chosen = sa.select(OutboxMessage.kind, OutboxMessage.channel).order_by(OutboxMessage.id)
    return [(row.kind, row.channel) for row in session.execute(chosen)]


def test_s57_volunteer_is_in_one_open_batch_at_most(town: Town) -> None:
    """An order goes out once: what is in a file is not ready any more, nor marked a second time."""
    with town.database.writing() as session:
        person = town.volunteer(session)
        order = town.order(session, person, photo_sha256="ab" * 32)
        line = services.ready_for_export(session, BANK, 10)[0]
        services.mark_exported(session, [order.id], "OUT1", town.now_ms)

        assert (line.order_no, line.number, line.photo_sha256) == (
            order.order_no, person.number, "ab" * 32,
        )  # fmt: skip
        assert services.ready_for_export(session, BANK, 10) == []
        with pytest.raises(Refused, match="does not wait"):
            services.mark_exported(session, [order.id], "OUT2", town.now_ms)
        with pytest.raises(Refused, match="under way"):
            town.order(session, person)


def test_s58_card_is_overdue_on_the_sixteenth_working_day(town: Town) -> None:
    """Fifteen working days from 2026-11-23 end on 2026-12-14; overdue is the day after."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "exported")
        assert order.due_make_ms == start_of(dt.date(2026, 12, 15))
        dues.run(session, order.due_make_ms - 1)
        assert raised(session) == []
        dues.run(session, order.due_make_ms)
        dues.run(session, order.due_make_ms + DAY_MS)

        assert raised(session) == ["make_overdue"]


def test_s58_working_days_skip_the_holidays_of_two_years(town: Town) -> None:
    """Over New Year 2027 and over the National Day of 2026 the calendar's days count."""
    with town.database.reading() as session:
        known = work_calendar.read(session)

    assert known.working_days_after(dt.date(2026, 12, 11), 15) == dt.date(2027, 1, 4)
    assert known.working_days_after(dt.date(2026, 9, 18), 15) == dt.date(2026, 10, 15)
    assert known.is_working(dt.date(2026, 10, 10))
    assert known.is_firm(dt.date(2026, 12, 31))
    assert not known.is_firm(dt.date(2027, 1, 1))


def test_due_dates_do_not_need_a_known_year(town: Town) -> None:
    """Behind the last known year Monday to Friday count, and are said to be not firm."""
    with town.database.reading() as session:
        known = work_calendar.read(session)

    assert known.working_days_after(dt.date(2029, 12, 31), 5) == dt.date(2030, 1, 7)
    assert not known.is_firm(dt.date(2030, 1, 7))


def test_s59_holder_is_told_once_when_the_card_has_arrived(town: Town) -> None:
    """One message a card names branch and last day; twenty working days late it is overdue."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "audited")
        assert order.due_notice_ms == start_of(dt.date(2026, 12, 22))
        dues.run(session, order.due_notice_ms)
        assert raised(session) == ["notice_overdue"]
        town.now_ms = order.due_notice_ms
        town.tell(session, order, "arrived")
        dues.run(session, town.now_ms)
        dues.run(session, town.now_ms)

        assert order.state == "announced"
        message = session.scalars(sa.select(OutboxMessage)).one()
        assert message.params == {"branch": "福田支行", "until": "2027-06-22"}


def test_s60_branch_keeps_a_card_half_a_year(town: Town) -> None:
    """What arrives on 2026-08-31 is kept until 2027-02-28, with reminders before."""
    arrived_ms = start_of(dt.date(2026, 8, 31)) + 9 * 3_600_000
    town.now_ms = arrived_ms
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "announced")

        assert order.due_branch_ms == start_of(dt.date(2027, 3, 1))
        assert dates.last_day(order.due_branch_ms) == dt.date(2027, 2, 28)
        for days in range(0, 190, 7):
            dues.run(session, arrived_ms + days * DAY_MS)
        assert raised(session) == [
            "reminder_60", "reminder_30", "call", "reminder_7", "branch_overdue",
        ]  # fmt: skip


def test_s61_uncollected_card_is_told_by_message_telephone_and_public_notice(town: Town) -> None:
    """Three kinds of notice are recorded; the public one masks the name."""
    with town.database.writing() as session:
        person = town.volunteer(session, "欧阳娜娜")
        order = town.bring(session, town.order(session, person), "announced")
        assert order.due_branch_ms is not None
        dues.run(session, order.due_branch_ms - 3 * DAY_MS)

        assert "call" in raised(session)
        assert ("card.reminder", "sms") in messages(session)
        assert ("card.uncollected", "public") in messages(session)
        public = sa.select(OutboxMessage.params).where(OutboxMessage.channel == "public")
        assert session.scalars(public).one()["name"] == "欧***"


def test_s62_cut_and_closed_comes_from_the_bank_alone(town: Town) -> None:
    """Staff cannot say it; the bank can, the volunteer stays, the holder is told once."""
    with town.database.writing() as session:
        person = town.volunteer(session)
        order = town.bring(session, town.order(session, person), "announced")
        assert town.tell(session, order, "cut_closed", "staff").code == "wrong-source"
        assert town.tell(session, order, "cut_closed", "bank").state == "cut_closed"
        dues.run(session, town.now_ms)
        dues.run(session, town.now_ms)

        assert ("card.cut_closed", "sms") in messages(session)
        assert len(messages(session)) == 1
        kept = session.get_one(Volunteer, person.id)
        assert (kept.number, kept.erased_ms) == (person.number, None)
        assert services.person_history(session, person.id).left is None


def test_expired_card_ends_by_the_clock(town: Town) -> None:
    """The day after its last one a card is expired and on the hotlist."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "active")
        assert order.valid_to == dt.date(2031, 11, 22)
        dues.run(session, dates.end_of(order.valid_to) - 1)
        assert order.state == "active"
        dues.run(session, dates.end_of(order.valid_to))

        assert order.state == "expired"
        history = services.person_history(session, order.volunteer_id)
        assert [card.state for card in history.cards] == ["revoked"]


def test_year_is_loaded_from_the_announcement(town: Town) -> None:
    """A loaded year takes the place of the provisional one; a plain day is refused."""
    text = "day,working,name\n2027-02-05,放假,春节\n2027-02-20,上班,春节\n"
    with town.database.writing() as session:
        work_calendar.load(session, work_calendar.parse(text, 2027, "notice"), "li", town.now_ms)
        known = work_calendar.read(session)

    assert known.is_firm(dt.date(2027, 1, 1))
    assert known.is_working(dt.date(2027, 2, 20))
    assert known.is_working(dt.date(2027, 2, 8))
    for bad in ("2027-02-06,放假,春节", "2026-10-01,放假,x", "soon,放假", "2027-02-05"):
        with pytest.raises(Refused):
            work_calendar.parse(bad, 2027, "notice")


def test_rejected_card_is_late_anew(town: Town) -> None:
    """An order that was late, rejected and sent again is told of again when it is late again."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "exported")
        assert order.due_make_ms is not None
        dues.run(session, order.due_make_ms)
        town.tell(session, order, "rejected")
        town.tell(session, order, "corrected", "staff")
        services.mark_exported(session, [order.id], "OUT2", order.created_ms + 60 * DAY_MS)
        session.refresh(order)
        assert raised(session) == []
        dues.run(session, session.get_one(CardOrder, order.id).due_make_ms or 0)

        assert raised(session) == ["make_overdue"]
