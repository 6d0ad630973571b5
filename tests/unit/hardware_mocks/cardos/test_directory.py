# SPDX-License-Identifier: Apache-2.0
"""Directories and files: created, selected, erased, and the space they take."""

from __future__ import annotations

import pytest

from hardware_mocks.cardos.cos import VirtualCard
from tests.unit.hardware_mocks.cardos import issuing

SELECT = b"\x00\xa4\x04\x00\x06" + issuing.AID
SELECT_MF = "00A40000023F00"


def _blank() -> issuing.Session:
    return issuing.Session(VirtualCard(contactless=True).transmit)


def _with_mf() -> issuing.Session:
    session = _blank()
    session.ok(issuing.MF)
    return session


@pytest.mark.parametrize("apdu", ["00A40000023F00", "0084000004", "80E0001507280008F0F0FFFF"])
def test_blank_card_supports_nothing_but_its_mf(apdu: str) -> None:
    """Without an MF every command but its creation is 6A81."""
    assert _blank()(apdu) == (b"", 0x6A81)


@pytest.mark.parametrize("code", ["FF" * 7, "FF" * 8, "FF" * 9])
def test_mf_needs_the_transport_code(code: str) -> None:
    """The MF is made with the transport code of a blank card, in the lengths documents show."""
    header = "38FFFFF0F001"
    length = f"{6 + len(code) // 2:02X}"

    assert _blank()("80E03F00" + length + header + code)[1] == 0x9000
    assert _blank()("80E03F00" + length + header + "00" + code[2:])[1] == 0x6A80


def test_second_mf_is_refused() -> None:
    """There is one MF."""
    assert _with_mf()(issuing.MF) == (b"", 0x6A86)


def test_selecting_the_mf_names_its_directory_file() -> None:
    """The FCI of the MF is the manual's example, with the DIR file's short identifier."""
    expected = "6f15840e315041592e5359532e4444463031a503880101"

    assert _with_mf().ok(SELECT_MF).hex() == expected
    assert _with_mf().ok("00A40000").hex() == expected
    assert _with_mf().ok("00A404000E" + b"1PAY.SYS.DDF01".hex()).hex() == expected


def test_selecting_the_application_returns_0015() -> None:
    """The FCI of the application carries name and the whole file 0015."""
    session = _blank()
    issuing.personalise(session)

    fci = session.ok(SELECT)

    assert fci == (
        bytes.fromhex("6F458406") + issuing.AID + bytes.fromhex("A53B9F0C38") + issuing.face()
    )


def test_application_is_found_from_everywhere() -> None:
    """By name or identifier: from the MF, from itself, from a sibling."""
    session = _blank()
    issuing.personalise(session)
    session.ok(SELECT_MF)
    session.authenticate(issuing.CARD_CONTROL)
    session.ok("80E03F020D38FFFFFFFF95FFFF5349424C31")
    session.ok("00A40400055349424C31")

    assert session(SELECT)[1] == 0x9000
    assert session(SELECT)[1] == 0x9000
    session.ok(SELECT_MF)
    assert session("00A40000023F01")[1] == 0x9000


@pytest.mark.parametrize(
    ("apdu", "expected"),
    [
        ("00A40400055041592E58", 0x6A82),
        ("00A40000020099", 0x6A82),
        ("00A4000003001500", 0x6700),
        ("00A40200020015", 0x6A86),
        ("00A4040106F059494B4101", 0x6A86),
    ],
)
def test_bad_selects(apdu: str, expected: int) -> None:
    """SELECT of what is not there, or in a way the card does not know."""
    session = _blank()
    issuing.personalise(session)

    assert session(apdu) == (b"", expected)


def test_failed_select_changes_nothing() -> None:
    """After a SELECT that found nothing the card still stands where it stood."""
    session = _blank()
    issuing.personalise(session)
    session.ok(SELECT)
    session("00A40000020099")

    assert session("00B2AAC800")[1] == 0x9000


@pytest.mark.parametrize(
    ("apdu", "expected"),
    [
        ("80E0001507280000F0F0FFFF", 0x6A80),  # empty
        ("80E00015072A0105F0F0FFFF", 0x6A80),  # one record
        ("80E00015072E02F9F0F0FFFF", 0x6A80),  # records over 248 bytes
        ("80E00002072F0108F000FF18", 0x6A80),  # no purse has this size
        ("80E0001507290008F0F0FFFF", 0x6A80),  # no such type
        ("80E0001506280008F0F0FF", 0x6700),
        ("80E03F010C38FFFFFFFF95FFFF41424344", 0x6700),  # name too short
        ("80E0001507288000F0F0FFFF", 0x6A84),  # more than the card has
        ("80E000150728FFFFF0F0FFFF", 0x6A84),
    ],
)
def test_bad_creations(apdu: str, expected: int) -> None:
    """CREATE FILE refuses what cannot be a file, by name."""
    assert _with_mf()(apdu) == (b"", expected)


def test_identifiers_are_unique() -> None:
    """The same identifier or directory name twice is 6A86."""
    session = _with_mf()
    session.ok("80E0001507280008F0F0FFFF")
    session.ok(issuing.ADF)

    assert session("80E00015072A0208F0F0FFFF")[1] == 0x6A86
    assert session(issuing.ADF)[1] == 0x6A86
    assert session(issuing.ADF.replace("3F010E", "3F020E"))[1] == 0x6A86


def test_one_key_file_for_each_directory() -> None:
    """A second key file is refused."""
    session = _with_mf()
    session.ok(issuing.MF_KEY_FILE)

    assert session("80E00005073F010001FFFFFF") == (b"", 0x6A86)


def test_directory_space_is_kept() -> None:
    """Files of a directory must fit into the space it was created with, headers included."""
    session = _with_mf()
    session.ok("80E03F010E380040FFFF95FFFF" + issuing.AID.hex())
    session.ok(SELECT)

    # 64 bytes: header 11 and name 6 of the directory leave 47; a file takes 11 more than its body.
    assert session("80E0001507280025F0F0FFFF") == (b"", 0x6A84)
    assert session("80E0001507280024F0F0FFFF") == (b"", 0x9000)


def test_three_levels_at_most() -> None:
    """A directory below a directory below the MF holds no further directory."""
    session = _with_mf()
    for fid, name in (("3F01", "4C4556454C31"), ("3F02", "4C4556454C32")):
        session.ok(f"80E0{fid}0E38FFFFFFFF95FFFF{name}")
        session.ok(f"00A4040006{name}")

    assert session("80E03F030E38FFFFFFFF95FFFF4C4556454C33") == (b"", 0x6A80)


def test_directory_is_free_until_its_first_key_counts() -> None:
    """Rights begin when a directory with a key is entered anew, not before."""
    session = _with_mf()
    session.ok(issuing.MF_KEY_FILE)
    session.ok("80E0001507280008FFFFFFFF")
    session.ok(b"\x80\xd4\x01\x00\x15" + issuing.key_record("39F0FF0F33", issuing.TRANSPORT))
    assert session("00D695000159")[1] == 0x9000

    session.ok(SELECT_MF)
    assert session("00D695000159")[1] == 0x6982
    session.authenticate(issuing.TRANSPORT)
    assert session("00D695000159")[1] == 0x9000


def test_empty_key_file_protects_nothing() -> None:
    """A card cut off between its key file and its first key can still be issued."""
    card = VirtualCard(contactless=True)
    session = issuing.Session(card.transmit)
    session.ok(issuing.MF)
    session.ok(issuing.MF_KEY_FILE)
    card.reset()

    assert session(b"\x80\xd4\x01\x00\x15" + issuing.key_record("39F0FF0F33", WRONG))[1] == 0x9000


WRONG = bytes(16)


def test_erase_needs_its_right_and_empties_the_directory() -> None:
    """ERASE DF deletes the content, not the directory."""
    session = _blank()
    issuing.personalise(session)
    session.ok(SELECT)
    assert session("800E000000") == (b"", 0x6982)
    session.authenticate(issuing.CONTROL)
    assert session("800E000000") == (b"", 0x9000)

    assert session.ok(SELECT).hex() == "6f0a8406f059494b4101a500"
    assert session("00B0950000") == (b"", 0x6A82)
    assert session(issuing.ADF_KEY_FILE) == (b"", 0x9000)
