# SPDX-License-Identifier: Apache-2.0
"""Commands about the version that runs: self-test, update trust|check|install|rollback|status."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

import terminal as package
from terminal.cli.session import Session, answer, json_option
from terminal.config import Config
from terminal.files import JOURNAL
from terminal.journal import read_only
from terminal.links import open_transport
from terminal.releases import slots
from terminal.releases.faults import Fault, UpdateRefused
from terminal.releases.installing import METADATA, Installer
from terminal.releases.mirror import Mirror
from terminal.releases.probe import probe
from terminal.releases.trust import Trust
from terminal.selftest import self_test as test_this_version

ROOT_SIZE_MAX = 65_536


@click.command("self-test")
@json_option
@click.pass_obj
def self_test(session: Session, *, as_json: bool) -> None:
    """Prove that this version taps, and reads what this terminal holds.

    Example: yika-terminal --config gate.toml self-test
    """
    findings = test_this_version(session.config())
    passed = all(finding.passed for finding in findings)
    code = str(Path(package.__file__ or "").resolve().parent)
    lines = [f"{'好 ok ' if f.passed else '坏 BAD'} {f.part}: {f.seen}" for f in findings]
    report = {"passed": passed, "code": code, "parts": [asdict(f) for f in findings]}
    answer(report, as_json, "\n".join(lines))
    if not passed:
        raise SystemExit(1)


@click.group()
def update() -> None:
    """Signed updates of the scripts: two slots, a trial, and the way back.

    Example: yika-terminal --config gate.toml update install
    """


@update.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--fingerprint", default="", help="SHA-256 of the file, or its first 16 digits")
@json_option
@click.pass_obj
def trust(session: Session, file: Path, fingerprint: str, *, as_json: bool) -> None:
    """Take the publisher's first root; without --fingerprint, only show it.

    Example: yika-terminal update trust 1.root.json --fingerprint 5f1c0a2b9d3e4477
    """
    raw = file.read_bytes()[: ROOT_SIZE_MAX + 1]
    digest = hashlib.sha256(raw).hexdigest()
    wanted = fingerprint.replace(" ", "").lower()
    if len(wanted) < 16 or not digest.startswith(wanted):
        raise click.UsageError(f"compare and repeat with --fingerprint {digest[:16]}")
    version = Trust(session.config().update_dir / METADATA).establish(raw)
    text = f"已信任发布根 · root {version} is trusted"
    answer({"root": version, "sha256": digest}, as_json, text)


@update.command()
@click.option("--retry", is_flag=True, help="also a release that failed here before")
@json_option
@click.pass_obj
def check(session: Session, *, retry: bool, as_json: bool) -> None:
    """Ask whether there is a newer release; nothing is changed.

    Example: yika-terminal update check --json
    """
    config = session.config()
    offer = _installer(session).check(_signed_ms(config), retry=retry)
    report = {"release": offer.release, "version": offer.version, "bytes": offer.target.length}
    answer(report, as_json, f"有新版本 · release {offer.release} ({offer.version})")


@update.command()
@click.option("--retry", is_flag=True, help="also a release that failed here before")
@json_option
@click.pass_obj
def install(session: Session, *, retry: bool, as_json: bool) -> None:
    """Fetch, try and switch; the new version runs from the next start on, on trial.

    Example: yika-terminal update install
    """
    config = session.config()
    try:
        switch = _installer(session).install(_signed_ms(config), retry=retry)
    except UpdateRefused as exc:
        if exc.fault is not Fault.NOTHING:
            raise
        answer({"installed": False, "part": exc.part}, as_json, f"{exc}")
        return
    text = (
        f"已安装到 {switch.active}，下次启动试运行 · in slot {switch.active}, on trial next start"
    )
    answer({"installed": True, **asdict(switch)}, as_json, text)


@update.command()
@json_option
@click.pass_obj
def rollback(session: Session, *, as_json: bool) -> None:
    """Return to the version before, from the next start on.

    Example: yika-terminal update rollback
    """
    folder = session.config().update_dir
    switch = slots.load(folder)
    if switch.active == slots.BASE:
        raise UpdateRefused(Fault.NO_WAY_BACK, slots.BASE)
    switch = slots.go_back(folder, "by hand")
    answer(asdict(switch), as_json, f"退回到 {switch.active} · back to {switch.active}")


@update.command()
@json_option
@click.pass_obj
def status(session: Session, *, as_json: bool) -> None:
    """Tell which version runs, what is on trial, and what was refused.

    Example: yika-terminal update status --json
    """
    folder = session.config().update_dir
    switch = slots.load(folder)
    slot = slots.next_up(folder, switch)
    release, version = slots.release_of(folder, slot)
    report = {"runs": slot, "release": release, "version": version, **asdict(switch)}
    report["trusted"] = Trust(folder / METADATA).established
    shown = {**report, "failed": " ".join(map(str, switch.failed))}
    lines = (f"{name:<10} {'–' if value == '' else value}" for name, value in shown.items())
    answer(report, as_json, "\n".join(lines))


def _installer(session: Session) -> Installer:
    config = session.config()
    transport = open_transport(config.server)
    tried = partial(probe, config=session.config_path)
    return Installer(config.update_dir, Mirror(transport), tried)


def _signed_ms(config: Config) -> int:
    """Return the newest time the server has signed for this terminal, 0 before the first."""
    path = config.data_dir / JOURNAL
    if not path.exists():
        return 0
    _, state, _ = read_only(path)
    return 0 if state.receipt is None else state.receipt.srv_utc_ms


COMMANDS = (self_test, update)
