# SPDX-License-Identifier: Apache-2.0
"""Existing volunteers come in from a sheet: planned, carried out once, undone while unused."""

from __future__ import annotations

import datetime as dt
import io
import zipfile

import openpyxl
import pytest
import sqlalchemy as sa

from keys.custody import KeyStore
from server.applications import importing, services
from server.applications.importing import Plan, Wanted
from server.applications.models import VolunteerImport
from server.applications.settings import By
from server.applications.tables import read_sheet
from server.applications.undoing import undo
from server.db import Database
from server.errors import Refused
from server.people import policy
from server.people import services as people
from server.people.models import Volunteer
from server.people.personal import Reader
from server.reconciliation.corrections import Said, Signer
from server.timebank.checking import check
from server.timebank.services import balance
from tests.factories import make_identity
from tests.integration.server.applications.desk import NOW_MS, apply
from tests.unit.server.applications.forms import mainland_id

HEADER = ["姓名", "身份证号", "手机", "服务时长", "原义工号"]
PEOPLE = [
    ["𠮷田·艾力", mainland_id(order=11), "13800138011", "12.5", "A-1"],
    ["李雷", mainland_id(order=12), "", "100", "A-2"],
    ["韩梅梅", mainland_id(order=13), "13800138013", "", "A-3"],
]
TOTAL = ["#total", "3", "6750"]
SAID = Said("user:li", "迁移", NOW_MS, Signer(make_identity("server"), 1))
BY = By("user:li", NOW_MS, "文件不对")


def as_csv(*rows: list[str], encoding: str = "utf-8") -> bytes:
    """Write a CSV file."""
    return "".join(",".join(row) + "\r\n" for row in rows).encode(encoding)


def as_xlsx(*rows: list[str]) -> bytes:
    """Write a workbook with every cell a text, but hours as figures and days as dates."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append([float(cell) if cell in ("12.5", "100") else cell for cell in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def planned(database: Database, store: KeyStore, content: bytes, **wanted: object) -> Plan:
    """Plan an import and write nothing."""
    with database.reading() as session:
        return importing.plan(session, store, Wanted(content, **wanted), NOW_MS)  # type: ignore[arg-type]


def carried_out(database: Database, store: KeyStore, content: bytes) -> int:
    """Import a file; return the import's number."""
    with database.writing() as session:
        made = importing.plan(session, store, Wanted(content), NOW_MS)
        return importing.carry_out(session, store, made, "旧系统", SAID).id


GOOD = as_csv(HEADER, *PEOPLE, TOTAL)


@pytest.mark.parametrize(
    ("content", "coding"),
    [
        (GOOD, "utf-8"),
        (b"\xef\xbb\xbf" + GOOD, "utf-8"),
        (as_csv(HEADER, *PEOPLE, TOTAL, encoding="gb18030"), "gb18030"),
        (as_xlsx(HEADER, *PEOPLE, TOTAL), "xlsx"),
    ],
    ids=["utf-8", "utf-8 with mark", "gb18030", "xlsx"],
)
def test_a_sheet_is_planned_whatever_its_kind(
    sqlite_database: Database, key_store: KeyStore, content: bytes, coding: str
) -> None:
    """UTF-8, GB18030 and XLSX give the same plan: three lines, 6 750 minutes, no fault."""
    made = planned(sqlite_database, key_store, content)

    assert (made.coding, made.read, made.minutes, made.faults) == (coding, 3, 6_750, [])
    assert made.mapping["hours"] == "服务时长"
    assert made.lines[0].brought.form.name == "𠮷田·艾力"


def test_an_import_gives_numbers_and_minutes_once(database: Database, key_store: KeyStore) -> None:
    """Everybody has an official number and what they brought; the ledger is sound; again: no."""
    number = carried_out(database, key_store, GOOD)

    with database.reading() as session:
        rows = session.scalars(sa.select(Volunteer).order_by(Volunteer.id)).all()
        assert all(policy.is_volunteer_number(row.number) for row in rows)
        assert [balance(session, row.id) for row in rows] == [750, 6_000, 0]
        assert check(session).sound
        kept = session.get_one(VolunteerImport, number)
        assert (kept.lines, kept.minutes) == (3, 6_750)
        reader = Reader("user:li", "test", NOW_MS)
        assert services.mobile(session, key_store, rows[0].id, reader) == "13800138011"
        assert services.mobile(session, key_store, rows[1].id, reader) is None
    with pytest.raises(Refused) as refused:
        carried_out(database, key_store, GOOD)
    assert refused.value.code in ("imported", "plan")


def test_every_bad_line_is_reported_and_nothing_written(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """A wrong digit, a wrong time, a repeated and a known person: line and column of each."""
    with sqlite_database.writing() as session:
        apply(session, key_store)
    wrong = PEOPLE[0][1][:-1] + ("0" if PEOPLE[0][1][-1] != "0" else "1")
    content = as_csv(
        HEADER,
        ["王五", wrong, "", "1", ""],
        ["赵六", mainland_id(order=21), "", "1.555", ""],
        PEOPLE[1],
        ["李雷", PEOPLE[1][1].lower(), "", "1", ""],
        ["王小明", mainland_id(order=1), "", "1", ""],
        ["孙5", mainland_id(order=23), "1", "1", ""],
        ["#total", "6", "1"],
    )

    made = planned(sqlite_database, key_store, content)

    assert sorted((fault.line, fault.code, fault.column) for fault in made.faults) == [
        (2, "document-check", "身份证号"),
        (3, "minutes", "minutes"),
        (5, "repeated", "身份证号"),
        (6, "known", "身份证号"),
        (7, "mobile", "手机"),
        (7, "name", "姓名"),
    ]
    assert wrong not in str(made.document())
    with pytest.raises(Refused):
        carried_out(sqlite_database, key_store, content)
    with sqlite_database.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Volunteer)) == 1


@pytest.mark.parametrize("total", [["#total", "3", "6751"], ["#total", "2", "6750"], ["#total"]])
def test_control_totals_must_agree(
    sqlite_database: Database, key_store: KeyStore, total: list[str]
) -> None:
    """One minute or one line off, or no figures: the whole file waits."""
    made = planned(sqlite_database, key_store, as_csv(HEADER, *PEOPLE, total))

    assert [fault.code for fault in made.faults] == ["totals"]


def test_control_totals_may_be_given_apart_but_not_left_out(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """A file without its last line is imported when somebody says what it must come to."""
    bare = as_csv(HEADER, *PEOPLE)

    assert planned(sqlite_database, key_store, bare).faults[0].code == "totals"
    assert planned(sqlite_database, key_store, bare, totals=(3, 6_750)).faults == []


def test_columns_are_named_where_their_titles_do_not_tell(
    sqlite_database: Database, key_store: KeyStore
) -> None:
    """Unknown titles are mapped by hand; a needed column without one stops the import."""
    content = as_csv(["who", "which", "min"], ["李雷", PEOPLE[1][1], "90"], ["#total", "1", "90"])
    columns = {"name": "who", "document_number": "which", "minutes": "min"}

    assert planned(sqlite_database, key_store, content, columns=columns).minutes == 90
    with pytest.raises(Refused, match="document_number"):
        planned(sqlite_database, key_store, content, columns={"name": "who"})


def test_an_unused_import_is_undone_and_may_come_again(
    database: Database, key_store: KeyStore
) -> None:
    """Minutes go back, data goes with its keys, numbers stay taken; the file may come again."""
    number = carried_out(database, key_store, GOOD)
    with database.writing() as session:
        undo(session, number, BY)
        rows = session.scalars(sa.select(Volunteer)).all()
        assert [balance(session, row.id) for row in rows] == [0, 0, 0]
        assert {row.sealed_name for row in rows} == {b""}
        assert check(session).sound
        with pytest.raises(Refused):
            undo(session, number, BY)

    carried_out(database, key_store, GOOD)
    with database.reading() as session:
        assert len(set(session.scalars(sa.select(Volunteer.number)))) == 6


def test_an_import_somebody_has_used_stays(sqlite_database: Database, key_store: KeyStore) -> None:
    """A card given to one of its people keeps the whole import."""
    number = carried_out(sqlite_database, key_store, GOOD)
    with sqlite_database.writing() as session:
        person = session.scalars(sa.select(Volunteer).order_by(Volunteer.id)).first()
        asn = people.next_card_serial(session)
        people.register_card(session, person.number, asn, 1, "user:li", NOW_MS)
        with pytest.raises(Refused) as refused:
            undo(session, number, BY)
        assert person.number not in refused.value.zh

    assert refused.value.code == "import-used"


def bomb() -> bytes:
    """Make a workbook that says it unpacks to more than it may."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as parts:
        for number in range(3):
            parts.writestr(f"xl/worksheets/sheet{number}.xml", bytes(50 * 1024 * 1024))
    return out.getvalue()


def rounded() -> bytes:
    """Make a workbook in which Excel has kept an identity number as a figure."""
    book = openpyxl.Workbook()
    book.active.append(["姓名", "身份证号"])
    book.active.append(["李雷", 440304199005170014])
    book.active.append(["韩梅梅", dt.date(1990, 5, 17)])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no line"),
        (bomb(), "unpacks"),
        (b"PK\x03\x04" + bytes(200), "damaged"),
        (as_xlsx(HEADER, *PEOPLE)[:900], "damaged"),
        (rounded(), "lost its end"),
        (b"a,b\n\"1,2\n", "quotes"),
        (b"\xff\xfea\x00,\x00", "readable"),
        (b"a\0b,c\n1,2\n", "readable"),
        (("a\n" * 20_005).encode(), "20000 lines"),
        (b"a,b\n" + b"x" * 1_001 + b",1\n", "characters"),
        (b"a,b\n" + b"1," * 70 + b"1\n", "columns"),
        (bytes(17 * 1024 * 1024), "16 MB"),
    ],
    ids=[
        "empty", "bomb", "no zip", "cut off", "rounded", "quotes", "utf-16", "nul", "rows", "cell",
        "columns", "bytes",
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_with_its_reason(content: bytes, says: str) -> None:
    """Damaged, oversized, bombed or rounded files: one sentence, no exception of a library."""
    with pytest.raises(Refused, match=says):
        read_sheet(content)
