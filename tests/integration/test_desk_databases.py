# SPDX-License-Identifier: Apache-2.0
"""The desk on both databases: one card issued in spite of a cut, its journal unchangeable."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from card.errors import CardRemoved
from hardware_mocks.cardos.cos import VirtualCard
from keys.store import FileKeyStore
from server.db import Database
from server.desk import services
from tests.unit.server.desk.conftest import desk_store
from tests.unit.server.desk.office import furnish, pull

__all__ = ["desk_store"]


def test_a_card_is_issued_in_spite_of_a_cut(database: Database, desk_store: FileKeyStore) -> None:
    """Cut, resumed after a restart, spoilt, made again: SQLite and PostgreSQL alike."""
    office = furnish(database, desk_store)
    job, chip = office.create("issue", "wang"), VirtualCard()
    with pytest.raises(CardRemoved):
        office.lay(job, chip, meanwhile=pull(chip, 30))
    with database.writing() as session:
        services.spoil(session, office.bench, job.reference, "芯片开裂")
    office.restart()

    assert office.lay(job, VirtualCard()).state == "done"
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.writing() as session:
        session.execute(sa.text("DELETE FROM desk_entry"))
