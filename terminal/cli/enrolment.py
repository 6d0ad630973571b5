# SPDX-License-Identifier: Apache-2.0
"""Commands about who this terminal is: provision, change-key."""

from __future__ import annotations

from pathlib import Path

import click

from keys.identity import Identity, Suite, fingerprint
from terminal.cli.session import Session, answer, json_option, passphrase, read_token
from terminal.files import IDENTITY
from terminal.links import open_transport
from terminal.provision import provision as enrol
from terminal.psam_slot import open_psam
from terminal.sync import renew_key


@click.command()
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="file with the one-time token; otherwise $YIKA_ENROL_TOKEN, otherwise it is asked for",
)
@click.option(
    "--suite",
    type=click.Choice(["ed25519", "sm2"]),
    default="ed25519",
    show_default=True,
    help="signature suite of this terminal, for good: Ed25519 with SHA-256, or SM2 with SM3",
)
@json_option
@click.pass_obj
def provision(session: Session, token_file: Path | None, suite: str, *, as_json: bool) -> None:
    """Make this terminal's key and enrol it with its PSAM.

    Example: yika-terminal --config gate.toml provision --token-file token.txt
    """
    config = session.config()
    psam = open_psam(config.reader.psam, passphrase(config))
    transport = open_transport(config.server)
    chosen = Suite[suite.upper()]
    passport, state = enrol(config.data_dir, psam, read_token(token_file), transport, chosen)
    shown = fingerprint(Identity.load(config.data_dir / IDENTITY).public_key)
    answer(
        {
            "fingerprint": shown,
            "terminal": passport.terminal_id,
            "key_id": passport.key_id,
            "site": passport.site_zh,
            "state": state,
            "psam_no": psam.number.hex(),
        },
        as_json,
        f"终端 {passport.terminal_id} 已入网 · enrolled at {passport.site_zh} · {state}"
        f"\n密钥指纹 key fingerprint {shown}",
    )


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


COMMANDS = (provision, change_key)
