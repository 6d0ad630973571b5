# SPDX-License-Identifier: Apache-2.0
"""Command line of the card host; `serve` is the host itself, the others speak to a running one."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import click

from hardware_mocks.cardhost.client import Hand, HandError
from hardware_mocks.cardhost.control import Control
from hardware_mocks.cardhost.host import KINDS, TEARS, CardHost, Slot
from hardware_mocks.cardos.faults import KINDS as FAULTS
from hardware_mocks.cardos.latency import PROFILES

CONTROL = click.option(
    "--control",
    type=click.Path(path_type=Path),
    envvar="YIKA_CARDHOST",
    required=True,
    help="UNIX socket of the card host.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """虚拟卡的手:插卡、拔卡 / The hand that holds the virtual cards."""


@cli.command()
@CONTROL
@click.option("--cards", type=click.Path(path_type=Path), required=True, help="Folder of images.")
@click.option("--slot", "slots", multiple=True, help="NAME=PORT or NAME=PORT:contactless.")
def serve(control: Path, cards: Path, slots: tuple[str, ...]) -> None:
    """Hold the cards until SIGTERM.

    Example: python -m hardware_mocks.cardhost serve --control c.sock --cards cards
    --slot pos-a=35965:contactless --slot psam-a=35966
    """
    cards.mkdir(parents=True, exist_ok=True)
    try:
        host = CardHost(cards, [Slot.parse(text) for text in slots])
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    server = Control(control, host.handle)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    try:
        server.serve()
    finally:
        host.close()


def _send(control: Path, **request: object) -> None:
    with Hand(control, timeout_s=1.0) as hand:
        click.echo(json.dumps(hand.ask(**request), ensure_ascii=False))


@cli.command()
@CONTROL
@click.argument("card")
@click.option("--kind", type=click.Choice(list(KINDS)), default="card", show_default=True)
def blank(control: Path, card: str, kind: str) -> None:
    """Make a blank card. Example: … blank --control c.sock v01."""
    _send(control, do="blank", card=card, kind=kind)


@cli.command()
@CONTROL
@click.argument("slot")
@click.argument("card")
def insert(control: Path, slot: str, card: str) -> None:
    """Put a card on a reader. Example: … insert --control c.sock pos-a v01."""
    _send(control, do="insert", slot=slot, card=card)


@cli.command()
@CONTROL
@click.argument("slot")
def remove(control: Path, slot: str) -> None:
    """Take the card off a reader. Example: … remove --control c.sock pos-a."""
    _send(control, do="remove", slot=slot)


@cli.command()
@CONTROL
@click.argument("slot")
@click.argument("when", type=click.Choice(list(TEARS)))
def tear(control: Path, slot: str, when: str) -> None:
    """Have the card pulled off. Example: … tear --control c.sock pos-a debit-lost."""
    _send(control, do="tear", slot=slot, when=when)


@cli.command()
@CONTROL
@click.argument("slot")
@click.argument("kind", type=click.Choice(list(FAULTS)))
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
def fault(control: Path, slot: str, kind: str, values: tuple[str, ...]) -> None:
    """Plan a fault. Example: … fault --control c.sock pos-a status sw=6581 ins=54."""
    fields: dict[str, object] = {"kind": kind}
    for value in values:
        name, found, text = value.partition("=")
        if not found:
            message = f"{value}: write NAME=VALUE"
            raise click.UsageError(message)
        number = text.isdecimal() and name not in ("ins", "sw")
        fields[name] = int(text) if number else {"true": True, "false": False}.get(text, text)
    _send(control, do="fault", slot=slot, fault=fields)


@cli.command()
@CONTROL
@click.argument("slot")
@click.argument("profile", type=click.Choice([*PROFILES, "none"]))
def pace(control: Path, slot: str, profile: str) -> None:
    """Take the time of a real card. Example: … pace --control c.sock pos-a contact-t0."""
    _send(control, do="pace", slot=slot, profile=None if profile == "none" else profile)


@cli.command("list")
@CONTROL
def list_(control: Path) -> None:
    """Show slots and cards. Example: … list --control c.sock."""
    _send(control, do="list")


def main() -> None:
    """Run a command; a refusal is one line on standard error and status 1."""
    try:
        cli()
    except (HandError, OSError) as exc:
        click.echo(f"cardhost: {exc}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
