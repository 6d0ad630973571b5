# SPDX-License-Identifier: Apache-2.0
"""Binary and record files: every way to name a record, plain, MACed and encrypted."""

from __future__ import annotations

import pytest

from hardware_mocks.cardos import crypto
from hardware_mocks.cardos.cos import VirtualCard
from tests.unit.hardware_mocks.cardos import issuing

LINE_KEY = bytes(range(0x80, 0x90))


@pytest.fixture
def session() -> issuing.Session:
    """A card whose MF has a maintenance key and is still free."""
    session = issuing.Session(VirtualCard(contactless=True).transmit)
    session.ok(issuing.MF)
    session.ok(issuing.MF_KEY_FILE)
    session.ok(b"\x80\xd4\x01\x00\x15" + issuing.key_record("36F0FFFF33", LINE_KEY))
    return session


def test_binary_file_keeps_what_is_written(session: issuing.Session) -> None:
    """Written bytes stand at their offset; what was never written reads FF."""
    session.ok("80E0000507280008F0F0FFFF")
    assert session("00B0850000") == (b"\xff" * 8, 0x6281)
    session.ok("00D6850203112233")

    assert session("00B0850000") == (bytes.fromhex("FFFF112233FFFFFF"), 0x9000)
    assert session("00B0850203") == (bytes.fromhex("112233"), 0x9000)


def test_current_file_is_used_without_identifier(session: issuing.Session) -> None:
    """After SELECT, P1 P2 are the offset; before it there is no current file."""
    session.ok("80E0000507280008F0F0FFFF")
    assert session("00B0000000") == (b"", 0x6986)
    session.ok("00A40000020005")
    session.ok("00D6000001AA")
    assert session("00B0000001") == (b"\xaa", 0x9000)


@pytest.mark.parametrize(
    ("apdu", "expected"),
    [
        ("00B0860000", 0x6A82),
        ("00B0850800", 0x6B00),
        ("00D68507020102", 0x6B00),
        ("00D68500", 0x6700),
        ("00B0820000", 0x6981),
        ("00B2012C00", 0x6981),
        ("04B085000400000000", 0x6900),
        ("04D68500050100000000", 0x6900),
    ],
)
def test_bad_binary_commands(session: issuing.Session, apdu: str, expected: int) -> None:
    """Outside the file, the wrong type of file, secure messaging where none is foreseen."""
    session.ok("80E0000507280008F0F0FFFF")
    session.ok("80E00002072A0204F0F0FFFF")

    assert session(apdu) == (b"", expected)


def test_fixed_records(session: issuing.Session) -> None:
    """Records are appended up to their number and replaced by number, in their length only."""
    session.ok("80E00002072A0204F0F0FFFF")
    session.ok("00E200140401020304")
    session.ok("00E200140405060708")
    session.ok("00DC0114040A0B0C0D")

    assert session("00E200140400000000") == (b"", 0x6A84)
    assert session("00DC03140400000000") == (b"", 0x6A83)
    assert session("00DC011403000000") == (b"", 0x6700)
    assert session.ok("00B2011400") == bytes.fromhex("0A0B0C0D")
    assert session.ok("00B2021402") == bytes.fromhex("0506")
    assert session("00B2031400") == (b"", 0x6A83)
    assert session("00B2AA1000") == (b"", 0x6A86)


def test_cyclic_records(session: issuing.Session) -> None:
    """The newest record is number 1; the oldest gives way."""
    session.ok("80E00003072E0302F0F0FFFF")
    for record in ("0001", "0002"):
        session.ok("00E2001C02" + record)
    session.ok("00DC001B020003")
    session.ok("00DC011A020004")

    assert [session.ok(f"00B20{n}1C00").hex() for n in (1, 2, 3)] == ["0004", "0003", "0002"]
    assert session("00B2041C00") == (b"", 0x6A83)
    assert session("00DC011C020005") == (b"", 0x6A86)


def test_variable_records_of_the_manual(session: issuing.Session) -> None:
    """A record is added with P1 00, and an update by tag may give it another tag."""
    session.ok("80E00001072C0020F0F0FFFF")
    session.ok("00DC000A04AA021122")
    assert session.ok("00B2AA0800") == bytes.fromhex("AA021122")
    session.ok("00DCAA0804CC023344")

    assert session("00B2AA0800") == (b"", 0x6A83)
    assert session.ok("00B2010C00") == bytes.fromhex("CC023344")


def test_records_of_one_tag_are_walked(session: issuing.Session) -> None:
    """First, last, next and previous of a tag find their record."""
    session.ok("80E00001072C0020F0F0FFFF")
    for record in ("AA0101", "BB0102", "AA0103", "AA0104"):
        session.ok("00E2000C03" + record)
    session.ok("00DCAA0803AA0111")  # first
    session.ok("00DCAA0A03AA0113")  # next
    session.ok("00DCAA0903AA0114")  # last
    session.ok("00DCAA0B03AA0133")  # previous
    assert session("00DCBB0A03BB0122") == (b"", 0x6A83)  # no BB after record 3

    records = [session.ok(f"00B20{n}0C00").hex() for n in (1, 2, 3, 4)]
    assert records == ["aa0111", "bb0102", "aa0133", "aa0114"]


@pytest.mark.parametrize(
    ("apdu", "expected"),
    [
        ("00DCAA0805AA03112233", 0x6700),  # another length
        ("00DCAA0804AA031122", 0x6A80),  # its length byte lies
        ("00DCAB0804AB021122", 0x6A83),
        ("00E2000C1EBB1C" + "00" * 28, 0x6A84),
        ("00E2000C02BB00", 0x6700),
        ("00B2AA0D00", 0x6A86),
        ("00B2AAF800", 0x6A86),
    ],
)
def test_bad_variable_records(session: issuing.Session, apdu: str, expected: int) -> None:
    """A variable record keeps its length and says the truth about it."""
    session.ok("80E00001072C0020F0F0FFFF")
    session.ok("00E2000C04AA021122")

    assert session(apdu) == (b"", expected)
    assert session.ok("00B2AA0800") == bytes.fromhex("AA021122")


def test_protected_reads_are_demanded_and_macced(session: issuing.Session) -> None:
    """A file with bit 8 of its last byte 0 is read with a MAC, both ways, and only so."""
    session.ok("80E00003072E0304F0F0FF7F")
    session.ok("00E2001C0411223344")
    assert session("00B2011C00") == (b"", 0x6987)

    iv = session.iv()
    mac = crypto.message_mac(LINE_KEY, iv, bytes.fromhex("04B2011C04"))
    data = session.ok(b"\x04\xb2\x01\x1c\x04" + mac)

    content = bytes.fromhex("11223344")
    assert data == content + crypto.message_mac(LINE_KEY, iv, content)


def test_protected_read_with_a_wrong_mac(session: issuing.Session) -> None:
    """A read whose MAC is wrong gives nothing away and costs a try."""
    session.ok("80E0000507280004F0F0FF7F")
    session.iv()

    assert session("04B085000400000000") == (b"", 0x6988)


def test_encrypted_file(session: issuing.Session) -> None:
    """A file of type E8 takes LD and data encrypted and MACed, and answers a protected read so."""
    session.ok("80E0000507E80008F0F0FF7F")
    plain = bytes.fromhex("0102030405060708")
    cipher = crypto.encrypt(LINE_KEY, crypto.pad_if_needed(b"\x08" + plain))
    assert session.protected(LINE_KEY, bytes.fromhex("04D68500"), cipher)[1] == 0x9000

    data, _ = session.protected(LINE_KEY, bytes.fromhex("04B08500"))

    assert crypto.decrypt(LINE_KEY, data[:-4]) == crypto.pad_if_needed(b"\x08" + plain)


def test_encrypted_data_with_a_wrong_length_byte(session: issuing.Session) -> None:
    """Decrypted data whose LD or padding lies are 6A80, and nothing is written."""
    session.ok("80E0000507E80008F0F0FFFF")
    cipher = crypto.encrypt(LINE_KEY, b"\x09" + bytes(15))

    assert session.protected(LINE_KEY, bytes.fromhex("04D68500"), cipher) == (b"", 0x6A80)
    assert session("00B0850000")[1] == 0x6281


def test_other_line_keys_are_named_by_the_header(session: issuing.Session) -> None:
    """The low bits of the last header byte choose key 36/01 for writing."""
    other = bytes(range(0x90, 0xA0))
    session.ok(b"\x80\xd4\x01\x01\x15" + issuing.key_record("36F0FFFF33", other))
    session.ok("80E0000507A80004F0F0FFFE")
    header = bytes.fromhex("04D68500")

    assert session.protected(LINE_KEY, header, b"\x01") == (b"", 0x6988)
    assert session.protected(other, header, b"\x01") == (b"", 0x9000)


def test_long_files_are_read_in_pieces(session: issuing.Session) -> None:
    """An answer holds 256 bytes at most, 232 of a protected one; offsets reach the rest."""
    session.ok("80E000050728012CF0F0FFFF")
    session.ok("80E000060728012CF0F0FF7F")
    session.ok("00D685000159")
    session.ok("00D686000159")

    assert len(session.ok("00B0850000")) == 256
    session.ok("00A40000020005")
    assert len(session.ok("00B0010000")) == 44
    protected, _ = session.protected(LINE_KEY, bytes.fromhex("04B08600"))
    assert len(protected) == 232 + 4


def test_long_fci_file_is_cut(session: issuing.Session) -> None:
    """SELECT shows the front of a file 0015 that no answer could hold."""
    session.ok("80E03F010E38FFFFFFFF95FFFF" + issuing.AID.hex())
    session.ok("00A4040006" + issuing.AID.hex())
    session.ok("80E000150728012CF0F0FFFF")

    fci = session.ok("00A4040006" + issuing.AID.hex())
    assert fci.endswith(b"\x9f\x0c\x81\xd0" + b"\xff" * 208)
