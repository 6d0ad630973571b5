# SPDX-License-Identifier: Apache-2.0
"""The database itself keeps evidence: no UPDATE and no DELETE, whoever asks."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from swipe.event import event_hash
from tests.integration.server.rig import NOW_MS, Rig

TABLES = {
    "event": "verdict = 0",
    "batch": "answer = 0",
    "event_fork": "kind = 'x'",
    "refused_batch": "batch_no = 9",
    "audit": "actor = 'x'",
    "log_record": "kind = 'x'",
}


@pytest.fixture
def evidence_rig(rig: Rig) -> Rig:
    """A server that holds at least one row in every append-only table."""
    events = rig.chain(2)
    rig.upload(events, 1)
    rig.upload(rig.chain(1, start=events[0], changes=[{"site": 9}]), 2)
    rig.upload(rig.chain(1, start=events[1]), 1)
    with rig.database.writing() as session:
        session.execute(
            sa.text("INSERT INTO log_record VALUES (99, :now, 'psam', :body)"),
            {"now": NOW_MS, "body": event_hash(events[0])},
        )
    return rig


@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
@pytest.mark.parametrize("table", TABLES)
def test_evidence_cannot_be_changed(evidence_rig: Rig, table: str, verb: str) -> None:
    """UPDATE and DELETE on a table of evidence fail in the database."""
    rows = sa.text(f"SELECT count(*) FROM {table}")
    change = f"UPDATE {table} SET {TABLES[table]}" if verb == "UPDATE" else f"DELETE FROM {table}"
    with evidence_rig.database.reading() as session:
        before = session.scalar(rows)

    with (
        pytest.raises(sa.exc.DBAPIError, match="append-only"),
        evidence_rig.database.writing() as session,
    ):
        session.execute(sa.text(change))

    with evidence_rig.database.reading() as session:
        assert (session.scalar(rows), before) == (before, before)
    assert before


def test_replacing_an_event_is_refused_on_sqlite(sqlite_rig: Rig) -> None:
    """INSERT OR REPLACE, which deletes silently, meets the same refusal."""
    sqlite_rig.upload(sqlite_rig.chain(1))
    statement = "INSERT OR REPLACE INTO event SELECT * FROM event"

    with (
        pytest.raises(sa.exc.DBAPIError, match="append-only"),
        sqlite_rig.database.writing() as session,
    ):
        session.execute(sa.text(statement))
