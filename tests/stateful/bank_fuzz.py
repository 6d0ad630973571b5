# SPDX-License-Identifier: Apache-2.0
"""Break files of the family at random and read them; whatever is not a refusal is a finding.

A broken file is read by `FileReader` as an import reads it, both profiles, all kinds. Some breaks
mend digest and totals afterwards, so that they get past the trailer.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import click

from hardware_mocks.partner import files
from hardware_mocks.partner.files import Form, Row
from server.bank.files import manifest
from server.bank.files.layout import LAYOUTS, Kind
from server.bank.files.reading import FIXED, JSON_LINES, Expected, FileReader
from server.bank.files.reasons import REASONS, FileRefused

KINDS = [kind for kind in Kind if kind is not Kind.ORDER]
VALUES = {"n": "7", "a": "OK", "d": "20261122", "t": "𠮷野", "h": "0" * 64}
RECORDS = 3
ODD = (b"\n", b"\r\n", b"\x00", b"\xff", b"T", b"H", b"D", b"{", b"9" * 40, b"\x81\x30\x81\x30",
       b'"', b"\\ud800", b"null", b"-1", b"1e999", b"[" * 500)  # fmt: skip


@dataclass
class Found:
    """What a search met."""

    files: int = 0
    refused: int = 0
    records: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[int, str]] = field(default_factory=list)


def search(seed: int, count: int) -> Found:
    """Break and read so many files; a finding names the seed of its file."""
    found = Found()
    good = [(form, _good(kind, form)) for kind in KINDS for form in (Form(), Form("jsonl"))]
    for number in range(count):
        dice = random.Random(seed + number)
        form, content = dice.choice(good)
        for _ in range(dice.randint(1, 3)):
            content = dice.choice(BREAKS)(content, dice)
        if dice.random() < 0.5:
            content = _mended(content, form)
        found.files += 1
        try:
            _read(content, form, found)
        except FileRefused as refused:
            found.refused += 1
            found.codes[refused.finding.code] += 1
            if refused.finding.code not in REASONS:
                found.findings.append((seed + number, f"unknown code {refused.finding.code}"))
        except Exception as error:  # noqa: BLE001 - looking for just these
            found.findings.append((seed + number, repr(error)[:200]))
    return found


def _read(content: bytes, form: Form, found: Found) -> None:
    profile = FIXED if form.profile == "fixed" else JSON_LINES
    reader = FileReader(io.BytesIO(content), Expected(profile, LAYOUTS, 1_000))
    for chunk in reader.chunks():
        found.records += len(chunk)
        for finding in chunk.findings:
            found.codes[finding.code] += 1
            finding.text("file")
        for name in chunk.layout.names:
            chunk.texts(name)
    if manifest.named(content[:60].decode("latin-1")) is not None:
        raise RuntimeError("a content is no name")


def _good(kind: Kind, form: Form) -> bytes:
    rows: list[Row] = []
    for place in range(RECORDS):
        row = {one.name: VALUES[one.kind] for one in LAYOUTS[kind].fields}
        row |= {"outcome": "OK", "id_checked": "Y", "event": "LOST", "channel": "HOTL",
                "level": "R", "status": "ACCP", "order_no": str(place + 1)}  # fmt: skip
        rows.append({name: value for name, value in row.items() if name in LAYOUTS[kind].names})
    header = {"partner": "BANK-1", "kind": str(kind), "sequence": "1", "date": "20261122"}
    return files.write(header, rows, form)


def _mended(content: bytes, form: Form) -> bytes:
    """Write the trailer's digest anew."""
    cut = content.rstrip(b"\n").rfind(b"\n") + 1
    before, tail = content[:cut], content[cut:]
    digest = hashlib.sha256(before).hexdigest()
    if form.profile == "fixed" and len(tail) >= 109:
        return before + tail[:45] + digest.encode() + tail[109:]
    try:
        members = json.loads(tail)
    except ValueError:
        return content
    if isinstance(members, dict):
        return before + json.dumps({**members, "sha256": digest}).encode() + b"\n"
    return content


def _flip(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(max(1, len(content)))
    return content[:at] + bytes([dice.randrange(256)]) + content[at + 1 :]


def _insert(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content) + 1)
    return content[:at] + dice.choice(ODD) + content[at:]


def _overwrite(content: bytes, dice: random.Random) -> bytes:
    at, odd = dice.randrange(len(content) + 1), dice.choice(ODD)
    return content[:at] + odd + content[at + len(odd) :]


def _cut(content: bytes, dice: random.Random) -> bytes:
    low, high = sorted(dice.randrange(len(content) + 1) for _ in range(2))
    return content[:low] + content[high:]


def _truncate(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content) + 1)]


def _lines(content: bytes, dice: random.Random) -> bytes:
    parts = content.splitlines(keepends=True)
    verb = dice.randrange(3)
    if verb == 0:
        dice.shuffle(parts)
    elif parts and verb == 1:
        parts.insert(dice.randrange(len(parts) + 1), dice.choice(parts))
    elif parts:
        parts.pop(dice.randrange(len(parts)))
    return b"".join(parts)


def _digits(content: bytes, dice: random.Random) -> bytes:
    places = [at for at, byte in enumerate(content) if 0x30 <= byte <= 0x39]
    if not places:
        return content
    at = dice.choice(places)
    return content[:at] + bytes([dice.choice(b"0123456789 xZ")]) + content[at + 1 :]


BREAKS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _insert, _overwrite, _cut, _truncate, _lines, _digits,
)  # fmt: skip


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", default=1, show_default=True)
@click.option("--files", "count", default=100_000, show_default=True)
def main(seed: int, count: int) -> None:
    """Read broken files of bank partners; end 1 when one raised what it may not.

    Example: script/fuzz bank --files 100000
    """
    found = search(seed, count)
    click.echo(
        f"seed {seed}: {found.files} files, {found.refused} refused, {found.records} records"
    )
    click.echo(" ".join(f"{code}:{number}" for code, number in sorted(found.codes.items())))
    for number, text in found.findings:
        click.echo(f"--seed {number} --files 1: {text}")
    raise SystemExit(1 if found.findings else 0)


if __name__ == "__main__":
    main()
