# SPDX-License-Identifier: Apache-2.0
"""``yika-keys doctor``: what is wrong with a key store, and what to do."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click

from keys.cli.options import (
    PASSPHRASE_ENV,
    around,
    example,
    file_of,
    json_option,
    passphrase,
    show,
    store_option,
)
from keys.custody import open_store
from keys.doctor import Complaint, before, first_aid, inside, refused
from keys.errors import KeysError


@click.command(
    epilog=example(
        "yika-keys doctor --store issuer.keys",
        "yika-keys doctor --store issuer.keys --production --json",
    )
)
@store_option
@click.option("--production", is_flag=True, help="test keys are a fault; the store should be bound")
@json_option
def doctor(spec: str, *, production: bool, as_json: bool) -> None:
    """检查密钥库 Say what is wrong with a key store and what to do.

    Exit status 1 when something is grave.
    """
    path = file_of(spec)
    complaints = before(path) if path is not None else []
    words = "打不开 not opened"
    if all(complaint.name != "absent" for complaint in complaints):
        found, words = _opened(spec, production=production)
        complaints += found
    grave = any(complaint.grave for complaint in complaints)
    facts: dict[str, object] = {
        "store": spec,
        "healthy": not grave,
        "complaints": [complaint.as_row() for complaint in complaints],
    }
    lines = [line for complaint in complaints for line in complaint.lines()]
    verdict = "✗ 需要处理 needs care" if grave else "✓ 正常 healthy"
    show(facts, [f"{spec}: {words}", *lines, verdict], as_json=as_json)
    if grave:
        sys.exit(1)


def _opened(spec: str, *, production: bool) -> tuple[list[Complaint], str]:
    try:
        store = open_store(spec, passphrase(PASSPHRASE_ENV), around())
        words = first_aid(store.list())
        return inside(store, datetime.now(UTC).date(), production=production), words
    except KeysError as exc:
        return [refused(exc)], "打不开 not opened"


COMMANDS = (doctor,)
