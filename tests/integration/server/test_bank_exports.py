# SPDX-License-Identifier: Apache-2.0
"""What goes out: only the fields of the white list, the same bytes always, each order once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hardware_mocks.partner import files
from hardware_mocks.partner.files import Form
from hardware_mocks.partner.layouts import only
from keys.store import FileKeyStore
from server.bank import exporting
from server.db import Database
from server.errors import Refused
from server.issuing.models import CardOrder
from tests.integration.server.bank_rig import CODE, PHOTO, BankRig

CORE = ("order_no", "number", "carrier", "branch", "reason", "photo_ref", "photo_sha256", "name")
CORE_LAYOUT = [
    "order_no:12n", "number:10n", "carrier:1a", "branch:12a", "reason:8a", "photo_ref:40a",
    "photo_sha256:64h", "name:60t",
]  # fmt: skip
# The whole file of two orders for a partner that was promised the least, byte for byte.
GOLDEN = Path(__file__).parents[2] / "vectors" / "bank_order_core.txt"


@pytest.fixture
def rig(sqlite_database: Database, key_store: FileKeyStore, tmp_path: Path) -> BankRig:
    """A server with a partner."""
    return BankRig(sqlite_database, key_store, tmp_path).populate()


def test_s29_partner_gets_the_fields_of_its_list_and_no_other(rig: BankRig) -> None:
    """A partner with the shortest list gets the golden file; nothing else is opened."""
    asked: list[str] = []
    with rig.database.writing() as session:
        rig.declare_in(session, **{"layout.ORD": CORE_LAYOUT})
    rig.orders(2)

    def opener(volunteer_id: int, fields: Any) -> dict[str, Any]:
        asked.extend(fields)
        return rig.opener(volunteer_id, fields)

    sent = exporting.export(rig.intake, CODE, "li", opener=opener)

    content = (rig.intake.folders.outbox(CODE) / sent.name).read_bytes()
    assert set(asked) == {"name", "photo_sha256"}
    assert content.decode("gb18030") == GOLDEN.read_text("utf-8")
    for secret in ("13800138000", "莲花路", "E00000001", "1990"):
        assert secret.encode("gb18030") not in content


def test_s57_order_file_has_header_totals_and_signature(rig: BankRig) -> None:
    """An independent reader finds count, control totals, digest and signature right."""
    rig.orders(3)
    sent = rig.export()
    bank = rig.bank()
    path = rig.intake.folders.outbox(CODE) / sent.name

    found = files.read(path.read_bytes(), Form())
    bank.wrapping.check((path.parent / (sent.name + ".manifest")).read_bytes(), sent.name,
                        path.read_bytes())  # fmt: skip

    assert (found.header["partner"], int(found.header["sequence"])) == (CODE, 1)
    assert [row["order_no"] for row in found.rows] == ["000000000011", "000000000022",
                                                       "000000000033"]  # fmt: skip


def test_s57_reexport_is_byte_identical(rig: BankRig) -> None:
    """Sent again, and written anew from the database, a file has the bytes that it had."""
    rig.orders(4)
    sent = rig.export()
    path = rig.intake.folders.outbox(CODE) / sent.name
    first, note = path.read_bytes(), path.with_name(path.name + ".manifest").read_bytes()
    path.unlink()
    rig.clock.now_ms += 86_400_000

    exporting.resend(rig.intake, CODE, 1, "li")
    anew = rig.root / "anew"
    exporting.write_again(rig.intake, CODE, 1, "li", anew, opener=rig.opener)

    assert path.read_bytes() == first
    assert path.with_name(path.name + ".manifest").read_bytes() == note
    assert anew.read_bytes() == first


def test_data_that_changed_is_not_passed_off_as_the_same_file(rig: BankRig) -> None:
    """When a name has changed since, writing the file anew is refused."""
    rig.orders(1)
    rig.export()

    def renamed(volunteer_id: int, fields: Any) -> dict[str, Any]:
        return rig.opener(volunteer_id, fields) | {"name": "别人"}

    with pytest.raises(Refused) as refused:
        exporting.write_again(rig.intake, CODE, 1, "li", rig.root / "anew", opener=renamed)

    assert refused.value.code == "data-changed"


def test_s57_an_order_is_in_at_most_one_open_batch(rig: BankRig) -> None:
    """A second export finds nothing; a second order under way of the same person cannot exist."""
    rig.orders(2)
    rig.export()

    assert rig.export().name == ""
    with pytest.raises(sa.exc.IntegrityError), rig.database.writing() as session:
        session.add(CardOrder(
            order_no="000000000999", volunteer_id=1, kind="bank", carrier="debit", partner=CODE,
            branch_code="SZ-001", reason="FIRST", state="ordered", price_fen=0, created_ms=0,
            changed_ms=0,
        ))  # fmt: skip


def test_s03_record_carries_number_name_and_photo_hash(rig: BankRig) -> None:
    """The card's face is in the record; a photo that is not the order's keeps the order here."""
    numbers = rig.orders(2)
    with rig.database.writing() as session:
        order = session.scalar(sa.select(CardOrder).where(CardOrder.order_no == numbers[1]))
        order.photo_sha256 = "0" * 64

    sent = rig.export()
    (row,) = files.read((rig.intake.folders.outbox(CODE) / sent.name).read_bytes(), Form()).rows

    assert (row["number"], row["photo_sha256"]) == ("0000000014", PHOTO)
    assert row["photo_ref"] == f"0000000014-{PHOTO[:12]}.jpg"
    assert [one.order_no for one in sent.skipped] == [numbers[1]]


def test_s03_bank_that_finds_another_photo_sends_the_record_back(rig: BankRig) -> None:
    """The bank's answer names the record; the order goes to be corrected, the other one on."""
    numbers = rig.orders(2)
    rig.export()
    bank = rig.bank()
    rows = [
        {"level": "F", "ref": "0", "status": "PART", "accepted": "1", "rejected": "1"},
        {"level": "R", "ref": "3", "status": "RJCT", "code": "R17", "field": "photo_sha256",
         "accepted": "0", "rejected": "1"},
    ]  # fmt: skip
    bank._send("ANS", rows, 1, refers=1)

    (outcome,) = rig.collect()

    assert outcome.status == "ACCP"
    assert rig.states() == {numbers[0]: "exported", numbers[1]: "correction"}
    with rig.database.reading() as session:
        assert session.scalar(
            sa.select(CardOrder.reject_code).where(CardOrder.order_no == numbers[1])
        ) == "PHNO"  # fmt: skip


def test_refused_order_file_is_withdrawn_and_goes_out_under_a_new_number(rig: BankRig) -> None:
    """What the bank cannot read at all waits again, and leaves in the next file."""
    rig.orders(2)
    first = rig.export()
    path = rig.intake.folders.outbox(CODE) / first.name
    bank = rig.bank()
    bank._answer(first.name, "RJCT", [], 3)
    rig.collect()

    assert exporting.withdraw(rig.intake, CODE, 1, "li") == 2
    again = rig.export()

    assert path.exists()
    assert (again.sequence, again.orders) == (2, 2)


def test_names_with_rare_characters_come_through(rig: BankRig) -> None:
    """U+20BB7 and U+210C1 stand in the file as GB18030 has them, four bytes each."""
    rig.orders(4)
    sent = rig.export()
    rows = files.read((rig.intake.folders.outbox(CODE) / sent.name).read_bytes(), Form()).rows

    assert {"李\U00020bb7子", "\U000210c1玉兰"} <= {row["name"] for row in rows}
    assert only("ORD", CORE)[0][0] == "order_no"
