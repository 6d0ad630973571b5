# SPDX-License-Identifier: Apache-2.0
"""The card's cryptography against published worked examples and recorded card traces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hardware_mocks.cardos import crypto

VECTORS = Path(__file__).parents[3] / "vectors"


def _vectors(name: str) -> list[Any]:
    content = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    assert content["count"] == len(content["vectors"])
    return [pytest.param(vector, id=vector["name"]) for vector in content["vectors"]]


def _compute(kind: str, inputs: dict[str, str]) -> bytes:
    raw = {name: bytes.fromhex(value) for name, value in inputs.items()}
    if kind == "ecb":
        return crypto.encrypt(raw["key"], raw["data"])
    if kind == "mac":
        return crypto.message_mac(raw["key"], raw["iv"], raw["data"])
    if kind == "diversify":
        return crypto.diversify(raw["key"], raw["data"])
    if kind == "tac-key":
        return crypto.tac_key(raw["key"])
    if kind == "purse-mac":
        return crypto.purse_mac(raw["key"], raw["data"])
    sequence = int(inputs["card_sequence"], 16)
    terminal = int(inputs["terminal_sequence"], 16)
    return crypto.session_key(raw["key"], raw["random"], sequence, terminal)


@pytest.mark.parametrize("vector", _vectors("cardos_messaging.json"))
def test_messaging_vectors(vector: dict[str, Any]) -> None:
    """Authentication, secure messaging and key loading give the published values."""
    assert bytes.fromhex(vector["expected"]) == _compute(vector["kind"], vector["inputs"])


@pytest.mark.parametrize("vector", _vectors("cardos_purse.json"))
def test_purse_vectors(vector: dict[str, Any]) -> None:
    """Session keys, MAC1, MAC2 and TAC give the values of the traces."""
    assert bytes.fromhex(vector["expected"]) == _compute(vector["kind"], vector["inputs"])


def test_single_des_gives_another_mac_than_algorithm_3() -> None:
    """The PSAM key load tells ISO 9797-1 algorithm 3 from a single-DES chain."""
    key = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    iv = bytes.fromhex("5D72B3FD00000000")
    data = bytes.fromhex("84D400001CDCC0BB5793ABFCA2CA8C1624822F6E01A86A0B5CBED191DD")

    assert crypto.message_mac(key[:8], iv, data).hex() == "6c996864"


@pytest.mark.parametrize("length", [0, 7, 15, 17, 24])
def test_keys_of_other_lengths_are_refused(length: int) -> None:
    """A DES key has 8 or 16 bytes and nothing else."""
    with pytest.raises(ValueError, match="8 or 16"):
        crypto.encrypt(bytes(length), bytes(8))


def test_padding_rules_differ() -> None:
    """A MAC always pads, encryption pads only what does not fill its last block."""
    assert crypto.pad_always(bytes(8)) == bytes(8) + b"\x80" + bytes(7)
    assert crypto.pad_if_needed(bytes(8)) == bytes(8)
    assert crypto.pad_if_needed(bytes(7)) == bytes(7) + b"\x80"
