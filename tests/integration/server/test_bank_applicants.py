# SPDX-License-Identifier: Apache-2.0
"""An order file of real applications: what applicants typed goes out, opened for this file only."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from hardware_mocks.day.cycle.applicants import invent
from keys.store import FileKeyStore
from server.applications import services
from server.applications.services import Submission
from server.bank import exporting
from server.db import Database
from server.issuing.models import CardOrder
from server.issuing.orders import NewOrder, order
from server.people.models import Audit
from tests.integration.server.applications.desk import NOW_MS, ONLINE, served, trained
from tests.integration.server.bank_rig import CODE, BankRig
from tests.unit.server.applications.forms import ALL_ACCEPTED

BOSS = "user:chief"


def test_order_file_opens_applications_for_the_partners_fields(
    sqlite_database: Database, key_store: FileKeyStore, tmp_path: Path
) -> None:
    """Approved, ordered, exported: the file says what was typed, and the trail who opened it."""
    rig = BankRig(sqlite_database, key_store, tmp_path).populate()
    applicant = next(iter(invent(1, ("SZ-001",))))
    with sqlite_database.writing() as session:
        given = Submission(applicant.form, applicant.photo, ALL_ACCEPTED, None)
        made = services.submit(session, key_store, given, ONLINE, NOW_MS)
        trained(session, made.volunteer_id, 90)
        served(session, made.volunteer_id, 600)
        number = services.approve(session, key_store, made.application_id, BOSS, NOW_MS)
        (ready,) = services.orderable(session, 0, 10)
        wish = NewOrder(
            ready.volunteer_id, "bank", carrier=ready.carrier, branch_code=ready.branch_code,
            photo_sha256=ready.photo_sha256.hex(),
        )  # fmt: skip
        order_no = order(session, wish, "li", NOW_MS).order_no

    sent = exporting.export(rig.intake, CODE, "li")

    assert (sent.orders, sent.skipped) == (1, ())
    content = (rig.intake.folders.outbox(CODE) / sent.name).read_bytes().decode("gb18030")
    for said in (order_no, number, applicant.form.name, ready.photo_sha256.hex()):
        assert said in content
    with sqlite_database.reading() as session:
        assert session.scalars(sa.select(CardOrder.state)).one() == "exported"
        reads = session.scalars(sa.select(Audit).where(Audit.action == "volunteer.read")).all()
        assert [line.actor for line in reads] == ["li"]
        assert "name" in reads[0].detail["fields"]
