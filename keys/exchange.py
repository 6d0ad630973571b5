# SPDX-License-Identifier: Apache-2.0
"""What a key block says of a master key, and what a store makes of it: usage is enforced.

The header carries usage (the hierarchy's two characters), algorithm, version and exportability;
optional block KC the check value; the proprietary block 01 the mark of a test key.
"""

from __future__ import annotations

from dataclasses import dataclass

from keys.algorithm import Algorithm
from keys.errors import KeyBlockRefused, WrongPurpose
from keys.hierarchy import chosen_algorithm, row, usage_of_block
from keys.keyblock import BlockHeader
from keys.keyblock_header import OptionalBlock
from keys.usage import KeyUsage

_LETTERS = {Algorithm.TDES: "T", Algorithm.AES: "A", Algorithm.SM4: "4"}
_VERSIONS = {Algorithm.AES: "D", Algorithm.TDES: "B"}
# KC: check value of the wrapped key; 00 says ECB of zeros, six digits (X9.143 table 8).
_KCV_BLOCK, _KCV_METHOD = "KC", "00"
_TEST_BLOCK, _TEST_MARK = "01", "YIKATEST"
UNVERSIONED = "00"
MOVABLE = "ES"  # exportable under a trusted key, or under any key block


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """Say what the key in a block is. Version 0: the block has none."""

    usage: KeyUsage
    version: int
    algorithm: Algorithm
    kcv: str
    marked_test: bool
    exportable: bool


def block_version(algorithm: Algorithm) -> str:
    """Give the version of blocks that a protection key of this cipher makes.

    >>> block_version(Algorithm.AES), block_version(Algorithm.TDES)
    ('D', 'B')
    """
    return _VERSIONS[algorithm]


def header_of(facts: BlockFacts, protection: Algorithm) -> BlockHeader:
    """Write the header for a key that leaves.

    >>> facts = BlockFacts(KeyUsage.PURCHASE_PSAM, 2, Algorithm.TDES, "08D7B4", False, True)
    >>> str(header_of(facts, Algorithm.AES))
    'version D, usage 14, algorithm T, mode X, key version 02, exportability E'
    """
    declared = row(facts.usage)
    optional = [OptionalBlock(_KCV_BLOCK, _KCV_METHOD + facts.kcv)]
    if facts.marked_test:
        optional.append(OptionalBlock(_TEST_BLOCK, _TEST_MARK))
    return BlockHeader(
        version=block_version(protection),
        usage=declared.tr31_usage,
        algorithm=_LETTERS[facts.algorithm],
        mode=declared.tr31_mode,
        key_version=f"{facts.version:02X}",
        exportability="E" if facts.exportable else "N",
        optional=tuple(optional),
    )


def facts_of(header: BlockHeader) -> BlockFacts:
    """Read what a block says, and refuse what no key here may be.

    Raises:
        WrongPurpose: usage or mode belong to no key of the hierarchy.
        UnsupportedAlgorithm: the usage is not declared for this algorithm.
        KeyBlockRefused: algorithm or version cannot be a master key's here.
    """
    usage = usage_of_block(header.usage)
    if usage is None or header.mode != row(usage).tr31_mode:
        raise WrongPurpose(f"{header.usage} (mode {header.mode})", "be a master key here")
    found = [algorithm for algorithm, letter in _LETTERS.items() if letter == header.algorithm]
    if not found:
        raise KeyBlockRefused("algorithm", f"{header.algorithm} is not used here")
    try:
        version = int(header.key_version, 16)
    except ValueError as exc:
        raise KeyBlockRefused("key version", f"{header.key_version} is not 00 to FF") from exc
    optional = {block.name: block.data for block in header.optional}
    return BlockFacts(
        usage,
        version,
        chosen_algorithm(usage, found[0]),
        kcv=_check_value(optional.get(_KCV_BLOCK, "")),
        marked_test=optional.get(_TEST_BLOCK) == _TEST_MARK,
        exportable=header.exportability in MOVABLE,
    )


def _check_value(block: str) -> str:
    return block.removeprefix(_KCV_METHOD).upper() if block.startswith(_KCV_METHOD) else ""
