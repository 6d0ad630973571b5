# SPDX-License-Identifier: Apache-2.0
"""Pages of bank files: a partner's user sees that partner's files and no other."""

from __future__ import annotations

import io

from server.bank.models import BankFile, BankLine, BankPartner
from tests.integration.server.bank_rig import declaration
from tests.unit.server.portal.conftest import TOKEN, Visitor
from tests.unit.server.portal.scene import NOW_MS


def add_files(visitor: Visitor) -> dict[str, int]:
    """Give two partners a refused file each; return the numbers by partner."""
    found = {}
    with visitor.scene.database.writing() as session:
        for code in ("bank-one", "bank-two"):
            session.add(BankPartner(
                code=code, declaration=declaration(code=code), state="active", sign_public="",
                sign_sealed=b"", created_by="x", created_ms=0, changed_ms=0,
            ))  # fmt: skip
            file = BankFile(
                partner=code, direction="in", kind="RES", sequence=1,
                name=f"YIKA_{code}_RES_00000001.dat", sha256="0" * 64, wire_sha256="0" * 64,
                size=1, test=False, status="PART", records=2, accepted=0, rejected=1,
                quarantined=1, channel="sftp", actor="system", made_ms=NOW_MS,
            )  # fmt: skip
            session.add(file)
            session.flush()
            session.add(BankLine(file_id=file.id, line=2, batch=1, state="RJCT", code="R09",
                                 field="order_no", expected="exported", found="made"))  # fmt: skip
            session.add(BankLine(file_id=file.id, line=3, batch=1, state="QUAR", code="R14",
                                 field="reason", expected="agreed code", found="9Z"))  # fmt: skip
            found[code] = file.id
    return found


def test_partner_sees_its_own_files_and_their_lines(visitor: Visitor) -> None:
    """The list and the lines are the partner's own; another's file is not known to be there."""
    files = add_files(visitor)
    visitor.come_as("partner")

    listed = visitor.get("/bank").text
    lines = visitor.get(f"/bank/file?id={files['bank-one']}").text

    assert "YIKA_bank-one_RES_00000001.dat" in listed
    assert "bank-two" not in listed
    assert "R09" in lines
    assert "9Z" in lines
    assert '<select id="reason-3"' not in lines  # settling is for staff
    assert visitor.get(f"/bank/file?id={files['bank-two']}").status_code == 404
    assert visitor.get(f"/bank/answer?id={files['bank-two']}").status_code == 404


def test_staff_sees_all_files_and_may_settle(visitor: Visitor) -> None:
    """Staff sees both partners' files, with a form for what waits in quarantine."""
    files = add_files(visitor)
    visitor.come_as("staff")

    assert "bank-two" in visitor.get("/bank").text
    assert 'id="reason-3"' in visitor.get(f"/bank/file?id={files['bank-two']}").text


def test_upload_wants_both_files_and_the_own_partner(visitor: Visitor) -> None:
    """Without a manifest the form says so; for another partner it is refused."""
    add_files(visitor)
    visitor.come_as("partner")
    found = TOKEN.search(visitor.get("/bank/upload").text)
    assert found is not None
    token = found[1]

    def bring(code: str) -> int:
        data = {"csrf_token": token, "partner": code, "file": (io.BytesIO(b"x"), "x.dat")}
        return visitor.client.post("/bank/upload", data=data).status_code

    assert bring("bank-one") == 422
    assert bring("bank-two") == 403
