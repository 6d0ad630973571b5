# SPDX-License-Identifier: Apache-2.0
"""The command ``yika-swipe``: check journals and exports offline."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from swipe.errors import SwipeError
from swipe.event import verify_event
from swipe.findings import Report
from swipe.log_cli import prove, verify_proof
from swipe.slip import SLIP_LENGTH, read_slip, slip_facts
from swipe.verify import Pins, verify_stream

# Below this a check is over before a bar could be read.
PROGRESS_FROM_BYTES = 8 << 20


class HexKey(click.ParamType[bytes]):
    """Take a public key in hex: 32 bytes of Ed25519 or 64 of SM2."""

    name = "hex"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Give the bytes."""
        try:
            key = bytes.fromhex(str(value))
        except ValueError:
            key = b""
        if len(key) not in (32, 64):
            self.fail("expected a public key of 64 hex digits, or 128 of SM2", param, ctx)
        return key


def _example(*lines: str) -> str:
    return "\n".join(("\b", "例 Example:", *(f"  {line}" for line in lines)))


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_example("yika-swipe verify pos1.export"),
)
def cli() -> None:
    """核对刷卡流水 Check what terminals recorded, without network or database."""


@cli.command(
    epilog=_example(
        "yika-swipe verify /media/usb/*.export",
        "yika-swipe verify journal --server-key 3b6a27bc… --json",
    )
)
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--public-key", type=HexKey(), help="the terminal's key, if you know it for certain")
@click.option("--server-key", type=HexKey(), help="the server's key, to check the receipts with")
@click.option("--json", "as_json", is_flag=True, help="answer in JSON, one line")
@click.pass_context
def verify(
    ctx: click.Context,
    files: tuple[Path, ...],
    public_key: bytes | None,
    server_key: bytes | None,
    as_json: bool,
) -> None:
    """核对流水或导出文件 Check journals or exports from the first byte to the last.

    Each file gets one line, then what was found: linkage broken, content altered, signature bad
    and counter gap are told apart. Exit status 0: all clean; 1: something is wrong.
    """
    pins = Pins(public_key, server_key)
    reports = []
    for path in files:
        report = _check(path, pins, quiet=as_json)
        reports.append(report)
        if not as_json and report is not None:
            _show(report)
    clean = all(report is not None and report.clean for report in reports)
    if as_json:
        rows = [report.as_json() for report in reports if report is not None]
        click.echo(json.dumps({"clean": clean, "files": rows}, ensure_ascii=False))
    ctx.exit(0 if clean else 1)


cli.add_command(prove)
cli.add_command(verify_proof)


def _check(path: Path, pins: Pins, *, quiet: bool) -> Report | None:
    """Check one file; one that is none of ours is one line on standard error."""
    try:
        with path.open("rb") as stream, _progress(path, quiet=quiet) as progress:
            return verify_stream(stream, str(path), pins, progress)
    except (SwipeError, OSError) as exc:
        click.echo(f"yika-swipe: {path}: {exc}; give a journal or an export", err=True)
        return None


def _show(report: Report) -> None:
    click.echo(report.line)
    for finding in report.findings:
        seq = "" if finding.seq is None else f" #{finding.seq}"
        click.echo(f"  {finding.kind.value}{seq} @{finding.offset}: {finding.zh} {finding.en}")
    left_out = sum(report.counts.values()) - len(report.findings)
    if left_out:
        click.echo(f"  … 另有 {left_out} 条 {left_out} more")


@contextmanager
def _progress(path: Path, *, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """Show how far the reading is, for long files at a terminal."""
    size = path.stat().st_size
    if quiet or size < PROGRESS_FROM_BYTES or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=size, label=path.name, file=sys.stderr) as bar:
        yield lambda offset: bar.update(offset - bar.pos)
        bar.update(size - bar.pos)


@cli.command(
    epilog=_example(
        "yika-swipe slip --public-key 3b6a27bc… 'YE1:…'",
        "zbarimg --raw -q slip.jpg | yika-swipe slip",
    )
)
@click.argument("text", required=False)
@click.option("--public-key", type=HexKey(), help="the terminal's key, to check with")
@click.option("--json", "as_json", is_flag=True, help="answer in JSON, one line")
@click.pass_context
def slip(ctx: click.Context, text: str | None, public_key: bytes | None, as_json: bool) -> None:
    """核对小票上的二维码 Read the code of a paper slip, and check the terminal's signature.

    The code is given as text or read from standard input. Exit status 0: read, and signed by that
    key if one is given; 1: no slip of ours, or another signature.
    """
    given = text if text is not None else sys.stdin.readline(SLIP_LENGTH * 2)
    try:
        event = read_slip(given.strip("\r\n"))
    except SwipeError as exc:
        click.echo(f"yika-swipe: {exc}; give the whole text of the code", err=True)
        ctx.exit(1)
    signed = None if public_key is None else verify_event(event, public_key)
    facts = slip_facts(event) | {"signed": signed}
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        click.echo("\n".join(f"{name:<12} {value}" for name, value in facts.items()))
    ctx.exit(1 if signed is False else 0)


def main() -> None:
    """Run the command; an expected failure is one line and exit status 1."""
    cli.main(prog_name="yika-swipe")


if __name__ == "__main__":
    main()
