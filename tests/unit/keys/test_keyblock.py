# SPDX-License-Identifier: Apache-2.0
"""Key blocks: published vectors, another implementation, and every way to damage one."""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import _prims
from keys.algorithm import Algorithm
from keys.errors import KeyBlockDamaged, KeyBlockError, KeyBlockRefused, KeyBlockRejected
from keys.kcv import kcv
from keys.keyblock import BLOCK_SIZE_MAX, BlockHeader, derive, unwrap, wrap
from keys.keyblock_header import OptionalBlock
from tests.vectors import load

with warnings.catch_warnings():
    # The oracle still names 3DES by its old place in the cryptography library.
    warnings.simplefilter("ignore")
    import psec

CASES = 1000
KBPK_B = bytes.fromhex("DD7515F2BFC17F85CE48F3CA25CB21F6")
KBPK_D = bytes.fromhex("88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6")
KEY = bytes.fromhex("3F419E1CB7079442AA37474C2EFBF8B8")
HEADERS = {
    "B": BlockHeader("B", "10", "T", "X", "01", "E", (OptionalBlock("KS", "0060"),)),
    "D": BlockHeader("D", "10", "T", "X", "01", "E", (OptionalBlock("LB", "TAC key"),)),
}
KBPKS = {"B": KBPK_B, "D": KBPK_D}
BLOCKS = [v for v in load("tr31") if "block" in v]


@pytest.fixture(autouse=True)
def _quiet_oracle() -> Iterator[None]:
    """Let the oracle use two-key 3DES the old way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("vector", [v for v in BLOCKS if v["block"][0] in "BD"], ids=str)
def test_published_blocks_open(vector: dict[str, str]) -> None:
    """A published block of version B or D gives the published key, check value and header."""
    header, key = unwrap(bytes.fromhex(vector["kbpk"]), vector["block"])

    assert key.hex().upper() == vector["key"]
    assert header.version + header.usage == vector["block"][0] + vector["block"][5:7]
    if header.algorithm == "T" and "kcv" in vector:
        assert kcv(key) == vector["kcv"]


@pytest.mark.parametrize("vector", [v for v in BLOCKS if v["block"][0] not in "BD"], ids=str)
def test_versions_without_derivation_are_refused(vector: dict[str, str]) -> None:
    """Blocks of versions A, C and E are refused by name of the field."""
    with pytest.raises(KeyBlockDamaged) as caught:
        unwrap(bytes.fromhex(vector["kbpk"]), vector["block"])

    assert (caught.value.field, caught.value.offset) == ("version", 0)


def test_derivation_of_tr31_a_7_3_2() -> None:
    """The two keys of version B come out as TR-31:2018, A.7.3.2 prints them."""
    vector = next(v for v in load("tr31") if "encryption" in v)
    kbpk = bytes.fromhex(vector["kbpk"])

    keys = derive("B", len(kbpk), lambda data: _prims.cmac(Algorithm.TDES, kbpk, data))

    assert keys.encryption.hex().upper() == vector["encryption"]
    assert keys.authentication.hex().upper() == vector["authentication"]
    assert vector["encryption"][:6] not in repr(keys).upper()


def _case(rng: random.Random) -> tuple[bytes, BlockHeader, bytes]:
    """Make one protection key, header and key of any kind that goes together."""
    version = rng.choice("BD")
    size = rng.choice((16, 24) if version == "B" else (16, 24, 32))
    if version == "D" and rng.random() < 0.5:
        algorithm, length = "A", rng.choice([n for n in (16, 24, 32) if n <= size])
    else:
        algorithm, length = "T", rng.choice((16, 24) if size > 16 or version == "D" else (16,))
    names = rng.sample(["KS", "LB", "TS", "10"], rng.randrange(4))
    optional = tuple(
        OptionalBlock(name, "".join(rng.choices("0123456789ABCDEF", k=rng.randrange(0, 300))))
        for name in names
    )
    usage = rng.choice(["10", "2A", "E0", "K0", "M3", "D0"])
    mode, exportability = rng.choice("BEGNX"), rng.choice("ENS")
    header = BlockHeader(version, usage, algorithm, mode, "07", exportability, optional)
    return rng.randbytes(size), header, rng.randbytes(length)


def test_the_oracle_opens_what_we_wrap() -> None:
    """The library psec reads a thousand of our blocks: the same key and the same header."""
    rng = random.Random(31)
    for _ in range(CASES):
        kbpk, header, key = _case(rng)

        block = wrap(kbpk, header, key)

        theirs, found = psec.tr31.unwrap(kbpk, block)
        assert found == key
        assert (theirs.key_usage, theirs.algorithm) == (header.usage, header.algorithm)
        assert dict(theirs.blocks) == {one.name: one.data for one in header.optional}


def test_we_open_what_the_oracle_wraps() -> None:
    """A thousand blocks of psec open here: the same key and the same header."""
    rng = random.Random(32)
    for _ in range(CASES):
        kbpk, header, key = _case(rng)
        fields = (header.usage, header.algorithm, header.mode, "07", header.exportability)
        theirs = psec.tr31.Header(header.version, *fields)
        for one in header.optional:
            theirs.blocks[one.name] = one.data

        assert unwrap(kbpk, psec.tr31.wrap(kbpk, theirs, key)) == (header, key)


@pytest.mark.parametrize("version", ["B", "D"])
def test_padding_is_random_and_hides_the_length(version: str) -> None:
    """Two blocks of one key differ, and a short key makes a block as long as the longest."""
    header = BlockHeader(version, "10", "T", "X")
    kbpk = bytes(range(32)) if version == "D" else bytes(range(24))

    first, second = wrap(kbpk, header, KEY), wrap(kbpk, header, KEY)

    assert first != second
    assert len(first) == len(wrap(kbpk, header, KEY + bytes(8)))


@pytest.mark.parametrize("version", ["B", "D"])
def test_every_changed_character_is_noticed(version: str) -> None:
    """No character of a block can be changed, left out or added unnoticed."""
    block = wrap(KBPKS[version], HEADERS[version], KEY)
    for at in range(len(block)):
        for other in {"0", "1", "A", "E", "X"} - {block[at]}:
            with pytest.raises(KeyBlockError):
                unwrap(KBPKS[version], block[:at] + other + block[at + 1 :])
        with pytest.raises(KeyBlockDamaged):
            unwrap(KBPKS[version], block[:at])
        with pytest.raises(KeyBlockError):
            unwrap(KBPKS[version], block[:at] + block[at + 1 :])
    with pytest.raises(KeyBlockDamaged):
        unwrap(KBPKS[version], block + "00")


@pytest.mark.parametrize("version", ["B", "D"])
def test_another_protection_key_is_rejected(version: str) -> None:
    """A block under another protection key is rejected, without a word about the key."""
    block = wrap(KBPKS[version], HEADERS[version], KEY)

    with pytest.raises(KeyBlockRejected) as caught:
        unwrap(bytes(reversed(KBPKS[version])), block)

    assert KEY.hex() not in f"{caught.value!r}{caught.value}".lower()


@pytest.mark.parametrize(
    ("change", "field", "offset"),
    [
        (lambda b: b[:10], "header", 10),
        (lambda b: "X" + b[1:], "version", 0),
        (lambda b: b[:1] + "00x8" + b[5:], "length", 1),
        (lambda b: b[:1] + "9999" + b[5:], "length", 1),
        (lambda b: b[:5] + "a0" + b[7:], "usage", 5),
        (lambda b: b[:7] + "?" + b[8:], "algorithm", 7),
        (lambda b: b[:11] + "Q" + b[12:], "exportability", 11),
        (lambda b: b[:12] + "x1" + b[14:], "number of optional blocks", 12),
        (lambda b: b[:18] + "02" + b[20:], "optional block", 16),
        (lambda b: b[:18] + "zz" + b[20:], "optional block", 18),
        (lambda b: b[:18] + "FF" + b[20:], "optional block", 16),
        (lambda b: b[:-1] + "g", "ciphertext", 103),
        (lambda b: b * 200, "length", 1),
    ],
)
def test_damage_is_named_by_field_and_offset(change: object, field: str, offset: int) -> None:
    """Text that is no key block is refused with the field and the offset of the trouble."""
    assert callable(change)
    block = wrap(
        KBPK_B, BlockHeader("B", "10", "T", "X", optional=(OptionalBlock("KS", "0060"),)), KEY
    )
    with pytest.raises(KeyBlockDamaged) as caught:
        unwrap(KBPK_B, change(block))

    assert (caught.value.field, caught.value.offset) == (field, offset)
    assert field in str(caught.value)


def test_unsuitable_keys_are_refused() -> None:
    """A length the algorithm has not, or a protection key weaker than the key, is refused."""
    aes = BlockHeader("B", "10", "A", "X")
    for kbpk, header, key in (
        (KBPK_B, BlockHeader("B", "10", "T", "X"), KEY[:15]),
        (KBPK_B, BlockHeader("B", "10", "T", "X"), KEY + KEY[:8]),
        (KBPK_B, aes, KEY),
        (KBPK_D[:16], BlockHeader("D", "10", "A", "X"), KBPK_D),
        (KBPK_B[:8], BlockHeader("B", "10", "T", "X"), KEY),
        (KBPK_B, BlockHeader("D", "10", "1", "X"), b""),
        (KBPK_B, BlockHeader("B", "10", "1", "X"), bytes(513)),
    ):
        with pytest.raises(KeyBlockRefused) as caught:
            wrap(kbpk, header, key)
        assert not re.search("[0-9a-f]{16}", str(caught.value).lower())


def test_optional_blocks_have_a_limit() -> None:
    """More optional blocks than two digits count, or more text than four, are refused."""
    many = tuple(OptionalBlock("10", "") for _ in range(100))
    long = (OptionalBlock("10", "0" * BLOCK_SIZE_MAX),)
    for optional in (many, long):
        with pytest.raises(KeyBlockRefused):
            wrap(KBPK_B, BlockHeader("B", "10", "T", "X", optional=optional), KEY)


@given(st.text(max_size=200) | st.from_regex(r"\A[BD][0-9]{4}[A-Z0-9]{11,180}\Z"))
def test_any_text_is_a_block_or_a_named_error(text: str) -> None:
    """Whatever text is given, the answer is a named error and nothing else."""
    with pytest.raises(KeyBlockError):
        unwrap(KBPK_D, text)
