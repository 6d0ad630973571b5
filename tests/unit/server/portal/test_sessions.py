# SPDX-License-Identifier: Apache-2.0
"""Sessions seen and ended by their owner and by an administrator; guesses are limited."""

from __future__ import annotations

import re

import sqlalchemy as sa

from server.people.models import Audit
from server.portal import policy
from tests.unit.server.portal.conftest import Visitor

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36"


def another(visitor: Visitor, who: str) -> Visitor:
    """Return the same person in another browser, signed in."""
    other = Visitor(visitor.client.application.test_client(), visitor.scene)
    other.client.environ_base["HTTP_USER_AGENT"] = CHROME
    other.come_as(who)
    return other


def keys(page: str) -> list[str]:
    """Return the names of the sessions that a page can end."""
    return re.findall(r'name="session" value="([0-9a-f]+)"', page)


def test_owner_ends_a_session_elsewhere(visitor: Visitor) -> None:
    """Two browsers are listed with what they are; the other one is out after one button."""
    visitor.come_as("zhang")
    elsewhere = another(visitor, "zhang")
    page = visitor.get("/sessions").text
    assert "Chrome · Linux" in page
    assert len(keys(page)) == 2
    here = re.findall(r'name="session" value="([0-9a-f]+)"', elsewhere.get("/sessions").text)
    assert sorted(here) == sorted(keys(page))
    rows = page.split('<tr role="row">')[2:]
    other = next(keys(row)[0] for row in rows if "badge a" not in row)

    visitor.send("/sessions", session=other)

    assert elsewhere.get("/me").location.startswith("/sign-in")
    assert visitor.get("/me").status_code == 200


def test_nobody_ends_a_session_of_somebody_else(visitor: Visitor) -> None:
    """Its name, if it were known, ends nothing from another person's page."""
    visitor.come_as("zhang")
    (name,) = keys(visitor.get("/sessions").text)
    staff = another(visitor, "staff")

    assert staff.send("/sessions", session=name).status_code == 404
    assert staff.send("/sessions", session="no hex").status_code == 404
    assert visitor.get("/me").status_code == 200


def test_administrator_ends_anybodys_session(visitor: Visitor) -> None:
    """An administrator sees numbers masked, ends the session, and it stands in the audit trail."""
    visitor.come_as("zhang")
    (name,) = keys(visitor.get("/sessions").text)
    admin = another(visitor, "admin")
    page = admin.get("/sessions/all").text
    assert name in page
    assert visitor.scene.numbers["zhang"] not in page

    admin.send("/sessions/all", session=name)

    assert visitor.get("/me").location.startswith("/sign-in")
    with visitor.scene.database.reading() as session:
        line = session.scalars(sa.select(Audit).where(Audit.action == "session.ended")).one()
        assert (line.actor, line.subject) == (
            "user:admin",
            f"volunteer:{visitor.scene.numbers['zhang']}",
        )


def test_s13_sign_in_by_number_is_limited_and_shows_the_ledgers_total(visitor: Visitor) -> None:
    """The 10-digit number signs in; guesses at it are limited; the total is that of the ledger."""
    number = visitor.scene.numbers["zhang"]
    visitor.come_as("zhang")
    with visitor.scene.database.reading() as session:
        ledger = session.scalars(
            sa.text(
                "SELECT sum(entry.minutes) FROM entry JOIN account ON account.id = entry.account_id"
                " WHERE account.kind = 'volunteer' AND account.owner = :owner"
            ).columns(total=sa.Integer),
            {"owner": visitor.scene.ids["zhang"]},
        ).one()
    page = visitor.get("/me").text
    assert f"{ledger // 60}:{ledger % 60:02d}" in page
    assert "助餐服务" in page
    visitor.leave()

    seen = [
        visitor.send("/sign-in", number=number, secret="wrong").status_code
        for _ in range(policy.FAILURES_PER_SUBJECT_MAX + 1)
    ]

    assert seen == [401] * policy.FAILURES_PER_SUBJECT_MAX + [429]
    assert visitor.come_as("zhang").status_code == 429
