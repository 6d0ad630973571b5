# SPDX-License-Identifier: Apache-2.0
"""Published scripts and SM4 values on the virtual card: the vendor's example runs as printed."""

from __future__ import annotations

from typing import Any

import pytest

from hardware_mocks.cardos import sm4
from hardware_mocks.cardos.algorithms import SM4
from hardware_mocks.cardos.cos import VirtualCard
from tests.vectors import content, load


def test_issuing_example_of_the_vendor() -> None:
    """Every line of the manual's issuing example ends as it should, in order."""
    script = content("cardos_scripts")
    assert script["count"] == len(script["vectors"])
    card = VirtualCard()
    for step in script["vectors"]:
        answer = card.transmit(bytes.fromhex(step["command"]))
        assert answer.hex().upper() == step["expected"], step["name"]


@pytest.mark.parametrize(
    "vector", [v for v in load("sm4") if v.get("mode") == "ecb"], ids=lambda v: v["name"]
)
def test_sm4_blocks(vector: dict[str, Any]) -> None:
    """SM4 encrypts and decrypts as the standard's examples."""
    key, plain, cipher = (
        bytes.fromhex(vector[name]) for name in ("KEY", "PLAINTEXT", "CIPHERTEXT")
    )
    assert sm4.encrypt(key, plain) == cipher
    assert sm4.decrypt(key, cipher) == plain


def _sm4_purse(formula: str, raw: dict[str, bytes]) -> bytes:
    key = raw.pop("key")
    if formula == "diversify":
        return SM4.diversify(key, raw["factor"])
    if formula == "session_key":
        return SM4.session_key(key, raw["rand"] + raw["ctr"] + raw["seq"][-2:])
    data = b"".join(raw.values())
    return SM4.signature(key, data) if formula == "tac" else SM4.purse_mac(key, data)


@pytest.mark.parametrize("vector", load("sm4_purse"), ids=lambda v: v["name"])
def test_sm4_purse(vector: dict[str, Any]) -> None:
    """The purse formulas give under SM4 what reader code of such cards gives."""
    raw = {name: bytes.fromhex(value) for name, value in vector["inputs"].items()}
    assert _sm4_purse(vector["formula"], raw).hex().upper() == vector["expected"]
