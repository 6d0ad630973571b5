# SPDX-License-Identifier: Apache-2.0
"""The declared hierarchy is whole, unambiguous, and what its document says."""

from __future__ import annotations

from pathlib import Path

import pytest

from keys.algorithm import Algorithm
from keys.errors import UnsupportedAlgorithm, WrongPurpose
from keys.exchange import BlockFacts, block_version, facts_of, header_of
from keys.hierarchy import HIERARCHY, LEVELS, KeyRow, chosen_algorithm, row, usage_of_block
from keys.hierarchy_document import document
from keys.keyblock import BlockHeader
from keys.usage import CARD_KEYS, PURCHASE_USAGE, SCHEME_USAGES, SEALING, UNDERIVED, KeyUsage

DOCUMENT = Path(__file__).parents[3] / "docs" / "key-hierarchy.md"


def test_document_is_the_tables() -> None:
    """docs/key-hierarchy.md is what the tables say: python -m keys.hierarchy_document."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()


def test_every_usage_is_declared_once() -> None:
    """Each usage has one row, and each key block code names one usage."""
    assert [declared.usage for declared in HIERARCHY] == list(
        dict.fromkeys(declared.usage for declared in HIERARCHY)
    )
    assert {declared.usage for declared in HIERARCHY} == set(KeyUsage)
    codes = [declared.tr31_usage for declared in HIERARCHY]
    assert len(codes) == len(set(codes))
    assert [usage_of_block(code) for code in codes] == [row.usage for row in HIERARCHY]
    assert usage_of_block("P0") is None


def test_storeys_lead_from_root_to_terminal() -> None:
    """The storeys are those of the scheme, from the root down."""
    names = [level.name for level in LEVELS]

    assert names == ["root", "region", "issuer", "card", "psam", "terminal"]


def test_only_what_a_psam_must_hold_leaves() -> None:
    """Of all masters only the purchase keys are exportable."""
    assert {declared.usage for declared in HIERARCHY if declared.exportable} == set(
        PURCHASE_USAGE.values()
    )


def test_the_volunteers_scheme_has_no_money_keys() -> None:
    """A store of the scheme holds no load, unload or overdraft key, and all that cards need."""
    assert not {KeyUsage.LOAD, KeyUsage.UNLOAD, KeyUsage.OVERDRAFT} & set(SCHEME_USAGES)
    assert set(CARD_KEYS) <= set(SCHEME_USAGES)


@pytest.mark.parametrize("declared", HIERARCHY, ids=lambda declared: declared.usage.value)
def test_algorithms_are_those_declared(declared: KeyRow) -> None:
    """The first algorithm is the default; one that is not declared is refused by name."""
    assert chosen_algorithm(declared.usage, None) is declared.algorithms[0]
    for algorithm in Algorithm:
        if algorithm in declared.algorithms:
            assert chosen_algorithm(declared.usage, algorithm) is algorithm
            continue
        with pytest.raises(UnsupportedAlgorithm, match=declared.usage.value):
            chosen_algorithm(declared.usage, algorithm)


@pytest.mark.parametrize("usage", KeyUsage)
def test_headers_say_what_keys_are(usage: KeyUsage) -> None:
    """What a header says comes back, for each usage and algorithm, test marks included."""
    for algorithm in row(usage).algorithms:
        facts = BlockFacts(usage, 255, algorithm, "08D7B4", marked_test=True, exportable=False)
        for protection in (Algorithm.AES, Algorithm.TDES):
            header = header_of(facts, protection)
            assert facts_of(header) == facts
            assert header.version == block_version(protection)
            assert BlockHeader.parse(header.text(0))[0] == header


def test_a_block_for_another_use_is_no_master_key() -> None:
    """A PIN key, or a master's usage with another mode, is refused whatever is in the block."""
    for usage, mode in (("P0", "E"), ("16", "B"), ("D0", "X"), ("K0", "B")):
        with pytest.raises(WrongPurpose):
            facts_of(BlockHeader("D", usage, "T", mode, "01"))


def test_nothing_is_derived_from_data_and_block_keys() -> None:
    """The keys that protect data and key blocks are those without card keys."""
    assert {KeyUsage.KEY_BLOCK} | SEALING == UNDERIVED
