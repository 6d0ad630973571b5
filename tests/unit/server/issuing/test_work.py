# SPDX-License-Identifier: Apache-2.0
"""Worklists, search, bulk actions, and what the check finds when something is wrong."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from server.errors import Refused
from server.issuing import bulk, checking, dues, search, worklists
from server.issuing.bulk import UNDO_MS, Wanted
from server.issuing.models import CardStep, SearchPrint
from server.people.models import Audit
from server.people.services import CardReport, report_card, restore_card
from tests.unit.server.issuing.people import DAY_MS, Town


def test_worklists_go_by_due_date(town: Town) -> None:
    """Each order stands on the list of what is to be done with it, the most pressing first."""
    with town.database.writing() as session:
        late = town.bring(session, town.order(session, town.volunteer(session)), "exported")
        town.now_ms += 40 * DAY_MS
        town.bring(session, town.order(session, town.volunteer(session)), "exported")
        town.bring(session, town.order(session, town.volunteer(session)), "announced")
        waiting = town.order(session, town.volunteer(session))
        back = town.bring(session, town.order(session, town.volunteer(session)), "exported")
        town.tell(session, back, "rejected", reject_code="PHOTO")
        counts = worklists.counts(session, town.now_ms)

        assert counts == {
            "order": 1, "overdue": 1, "announce": 0, "collect": 1, "call": 0, "expiring": 0,
            "rejected": 1,
        }  # fmt: skip
        overdue = worklists.read(session, "overdue", town.now_ms)
        assert [(line.order_no, line.late) for line in overdue] == [(late.order_no, True)]
        assert worklists.read(session, "order", town.now_ms)[0].order_no == waiting.order_no
        rejected = worklists.read(session, "rejected", town.now_ms)
        assert rejected[0].reject_code == "PHOTO"


def test_telephone_call_is_crossed_off_once(town: Town) -> None:
    """Who is to be telephoned leaves the list when somebody has done it."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "announced")
        assert order.due_branch_ms is not None
        now_ms = order.due_branch_ms - 20 * DAY_MS
        dues.run(session, now_ms)
        assert worklists.counts(session, now_ms)["call"] == 1
        assert worklists.done_calling(session, order.id, "li", now_ms)
        assert not worklists.done_calling(session, order.id, "li", now_ms)
        assert worklists.counts(session, now_ms)["call"] == 0


@pytest.mark.parametrize(
    "query",
    ["欧阳娜娜", "欧阳", "ouyang", "ouyangnana", "OuYang", "oynn", "oy", "{number}", "{order}"],
)
def test_person_is_found(town: Town, query: str) -> None:
    """By number, order, name and pinyin, with beginnings and initials."""
    with town.database.writing() as session:
        person = town.volunteer(session, "欧阳娜娜")
        town.volunteer(session, "王小明")
        order = town.order(session, person)
        search.index_new(session, town.store, town.now_ms)
        wanted = query.format(number=person.number, order=order.order_no)

        assert search.find(session, town.store, wanted) == [person.id]


def test_index_holds_nothing_readable_and_opens_each_name_once(town: Town) -> None:
    """Eight bytes a word under a key; the opening is on the audit trail; the erased are gone."""
    with town.database.writing() as session:
        person = town.volunteer(session, "单田芳")
        assert search.index_new(session, town.store, town.now_ms) == 1
        assert search.index_new(session, town.store, town.now_ms) == 0
        session.flush()
        found = session.scalars(sa.select(SearchPrint.print)).all()
        reads = session.scalars(sa.select(Audit.detail).where(Audit.action == "volunteer.read"))

        assert {len(one) for one in found} == {8}
        assert [line["why"] for line in reads] == ["search index"]
        assert search.find(session, town.store, "shantianfang") == [person.id]
        person.erased_ms = town.now_ms
        session.flush()
        assert search.forget_erased(session) == len(found)
        assert search.find(session, town.store, "shantianfang") == []


def test_bulk_action_waits_for_its_window(town: Town) -> None:
    """Nothing happens before five minutes are over; then each order is judged by itself."""
    with town.database.writing() as session:
        people = [town.volunteer(session) for _ in range(3)]
        orders = [town.bring(session, town.order(session, one), "active") for one in people[:2]]
        other = town.order(session, people[2])
        numbers = [order.order_no for order in (*orders, other)]
        shown = bulk.preview(session, "suspended", numbers)
        assert [(one.to, one.code) for one in shown] == [
            ("suspended", ""), ("suspended", ""), ("", "not-following"),
        ]  # fmt: skip
        begun = bulk.begin(session, Wanted("suspended", numbers, "核查"), "li", town.now_ms)
        assert bulk.run(session, town.now_ms + UNDO_MS - 1) == 0
        town.tell(session, orders[1], "lost", "staff")
        assert bulk.run(session, town.now_ms + UNDO_MS) == 1

        assert begun.results == {numbers[0]: "applied", numbers[1]: "not-following"}
        assert [order.state for order in orders] == ["suspended", "lost"]


def test_bulk_action_is_called_off(town: Town) -> None:
    """Within the window an action is undone and never works; later it cannot be."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "active")
        wanted = Wanted("suspended", [order.order_no], "核查")
        begun = bulk.begin(session, wanted, "li", town.now_ms)
        bulk.undo(session, begun.id, "li", town.now_ms)
        assert bulk.run(session, town.now_ms + UNDO_MS) == 0
        assert order.state == "active"
        with pytest.raises(Refused):
            bulk.undo(session, begun.id, "li", town.now_ms)
        for wrong in (Wanted("melted", [order.order_no], "x"), Wanted("suspended", [], "x"),
                      Wanted("suspended", [order.order_no], " "),
                      Wanted("resumed", [order.order_no], "x")):  # fmt: skip
            with pytest.raises(Refused):
                bulk.begin(session, wrong, "li", town.now_ms)


def test_check_names_what_is_wrong(town: Town) -> None:
    """A good town has no violations; a state out of nowhere, a price, a working lost card have."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "active")
        assert checking.violations(session) == []
        order.price_fen = 1
        order.state = "lost"
        session.flush()
        rules = {one.rule for one in checking.violations(session)}
        assert rules == {"price", "chain", "card-works"}
        session.add(
            CardStep(
                order_id=order.id, from_state="active", to_state="replaced", event="replaced",
                source="staff", cause_ref="", actor="x", at_ms=1, made_ms=1,
            )
        )  # fmt: skip
        rules = {one.rule for one in checking.violations(session)}
        assert {"no-cause", "not-in-table"} <= rules


def test_loss_reported_past_the_order_reaches_it(town: Town) -> None:
    """A card reported lost at a desk brings its order along, and found again back."""
    with town.database.writing() as session:
        order = town.bring(session, town.order(session, town.volunteer(session)), "active")
        assert order.asn is not None
        report_card(session, CardReport(order.asn, town.now_ms, "told"), "li", town.now_ms)
        dues.run(session, town.now_ms)
        assert order.state == "lost"
        restore_card(session, order.asn, "li", town.now_ms)
        dues.run(session, town.now_ms)
        assert order.state == "active"
