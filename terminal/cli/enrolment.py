# SPDX-License-Identifier: Apache-2.0
"""Commands about who this terminal is: provision, change-key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from keys.identity import Identity, Suite, fingerprint
from terminal.cli.session import Session, answer, json_option, passphrase, read_token
from terminal.decommission import Reason
from terminal.decommission import decommission as end
from terminal.devices.scanner import SerialScanner
from terminal.errors import NotSaved
from terminal.files import IDENTITY, JOURNAL, sole_writer
from terminal.former_journal import Former, kept
from terminal.letter import is_letter, read_letter, scan_letter, settle_config, trust_releases
from terminal.links import open_transport
from terminal.provision import DATA_DIR_MODE
from terminal.provision import provision as enrol
from terminal.psam_slot import open_psam
from terminal.report import Report
from terminal.storage import Folder
from terminal.sync import renew_key

SCAN_BAUD = 9600  # what every scanner speaks until it is told otherwise


@click.command()
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="file with pairing code or letter; otherwise $YIKA_ENROL_TOKEN, otherwise it is asked for",
)
@click.option("--code", "code", default="", help="line of the letter; others on this box see it")
@click.option("--scan", "device", default="", help="serial scanner that reads it, tty:/dev/…")
@click.option(
    "--suite",
    type=click.Choice(["ed25519", "sm2"]),
    default="ed25519",
    show_default=True,
    help="signature suite of this terminal, for good: Ed25519 with SHA-256, or SM2 with SM3",
)
@json_option
@click.pass_obj
def provision(session: Session, /, suite: str, *, as_json: bool, **given: Any) -> None:
    """Make this terminal's key and enrol it with its PSAM, by a letter or a bare pairing code.

    Example: yika-terminal --config gate.toml provision --scan tty:/dev/ttyACM0
    """
    text = _invited(**given)
    letter = read_letter(text) if is_letter(text) else None
    config = session.config() if letter is None else settle_config(session.config_path, letter)
    word = passphrase(config)
    code, expected = (text, "") if letter is None else (letter.code, letter.key_digest)
    make = partial(Identity.generate, Suite[suite.upper()])
    with _held(config.data_dir):
        psam = open_psam(config.reader.psam, word)
        transport = open_transport(config.server)
        passport, state = enrol(config.data_dir, psam, code, transport, make, expected)
    shown = fingerprint(Identity.load(config.data_dir / IDENTITY).public_key)
    report: Report = {
        "fingerprint": shown,
        "terminal": passport.terminal_id,
        "key_id": passport.key_id,
        "site": passport.site_zh,
        "state": state,
        "psam_no": psam.number.hex(),
    }
    if letter is not None:
        report["releases_trusted"] = trust_releases(config, letter, transport)
    text = (
        f"终端 {passport.terminal_id} 已入网 · enrolled at {passport.site_zh} · {state}"
        f"\n密钥指纹 key fingerprint {shown}"
    )
    if not (config.data_dir / JOURNAL).exists():
        report["again"] = True
        text += "\n批准后再运行一次 · run this once more after the replacement is approved"
    for former in kept(Folder(config.data_dir)):
        report.setdefault("kept", []).append(asdict(former))
        text += "\n" + _told(config.data_dir / former.name, former)
    answer(report, as_json, text)


@contextmanager
def _held(data_dir: Path) -> Iterator[None]:
    """Make the data folder if there is none, and keep the program from running meanwhile.

    A journal that a running program writes to must not change its name under it.

    Raises:
        AlreadyRunning: The program holds the folder.
        NotSaved: The disk does not take the folder.
    """
    try:
        data_dir.mkdir(mode=DATA_DIR_MODE, parents=True, exist_ok=True)
    except OSError as exc:
        raise NotSaved(exc.strerror or type(exc).__name__) from exc
    with sole_writer(data_dir):
        yield


def _told(path: Path, former: Former) -> str:
    """Say where a former key's journal lies, and how what it holds may still be counted."""
    unsent, taps = ("?" if n is None else str(n) for n in (former.unsent, former.taps))
    where_zh = f"以前密钥的流水另存为 {path}，未上传 {unsent} 条，其中刷卡 {taps} 次：请勿删除"
    where = (
        f"the former key's journal is kept as {path}, {unsent} events not uploaded, {taps} of them "
        f"taps: never delete it"
    )
    if not former.taps and former.taps is not None:
        return f"{where_zh}；没有刷卡需要补录\n{where}; no tap is missing"
    return (
        f"{where_zh}，把此文件交给管理员核对（yika-swipe verify {path}），据此补录；"
        f"各卡最近一次刷卡会在下次刷卡时自行补回\n"
        f"{where}; hand a copy to the office, where `yika-swipe verify` checks it and the hours "
        f"are entered from it; each card's last tap comes back at its next one"
    )


def _invited(token_file: Path | None, code: str, device: str) -> str:
    """Return the letter's line or the pairing code, from wherever it is given."""
    if code:
        return code.strip()
    if not device:
        return read_token(token_file)
    scanner = SerialScanner(device.partition(":")[2], SCAN_BAUD)
    try:
        click.echo("请扫描入网单 · scan the letter", err=True)
        return scan_letter(scanner)
    finally:
        scanner.close()


@click.command("change-key")
@json_option
@click.pass_obj
def change_key(session: Session, *, as_json: bool) -> None:
    """Take a new key into use, signed by the old one; the program must not be running.

    Example: yika-terminal --config gate.toml change-key
    """
    config = session.config()
    transport = open_transport(config.server)
    report = renew_key(config, session.clock, transport)
    answer(report, as_json, f"新密钥 · new key {report['key_id']}: {report['fingerprint']}")


@click.command()
@click.option(
    "--reason",
    type=click.Choice([reason.name.lower() for reason in Reason]),
    default=Reason.REPLACED.name.lower(),
    show_default=True,
)
@click.option("--yes", is_flag=True, help="do not ask")
@json_option
@click.pass_obj
def decommission(session: Session, reason: str, *, yes: bool, as_json: bool) -> None:
    """End this terminal for good: its last event, everything uploaded; it taps no more.

    Example: yika-terminal --config gate.toml decommission --reason replaced
    """
    config = session.config()
    if not yes:
        click.confirm("此终端将不再刷卡 · this terminal will tap no more", abort=True, err=True)
    transport = open_transport(config.server)
    report = end(config, session.clock, transport, Reason[reason.upper()])
    answer(report, as_json, f"已停用 · ended; 待传 unsent {report['unsent']}")


COMMANDS = (provision, change_key, decommission)
