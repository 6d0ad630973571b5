# SPDX-License-Identifier: Apache-2.0
"""Opening balances: the whole file or nothing, signed, once; statements and trial balance."""

from __future__ import annotations

import datetime as dt

import pytest

from keys.identity import Identity
from keys.verify import verify
from server.db import Database
from server.errors import Refused
from server.reconciliation.corrections import Said, Signer
from server.timebank.checking import check
from server.timebank.opening import (
    IMPORT_CONTEXT,
    check_people,
    import_sheet,
    opening_minutes,
    read_sheet,
)
from server.timebank.services import balance
from server.timebank.statements import coin_value, set_coin_value, statement, trial_balance
from tests.integration.test_timebank import NOW_MS, add_person

IDENTITY = Identity.from_seed(bytes(32))
SAID = Said("li", "迁移旧系统", NOW_MS, Signer(IDENTITY, 1))
GOOD = "number,minutes,reference\n0000000001,600,甲\n0000000002,90,\n#total,2,690\n"


def test_a_file_is_imported_once_with_its_control_totals(database: Database) -> None:
    """Two balances become two transfers and one signed record; the same file again is refused."""
    sheet = read_sheet(GOOD.encode())
    with database.writing() as session:
        people = [add_person(session, number) for number in (1, 2)]
        made = import_sheet(session, sheet, "旧系统", SAID)
        assert (made.lines, made.minutes) == (2, 690)
        assert verify(IDENTITY.public_key, made.signature, IMPORT_CONTEXT, made.record)
    with database.writing() as session, pytest.raises(Refused, match="imported before"):
        import_sheet(session, read_sheet(GOOD.encode()), "旧系统", SAID)

    with database.reading() as session:
        assert [balance(session, person) for person in people] == [600, 90]
        assert opening_minutes(session, people[0]) == 600
        assert check(session).faults == []
        assert sum(row.minutes for row in trial_balance(session)) == 0
        told = statement(session, people[0])
        assert (told.coins, [row.kind for row in told.rows]) == ("120.0", ["opening"])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "line 1: the header"),
        ("a,b,c\n#total,0,0\n", "line 1: the header"),
        ("number,minutes,reference\n0000000001,5\n#total,1,5\n", "line 2: 2 columns"),
        ("number,minutes,reference\n0000000001,-5,x\n#total,1,-5\n", "line 2: minutes: not a"),
        ("number,minutes,reference\n0000000001,0,x\n#total,1,0\n", "line 2: minutes: 1 to"),
        ("number,minutes,reference\n0000000001,5,x\n#total,2,5\n", "control: the file says"),
        ("number,minutes,reference\n0000000001,5,x\n#total,1,6\n", "control: the file says"),
        ("number,minutes,reference\n0000000009,5,x\n#total,1,5\n", "line 2: no such volunteer"),
        (
            "number,minutes,reference\n0000000001,5,x\n0000000001,5,y\n#total,2,10\n",
            "line 3: the volunteer occurs twice",
        ),
    ],
)
def test_a_fault_is_named_with_its_line_and_nothing_is_imported(
    sqlite_database: Database, text: str, fault: str
) -> None:
    """One bad line keeps the whole file out."""
    sheet = read_sheet(text.encode())
    with sqlite_database.writing() as session:
        person = add_person(session, 1)
        with pytest.raises(Refused):
            import_sheet(session, sheet, "old", SAID)
        check_people(session, read_sheet(text.encode()))

        assert sheet.faults[0].startswith(fault)
        assert balance(session, person) == 0


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'number,minutes,reference\n"', bytes(99)])
def test_garbage_is_a_fault_of_the_file(content: bytes) -> None:
    """What is no CSV in UTF-8 is a fault, never an exception."""
    assert read_sheet(content).faults


def test_the_value_of_a_coin_follows_the_wages_of_its_day(sqlite_database: Database) -> None:
    """(24.30 + 21.30) / 2 / 12 = 1.90 yuan from the first of December on, nothing before."""
    first = dt.date(2026, 12, 1)
    with sqlite_database.writing() as session:
        set_coin_value(session, first, (2_430, 2_130), SAID)
        set_coin_value(session, dt.date(2027, 12, 1), (2_700, 2_300), SAID)
        days = (dt.date(2026, 11, 30), first, dt.date(2028, 1, 1))

        assert [coin_value(session, day) for day in days] == [None, 190, 210]
