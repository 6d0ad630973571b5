# SPDX-License-Identifier: Apache-2.0
"""A box of cards: order, spoilt ones, who is left out, and a count that agrees."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from hardware_mocks.cardos.cos import VirtualCard
from server.desk import boxes, services
from server.desk.boxes import NewBox
from server.desk.models import DeskJob
from server.desk.policy import Stock, stock
from server.errors import Refused
from server.people.models import Card
from tests.unit.server.desk.office import Office


def open_box(office: Office, *who: str, received: int = 4) -> int:
    """Open a box for some people."""
    with office.database.writing() as session:
        new = NewBox("甲盒", received, [office.numbers[one] for one in who])
        return boxes.open_box(session, office.bench, new).id


def following(office: Office, box_id: int) -> DeskJob | None:
    """Return the job of the next person."""
    with office.database.writing() as session:
        session.expire_on_commit = False
        return services.next_of_box(session, office.bench, box_id)


def test_a_box_from_first_to_last(office: Office) -> None:
    """Two people, one blank spoilt: three blanks used, one left, and the count says so."""
    box_id = open_box(office, "wang", "ou")
    first = following(office, box_id)
    assert first is not None
    again = following(office, box_id)
    assert again is not None
    assert again.reference == first.reference, "asked again, the same person"
    with office.database.writing() as session:
        services.spoil(session, office.bench, first.reference, "芯片开裂")
    assert office.lay(first, VirtualCard()).state == "done"
    second = following(office, box_id)
    assert second is not None
    assert office.lay(second, VirtualCard()).state == "done"
    assert following(office, box_id) is None

    with office.database.reading() as session:
        assert boxes.stock(session, box_id) == Stock(received=4, issued=2, spoilt=1)
        assert boxes.stock(session, box_id).left == 1
        assert [tick.state for tick in boxes.tick_list(session, box_id)] == ["issued", "issued"]
        assert boxes.spoilt(session, box_id) == [(first.asn, "芯片开裂")]
        made = sa.select(Card).where(Card.asn == first.asn)
        assert session.scalar(made) is None, "it counts when the holder has it"
    with office.database.writing() as session:
        services.hand_over(session, office.bench, first.reference)
        services.hand_over(session, office.bench, first.reference)
        assert session.scalars(made).one().state == "active"
    with pytest.raises(Refused, match="say why"), office.database.writing() as session:
        boxes.close(session, office.bench, box_id, 0, "")
    with office.database.writing() as session:
        found = boxes.close(session, office.bench, box_id, 0, "一张遗失")
    assert found.difference == -1
    with pytest.raises(Refused, match="closed"):
        following(office, box_id)


def test_who_gives_up_is_left_out(office: Office) -> None:
    """The box goes on with the next person."""
    box_id = open_box(office, "wang", "ou")
    first = following(office, box_id)
    assert first is not None
    with office.database.writing() as session:
        services.cancel(session, office.bench, first.reference)

    second = following(office, box_id)

    assert second is not None
    assert second.volunteer_id != first.volunteer_id


def test_the_same_list_opens_the_same_box(office: Office) -> None:
    """Sent twice there is one box; another list under its name is refused."""
    assert open_box(office, "wang", "ou") == open_box(office, "wang", "ou")
    with pytest.raises(Refused, match="another box"):
        open_box(office, "ou", "wang")


@pytest.mark.parametrize(
    ("name", "received", "who"),
    [("", 1, ("wang",)), ("甲", -1, ("wang",)), ("甲", 1, ()), ("甲", 1, ("wang", "wang"))],
)
def test_bad_boxes_are_refused(
    office: Office, name: str, received: int, who: tuple[str, ...]
) -> None:
    """No name, an impossible count, nobody, somebody twice."""
    with pytest.raises(Refused), office.database.writing() as session:
        new = NewBox(name, received, [office.numbers[one] for one in who])
        boxes.open_box(session, office.bench, new)


def test_what_moves_after_a_count_makes_it_old() -> None:
    """A count stands until the next movement."""
    rows = [("received", 3), ("issued", 1), ("counted", 2)]

    assert stock(rows).difference == 0
    assert stock(rows).counted == 2
    assert stock([*rows, ("issued", 1)]).counted is None
