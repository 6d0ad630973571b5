# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a file is named by line and field; nothing takes effect; it is answered."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from hardware_mocks.partner import files, wrapping
from hardware_mocks.partner.bank import Bank
from hardware_mocks.partner.files import Row
from hardware_mocks.partner.wrapping import Ed25519Signer, Wrapping
from keys.store import FileKeyStore
from server.bank.intake import Delivery, Outcome, receive
from server.db import Database
from tests.integration.server.bank_rig import CODE, BankRig
from tests.stateful import bank_fuzz

DAY_MS = 86_400_000
WIDTH = 113  # of a record of results, with its line feed


@pytest.fixture
def rig(sqlite_database: Database, key_store: FileKeyStore, tmp_path: Path) -> BankRig:
    """A server whose partner has two orders in hand."""
    rig = BankRig(sqlite_database, key_store, tmp_path).populate()
    rig.orders(2)
    rig.export()
    return rig


def results(bank: Bank, *, number: int = 1, **changes: str) -> bytes:
    """Write a file of results for both orders; changes are made to the first record."""
    rows: list[Row] = [
        {"batch": "1", "order_no": f"{place * 11:012d}", "outcome": "OK", "reason": "",
         "asn": "", "date": bank.day}
        for place in (1, 2)
    ]  # fmt: skip
    rows[0] |= changes
    return bank.content("RES", rows, number)


def send(rig: BankRig, bank: Bank, content: bytes, number: int = 1) -> Outcome:
    """Wrap a content, put it down, let it be received."""
    name = f"YIKA_{CODE}_RES_{number:08d}.dat"
    wire = bank.wrapping.wrap(content)
    wrapping.put(bank.home / "in", name, wire, bank.wrapping.manifest(name, wire))
    return next(one for one in rig.collect() if one.name == name)


def resealed(content: bytes) -> bytes:
    """Write digest and totals of a changed content anew, so that only the change is wrong."""
    before, tail = content[:-WIDTH], content[-WIDTH:]
    digest = hashlib.sha256(before).hexdigest().encode()
    return before + tail[:45] + digest + tail[45 + 64 :]


def at(content: bytes, line: int, column: int, value: bytes) -> bytes:
    """Overwrite bytes of a line."""
    place = (line - 1) * WIDTH + column
    return content[:place] + value + content[place + len(value) :]


BREAKS: dict[str, tuple[Callable[[bytes], bytes], str, int, str]] = {
    "truncated": (lambda c: c[:-WIDTH], "F19", 4, "type"),
    "cut in a line": (lambda c: c[: WIDTH * 2 + 40], "F19", 3, "type"),
    "reordered": (
        lambda c: resealed(c[:WIDTH] + c[WIDTH * 2 : WIDTH * 3] + c[WIDTH : WIDTH * 2]
                           + c[WIDTH * 3 :]), "F18", 2, "no"),
    "a record twice": (
        lambda c: resealed(c[: WIDTH * 2] + c[WIDTH : WIDTH * 2] + c[WIDTH * 2 :]),
        "F18", 3, "no"),
    "a record gone": (lambda c: resealed(c[:WIDTH] + c[WIDTH * 2 :]), "F18", 2, "no"),
    "over-long": (lambda c: resealed(c[: WIDTH + 50] + b"00" + c[WIDTH + 50 :]), "F17", 2, ""),
    "carriage returns": (lambda c: c.replace(b"\n", b"\r\n"), "F17", 1, ""),
    "wrong count": (lambda c: at(c, 4, 1, b"00000009"), "F21", 4, "count"),
    "wrong total": (lambda c: at(c, 4, 9, b"0" * 18), "F22", 4, "control_key"),
    "a record changed": (lambda c: at(c, 2, 55, b"20261121"), "F23", 4, "sha256"),
    "something follows": (lambda c: c + c[:WIDTH], "F20", 5, ""),
    "not ours": (lambda c: b"PK\x03\x04" + c, "F09", 1, "type"),
    "another version": (lambda c: at(c, 1, 9, b"02"), "F09", 1, "version"),
    "another partner": (lambda c: at(c, 1, 11, b"BANK-2"), "F10", 1, "partner"),
    "another kind": (lambda c: at(c, 1, 23, b"CUT"), "F25", 1, "kind"),
    "a test file": (lambda c: at(c, 1, 42, b"T"), "F12", 1, "test"),
    "from tomorrow": (lambda c: at(c, 1, 34, b"20261123"), "F13", 1, "date"),
    "from long ago": (lambda c: at(c, 1, 34, b"20240101"), "F14", 1, "date"),
    "no date": (lambda c: at(c, 1, 34, b"20261131"), "F25", 1, "date"),
    "something in the filler": (lambda c: resealed(at(c, 3, 100, b"x")), "F17", 3, "filler"),
    "empty": (lambda _: b"", "F09", 1, "type"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_file_has_no_effect_and_is_told_where(rig: BankRig, name: str) -> None:
    """Reason code, line and field are exact, in the outcome and in the answer; no row changes."""
    damage, code, line, field = BREAKS[name]
    bank = rig.bank()
    before, states = rig.snapshot(), rig.states()

    outcome = send(rig, bank, damage(results(bank)))

    assert outcome.finding is not None
    assert (outcome.finding.code, outcome.finding.line, outcome.finding.field) == (
        code, line, field,
    )  # fmt: skip
    assert (rig.snapshot(), rig.states()) == (before, states)
    told = bank.answers()[f"NAK_{CODE}_RES_00000001.dat"][0]
    assert (told["status"], told["code"], int(told["ref"])) == ("RJCT", code, line)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"order_no": "00000000001x"}, "R01", "order_no"),
        ({"date": "20260230"}, "R01", "date"),
        ({"date": "20261123"}, "R05", "date"),
        ({"date": ""}, "R02", "date"),
        ({"outcome": "NO"}, "R04", "outcome"),
        ({"order_no": "000000000022"}, "R06", "order_no"),
        ({"order_no": "999999999999"}, "R07", "order_no"),
        ({"batch": "7"}, "R12", "batch"),
        ({"outcome": "RJ", "reason": "ZZZZ"}, "R14", "reason"),
    ],
)
def test_a_bad_record_blocks_no_other(
    rig: BankRig, change: dict[str, str], code: str, field: str
) -> None:
    """The record is refused with its code and field; the other one takes effect."""
    bank = rig.bank()
    content = results(bank)
    if change.get("order_no", "").endswith("x"):
        content = resealed(at(at(content, 2, 17, b"00000000001x"), 4, 9, b"%018d" % 22))
    else:
        content = results(bank, **change)

    outcome = send(rig, bank, content)

    assert (outcome.status, outcome.accepted) == ("PART", 1)
    (found,) = rig.lines()
    assert found[1:] == (code, field)
    assert sorted(rig.states().values()) == ["exported", "produced"]


def test_wrong_key_and_wrong_signature(rig: BankRig) -> None:
    """A manifest that somebody else signed, or that was changed, opens nothing."""
    bank = rig.bank()
    stranger = Bank(
        CODE, bank.home, Wrapping(Ed25519Signer(bytes(32), bank.wrapping.signer.platform))
    )
    assert send(rig, stranger, results(bank)).finding.code == "F04"
    name = f"YIKA_{CODE}_RES_00000001.dat"
    note = json.loads(bank.wrapping.manifest(name, results(bank)))
    note["suite"] = "sm2"
    wrapping.put(bank.home / "in", name, results(bank), json.dumps(note).encode())

    (outcome,) = rig.collect()

    assert (outcome.finding.code, outcome.finding.field) == ("F04", "suite")
    assert set(rig.states().values()) == {"exported"}


def test_half_uploaded_file_waits(rig: BankRig) -> None:
    """Without a manifest nothing is looked at; with one that names more bytes the file waits."""
    bank = rig.bank()
    content = results(bank)
    name = f"YIKA_{CODE}_RES_00000001.dat"
    (bank.home / "in" / name).write_bytes(content[:200])
    assert rig.collect() == []
    (bank.home / "in" / (name + ".manifest")).write_bytes(bank.wrapping.manifest(name, content))

    (half,) = rig.collect()
    (bank.home / "in" / name).write_bytes(content)
    (whole,) = rig.collect()

    assert (half.status, half.finding.code, half.finding.expected) == ("HELD", "F02", "452")
    assert (whole.status, whole.accepted) == ("ACCP", 2)


def test_zip_bomb_is_cut_off(rig: BankRig) -> None:
    """A file that unpacks to more than the partner may send is refused before it fills the disk."""
    with rig.database.writing() as session:
        rig.declare_in(session, compression="gzip", lines_max=1000)
    bank = rig.bank()
    bomb = gzip.compress(bytes(64 << 20))

    outcome = send(rig, bank, bomb)

    assert outcome.finding.code == "F07"
    assert not list((rig.root / "bank-work").iterdir())


def test_same_file_twice_is_answered_with_the_same_bytes(rig: BankRig) -> None:
    """The second time nothing happens, and the answer is byte for byte the first one."""
    bank = rig.bank()
    content = results(bank)
    first = send(rig, bank, content)
    answer = bank.home / "out" / f"ACK_{CODE}_RES_00000001.dat"
    given = answer.read_bytes()
    answer.unlink()
    before = rig.snapshot()

    again = send(rig, bank, content)

    assert (first.repeated, again.repeated) == (False, True)
    assert answer.read_bytes() == given
    assert rig.snapshot() == before


def test_same_number_with_other_content_is_refused_and_kept(rig: BankRig) -> None:
    """The number is used up; what came under it later is in the archive and has no effect."""
    bank = rig.bank()
    send(rig, bank, results(bank))

    outcome = send(rig, bank, results(bank, date="20261121"))

    assert (outcome.status, outcome.finding.code) == ("RJCT", "F15")
    assert len(list(rig.intake.folders.archive(CODE).glob("in-*RES_00000001.dat"))) == 2


def test_gap_stops_and_says_so_and_closes(rig: BankRig) -> None:
    """A number too far waits in its place; when the missing file has come, it is taken."""
    bank = rig.bank()
    early = send(rig, bank, results(bank, number=2, outcome="RJ", reason="CHIP"), number=2)

    send(rig, bank, results(bank))

    assert (early.status, early.finding.code, early.finding.expected) == ("HELD", "F16", "1")
    assert [one[1:] for one in rig.files() if "RES" in one[1]] == [
        (f"YIKA_{CODE}_RES_00000002.dat", "PART"), (f"YIKA_{CODE}_RES_00000001.dat", "ACCP"),
    ]  # fmt: skip


def test_future_file_is_taken_when_its_day_has_come(rig: BankRig) -> None:
    """What was dated tomorrow is refused today and taken tomorrow, as the same bytes."""
    bank = rig.bank(day="20261123")
    assert send(rig, bank, results(bank)).status == "HELD"
    rig.clock.now_ms += DAY_MS

    (outcome,) = rig.collect()

    assert outcome.status == "ACCP"


@pytest.mark.parametrize(("contract", "status"), [("batch", "PART"), ("file", "RJCT")])
def test_contract_decides_what_a_bad_record_blocks(
    rig: BankRig, contract: str, status: str
) -> None:
    """By contract one bad record stops its batch, or the file; then no order moves."""
    with rig.database.writing() as session:
        rig.declare_in(session, on_reject=contract)
    bank = rig.bank()

    outcome = send(rig, bank, results(bank, order_no="999999999999"))

    assert outcome.status == status
    assert set(rig.states().values()) == {"exported"}
    rows = next(iter(bank.answers().values()))
    assert next(row["code"] for row in rows if row["level"] == "R") == "R07"


def test_foreign_and_unfollowing_orders(rig: BankRig) -> None:
    """An order of another partner and a card collected before it was made are told apart."""
    (foreign,) = rig.orders(1, partner="BANK-2", state="exported")
    bank = rig.bank()
    assert send(rig, bank, results(bank, order_no=foreign)).status == "PART"
    rows: list[Row] = [{"batch": "1", "order_no": "000000000011", "asn": "", "id_checked": "Y",
                        "date": bank.day}]  # fmt: skip
    name = f"YIKA_{CODE}_COL_00000002.dat"
    wire = bank.content("COL", rows, 2)
    wrapping.put(bank.home / "in", name, wire, bank.wrapping.manifest(name, wire))
    rig.collect()

    assert [code for _, code, _ in rig.lines()] == ["R08", "R09"]
    assert rig.states()[foreign] == "exported"


def test_mixed_charset_names_line_and_field(rig: BankRig) -> None:
    """A text in another coding makes the file wrong at its line, never a wrong name."""
    bank = rig.bank()
    rows: list[Row] = [{"branch": "SZ-002", "name": "南山支行", "from": "20260101"}]
    content = bank.content("BRA", rows, 1).replace(
        "南山".encode("gb18030"), "南".encode() + b"\xff"
    )
    wide = len(content) // 3
    body = content[: 2 * wide]
    content = (
        body
        + content[2 * wide :][:45]
        + hashlib.sha256(body).hexdigest().encode()
        + (content[2 * wide :][109:])
    )
    name = f"YIKA_{CODE}_BRA_00000001.dat"
    wrapping.put(bank.home / "in", name, content, bank.wrapping.manifest(name, content))

    (outcome,) = rig.collect()

    assert (outcome.finding.code, outcome.finding.line, outcome.finding.field) == ("F24", 2, "name")


def test_dry_run_says_the_same_and_keeps_nothing(rig: BankRig) -> None:
    """A try run judges every record, and afterwards there is no file, line or answer of it."""
    bank = rig.bank()
    name = f"YIKA_{CODE}_RES_00000001.dat"
    content = results(bank, order_no="999999999999")
    path = rig.root / name
    path.write_bytes(content)

    outcome = receive(
        rig.intake, Delivery(CODE, path, bank.wrapping.manifest(name, content)), dry_run=True
    )

    assert (outcome.status, outcome.accepted, outcome.rejected) == ("PART", 1, 1)
    assert rig.lines() == []
    assert [one for one in rig.files() if one[0] == "in"] == []
    assert set(rig.states().values()) == {"exported"}
    assert files.read(content, bank.form).rows[0]["order_no"] == "999999999999"


def test_no_broken_file_has_a_partial_effect(rig: BankRig) -> None:
    """Files broken at random change no row when refused, and every one of them is answered."""
    bank = rig.bank()
    dice = random.Random(7)
    before, states = rig.snapshot(), rig.states()
    name = f"YIKA_{CODE}_RES_00000001.dat"
    path = rig.root / name
    for _ in range(40):
        content = results(bank)
        for _ in range(dice.randint(1, 2)):
            content = dice.choice(bank_fuzz.BREAKS)(content, dice)
        content += b"" if content != results(bank) else b"x"
        path.write_bytes(content)
        delivery = Delivery(CODE, path, bank.wrapping.manifest(name, content))

        outcome = receive(rig.intake, delivery)

        assert outcome.finding is not None
        assert outcome.answer is not None
        assert outcome.answer.exists()
    assert (rig.snapshot(), rig.states()) == (before, states)
