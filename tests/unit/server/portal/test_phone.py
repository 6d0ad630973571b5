# SPDX-License-Identifier: Apache-2.0
"""The page with the electronic card's code."""

from __future__ import annotations

import sqlalchemy as sa

from server.people.models import Card
from server.phone_cards.models import PhoneCard, TokenIssued
from server.phone_cards.services import ALIVE_MAX
from swipe.phone_token import LIFE_DEFAULT_S
from tests.unit.server.portal.conftest import Visitor
from tests.unit.server.portal.scene import Scene


def test_the_page_shows_a_fresh_code_each_time(visitor: Visitor, scene: Scene) -> None:
    """Each look signs another token of the same electronic card; the browser looks again soon."""
    visitor.come_as("zhang")
    first, second = visitor.get("/me/phone"), visitor.get("/me/phone")

    assert (first.status_code, second.status_code) == (200, 200)
    assert int(first.headers["Refresh"]) < LIFE_DEFAULT_S
    assert "<svg" in first.text
    assert first.text != second.text
    with visitor.scene.database.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(PhoneCard)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(TokenIssued)) == 2


def test_the_page_holds_no_serial(visitor: Visitor, scene: Scene) -> None:
    """The serial stands in the picture alone, for terminals."""
    visitor.come_as("zhang")
    text = visitor.get("/me/phone").text
    with visitor.scene.database.reading() as session:
        asns = session.scalars(sa.select(Card.asn)).all()

    assert not any(asn in text for asn in asns)


def test_codes_that_are_collected_are_refused_in_words(visitor: Visitor) -> None:
    """Too many looks in two minutes, and the page says to wait."""
    visitor.come_as("zhang")
    for _ in range(ALIVE_MAX):
        visitor.get("/me/phone")
    refused = visitor.get("/me/phone")

    assert refused.status_code == 409
    assert "请等一分钟再试" in refused.text


def test_the_page_is_a_volunteer_s(visitor: Visitor) -> None:
    """A visitor is asked to sign in first."""
    assert visitor.get("/me/phone").status_code == 302
