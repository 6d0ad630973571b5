# SPDX-License-Identifier: Apache-2.0
"""Dumps as YAML: nothing is lost, signatures hold, and hostile files are refused."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from card import dump_file
from card.dump import CardDump
from card.dump_document import from_document, to_document
from card.errors import DumpRefused
from card.files import VOLUNTEER, FileKind
from card.layouts import HOLDER_DATA, ISSUER_ID, PUBLIC_DATA, HolderData, PublicData
from keys.identity import Identity

ASN = bytes.fromhex("00000000000000000017")
SIGNER = Identity.from_seed(bytes(32))


def _public(name: str = "王**") -> bytes:
    valid = dt.date(2026, 11, 1), dt.date(2031, 10, 31)
    return PUBLIC_DATA.build(PublicData(ISSUER_ID, 1, 2, ASN, *valid, bytes(2), None, name, 0, 1))


def _holder(name: str) -> bytes:
    return HOLDER_DATA.build(HolderData(0, name, "77", 0, "12345X"))


@st.composite
def dumps(draw: st.DrawFn) -> CardDump:
    """Any bytes a card could hold in its files, well formed or not."""
    contents = {
        spec.fid: draw(st.binary(min_size=spec.layout.size, max_size=spec.layout.size))
        for spec in VOLUNTEER.files
        if spec.layout is not None and spec.kind is not FileKind.CYCLIC
    }
    if draw(st.booleans()):
        contents[0x0015] = _public(draw(st.sampled_from(["王**", "\u202e*", '"\\', ""])))
    contents[0x001B] += draw(st.binary(max_size=40))
    records = {
        spec.fid: tuple(draw(st.lists(st.binary(min_size=size, max_size=size), max_size=3)))
        for spec in VOLUNTEER.files
        if spec.kind is FileKind.CYCLIC and (size := spec.record_bytes)
    }
    balance = draw(st.integers(0, (1 << 32) - 1))
    return CardDump(ASN, 1, 2, contents, records, balance, draw(st.booleans()), b"\x3b\x68")


@given(dumps())
def test_whatever_a_card_holds_survives_the_file(dump: CardDump) -> None:
    """Fields and raw bytes come back exactly, also through a plain YAML library."""
    text = dump_file.dumps(dump)

    assert dump_file.loads(text) == dump
    assert from_document(yaml.safe_load(text)) == dump


@given(st.text(st.characters(codec="gb18030"), max_size=5))
def test_names_survive_whatever_their_characters(name: str) -> None:
    """Line separators, quotes and direction marks in a name do not break the file."""
    padded = name.replace("\0", "")
    dump = CardDump(ASN, 1, 2, {0x0016: _holder(padded)}, {}, 0, True)

    assert dump_file.loads(dump_file.dumps(dump)) == dump


def test_the_file_explains_itself() -> None:
    """It names schema and version, labels each field in two languages, and quotes numbers."""
    text = dump_file.dumps(CardDump(ASN, 1, 2, {0x0015: _public()}, {}, 0))

    assert 'schema: "yika-card-dump"' in text
    assert "version: 1" in text
    assert 'asn: "00000000000000000017"' in text
    assert re.search(r'valid_to: "2031-10-31"  # 有效日期 YYYYMMDD / valid to YYYYMMDD', text)


def test_a_dump_shows_nobody_s_name_by_accident() -> None:
    """The object's own representation holds no content."""
    dump = CardDump(ASN, 1, 2, {0x0016: _holder("欧阳小明")}, {}, 0, True)

    assert "欧阳小明" not in repr(dump)


def test_signatures_hold_for_content_not_for_form() -> None:
    """Comments may change; a single value may not; the signer is who it should be."""
    text = dump_file.dumps(CardDump(ASN, 1, 2, {0x0015: _public()}, {}, 0), SIGNER)
    other = Identity.from_seed(b"\x01" * 32)

    assert dump_file.loads(re.sub(r"  #.*", "", text), SIGNER.public_key).asn == ASN
    with pytest.raises(DumpRefused, match="changed"):
        dump_file.loads(text.replace("2031-10-31", "2032-10-31"))
    with pytest.raises(DumpRefused, match="not signed"):
        dump_file.loads(text, other.public_key)


def test_a_missing_signature_is_seen_where_one_is_due() -> None:
    """Cutting the signature off does not make a dump trusted."""
    text = dump_file.dumps(CardDump(ASN, 1, 2, {0x0015: _public()}, {}, 0), SIGNER)
    bare = text[: text.index("signature:")]

    assert dump_file.loads(bare).asn == ASN
    with pytest.raises(DumpRefused):
        dump_file.loads(bare, SIGNER.public_key)


_GOOD = dump_file.dumps(CardDump(ASN, 1, 2, {0x0015: _public()}, {}, 0))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "a: &a [1]\nb: *a",
        "!!python/object/apply:os.system [id]",
        "[" * 5_000,
        "a: 2026-13-45",
        _GOOD.replace("version: 1", "version: 2"),
        _GOOD.replace("yika-card-dump", "another"),
        _GOOD.replace('"0015"', '"0099"'),
        _GOOD.replace('"0015"', '"zz"'),
        _GOOD.replace("valid_to", "valid_until"),
        _GOOD.replace('"2031-10-31"', '"soon"'),
        _GOOD.replace('"2031-10-31"', "5"),
        _GOOD.replace("key_version: 1", "key_version: true"),
        _GOOD.replace("F059494B4101", "A000000003"),
        _GOOD.replace('"王**"', '"' + "王" * 30 + '"'),
        _GOOD + "signature: 5\n",
        _GOOD + "signature: {public_key: '00', ed25519: '00'}\n",
        "x" * (dump_file.FILE_BYTES_MAX + 1),
    ],
)
def test_what_is_no_dump_is_refused(text: str) -> None:
    """Other schemas, unknown names, wrong kinds, tags, aliases and bombs: one named error."""
    with pytest.raises(DumpRefused):
        dump_file.loads(text)


@given(st.text(max_size=60))
def test_any_text_is_a_dump_or_refused(text: str) -> None:
    """No other error leaves the reader."""
    with pytest.raises(DumpRefused):
        dump_file.loads(text)


def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    """A dump holds a person's data; others do not read it, and a binary file is refused."""
    path = tmp_path / "card.yaml"
    dump_file.save(CardDump(ASN, 1, 2, {}, {}, 0), path)
    binary = tmp_path / "x.yaml"
    binary.write_bytes(b"\xff\xfe\xfd")

    assert path.stat().st_mode & 0o077 == 0
    assert dump_file.load(path).asn == ASN
    with pytest.raises(DumpRefused):
        dump_file.load(binary)


def test_the_document_is_plain() -> None:
    """Only text, numbers, booleans, lists and mappings: JSON holds it as well."""
    document = to_document(CardDump(ASN, 1, 2, {0x0015: _public()}, {0x0018: ()}, 7))

    assert document["files"]["0002"] == {"balance": 7}
    assert document["files"]["0018"] == {"records": []}
    assert document["files"]["0015"]["values"]["birth_date"] is None
