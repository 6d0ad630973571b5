# SPDX-License-Identifier: Apache-2.0
"""`yika-card --store` with keys on a token: a desk whose masters never leave the HSM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from card.card_keys import CARD_USAGES
from card.cli import main
from card.cli.options import PASSPHRASE
from hardware_mocks.cardos.cos import VirtualCard
from keys.algorithm import Algorithm
from keys.custody import open_store
from keys.store import FileKeyStore
from tests.contracts import softhsm
from tests.contracts.connection_cards import ASN, UID
from tests.factories import CHEAP
from tests.unit.card.virtual_reader import readers_with

OTHER = "00000000000000000025"
DATA: dict[str, Any] = {
    "asn": ASN.hex(),
    "valid_from": "2026-11-01",
    "valid_to": "2031-10-31",
    "masked_name": "王**",
    "name": "王小明",
    "volunteer_number": "1000000004",
}


@pytest.fixture(scope="module", autouse=True)
def tokens(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tokens of these tests in a folder of their own."""
    softhsm.configure(tmp_path_factory.mktemp("card-tokens"))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of what a user's programs remember, empty."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "yika"


@pytest.fixture
def label(state: Path) -> str:
    """Give the label of a token with version 1 of the keys of a card."""
    label = softhsm.new_token()
    store = open_store(f"pkcs11:{softhsm.MODULE}?token={label}", softhsm.PIN)
    for usage in CARD_USAGES:
        store.generate(usage)
    store.close()
    return label


def _invoke(card: VirtualCard, spec: str, *arguments: str, **changes: Any) -> Result:
    pin = changes.pop("pin", softhsm.PIN)
    return CliRunner().invoke(
        main, [*arguments, "--store", spec], obj=readers_with(desk=card),
        input=json.dumps({**DATA, **changes}), env={PASSPHRASE: pin},
    )  # fmt: skip


def test_a_card_is_issued_from_a_token(label: str, state: Path) -> None:
    """Issue, read and finish again with a token; what a desk notes lies with the token's log."""
    card, spec = VirtualCard(uid=UID), f"pkcs11:{softhsm.MODULE}?token={label}"
    issue = ("issue", "--data", "-", "--json")
    first, second = _invoke(card, spec, *issue), _invoke(card, spec, *issue)
    read = _invoke(card, spec, "log", "--json")

    assert (first.exit_code, second.exit_code, read.exit_code) == (0, 0, 0), first.stderr
    assert json.loads(first.stdout)["writes"] > 25
    assert json.loads(second.stdout)["writes"] == 0
    assert (state / f"{label}.journal" / f"{ASN.hex().upper()}.jsonl").exists()
    assert (state / f"{label}.attempts").exists()
    assert '"purpose":"derive"' in (state / f"{label}.audit").read_text("utf-8")


def test_sm4_cards_are_issued_from_the_file_beside_a_token(label: str, tmp_path: Path) -> None:
    """With `&sm=FILE` version 2, which is SM4, comes from the file and version 1 from the token."""
    sm = tmp_path / "sm.keys"
    FileKeyStore.create(sm, softhsm.PIN, CHEAP).close()
    spec = f"pkcs11:{softhsm.MODULE}?token={label}&sm={sm}"
    store = open_store(spec, softhsm.PIN)
    for usage in CARD_USAGES:
        store.rotate(usage, Algorithm.SM4)
    store.close()

    issue = ("issue", "--data", "-", "--json")
    new = _invoke(VirtualCard(uid=UID), spec, *issue, key_version=2, algorithm="sm4")
    old = _invoke(VirtualCard(uid=UID), spec, *issue, asn=OTHER)
    assert (new.exit_code, old.exit_code) == (0, 0), (new.stderr, old.stderr)


def test_a_token_that_does_not_open_is_one_line(label: str, tmp_path: Path) -> None:
    """A wrong PIN, an unknown token and no library each end with one line and status 1."""
    issue = ("issue", "--data", "-", "--dry-run")
    spec = f"pkcs11:{softhsm.MODULE}?token={label}"
    for named, pin, word in (
        (spec, "000000", "PIN"),
        (f"pkcs11:{softhsm.MODULE}?token=nobody", softhsm.PIN, "no such token"),
        (f"pkcs11:{tmp_path}/none.so?token={label}", softhsm.PIN, "no such token"),
    ):
        done = _invoke(VirtualCard(uid=UID), named, *issue, pin=pin)
        assert done.exit_code == 1, done.output
        assert word in done.stderr
        assert done.stderr.count("\n") == 1
        assert pin not in done.output
