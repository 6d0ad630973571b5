# SPDX-License-Identifier: Apache-2.0
"""A key's purpose is part of its type: the type checker refuses what the handle would refuse."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
from mypy import api

from keys import purse
from keys.algorithm import Algorithm
from keys.envelope import Envelope
from keys.handle import PURPOSES, KeyHandle, PurchasePurpose, TacPurpose
from keys.kcv import kcv
from keys.usage import UNDERIVED, KeyUsage
from tests.factories import CHEAP

ROOT = Path(__file__).parents[3]
KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
FACTOR = bytes.fromhex("1122334455667788")
# Each line that ends in "wrong" must be refused by the type checker, and no other.
SNIPPET = """
from typing import Any
from keys.card_key_source import CardKeySource
from keys.handle import KeyHandle
from keys.usage import KeyUsage

def use(store: CardKeySource, factor: bytes, usage: KeyUsage, lost: KeyHandle[Any]) -> None:
    tac = store.card_key(KeyUsage.TAC, 1, factor)
    tac.tac4(factor, 1, factor, factor)
    tac.session(factor, 1, 1)  # wrong
    tac.cg2(factor)  # wrong
    purchase = store.card_key(KeyUsage.PURCHASE_SOFT, 1, factor)
    purchase.session(factor, 1, 1).mac2(0)
    purchase.mac4(factor, factor)  # wrong
    purchase.online_session(factor, 1)  # wrong
    control = store.card_key(KeyUsage.CONTROL, 1, factor)
    control.mac4(factor, factor)
    control.cryptogram(factor)
    control.wrap_for_card(factor, purchase)
    control.tac4(factor, 1, factor, factor)  # wrong
    desk = store.card_key(KeyUsage.DESK_READ, 1, factor)
    desk.cryptogram(factor)
    desk.wrap_for_card(factor, tac)  # wrong
    presence = store.card_key(KeyUsage.PRESENCE, 1, factor)
    presence.cg2(factor)
    presence.encrypt(factor)  # wrong
    unknown = store.card_key(usage, 1, factor)
    unknown.cg2(factor)
    lost.session(factor, 1, 1)
"""


def test_wrong_purpose_is_a_type_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mypy refuses exactly the calls that a key's purpose does not have."""
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET, "utf-8")
    monkeypatch.chdir(ROOT)
    lines = SNIPPET.splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}

    told, errors, _ = api.run(
        ["--config-file=", "--strict", "--ignore-missing-imports", "--follow-imports=silent",
         f"--cache-dir={tmp_path}", str(snippet)]
    )  # fmt: skip

    found = {int(line.split(":")[1]) for line in told.splitlines() if "error:" in line}
    assert errors == ""
    assert found == wrong
    assert told.count("[misc]") == len(wrong), told


def test_every_derived_usage_has_a_purpose() -> None:
    """Each usage has a purpose, but those from which nothing is derived."""
    assert set(PURPOSES) == set(KeyUsage) - UNDERIVED


def test_sm4_handles_give_the_sm4_values() -> None:
    """One handle type serves both suites; the algorithm comes from the key."""
    key = KeyHandle[TacPurpose](KeyUsage.TAC, 1, KEY, Algorithm.SM4)

    assert key.tac4(bytes(6), 1, bytes(4), bytes(3)) == purse.tac(
        KEY, 0, 9, bytes(6), 1, bytes(4), bytes(3), algorithm=Algorithm.SM4
    )
    assert (key.block_bytes, key.kcv) == (16, kcv(KEY, Algorithm.SM4))


def test_load_and_pin_keys_compute_the_manuals_values() -> None:
    """A load's session key is random ‖ counter ‖ 80 00; RELOAD PIN folds its key."""
    rand = bytes.fromhex("11223344")
    load = KeyHandle[object](KeyUsage.LOAD, 1, KEY)
    session = load.online_session(rand, 5)
    expected = purse.process_key(KEY, rand + bytes.fromhex("00058000"))

    assert session.mac4(b"data") == purse.mac4(expected, b"data")
    reload_key = KeyHandle[object](KeyUsage.PIN_RELOAD, 1, KEY)
    assert reload_key.reload_mac4(b"\x12\x34") == purse.mac4(purse.tac_key(KEY), b"\x12\x34")
    tac = KeyHandle[object](KeyUsage.TAC, 1, KEY)
    assert tac.tac_over(b"fields") == purse.mac4(purse.tac_key(KEY), b"fields")


def test_keys_are_not_copied_out() -> None:
    """Handles, session keys and open envelopes are neither pickled nor copied."""
    purchase = KeyHandle[PurchasePurpose](KeyUsage.PURCHASE_SOFT, 1, KEY)
    envelope = Envelope.create(b"YIKATEST", "a passphrase", CHEAP)

    for key in (purchase, purchase.session(bytes(4), 1, 1), envelope):
        for copier in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="not pickled"):
                copier(key)
