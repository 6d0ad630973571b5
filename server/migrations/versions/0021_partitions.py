# SPDX-License-Identifier: Apache-2.0
"""Give events partitions by month on PostgreSQL; what is stored becomes the first of them.

Nothing is copied and no index is built: the table that was `event` keeps its rows and keys and is
attached as the partition for whatever has no month of its own yet. A number of a terminal is in
one partition by that partition's key, and in one partition only by the exclusion constraint on
`months.event_span`, which a trigger fills with every statement that stores events.
"""

from __future__ import annotations

from alembic import op

from server.db import append_only_ddl

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_event_card": "card_asn, card_ctr",
    "ix_event_psam": "psam_no, psam_seq",
    "ix_event_boot": "terminal_id, boot",
}
SPAN = """
CREATE TABLE months.event_span (
    terminal_id bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    CONSTRAINT ck_event_span_order CHECK (first_seq <= last_seq),
    CONSTRAINT ex_event_span EXCLUDE USING gist (
        numrange(terminal_id::numeric * 4294967296 + first_seq,
                 terminal_id::numeric * 4294967296 + last_seq, '[]') WITH &&
    )
)
"""
# Runs as the owner of the tables: whoever stores events needs no right on the spans.
ONCE = """
CREATE FUNCTION months.event_once() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN
    INSERT INTO months.event_span (terminal_id, first_seq, last_seq)
    SELECT terminal_id, min(seq), max(seq)
    FROM (
        SELECT terminal_id, seq,
               seq - row_number() OVER (PARTITION BY terminal_id ORDER BY seq) AS run
        FROM stored
    ) AS numbered
    GROUP BY terminal_id, run;
    RETURN NULL;
END $$
"""
ONCE_TRIGGER = """
CREATE TRIGGER event_once AFTER INSERT ON event REFERENCING NEW TABLE AS stored
FOR EACH STATEMENT EXECUTE FUNCTION months.event_once()
"""


def upgrade() -> None:
    """Partition the events where the database can; SQLite keeps its one table."""
    if op.get_context().dialect.name != "postgresql":
        return
    op.execute("CREATE SCHEMA months")
    op.execute("ALTER TABLE event RENAME TO event_rest")
    op.execute("ALTER TABLE event_rest SET SCHEMA months")
    op.execute("DROP TRIGGER event_append_only ON months.event_rest")
    op.execute(
        "CREATE TABLE event (LIKE months.event_rest INCLUDING DEFAULTS) "
        "PARTITION BY RANGE (received_ms)"
    )
    for name, columns in INDEXES.items():
        op.execute(f"CREATE INDEX {name} ON event ({columns})")
    op.execute("ALTER TABLE event ATTACH PARTITION months.event_rest DEFAULT")
    for statement in append_only_ddl("event", "postgresql"):
        op.execute(statement)
    op.execute(SPAN)
    # Every stored number is in a stored range, and ranges of a terminal never overlap.
    op.execute(
        "INSERT INTO months.event_span SELECT terminal_id, first_seq, last_seq FROM stored_range"
    )
    for statement in append_only_ddl("event_span", "postgresql")[1:]:
        op.execute(statement.replace("ON event_span", "ON months.event_span"))
    op.execute(ONCE)
    op.execute("REVOKE ALL ON FUNCTION months.event_once() FROM PUBLIC")
    op.execute(ONCE_TRIGGER)
