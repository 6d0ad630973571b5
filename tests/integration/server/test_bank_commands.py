# SPDX-License-Identifier: Apache-2.0
"""The bank's commands at the console, and its HTTP routes for partners' programs."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.orm import Session

from keys.store import FileKeyStore
from server.app import build_app
from server.bank import intake, partners, quarantine, status
from server.bank.intake import Delivery
from server.bank.partners import Access
from server.benefits.services import month_total_fen
from server.cli import cli, load_features
from server.config import Config, DataSection
from server.console import Console
from server.db import Database
from server.errors import Refused
from server.exchange import accounts
from server.exchange.accounts import NewAccount
from server.exchange.policy import Scope
from server.issuing.models import CardOrder
from server.runtime import Runtime
from tests.factories import make_identity
from tests.integration.server.bank_rig import CODE, BankRig, declaration


@pytest.fixture
def rig(sqlite_database: Database, key_store: FileKeyStore, tmp_path: Path) -> BankRig:
    """A server with a partner and three orders that went out."""
    rig = BankRig(sqlite_database, key_store, tmp_path).populate()
    rig.orders(3)
    rig.export()
    return rig


class HeldConsole(Console):
    """A console whose database and keys are those of the rig."""

    rig: BankRig

    def database(self) -> Any:
        """Give the rig's database, which stays open."""
        return contextlib.nullcontext(self.rig.database)

    def runtime(self) -> Any:
        """Give a runtime on the rig."""
        return contextlib.nullcontext(runtime_of(self.rig))


def runtime_of(rig: BankRig) -> Runtime:
    """Build a runtime on the rig's parts."""
    config = Config(data=DataSection(dir=rig.root))
    return Runtime(config, rig.database, rig.clock, make_identity(), rig.store, b"secret")


def run(rig: BankRig, *words: str) -> Result:
    """Run a command of the group bank."""
    load_features()
    console = HeldConsole(Config(data=DataSection(dir=rig.root)), rig.clock)
    object.__setattr__(console, "rig", rig)
    return CliRunner().invoke(cli.commands["bank"], list(words), obj=console)


def made_results(rig: BankRig, **habits: Any) -> Path:
    """Let the bank make the cards; give the path of its file."""
    bank = rig.bank(**habits)
    bank.take()
    path = bank.produce()
    assert path is not None
    return path


def test_import_status_and_explain(rig: BankRig) -> None:
    """A file is loaded, the list shows it, the same again says so, a code is explained."""
    path = made_results(rig)

    first = run(rig, "import", CODE, str(path))
    again = run(rig, "import", CODE, str(path), "--json")
    listed = json.loads(run(rig, "status", CODE, "--json").stdout)

    assert first.exit_code == 0, first.output
    assert "ACCP 3+0+0" in first.stdout
    assert json.loads(again.stdout)["repeated"] is True
    assert [one["name"][5:] for one in listed["files"]] == [
        f"{CODE}_RES_00000001.dat", f"{CODE}_ORD_00000001.dat",
    ]  # fmt: skip
    assert "does not follow" in run(rig, "explain", "R09").stdout


def test_missing_manifest_and_missing_answer_are_told(rig: BankRig) -> None:
    """A file without a manifest ends 1 with its reason; so does an order that nobody answered."""
    path = made_results(rig)
    path.with_name(path.name + ".manifest").unlink()

    refused = run(rig, "import", CODE, str(path))
    rig.clock.now_ms += 25 * 3_600_000
    late = run(rig, "status", CODE)

    assert refused.exit_code == 1
    assert "F01" in refused.stdout
    assert late.exit_code == 1
    assert f"YIKA_{CODE}_ORD_00000001.dat" in late.stdout


def test_partner_is_declared_and_faults_are_named_all_at_once(rig: BankRig, tmp_path: Path) -> None:
    """A good declaration prints our key; a bad one names every key that is wrong."""
    file = tmp_path / "partner.toml"
    file.write_text(declaration(code="BANK-9"), "utf-8")

    good = run(rig, "partner", "add", str(file), "--by", "li", "--json")
    file.write_text(declaration(code="x!", profile="xml", kinds=["RES", "ZZZ"], colour="red"))
    with pytest.raises(Refused) as bad:
        partners.declare(  # the command shows the same text
            _session(rig), rig.store, file.read_text("utf-8"), "li", 0
        )

    assert good.exit_code == 0, repr(good.exception)
    assert len(json.loads(good.stdout)["sign_public"]) == 64
    for key in ("code:", "profile:", "kinds:", "colour:"):
        assert key in bad.value.en


def _session(rig: BankRig) -> Any:
    return Session(rig.database.engine)


def test_unknown_reason_waits_until_staff_says_what_it_means(rig: BankRig) -> None:
    """A record with an unknown code is set apart; resolved, its order goes to be corrected."""
    bank = rig.bank()
    bank.take()
    rows = [{"batch": "1", "order_no": "000000000011", "outcome": "RJ", "reason": "9Z",
             "asn": "", "date": bank.day}]  # fmt: skip
    bank._send("RES", rows, 1)
    outcome = rig.collect()[-1]
    with rig.database.reading() as session:
        listed = status.files(session, CODE, 9)
    file_id = next(one["id"] for one in listed if one["kind"] == "RES")

    done = run(rig, "resolve", str(file_id), "2", "CHIP", "--by", "li")

    assert (outcome.quarantined, done.exit_code) == (1, 0), done.output
    assert rig.states()["000000000011"] == "correction"
    with rig.database.writing() as session, pytest.raises(Refused):
        quarantine.resolve(session, (file_id, 2), "CHIP", "li", 0)


def test_https_brings_a_file_and_fetches_the_answer(rig: BankRig) -> None:
    """With its service account a partner brings, lists and fetches its own, and nothing else."""
    app = build_app(runtime_of(rig))
    with rig.database.writing() as session:
        _, token = accounts.create(
            session, NewAccount("bank-one", [Scope.BANK_FILES]), "li", rig.clock.now_ms
        )
        _, other = accounts.create(
            session, NewAccount("other", [Scope.BANK_FILES]), "li", rig.clock.now_ms
        )
        partners.set_access(session, CODE, Access(account="bank-one"), "li", rig.clock.now_ms)
    path = made_results(rig)
    note = base64.b64encode(path.with_name(path.name + ".manifest").read_bytes()).decode()
    client = app.test_client()
    mine = {"Authorization": f"Bearer {token}"}
    url = f"/api/v1/bank/files/{path.name}"

    brought = client.put(url, data=path.read_bytes(), headers={**mine, "Yika-Manifest": note})
    again = client.put(url, data=path.read_bytes(), headers={**mine, "Yika-Manifest": note})
    answer = client.get(f"/api/v1/bank/outbox/{brought.json['answer']}", headers=mine)

    assert (brought.status_code, brought.json["status"]) == (200, "ACCP"), brought.text
    assert again.json["repeated"] is True
    fetched = answer.data
    answer.close()
    assert b"ACCP" in fetched
    assert json.loads(base64.b64decode(answer.headers["Yika-Manifest"]))["size"] == len(fetched)
    assert len(client.get("/api/v1/bank/files", headers=mine).json["items"]) == 2
    assert client.put(url, data=b"", headers=mine).status_code == 400
    assert client.get("/api/v1/bank/files").status_code == 401
    stranger = {"Authorization": f"Bearer {other}"}
    assert client.get("/api/v1/bank/files", headers=stranger).status_code == 403
    assert client.get("/api/v1/bank/outbox/..%2Fx", headers=mine).status_code in (404, 422)


def test_s35_donations_are_booked_whole_with_ten_fen_a_purchase(rig: BankRig) -> None:
    """A month with one wrong amount books nothing and names the line; right, it books all."""
    bank = rig.bank()
    bank.donate("202610", {"0000000014": 3, "0000000022": 5})
    rows = bank.content("DON", [
        {"month": "202610", "number": "0000000014", "purchases": "3", "refunds": "0",
         "amount_fen": "31"},
        {"month": "202610", "number": "0000000022", "purchases": "5", "refunds": "0",
         "amount_fen": "50"},
    ], 1)  # fmt: skip
    name = f"YIKA_{CODE}_DON_00000001.dat"
    path = rig.root / name
    path.write_bytes(rows)
    wrong = intake.receive(rig.intake, Delivery(CODE, path, bank.wrapping.manifest(name, rows)))

    (right,) = rig.collect()

    assert (wrong.status, wrong.finding.code, wrong.finding.line) == ("RJCT", "F26", 2)
    assert (right.status, right.accepted) == ("ACCP", 2)
    with rig.database.reading() as session:
        assert month_total_fen(session, CODE, "2026-10") == 80


def test_s65_hotline_loss_and_wish_for_a_new_card(rig: BankRig) -> None:
    """A loss told to the hotline ends the card; a wish for a new one orders it again."""
    path = made_results(rig)
    bank = rig.bank()
    rig.collect()
    with rig.database.writing() as session:
        for order in session.query(CardOrder):
            order.state = "active"
            order.carrier = "debit" if order.order_no == "000000000022" else "credit"
    assert path.name.endswith("RES_00000001.dat")
    bank.sequence = 1
    both = ["000000000011", "000000000022"]
    bank.lose(both)
    bank.lose(both, event="REIS")

    first, second = rig.collect()

    assert (first.accepted, second.accepted, second.rejected) == (2, 1, 1)
    assert rig.lines() == [(3, "R16", "event")]  # a debit card is asked for at its branch (S-64)
    assert [rig.states()[one] for one in both] == ["lost", "lost"]
    assert sorted(rig.states().values()) == ["active", "lost", "lost", "ordered"]


def test_branches_and_summaries_are_taken_once(rig: BankRig) -> None:
    """A branch list adds branches; a month's summary counts once for each volunteer."""
    bank = rig.bank()
    bank.branches({"SZ-009": "南山支行"})
    bank.summarise("202610", {"0000000014": (4, 1234), "0000000999": (1, 5)})
    bank.summarise("202610", {"0000000014": (9, 9)})

    outcomes = rig.collect()

    assert [(one.accepted, one.rejected) for one in outcomes] == [(1, 0), (1, 1), (0, 1)]
    assert [code for _, code, _ in rig.lines()] == ["R10", "R06"]
