# SPDX-License-Identifier: Apache-2.0
"""The MACs of ISO/IEC 9797-1 and CMAC give the published values."""

from __future__ import annotations

from typing import Any

import pytest

from keys.algorithm import Algorithm
from keys.errors import BadKeyLength
from keys.mac import Padding, cbc_mac, cmac, pad, retail_mac
from tests import vectors

PSEC = vectors.load("psec_mac")
RECORDED = [v for v in PSEC if "expected" in v]
REFUSED = [v for v in PSEC if "error" in v]
BLOCK_BYTES_MIN = 8


def _hex(value: dict[str, str]) -> bytes:
    return bytes.fromhex(value["hex"])


def _pad(inputs: dict[str, Any], padding: Padding) -> bytes:
    return pad(_hex(inputs["data"]), padding, inputs.get("block_size") or BLOCK_BYTES_MIN)


def _compute(vector: dict[str, Any]) -> bytes:
    inputs, name = vector["inputs"], vector["function"].rpartition(".")[2]
    if name.startswith("pad_iso_"):
        return _pad(inputs, Padding(int(name[-1])))
    data, padding = _hex(inputs["data"]), Padding(inputs["padding"])
    if name == "generate_retail_mac":
        mac = retail_mac(_hex(inputs["key1"]), _hex(inputs["key2"]), data, padding)
    else:
        named = (inputs.get("algorithm") or {"enum": "Algorithm.DES"})["enum"]
        algorithm = Algorithm.AES if named == "Algorithm.AES" else Algorithm.TDES
        mac = cbc_mac(algorithm, _hex(inputs["key"]), data, padding)
    return mac[: inputs.get("length") or len(mac)]


@pytest.mark.parametrize("vector", RECORDED, ids=lambda v: v["name"])
def test_recorded_value(vector: dict[str, Any]) -> None:
    """Every padding, CBC-MAC and retail MAC recorded from psec's own tests comes out the same."""
    assert _compute(vector) == _hex(vector["expected"])


@pytest.mark.parametrize("vector", REFUSED, ids=lambda v: v["name"])
def test_recorded_refusal(vector: dict[str, Any]) -> None:
    """What psec refuses is refused here as well."""
    with pytest.raises((ValueError, BadKeyLength)):
        _compute(vector)


@pytest.mark.parametrize("vector", vectors.load("cmac_nist"), ids=lambda v: v["name"])
def test_cmac_of_nist(vector: dict[str, Any]) -> None:
    """The examples of NIST SP 800-38B come out as printed, AES and three-key 3DES."""
    parts = [vector[name] for name in ("KEY", "KEY1", "KEY2", "KEY3") if name in vector]
    algorithm = Algorithm.AES if "KEY" in vector else Algorithm.TDES

    tag = cmac(algorithm, bytes.fromhex("".join(parts)), bytes.fromhex(vector["MESSAGE"]))

    expected = bytes.fromhex(vector["OUTPUT"])
    assert tag[: len(expected)] == expected


@pytest.mark.parametrize("vector", vectors.load("wycheproof_aes_cmac"), ids=lambda v: v["name"])
def test_cmac_of_wycheproof(vector: dict[str, Any]) -> None:
    """Every Wycheproof tag is right exactly when published so; odd key lengths are refused."""
    key, message, tag = (bytes.fromhex(vector[name]) for name in ("key", "msg", "tag"))
    if "InvalidKeySize" in vector["flags"]:
        with pytest.raises(BadKeyLength):
            cmac(Algorithm.AES, key, message)
        return

    assert (cmac(Algorithm.AES, key, message) == tag) is (vector["result"] == "valid")


def test_retail_mac_keys_have_one_length() -> None:
    """A retail MAC under keys of another length is refused with both lengths."""
    with pytest.raises(BadKeyLength, match="5 bytes, expected 8"):
        retail_mac(bytes(5), bytes(8), b"", Padding.ZEROS)
