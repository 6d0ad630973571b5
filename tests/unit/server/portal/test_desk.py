# SPDX-License-Identifier: Apache-2.0
"""The desk's pages without a reader: forms, faults, what is shown and what is not."""

from __future__ import annotations

import pytest

from keys.usage import SCHEME_USAGES
from server.people.services import next_card_serial
from tests.unit.server.portal.conftest import Visitor

REGISTERED = 4  # serials that the town gave away by hand


@pytest.fixture
def clerk(visitor: Visitor) -> Visitor:
    """A clerk at a server with the keys of cards."""
    store = visitor.scene.runtime.store
    for usage in SCHEME_USAGES:
        if not store.has(usage, 1):
            store.generate(usage)
    with visitor.scene.database.writing() as session:
        for _ in range(REGISTERED):
            next_card_serial(session)
    visitor.come_as("staff")
    return visitor


def issue(clerk: Visitor) -> str:
    """Ask for a card for Zhao and return the address of the job."""
    answer = clerk.send("/desk", kind="issue", number=clerk.scene.numbers["zhao"])
    assert answer.status_code == 302
    return str(answer.location)


def test_a_job_shows_its_plan_masked(clerk: Visitor) -> None:
    """Name masked, every step there, the relay's panel ready; the full name nowhere."""
    text = clerk.get(issue(clerk)).text

    assert "赵**" in text
    assert "赵一一" not in text
    assert "‹MAC›" in text
    assert 'data-relay="http://127.0.0.1:18459"' in text


@pytest.mark.parametrize(("number", "status"), [("12", 422), ("0000000000", 422)])
def test_numbers_that_are_none(clerk: Visitor, number: str, status: int) -> None:
    """The page says what is wrong and keeps what was typed."""
    answer = clerk.send("/desk", kind="issue", number=number)

    assert answer.status_code == status
    assert number in answer.text


def test_spoiling_needs_a_reason_and_giving_up_calls_off(clerk: Visitor) -> None:
    """Without words the page asks for them; given up, the job is over."""
    address = issue(clerk)
    assert clerk.send(address, action="spoil", reason=" ").status_code == 422
    assert clerk.send(address, action="spoil", reason="芯片开裂").status_code == 302
    assert clerk.send(address, action="cancel").status_code == 302

    assert "已放弃" in clerk.get(address).text
    assert "任务" in clerk.get(f"{address}/slip").text


def test_a_card_is_replaced_by_the_rules(clerk: Visitor) -> None:
    """A reason is needed; then the old card is blocked and a job for the new one is there."""
    address = f"/desk/cards/{clerk.scene.ids['card-zhang']}"
    values = {"kind": "replace", "cause": "LOST", "id_checked": "1"}
    assert clerk.send(address, **values).status_code == 422
    answer = clerk.send(address, **values, reason="持卡人到场")

    assert answer.status_code == 302
    assert "补换卡" in clerk.get(answer.location).text
    assert "已挂失" in clerk.get(address).text


def test_a_day_that_is_none(clerk: Visitor) -> None:
    """Refreshing with a day that is none says so."""
    address = f"/desk/cards/{clerk.scene.ids['card-zhang']}"

    assert clerk.send(address, kind="refresh", valid_to="morgen").status_code == 422
    assert clerk.send(address, kind="refresh", valid_to="").status_code == 302


def test_unknown_things_are_not_found(clerk: Visitor) -> None:
    """A job, a card and a box that are not there."""
    for address in ("/desk/jobs/" + "0" * 32, "/desk/cards/999", "/desk/boxes/999"):
        assert clerk.get(address).status_code == 404
