# SPDX-License-Identifier: Apache-2.0
"""The world's quick session: the same rows as SQLAlchemy's own, value by value, type by type."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from hardware_mocks.world.history import make
from hardware_mocks.world.quick import QuickDatabase, QuickSession
from hardware_mocks.world.search import play
from hardware_mocks.world.stock import stock
from server.people.models import Card, Volunteer

SEEDS = range(20_261_000, 20_261_003)


class Comparing(QuickSession):
    """A quick session that asks SQLAlchemy as well."""

    asked = 0

    def _quickly(self, statement: Any, params: Any) -> Any:
        found = super()._quickly(statement, params)
        if found is not None and isinstance(statement, sa.Select):
            Comparing.asked += 1
            plain = Session.execute(self, statement, params).all()
            assert [shown(row) for row in found.all()] == [shown(row) for row in plain]
        return found


def shown(row: Any) -> list[tuple[type, object]]:
    """Return the cells of a row with their types."""
    return [(type(cell), cell) for cell in row]


@pytest.mark.usefixtures("quiet_world")
def test_quick_rows_are_the_rows_of_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> None:
    """In whole histories every quick statement gives what SQLAlchemy gives for it."""
    monkeypatch.setattr("hardware_mocks.world.quick.QuickSession", Comparing)
    Comparing.asked = 0

    for seed in SEEDS:
        assert play(make(seed)) is None

    assert Comparing.asked > 50 * len(SEEDS)


def test_lists_of_any_length_find_their_rows() -> None:
    """An IN list may be empty, a set, or longer than the one before."""
    with stock().database.reading() as session:
        everybody = session.scalars(sa.select(Volunteer.id)).all()
        for size in (0, 2, 1, len(everybody)):
            some = set(everybody[:size])
            named = sa.select(Volunteer.id).where(Volunteer.id.in_(some))
            assert set(session.scalars(named)) == some


def test_a_row_is_one_or_it_is_said() -> None:
    """`one` and `scalar_one` raise what SQLAlchemy raises."""
    with stock().database.reading() as session:
        nobody = sa.select(Volunteer.id).where(Volunteer.id == 0)
        assert session.execute(nobody).first() is None
        assert session.execute(nobody).one_or_none() is None
        with pytest.raises(sa.exc.NoResultFound):
            session.execute(nobody).one()
        with pytest.raises(sa.exc.MultipleResultsFound):
            session.execute(sa.select(Card.asn)).scalar_one()


def test_a_death_at_the_commit_leaves_nothing() -> None:
    """What dies before it commits has written nothing, and the next unit of work begins anew."""
    database = QuickDatabase()
    with database.writing() as session:
        session.execute(sa.text("CREATE TABLE stone (mark INTEGER)"))

    def die() -> None:
        raise OSError("died")

    database.crash_at(die)
    with pytest.raises(OSError, match="died"), database.writing() as session:
        session.execute(sa.text("INSERT INTO stone VALUES (1)"))
    database.crash_at(lambda: None)

    with database.writing() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM stone")) == 0
