# SPDX-License-Identifier: Apache-2.0
"""Play a bank at a folder: `python -m hardware_mocks.partner FOLDER CODE STEP…`."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import click

from hardware_mocks.partner.bank import Bank
from hardware_mocks.partner.files import Form
from hardware_mocks.partner.wrapping import Ed25519Signer, Wrapping

STEPS = ("key", "take", "produce", "audit", "arrive", "collect", "cut", "lose", "donate",
         "branches", "answers")  # fmt: skip


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("code")
@click.argument("steps", nargs=-1, type=click.Choice(STEPS), required=True)
@click.option("--seed", default="00" * 32, help="32 bytes in hex: the bank's signing key")
@click.option("--platform", default="", help="the platform's public key in hex")
@click.option("--profile", type=click.Choice(["fixed", "jsonl"]), default="fixed")
@click.option("--rejects", default=0.0, help="share of orders that it cannot make")
@click.option("--order", "only", multiple=True, help="only these orders")
@click.option("--event", default="LOST", help="of lose: LOST, DMGD or REIS")
@click.option("--month", default="", help="of donate: YYYYMM")
@click.option("--purchase", multiple=True, help="of donate: NUMBER=COUNT")
@click.option("--branch", multiple=True, help="of branches: CODE=NAME")
@click.option("--date", "day", default="", help="YYYYMMDD on its files; today without")
def main(folder: Path, code: str, steps: tuple[str, ...], **options: object) -> None:
    """Take orders from FOLDER/out, put answers and reports into FOLDER/in.

    Example: python -m hardware_mocks.partner var/server/bank/BANK-1 BANK-1 take produce audit
    """
    signer = Ed25519Signer(bytes.fromhex(str(options["seed"])), str(options["platform"]))
    bank = Bank(
        code, folder, Wrapping(signer), Form(str(options["profile"])),
        str(options["day"] or f"{dt.datetime.now(dt.UTC) + dt.timedelta(hours=8):%Y%m%d}"),
        float(str(options["rejects"])),
    )  # fmt: skip
    books = folder / "bank-books.json"
    if books.exists():
        bank.load(books)
    for step in steps:
        click.echo(f"{step}: {_step(bank, step, options)}")
    if steps != ("key",):
        bank.save(books)


def _step(bank: Bank, step: str, options: dict[str, object]) -> object:
    only = list(options["only"]) or None  # type: ignore[call-overload]
    if step == "key":
        return bank.wrapping.signer.public
    if step == "take":
        return bank.take()
    if step == "lose":
        return bank.lose(only or [], str(options["event"]))
    if step == "donate":
        pairs = (str(one).split("=") for one in options["purchase"])  # type: ignore[attr-defined]
        return bank.donate(str(options["month"]), {number: int(n) for number, n in pairs})
    if step == "branches":
        return bank.branches(dict(str(b).split("=", 1) for b in options["branch"]))  # type: ignore[attr-defined]
    if step == "answers":
        return json.dumps(bank.answers(), ensure_ascii=False)
    return getattr(bank, step)(only)


if __name__ == "__main__":
    main()
