# SPDX-License-Identifier: Apache-2.0
"""`yika-card dump|diff|apply`: what a card holds, and making it hold it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from card import dump_file
from card.apply import Applied, ApplyPlan, card_data, desk_keys, plan_apply
from card.apply import apply as apply_dump
from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.cli.consent import JOURNAL_SUFFIX, Allowance, consent_options
from card.cli.options import (
    Failed,
    Place,
    card_at,
    card_options,
    failures,
    guard_of,
    json_option,
    needed_store_option,
    open_store,
    show,
    store_option,
)
from card.diff import Difference
from card.diff import diff as differences
from card.dump import CardDump, read_dump
from card.dump_document import to_document
from card.errors import WrongCard
from card.inspection import CardState, inspect
from card.issue_journal import IssueJournal
from card.operation import run
from card.personalise import plan as plan_issue
from card.readers import CardConnection
from card.volunteer import select
from keys.custody import StoreName
from keys.identity import Identity

_DUMP_HELP = """\
转储 · show every file one may read as YAML; with desk keys and --protected the personal ones too.

\b
Examples:
  yika-card dump
  yika-card dump --protected --store keys.yika --out card.yaml --sign desk.pem
"""

_DIFF_HELP = """\
比较 · show what differs between two dumps, or between a dump and the card on the reader.

\b
Examples:
  yika-card diff monday.yaml friday.yaml
  yika-card diff monday.yaml --store keys.yika
"""

_APPLY_HELP = """\
写回 · write a dump back to its card: the plan is shown, then confirmed, written and read back.

A blank card is issued first. What only taps and updates write is left as it is and named.

\b
Examples:
  yika-card apply card.yaml --store keys.yika --dry-run
  yika-card apply card.yaml --store keys.yika
"""

_dump_file = click.Path(path_type=Path, exists=True, dir_okay=False)
signed_by_option = click.option(
    "--signed-by", help="Public key, 64 hex digits, that must have signed the dump."
)


@click.command(help=_DUMP_HELP)
@click.option("--protected", is_flag=True, help="Personal files too; needs --store.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@click.option("--sign", type=_dump_file, help="Identity (PEM) that signs the dump.")
@store_option
@card_options
@json_option
def dump(
    protected: bool,
    out: Path | None,
    sign: Path | None,
    store: StoreName | None,
    place: Place,
    as_json: bool,
) -> None:
    """Show every file one may read."""
    if protected != (store is not None):
        raise click.UsageError("--protected and --store belong together")
    with failures():
        signer = None if sign is None else Identity.load(sign)
        with card_at(place) as connection:
            found = _read(connection, store)
    text = dump_file.dumps(found, signer)
    if out is not None:
        _write(found, out, signer)
        text = f"{out}"
    show(to_document(found), as_json, text.splitlines())


@click.command(help=_DIFF_HELP)
@click.argument("before", type=_dump_file)
@click.argument("after", type=_dump_file, required=False)
@click.option("--exit-code", is_flag=True, help="End with status 1 if anything differs.")
@signed_by_option
@store_option
@card_options
@json_option
def diff(  # noqa: PLR0913 - one parameter for each option
    *,
    before: Path,
    after: Path | None,
    exit_code: bool,
    signed_by: str | None,
    store: StoreName | None,
    place: Place,
    as_json: bool,
) -> None:
    """Show what differs between two dumps, or between a dump and the card on the reader."""
    with failures():
        first = _load(before, signed_by)
        if after is not None:
            second = _load(after, signed_by)
        else:
            with card_at(place) as connection:
                second = _read(connection, store)
    if first.asn != second.asn:
        raise Failed(str(WrongCard(first.asn, second.asn)))
    found = differences(first, second)
    document = {
        "differences": [_difference(item) for item in found],
        "protected": first.protected and second.protected,
    }
    lines = [str(item) for item in found] or ["没有差异 / no difference"]
    if not document["protected"]:
        lines.append("（未比较受保护文件 / protected files were not compared）")
    show(document, as_json, lines)
    if found and exit_code:
        raise SystemExit(1)


@click.command(help=_APPLY_HELP)
@click.argument("source", type=_dump_file)
@needed_store_option
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@signed_by_option
@consent_options
@card_options
@json_option
def apply(  # noqa: PLR0913 - one parameter for each option
    *,
    source: Path,
    store: StoreName,
    dry_run: bool,
    yes: bool,
    signed_by: str | None,
    allowance: Allowance,
    place: Place,
    as_json: bool,
) -> None:
    """Write a dump back to its card."""
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json needs --yes or --dry-run")
    opened = open_store(store)
    with failures():
        target = _load(source, signed_by)
        keys = CardKeys.from_store(opened, target.asn, target.key_version)
        folder = store.beside(JOURNAL_SUFFIX)
        guard = guard_of(store)  # one for plan and writing: a decision counts once
        allowance.decide(guard, lambda: IssueJournal(folder, target.asn))
        with card_at(place) as connection:
            job = _plan(connection, target, keys, guard)
            if dry_run:
                _show_plan(job, keys, as_json)
                return
            if not as_json:
                _show_plan(job, keys, as_json)
            if not (yes or job.empty):
                click.confirm("写入此卡？Write to this card?", abort=True, err=True)
            done = run(apply_dump(target, keys, guard), connection)
    _show_applied(done, as_json)


def _read(connection: CardConnection, store: StoreName | None) -> CardDump:
    """Read the card, with its protected files if a store is given."""
    if store is None:
        return run(read_dump(atr=connection.atr), connection)
    opened = open_store(store)
    face = run(select(), connection)
    keys = CardKeys.from_store(opened, face.asn, face.key_version)
    return run(read_dump(desk_keys(face.asn, keys), guard_of(store), connection.atr), connection)


def _load(path: Path, signed_by: str | None) -> CardDump:
    try:
        public = None if signed_by is None else bytes.fromhex(signed_by)
        return dump_file.load(path, public)
    except ValueError as exc:
        raise click.UsageError("--signed-by takes 64 hex digits") from exc
    except OSError as exc:
        raise Failed(f"{path}: {exc.strerror}") from exc


def _write(found: CardDump, out: Path, signer: Identity | None) -> None:
    try:
        dump_file.save(found, out, signer)
    except OSError as exc:
        raise Failed(f"{out}: {exc.strerror}") from exc


def _plan(
    connection: CardConnection, target: CardDump, keys: CardKeys, guard: AttemptGuard
) -> ApplyPlan:
    state = run(inspect(), connection)
    if state.public is not None and state.public.asn != target.asn:
        raise WrongCard(target.asn, state.public.asn)
    if state.state is not CardState.ISSUED:
        return plan_apply(None, target)
    desk = desk_keys(target.asn, keys)
    return plan_apply(run(read_dump(desk, guard), connection), target)


def _show_plan(job: ApplyPlan, keys: CardKeys, as_json: bool) -> None:
    if job.card is None:
        commands = [
            {"zh": line.step_zh, "en": line.step_en, "apdu": line.apdu}
            for line in plan_issue(card_data(job.target), keys).show()
        ]
    else:
        commands = [{"zh": label.zh, "en": label.en, "apdu": apdu} for label, apdu in job.show()]
    document: dict[str, Any] = {
        "written": False,
        "issue": job.card is None,
        "changes": [_difference(item) for item in job.changes],
        "left": [_difference(item) for item in job.left],
        "commands": commands,
    }
    lines = ["计划（尚未写入）/ plan, nothing is written yet"]
    lines += [f"  {item}" for item in job.changes]
    lines += [f"  {row['zh']} / {row['en']}: {row['apdu']}" for row in commands]
    lines += _left_lines(job.left)
    show(document, as_json, lines)


def _show_applied(done: Applied, as_json: bool) -> None:
    document = {
        "written": done.writes > 0,
        "asn": done.asn.hex().upper(),
        "issued": done.issued,
        "writes": done.writes,
        "left": [_difference(item) for item in done.left],
    }
    line = f"完成 done {document['asn']}: {done.writes} writes"
    show(document, as_json, [line, *_left_lines(done.left)])


def _left_lines(left: tuple[Difference, ...]) -> list[str]:
    return [f"  不写 left: {item}" for item in left]


def _difference(item: Difference) -> dict[str, Any]:
    return {
        "file": f"{item.fid:04X}",
        "zh": f"{item.file.zh}·{item.field.zh}",
        "en": f"{item.file.en}: {item.field.en}",
        "before": item.before,
        "after": item.after,
    }


COMMANDS: tuple[click.Command, ...] = (dump, diff, apply)
