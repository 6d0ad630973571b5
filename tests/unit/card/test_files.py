# SPDX-License-Identifier: Apache-2.0
"""The file map: complete, within the chip, and equal to its document."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card.access import DESK_STATE, RULES, AccessRule, meets, words
from card.card_keys import CARD_USAGES
from card.files import MASTER_FILE, VOLUNTEER, FileKind, FileSpec, KeySpec
from card.layout_document import render
from card.profile import REDUCED, STANDARD, Profile, ProfileTooBig
from keys.usage import KeyUsage

DOCUMENT = Path(__file__).parents[3] / "docs" / "spec" / "card-layout.md"
KEYS = [*MASTER_FILE.keys, *VOLUNTEER.keys]


def test_the_document_is_what_the_declarations_say() -> None:
    """docs/spec/card-layout.md is made from the code and nothing else."""
    assert render() == DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("spec", VOLUNTEER.files, ids=lambda spec: f"{spec.fid:04X}")
def test_file_is_labelled_and_sourced(spec: FileSpec) -> None:
    """Each file has a name in two languages and says where its layout comes from."""
    assert spec.label.zh
    assert spec.label.en
    assert spec.source
    assert len(spec.control()) == 7


@pytest.mark.parametrize("spec", KEYS, ids=lambda spec: spec.usage.value)
def test_key_is_labelled_and_changes_only_encrypted(spec: KeySpec) -> None:
    """Each key has a name, is used always and changed at register F, encrypted and MACed."""
    header = spec.header(1)

    assert spec.label.zh
    assert spec.label.en
    assert spec.source
    assert header[0] == spec.key_type | 0xC0
    assert header[1:3] == bytes.fromhex("F0FF")


def test_every_card_key_has_its_place() -> None:
    """All usages of a card stand in a directory, each once."""
    usages = [spec.usage for spec in KEYS]

    assert len(set(usages)) == len(usages)
    assert set(usages) == set(CARD_USAGES)


def test_a_tap_uses_no_key_that_can_be_locked() -> None:
    """Purchase, TAC and presence keys count no errors: no phone can lock a card."""
    tap_keys = {
        KeyUsage.PURCHASE_PSAM,
        KeyUsage.PURCHASE_SOFT,
        KeyUsage.TAC,
        KeyUsage.PRESENCE,
    }

    assert not [spec for spec in VOLUNTEER.keys if spec.usage in tap_keys and spec.counted]


def test_files_that_carry_a_mac_error_counter_need_a_proof() -> None:
    """Files are written after a proof and with a MAC, so three bad MACs need a key.

    What a script changes at the next tap needs the desk's proof; the rest the control key's.
    """
    written = [spec for spec in VOLUNTEER.files if spec.mac]

    assert [spec.fid for spec in written] == [0x15, 0x16, 0x17, 0x1A, 0x1B, 0x1C]
    assert {spec.fid: spec.write for spec in written} == {
        0x15: 0xF1, 0x16: 0xFF, 0x17: 0xF1, 0x1A: 0xF1, 0x1B: 0xFF, 0x1C: 0xFF,
    }  # fmt: skip


def test_a_maced_read_needs_a_proof_first() -> None:
    """No file whose reads carry a MAC is open to anybody: bad MACs would lock the application."""
    maced = [spec for spec in VOLUNTEER.files if spec.maced_reads]

    assert [spec.fid for spec in maced] == [0x16, 0x17, 0x18, 0x1A, 0x1B, 0x1C]
    assert not any(meets(spec.read, 0) for spec in maced)


@pytest.mark.parametrize("spec", VOLUNTEER.files, ids=lambda spec: f"{spec.fid:04X}")
def test_a_phone_reads_only_what_a_tap_needs(spec: FileSpec) -> None:
    """Without a proof nothing is writable; only tap file, composite record and purse are read."""
    free = spec.fid in (0x15, 0x19, 0x02)

    assert meets(spec.read, 0) == free
    assert spec.kind is FileKind.PURSE or not meets(spec.write, 0)
    assert spec.kind is FileKind.PURSE or spec.mac or not meets(spec.write, DESK_STATE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.label.en)
def test_right_is_labelled_and_sourced(rule: AccessRule) -> None:
    """Each declared right has words in two languages and a source."""
    assert rule.label.zh
    assert words(rule.right) == rule.label
    assert rule.source


def test_every_right_in_use_is_declared() -> None:
    """No file uses a right without words of its own."""
    used = {right for spec in VOLUNTEER.files for right in (spec.read, spec.write)}

    assert used <= {rule.right for rule in RULES}


@given(right=st.integers(0, 255), register=st.integers(0, 15), master=st.integers(0, 15))
def test_every_right_has_words_and_a_verdict(right: int, register: int, master: int) -> None:
    """Whatever the byte, words exist; never means never and always means always."""
    text = words(right)

    assert text.zh
    if text.en == "never":
        assert not meets(right, register, master)
    if text.en == "always":
        assert meets(right, register, master)


def test_personal_files_are_not_freely_readable() -> None:
    """0016, 0017 and the log ask for a proof before they are read."""
    free = [spec.fid for spec in VOLUNTEER.files if spec.read == 0xF0]

    assert free == [0x15, 0x19, 0x02]


def test_twelve_kilobytes_stay_free() -> None:
    """The standard profile keeps what was promised; a smaller chip needs the reduced one."""
    assert STANDARD.free_bytes >= 12_288
    assert REDUCED.free_bytes > 0
    with pytest.raises(ProfileTooBig):
        Profile("too small", chip_bytes=8_192)


def test_the_application_fits_its_directory() -> None:
    """Files and keys fit the space the directory was given."""
    inside = sum(spec.eeprom_bytes for spec in (VOLUNTEER.key_file, *VOLUNTEER.files))

    assert inside <= VOLUNTEER.space


def test_an_unknown_file_is_an_error() -> None:
    """Asking for a file that is not declared fails loudly."""
    with pytest.raises(KeyError):
        VOLUNTEER.file(0x1234)
