# SPDX-License-Identifier: Apache-2.0
"""The software PSAM keeps the PSAM contract, and its counter survives cuts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from keys import purse
from keys.algorithm import Algorithm
from keys.counter import VALUE_MAX, DurableCounter, _pack
from keys.envelope import Envelope
from keys.errors import (
    KeyStoreDamaged,
    KeyStoreExists,
    KeyStoreLocked,
    KeyStoreThrottled,
    PsamBlocked,
    UnknownKey,
)
from keys.psam import PSAM_MAGIC, Psam, SoftwarePsam, counter_path
from keys.store import FileKeyStore
from keys.tries import TRIES_FREE
from keys.usage import DPK_INDEX_SOFT, KeyUsage
from tests.contracts import keystore_psam as contract
from tests.contracts.keystore import Calendar
from tests.factories import CHEAP, PASSPHRASE, PSAM_NO


class Maker:
    """Make and reopen one software PSAM."""

    def __init__(self, folder: Path, algorithm: Algorithm = Algorithm.TDES) -> None:
        self.path = folder / "pos1.psam"
        self.store = FileKeyStore.create(folder / "issuer.keys", PASSPHRASE, CHEAP)
        self.store.generate(KeyUsage.PURCHASE_SOFT, 1, algorithm)
        self.store.generate(KeyUsage.PURCHASE_PSAM, 1, algorithm)
        self.card_key = self.store.card_key(KeyUsage.PURCHASE_SOFT, 1, contract.ASN8)

    def __call__(self, *, again: bool = False) -> Psam:
        if not again:
            self.store.export_software_psam(self.path, PSAM_NO, PASSPHRASE, CHEAP)
        return SoftwarePsam.open(self.path, PASSPHRASE)


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """Give the maker of one PSAM."""
    return Maker(tmp_path)


@pytest.mark.parametrize("algorithm", [Algorithm.TDES, Algorithm.SM4])
@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_software_psam_keeps_the_contract(
    check: Callable[[contract.PsamMaker], None], algorithm: Algorithm, tmp_path: Path
) -> None:
    """Each check of the PSAM contract holds for the software PSAM, in both suites."""
    make = Maker(tmp_path, algorithm)
    check(make)

    assert make.path.exists()


def test_versions_of_both_suites_serve_side_by_side(tmp_path: Path) -> None:
    """After a rotation to SM4 old cards go on with 3DES; a version serves its algorithm alone."""
    make = Maker(tmp_path)
    make.store.rotate(KeyUsage.PURCHASE_SOFT, Algorithm.SM4)
    psam = make()
    for version, algorithm in ((1, Algorithm.TDES), (2, Algorithm.SM4)):
        grant = psam.init_purchase(contract.request(version, algorithm.card_id))
        key = make.store.card_key(KeyUsage.PURCHASE_SOFT, version, contract.ASN8)
        session = key.session(bytes.fromhex("584633c9"), 7, grant.psam_seq)
        assert grant.mac1 == session.mac1(0, 9, PSAM_NO, contract.DATE, contract.TIME)
        psam.credit_purchase(session.mac2(0))
    for version, algorithm in ((1, Algorithm.SM4), (2, Algorithm.TDES)):
        with pytest.raises(UnknownKey):
            psam.init_purchase(contract.request(version, algorithm.card_id))

    assert psam.init_purchase(contract.request()).psam_seq == 3


def test_psams_of_the_first_release_open(tmp_path: Path) -> None:
    """A file whose masters are plain text holds 3DES keys."""
    key = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    path = tmp_path / "old.psam"
    content = {"number": PSAM_NO.hex(), "masters": {"1": key.hex()}}
    sealed = Envelope.create(PSAM_MAGIC, PASSPHRASE, CHEAP).seal(json.dumps(content).encode())
    path.write_bytes(sealed)
    DurableCounter.create(counter_path(path))

    grant = SoftwarePsam.open(path, PASSPHRASE).init_purchase(contract.request())

    session = purse.session_key(
        purse.diversify(key, contract.ASN8), bytes.fromhex("584633c9"), 7, 1
    )
    assert grant.mac1 == purse.mac1(session, 0, 9, PSAM_NO, contract.DATE, contract.TIME)


@pytest.mark.parametrize("algorithm", [Algorithm.TDES, Algorithm.SM4])
def test_no_number_is_given_twice_over_power_cuts(tmp_path: Path, algorithm: Algorithm) -> None:
    """Torn at any byte of its counter, a PSAM answers next with a number not given out before."""
    make = Maker(tmp_path, algorithm)
    psam, counter = make(), counter_path(make.path)
    ask = contract.request(algorithm=algorithm.card_id)
    given = psam.init_purchase(ask).psam_seq
    old = counter.read_bytes()
    psam.init_purchase(ask)  # the power goes while this one's number is written
    new = counter.read_bytes()
    for cut in range(len(old) + 1):
        counter.write_bytes(new[:cut] + old[cut:])
        again = make(again=True)
        grant = again.init_purchase(ask)
        session = make.card_key.session(bytes.fromhex("584633c9"), 7, grant.psam_seq)

        assert grant.psam_seq in {given + 1, given + 2}
        assert grant.mac1 == session.mac1(0, 9, PSAM_NO, contract.DATE, contract.TIME)


def test_it_says_that_it_is_software(make: Maker) -> None:
    """Number, index and kind are those an event declares; the repr holds no key."""
    psam = make()

    assert (psam.number, psam.key_index, psam.hardware) == (PSAM_NO, DPK_INDEX_SOFT & 0x7F, False)
    assert repr(psam) == f"SoftwarePsam(number={PSAM_NO.hex()}, last=0)"


def test_it_holds_its_own_master_only(make: Maker) -> None:
    """A software PSAM's MAC1 is not that of the hardware PSAM's key."""
    session = make.store.card_key(KeyUsage.PURCHASE_PSAM, 1, contract.ASN8).session(
        bytes.fromhex("584633c9"), 7, 1
    )
    grant = make().init_purchase(contract.request())

    assert grant.mac1 != session.mac1(0, 9, PSAM_NO, contract.DATE, contract.TIME)


def test_wrong_passphrase_and_damage_are_told_apart(make: Maker) -> None:
    """A wrong passphrase and a changed file have different answers."""
    make()
    with pytest.raises(KeyStoreLocked):
        SoftwarePsam.open(make.path, "wrong")
    blob = make.path.read_bytes()
    make.path.write_bytes(blob[:-1] + bytes([blob[-1] ^ 1]))

    with pytest.raises(KeyStoreDamaged):
        SoftwarePsam.open(make.path, PASSPHRASE)


def test_guessing_its_passphrase_is_made_slow(make: Maker) -> None:
    """After five wrong passphrases the right one waits a minute, and then clears the count."""
    make()
    watch = Calendar()
    for _ in range(TRIES_FREE):
        with pytest.raises(KeyStoreLocked):
            SoftwarePsam.open(make.path, "wrong", watch.now)

    with pytest.raises(KeyStoreThrottled, match="try again in 60 s"):
        SoftwarePsam.open(make.path, PASSPHRASE, watch.now)
    watch.day += timedelta(days=1)
    SoftwarePsam.open(make.path, PASSPHRASE, watch.now).close()
    with pytest.raises(KeyStoreLocked):
        SoftwarePsam.open(make.path, "wrong", watch.now)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"number": 1}', b'{"number": "zz"}'])
def test_content_of_another_program_is_damage(tmp_path: Path, content: bytes) -> None:
    """A PSAM file that opens but holds something else is not half understood."""
    path = tmp_path / "pos1.psam"
    path.write_bytes(Envelope.create(PSAM_MAGIC, PASSPHRASE, CHEAP).seal(content))

    with pytest.raises(KeyStoreDamaged, match="not understood"):
        SoftwarePsam.open(path, PASSPHRASE)


def test_a_counter_in_the_way_is_not_reset(make: Maker) -> None:
    """A counter left without its key file keeps a new PSAM from being made there."""
    counter_path(make.path).write_bytes(b"left over")

    with pytest.raises(KeyStoreExists):
        make()

    assert counter_path(make.path).read_bytes() == b"left over"


def test_a_closed_psam_gives_no_number(make: Maker) -> None:
    """After close the counter cannot step, so no number is given out."""
    psam = make()
    assert isinstance(psam, SoftwarePsam)
    psam.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        psam.init_purchase(contract.request())


def test_a_lost_counter_is_not_zero(make: Maker) -> None:
    """Without its counter a PSAM does not open, and is not made again over its key file."""
    make()
    counter_path(make.path).unlink()

    with pytest.raises(KeyStoreDamaged, match="counter is missing"):
        SoftwarePsam.open(make.path, PASSPHRASE)
    with pytest.raises(KeyStoreExists):
        make()


def test_a_store_without_the_master_exports_nothing(tmp_path: Path) -> None:
    """There is no software PSAM without its master key."""
    store = FileKeyStore.create(tmp_path / "empty.keys", PASSPHRASE, CHEAP)

    with pytest.raises(UnknownKey, match="purchase-soft"):
        store.export_software_psam(tmp_path / "p", PSAM_NO, PASSPHRASE, CHEAP)


def test_counter_survives_a_cut_at_every_byte(tmp_path: Path) -> None:
    """A write torn at any byte leaves the number given out last or the one being given."""
    path = tmp_path / "counter"
    DurableCounter.create(path)
    counter = DurableCounter.open(path)
    for _ in range(4):
        before, old = counter.value, path.read_bytes()
        after = counter.step()
        new = path.read_bytes()
        for cut, junk in itertools.product(range(len(old) + 1), (old, bytes(32), b"\xaa" * 32)):
            half = new[:cut] + old[cut:]
            changed = [i for i in range(32) if old[i] != new[i]]
            torn = bytearray(half)
            for i in changed:
                torn[i] = new[i] if i < cut else junk[i]
            (tmp_path / "torn").write_bytes(bytes(torn))
            reopened = DurableCounter.open(tmp_path / "torn")

            assert reopened.value in (before, after)
            reopened.close()
    counter.close()


def test_counter_without_a_good_slot_does_not_open(tmp_path: Path) -> None:
    """Two bad slots are damage, never zero."""
    path = tmp_path / "counter"
    path.write_bytes(bytes(32))

    with pytest.raises(KeyStoreDamaged, match="no readable slot"):
        DurableCounter.open(path)


def test_counter_ends_at_its_last_number(tmp_path: Path) -> None:
    """After the last number of 32 bits the PSAM is at its end; nothing wraps."""
    path = tmp_path / "counter"
    path.write_bytes(_pack(VALUE_MAX - 1, 0, 7) + bytes(16))
    counter = DurableCounter.open(path)

    assert counter.step() == VALUE_MAX
    with pytest.raises(PsamBlocked, match="used up"):
        counter.step()
    counter.close()
