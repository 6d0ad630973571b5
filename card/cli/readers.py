# SPDX-License-Identifier: Apache-2.0
"""`yika-card readers|doctor`: what is plugged in, and why a card is not seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import click

from card import doctor as diagnosis
from card.bcd import QUARTER_S
from card.card_keys import CardKeys
from card.cli.options import (
    Failed,
    Place,
    card_at,
    failures,
    guard_of,
    json_option,
    open_store,
    reader_option,
    readers_here,
    show,
)
from card.dump import plain
from card.errors import NoReader
from card.operation import run
from card.probe import probe
from card.volunteer import select

_DOCTOR_HELP = """\
诊断 · say why no card is seen and what to do; with --probe, whether a card can carry taps.

The probe counts one transaction on the card and replaces the proof of its latest tap.

\b
Examples:
  yika-card doctor
  yika-card doctor --probe keys.yika --json
"""


@click.command()
@json_option
def readers(as_json: bool) -> None:
    """列出读卡器 · list readers. Example: yika-card readers --json."""
    with failures():
        names = readers_here().names()
    show({"readers": names}, as_json, names)
    if not names:
        raise Failed(str(NoReader()))


@click.command(help=_DOCTOR_HELP)
@click.option(
    "--probe",
    "probe_store",
    type=click.Path(path_type=Path, exists=True),
    help="Key store; do one zero-amount purchase and check every effect of it.",
)
@reader_option
@json_option
def doctor(probe_store: Path | None, reader: str | None, as_json: bool) -> None:
    """Say why no card is seen and what to do."""  # fmt: skip
    if probe_store is not None:
        _probe(probe_store, reader, as_json)
        return
    found = diagnosis.diagnose()
    healthy = diagnosis.healthy(found)
    document = {
        "healthy": healthy,
        "checks": [
            {
                "check": item.check,
                "fine": item.fine,
                "code": item.code,
                "meaning": item.meaning._asdict(),
                "advice": item.advice._asdict(),
            }
            for item in found
        ],
    }
    show(document, as_json, list(_diagnosis_lines(found)))
    if not healthy:
        worst = next(item for item in found if not item.fine)
        raise Failed(f"{worst.meaning.zh} / {worst.meaning.en}")


def _probe(store: Path, reader: str | None, as_json: bool) -> None:
    """Try on one card of a new type whether it can carry taps."""
    opened = open_store(store)
    with failures(), card_at(Place(reader)) as connection:
        face = run(select(), connection)
        keys = CardKeys.from_store(opened, face.asn, face.key_version)
        now = dt.datetime.now().astimezone()
        offset = now.utcoffset() or dt.timedelta()
        tz_q = round(offset.total_seconds() / QUARTER_S)
        found = run(probe(keys, int(now.timestamp()), tz_q, guard_of(store)), connection)
    document = {"fit": found.fit, **plain(found)}
    show(document, as_json, [f"{name}: {value}" for name, value in document.items()])
    if not found.fit:
        raise Failed("此卡不能承载刷卡 / this card cannot carry taps")


def _diagnosis_lines(found: list[diagnosis.Diagnosis]) -> Iterator[str]:
    for item in found:
        yield f"[{'ok' if item.fine else '!!'}] {item.check}: {item.meaning.zh} / {item.meaning.en}"
        if item.advice.en:
            yield f"     → {item.advice.zh} / {item.advice.en}"


COMMANDS: tuple[click.Command, ...] = (readers, doctor)
