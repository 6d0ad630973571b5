# SPDX-License-Identifier: Apache-2.0
"""Orders go out, a bank reads them by its own code, and every file it sends takes effect."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from keys.store import FileKeyStore
from server.db import Database
from server.issuing.models import CardOrder, CardStep
from server.issuing.services import CardEvent, apply
from tests.integration.server.bank_rig import CODE, NAMES, BankRig


@pytest.fixture
def bank_rig(database: Database, key_store: FileKeyStore, tmp_path: Path) -> BankRig:
    """A server with a partner, on each database."""
    return BankRig(database, key_store, tmp_path).populate()


def test_s58_s59_s60_whole_way_of_a_card_by_files(bank_rig: BankRig) -> None:
    """From the order to the holder's hand every state comes from a file, with its line as cause."""
    numbers = bank_rig.orders(5)
    sent = bank_rig.export()
    bank = bank_rig.bank()

    assert bank.take() == 5
    assert {row["name"] for row in bank.orders.values()} == {*NAMES}
    outcomes = []
    for step in (bank.produce, bank.audit, bank.arrive, bank.collect):
        step()
        outcomes += bank_rig.collect()

    assert [(one.status, one.accepted) for one in outcomes] == [
        ("ACCP", 1), ("ACCP", 5), ("ACCP", 5), ("ACCP", 5), ("ACCP", 5),
    ]  # fmt: skip
    assert set(bank_rig.states().values()) == {"collected"}
    assert ("out", sent.name, "ACKD") in bank_rig.files()
    with bank_rig.database.reading() as session:
        steps = session.execute(
            sa.select(CardStep.event, CardStep.cause_ref)
            .join(CardOrder, CardOrder.id == CardStep.order_id)
            .where(CardOrder.order_no == numbers[0])
            .order_by(CardStep.id)
        ).all()
    assert [event for event, _ in steps] == [
        "ordered", "exported", "produced", "audited", "arrived", "collected",
    ]  # fmt: skip
    assert steps[2][1] == f"file:YIKA_{CODE}_RES_00000001.dat:2"


def test_every_file_has_its_answer_that_the_bank_can_read(bank_rig: BankRig) -> None:
    """The bank finds an answer to each of its files, signed, counting what was taken."""
    bank_rig.orders(3)
    bank_rig.export()
    bank = bank_rig.bank()
    bank.take()
    bank.produce()
    bank_rig.collect()

    answers = bank.answers()

    assert answers[f"ACK_{CODE}_RES_00000001.dat"][0]["accepted"].lstrip("0") == "3"
    assert {row["level"] for row in answers[f"ACK_{CODE}_RES_00000001.dat"]} == {"F", "B"}


def test_s62_card_not_collected_is_cut_by_the_banks_file_only(
    sqlite_database: Database, key_store: FileKeyStore, tmp_path: Path
) -> None:
    """A card at its branch ends cut and closed on the bank's word; staff cannot say so."""
    rig = BankRig(sqlite_database, key_store, tmp_path).populate()
    (number,) = rig.orders(1)
    rig.export()
    bank = rig.bank()
    bank.take()
    for step in (bank.produce, bank.audit, bank.arrive):
        step()
        rig.collect()
    said = CardEvent(number, "cut_closed", rig.clock.now_ms, "page:x", "staff", "li")
    with rig.database.writing() as session:
        assert apply(session, said, rig.clock.now_ms).code == "wrong-source"
    bank.cut()

    (outcome,) = rig.collect()

    assert outcome.accepted == 1
    assert rig.states() == {number: "cut_closed"}
