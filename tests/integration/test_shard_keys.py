# SPDX-License-Identifier: Apache-2.0
"""Every key of a large table carries the column the table is divided by, or says what does it then.

Looked at on a real PostgreSQL, so that keys which only a migration makes count too.
"""

from __future__ import annotations

import sqlalchemy as sa

from server.db import Database
from server.schema import LARGE_TABLES

KEYS = sa.text(
    "SELECT i.indexrelid::regclass::text AS key, "
    "array_agg(a.attname ORDER BY a.attnum)::text[] AS columns "
    "FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
    "JOIN pg_class c ON c.oid = i.indrelid "
    "WHERE i.indisunique AND (c.relname = :table OR (:table = 'event' AND c.relispartition)) "
    "GROUP BY 1 ORDER BY 1"
)
# Numbers from one sequence of the whole: unique by themselves, found by (column, id) when divided.
SEQUENCE = "its id comes from one sequence: widened to (column, id), nothing else changes"
ELSEWHERE = {
    "pk_batch": SEQUENCE,
    "pk_service_interval": SEQUENCE,
    "pk_recon_exception": SEQUENCE,
    "pk_training_record": SEQUENCE,
    "pk_correction": SEQUENCE,
    "pk_notification": SEQUENCE,
    "pk_transfer": SEQUENCE,
    "pk_card": SEQUENCE,
    "uq_transfer_uid": "a uid names its person or the transfer it answers: widened by person",
    "uq_transfer_reverses": "a reversal is of the same person as what it reverses",
    "uq_transfer_resolves": "what ends a hold is of the same person as the hold",
    "uq_transfer_interval_id": "an interval is of one person",
    "uq_account_kind_owner_region": "one row a kind and owner, made under the owner's lock",
    "ix_notification_once": "its text names the person or the site, so one cell sees both",
    "uq_volunteer_number": "numbers come from one counter, ranges of it per cell",
    "uq_card_asn": "serials come from one counter, ranges of it per cell",
}


def keys(database: Database, table: str) -> dict[str, list[str]]:
    """Return the columns of each primary and unique key."""
    with database.engine.connect() as connection:
        return dict(connection.execute(KEYS, {"table": table}).all())


def test_every_key_of_a_large_table_carries_its_column(postgres_url: str) -> None:
    """The column is in the key, or the list says what keeps the key true when it is divided."""
    database = Database(postgres_url)
    without = {
        key
        for table, column in LARGE_TABLES.items()
        for key, columns in keys(database, table).items()
        if column not in columns
    }
    named = {key: keys(database, table) for table in LARGE_TABLES for key in keys(database, table)}
    database.close()

    assert without == set(ELSEWHERE)
    assert {"months.pk_event", "pk_event_fork", "pk_stored_range", "pk_entry"} <= set(named)


def test_events_are_unique_by_their_terminal(postgres_url: str) -> None:
    """The natural key of evidence stays whole: number within terminal, batch within terminal."""
    database = Database(postgres_url)
    found = keys(database, "event") | keys(database, "batch")
    database.close()

    assert found["months.pk_event"] == ["terminal_id", "seq"]
    assert found["uq_batch_terminal_id_batch_no"] == ["terminal_id", "batch_no"]
