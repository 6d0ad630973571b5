# SPDX-License-Identifier: Apache-2.0
"""`yika-card`: readers, doctor, info, dump, issue."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from card import doctor as diagnosis
from card.attempts import AttemptGuard
from card.bcd import QUARTER_S
from card.card_keys import CardKeys
from card.dump import dump as dump_card
from card.dump import dump_protected, plain
from card.errors import CardError, NoCard, NoReader
from card.operation import run
from card.personalise import CardData, Plan, personalise
from card.personalise import plan as make_plan
from card.probe import probe
from card.readers import CardConnection, list_readers, open_reader
from card.volunteer import DeskKeys, VolunteerCard, select
from keys.errors import KeysError
from keys.store import FileKeyStore
from keys.usage import KeyUsage

PASSPHRASE = "YIKA_KEYS_PASSPHRASE"  # noqa: S105 - the name of the variable, not its content
CARD_WAIT_S = 5.0
LOOK_AGAIN_S = 0.2  # between looks at several readers; pcscd notices a card within 0.4 s
ATTEMPTS_SUFFIX = ".attempts.json"

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
reader_option = click.option(
    "--reader", help="Reader as `readers` prints it; needed only if several hold a card."
)
wait_option = click.option(
    "--wait", "wait_s", default=CARD_WAIT_S, show_default=True, help="Seconds to wait for a card."
)
store_option = click.option(
    "--store",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=f"Key store file; its passphrase comes from {PASSPHRASE} or a prompt.",
)

_MAIN_HELP = """\
义工证读写与发卡 · read and issue volunteer cards.

\b
Examples:
  yika-card readers
  yika-card doctor
  yika-card info --json
  yika-card issue --data card.json --store keys.yika --dry-run
"""

_DOCTOR_HELP = """\
Say why no card is seen and what to do; with --probe, whether a card can carry taps.

The probe counts one transaction on the card and replaces the proof of its latest tap.

\b
Examples:
  yika-card doctor
  yika-card doctor --probe keys.yika --json
"""

_ISSUE_HELP = """\
Issue the card on the reader, or finish one that was cut.

\b
The data are one JSON object:
  {"asn": "00000000000000000017", "valid_from": "2026-11-01", "valid_to": "2031-10-31",
   "masked_name": "王**", "name": "王小明", "volunteer_number": "1000000004"}
and may have birth_date, minor_rules, key_version, document_type, document_tail,
organisation, guardian_mobile.

\b
Example: yika-card issue --data card.json --store keys.yika --dry-run
"""


class Failed(click.ClickException):
    """An expected failure: one line with cause and next step, exit status 1."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(self.message, file=file or sys.stderr)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, help=_MAIN_HELP)
def main() -> None:
    """Read and issue volunteer cards."""


@main.command()
@json_option
def readers(as_json: bool) -> None:
    """List readers. Example: yika-card readers --json."""
    with _failures():
        names = list_readers()
    _print({"readers": names}, as_json, names)
    if not names:
        raise Failed(str(NoReader()))


@main.command(help=_DOCTOR_HELP)
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
    _print(document, as_json, list(_diagnosis_lines(found)))
    if not healthy:
        worst = next(item for item in found if not item.fine)
        raise Failed(f"{worst.meaning.zh} / {worst.meaning.en}")


def _probe(store: Path, reader: str | None, as_json: bool) -> None:
    """Try on one card of a new type whether it can carry taps."""
    opened = _open_store(store)
    with _failures(), _card(reader, CARD_WAIT_S) as connection:
        face = run(select(), connection)
        keys = CardKeys.from_store(opened, face.asn, face.key_version)
        now = dt.datetime.now().astimezone()
        offset = now.utcoffset() or dt.timedelta()
        tz_q = round(offset.total_seconds() / QUARTER_S)
        found = run(probe(keys, int(now.timestamp()), tz_q, _guard(store)), connection)
    document = {"fit": found.fit, **plain(found)}
    _print(document, as_json, [f"{name}: {value}" for name, value in document.items()])
    if not found.fit:
        raise Failed("此卡不能承载刷卡 / this card cannot carry taps")


def _diagnosis_lines(found: list[diagnosis.Diagnosis]) -> Iterator[str]:
    for item in found:
        yield f"[{'ok' if item.fine else '!!'}] {item.check}: {item.meaning.zh} / {item.meaning.en}"
        if item.advice.en:
            yield f"     → {item.advice.zh} / {item.advice.en}"


@main.command()
@reader_option
@wait_option
@json_option
def info(reader: str | None, wait_s: float, as_json: bool) -> None:
    """Show whose card it is and its last tap. Example: yika-card info."""
    with _failures(), _card(reader, wait_s) as connection:
        card = VolunteerCard(connection)
        face, service = card.identity(), card.open_service()
        validity = card.validity(dt.datetime.now().astimezone().date())
    document = {
        **plain(face),
        "validity": validity.value,
        "open_service": None if service is None else plain(service),
        "atr": connection.atr.hex().upper(),
    }
    lines = [f"{key}: {value}" for key, value in document.items()]
    _print(document, as_json, lines)


@main.command()
@reader_option
@wait_option
@store_option
@json_option
def dump(reader: str | None, wait_s: float, store: Path | None, as_json: bool) -> None:
    """Show every file one may read; with a store the protected ones too.

    Example: yika-card dump --store keys.yika --json
    """
    opened = None if store is None else _open_store(store)
    with _failures(), _card(reader, wait_s) as connection:
        found: dict[str, Any] = run(dump_card(), connection)
        if store is not None and opened is not None:
            face = found["0015"]
            asn = bytes.fromhex(face["asn"])
            keys = CardKeys.from_store(opened, asn, face["key_version"])
            desk = DeskKeys(keys[KeyUsage.DESK_READ], keys[KeyUsage.MAINTENANCE], asn.hex().upper())
            found.update(run(dump_protected(desk, _guard(store)), connection))
    lines = [f"{fid}: {json.dumps(value, ensure_ascii=False)}" for fid, value in found.items()]
    _print(found, as_json, lines)


@main.command(help=_ISSUE_HELP)
@click.option(
    "--data",
    "source",
    type=click.File(),
    required=True,
    help="Card data as JSON; - for standard input.",
)
@click.option(
    "--store",
    required=True,
    type=click.Path(path_type=Path, exists=True),
    help=f"Key store file; its passphrase comes from {PASSPHRASE} or a prompt.",
)
@click.option("--dry-run", is_flag=True, help="Print the commands, keys masked, and stop.")
@reader_option
@wait_option
@json_option
def issue(
    source: TextIO, store: Path, dry_run: bool, reader: str | None, wait_s: float, as_json: bool
) -> None:
    """Issue the card on the reader, or finish one that was cut."""
    opened = _open_store(store)
    with _failures():
        data = _card_data(json.load(source))
        keys = CardKeys.from_store(opened, data.asn, data.key_version)
        if dry_run:
            _print_plan(make_plan(data, keys), as_json)
            return
        guard = _guard(store)
        with _card(reader, wait_s) as connection:
            done = run(personalise(data, keys, guard=guard), connection)
    document = {"asn": done.asn.hex().upper(), "found": done.found.value, "writes": done.writes}
    text = f"已发卡 issued {document['asn']} ({done.writes} writes; found {done.found.value})"
    _print(document, as_json, [text])


def _print_plan(plan: Plan, as_json: bool) -> None:
    shown = plan.show()
    document = {
        "asn": plan.data.asn.hex().upper(),
        "free_bytes": plan.profile.free_bytes,
        "commands": [{"zh": line.step_zh, "en": line.step_en, "apdu": line.apdu} for line in shown],
    }
    lines: list[str] = []
    step = ""
    for line in shown:
        if line.step_en != step:
            step = line.step_en
            lines.append(f"{line.step_zh} / {line.step_en}")
        lines.append(f"    {line.apdu}")
    _print(document, as_json, lines)


def _card_data(raw: Any) -> CardData:
    """Read card data from JSON; hex for bytes, ISO dates, unknown names are errors."""
    if not isinstance(raw, dict):
        raise click.UsageError("card data must be one JSON object")
    values: dict[str, Any] = dict(raw)
    try:
        for name in ("asn", "organisation"):
            if name in values:
                values[name] = bytes.fromhex(values[name])
        for name in ("valid_from", "valid_to", "birth_date"):
            if values.get(name) is not None:
                values[name] = dt.date.fromisoformat(values[name])
        return CardData(**values)
    except (TypeError, ValueError) as exc:
        raise click.UsageError(f"card data: {exc}") from exc


def _guard(store: Path) -> AttemptGuard:
    """Remember attempts left beside the key store."""
    return AttemptGuard(store.with_name(store.name + ATTEMPTS_SUFFIX))


def _open_store(path: Path) -> FileKeyStore:
    passphrase = os.environ.get(PASSPHRASE) or click.prompt("Passphrase", hide_input=True, err=True)
    with _failures():
        return FileKeyStore.open(path, passphrase)


@contextmanager
def _card(reader: str | None, wait_s: float) -> Iterator[CardConnection]:
    """Connect to the card in the named reader, or in the only reader that holds one."""
    chosen = open_reader(reader or _only_reader_with_card(wait_s))
    try:
        if not chosen.wait_card(wait_s):
            raise NoCard(chosen.name)
        connection = chosen.connect()
        try:
            yield connection
        finally:
            connection.close()
    finally:
        chosen.close()


def _only_reader_with_card(wait_s: float) -> str:
    names = list_readers()
    if not names:
        raise NoReader
    if len(names) == 1:
        return names[0]
    deadline = time.monotonic() + wait_s
    while not (filled := [name for name in names if _holds_card(name)]):
        if time.monotonic() >= deadline:
            raise NoCard(f"{len(names)} readers")
        time.sleep(LOOK_AGAIN_S)
    if len(filled) > 1:
        raise Failed(
            f"多个读卡器上有卡，请用 --reader 指定 / several readers hold a card, name one with "
            f"--reader: {', '.join(filled)}"
        )
    return filled[0]


def _holds_card(name: str) -> bool:
    reader = open_reader(name)
    try:
        return reader.wait_card(0.0)
    finally:
        reader.close()


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what is expected to go wrong into one line."""
    try:
        yield
    except (CardError, KeysError, json.JSONDecodeError) as exc:
        raise Failed(str(exc)) from exc


def _print(document: Any, as_json: bool, lines: list[str]) -> None:
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    for line in lines:
        click.echo(line)
