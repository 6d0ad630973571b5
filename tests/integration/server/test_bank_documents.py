# SPDX-License-Identifier: Apache-2.0
"""What the documents for banks say is so: samples, fields, reason codes."""

from __future__ import annotations

import io
from pathlib import Path

from hardware_mocks.partner import layouts
from hardware_mocks.partner.samples import samples
from server.bank.files import declaration
from server.bank.files.declaration import CARD_REASONS
from server.bank.files.layout import LAYOUTS
from server.bank.files.reading import FIXED, JSON_LINES, Expected, FileReader
from server.bank.files.reasons import REASONS

DOCS = Path(__file__).parents[3] / "docs"
FORMATS = (DOCS / "bank-formats.md").read_text("utf-8")


def test_samples_are_those_the_command_writes() -> None:
    """The sample files of the guide are the bytes that the simulator writes."""
    kept = {path.name: path.read_bytes() for path in (DOCS / "bank-samples").iterdir()}
    kept.pop("partner.toml")

    assert kept == samples()


def test_platform_reads_every_sample_without_a_fault() -> None:
    """Each sample is a whole file of its kind, in either profile, with no finding."""
    for name, data in samples().items():
        if name.endswith(".manifest"):
            continue
        profile = JSON_LINES if name.endswith(".jsonl") else FIXED
        reader = FileReader(io.BytesIO(data), Expected(profile, LAYOUTS))

        assert [chunk.findings for chunk in reader.chunks()] == [()], name
        assert reader.header.kind == name.split("_")[2]


def test_sample_declaration_is_taken() -> None:
    """The sample declaration has no fault, and its white list is the short one."""
    made = declaration.load((DOCS / "bank-samples" / "partner.toml").read_text("utf-8"))

    assert made.test
    assert "mobile" not in made.whitelist


def test_every_field_and_code_is_documented() -> None:
    """The document lists each field of each kind, and each reason code with both texts."""
    for kind, layout in LAYOUTS.items():
        fields = " ".join(f"`{field}`" for field in layout.fields)
        assert f"| `{kind.value}` |" in FORMATS
        assert fields in FORMATS
    for reason in REASONS.values():
        assert f"| `{reason.code}` |" in FORMATS
        assert reason.zh in FORMATS
    assert all(f"| `{code}` |" in FORMATS for code in CARD_REASONS)


def test_simulator_and_platform_have_the_same_records_written_twice() -> None:
    """Names and widths of all fields agree, though neither side takes them from the other."""
    ours = {kind.value: [(f.name, f.width) for f in one.fields] for kind, one in LAYOUTS.items()}
    theirs = {kind: [(name, size) for name, size, _ in f] for kind, f in layouts.DETAIL.items()}

    assert ours == theirs
