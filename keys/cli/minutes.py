# SPDX-License-Identifier: Apache-2.0
"""The minutes of a ceremony: where its transcript goes and who signs; ``yika-keys transcript``."""

from __future__ import annotations

import platform
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from keys.ceremony_plan import Outcome
from keys.cli.options import example, hex_bytes, json_option, show
from keys.custody import KeyInfo, KeyStore
from keys.errors import KeyStoreExists
from keys.identity import Identity
from keys.transcript import Transcript

_Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Minutes:
    """Say where the transcript goes, which Ed25519 key signs it, and what the machine is called."""

    out: Path
    signer: Path
    machine: str

    def author(self) -> Identity | None:
        """Look, before anybody types, that the transcript can be written; give who signs it."""
        if self.out.exists():
            raise KeyStoreExists(str(self.out))
        return Identity.load(self.signer) if self.signer.exists() else None

    def write(
        self, outcome: Outcome, stored: list[KeyInfo], store: KeyStore, author: Identity | None
    ) -> None:
        """Sign and write; an identity that was not there is made only now."""
        if author is None:
            author = Identity.generate()
            author.save(self.signer)
        facts = {
            "host": self.machine,
            "system": f"{platform.system()} {platform.machine()}",
            "program": _program(),
        }
        Transcript.of(outcome, stored, store, facts).write(self.out, author)
        click.echo(f"记录 transcript {self.out}, signed by {author.public_key.hex()}")


def minutes_options(command: _Command) -> _Command:
    """Give a command ``--transcript``, ``--identity`` and ``--machine`` as one ``minutes``."""

    @wraps(command)
    def with_minutes(
        transcript_out: Path, identity: Path | None, machine: str | None, **options: Any
    ) -> None:
        signer = identity or transcript_out.with_name("ceremony.pem")
        minutes = Minutes(transcript_out, signer, machine or socket.gethostname())
        command(minutes=minutes, **options)

    for option in (
        click.option("--machine", help="name of this machine [default: its host name]"),
        click.option(
            "--identity",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Ed25519 key that signs; made if absent"
            " [default: ceremony.pem beside the transcript]",
        ),
        click.option(
            "--transcript",
            "transcript_out",
            type=click.Path(dir_okay=False, path_type=Path),
            required=True,
            help="file to write: who, when, check values; signed, no secrets",
        ),
    ):
        with_minutes = option(with_minutes)
    return with_minutes


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep ^C away while keys are stored: all of it happens, or none."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _program() -> str:
    try:
        return f"yika {version('yika')}"
    except PackageNotFoundError:
        return "yika, not installed"


@click.group()
def transcript() -> None:
    """密钥仪式记录 Transcripts of ceremonies."""


@transcript.command(
    epilog=example("yika-keys transcript verify 2027-ceremony.json --public-key 8f3c...")
)
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--public-key", help="64 hex digits, from the minutes on paper")
@json_option
def verify(path: Path, public_key: str | None, *, as_json: bool) -> None:
    """验证记录 Check the signature of a transcript and print what it says.

    Without --public-key only the file itself says whose signature it is; compare it.
    """
    pinned = hex_bytes(public_key, 32, "--public-key") if public_key else None
    read = Transcript.read(path, pinned)
    facts: dict[str, object] = {
        "verified": True,
        "pinned": pinned is not None,
        "public_key": read.public_key.hex(),
        "transcript": read.content,
    }
    end = "签名有效 the signature is good" + (
        "" if pinned else "; 请与纸面记录核对公钥 compare its public key with the minutes on paper"
    )
    show(facts, [*read.lines(), end], as_json=as_json)


COMMANDS = (transcript,)
