# SPDX-License-Identifier: Apache-2.0
"""The key store on a SoftHSM2 token keeps the same contract, and names what happens to an HSM."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pkcs11
import pytest

from keys.algorithm import Algorithm
from keys.custody import KeyStore, open_store
from keys.errors import (
    HsmAbsent,
    HsmPinLocked,
    HsmPinWrong,
    HsmRefused,
    HsmSessionLost,
    KeyStoreExists,
    KeyStoreThrottled,
    KeyStoreUnnamed,
    NotExportable,
)
from keys.pkcs11_session import named
from keys.pkcs11_store import Pkcs11KeyStore
from keys.store import FileKeyStore
from keys.surroundings import Surroundings
from keys.tries import TRIES_FREE
from keys.usage import KeyUsage
from tests.contracts import keystore as contract
from tests.contracts import softhsm
from tests.factories import CHEAP

FACTOR = contract.FACTOR


@pytest.fixture(scope="session", autouse=True)
def tokens(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tokens of this test run in a folder of their own."""
    softhsm.configure(tmp_path_factory.mktemp("softhsm"))


class Maker:
    """Make and reopen stores on one new token."""

    def __init__(self, folder: Path) -> None:
        self.label = softhsm.new_token()
        self.calendar = contract.Calendar()
        self.around = Surroundings("tester", folder / "audit", self.calendar.now)

    def __call__(self, *, again: bool = False) -> KeyStore:
        del again
        return Pkcs11KeyStore.open(softhsm.MODULE, self.label, softhsm.PIN, self.around)


class JoinedMaker(Maker):
    """Make and reopen stores on one new token with a file beside it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._sm = folder / "sm.keys"

    def __call__(self, *, again: bool = False) -> KeyStore:
        if not again:
            FileKeyStore.create(self._sm, softhsm.PIN, CHEAP, self.around)
        spec = f"pkcs11:{softhsm.MODULE}?token={self.label}&sm={self._sm}"
        return open_store(spec, softhsm.PIN, self.around)


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """Give a maker of stores on a token."""
    return Maker(tmp_path)


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_token_keeps_the_contract(
    check: Callable[[contract.StoreMaker], None], make: Maker
) -> None:
    """Each check of the key store contract holds for the token."""
    check(make)

    assert make.around.audit is not None


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_token_and_file_together_keep_the_contract(
    check: Callable[[contract.StoreMaker], None], tmp_path: Path
) -> None:
    """Each check holds for a token with a file beside it, SM4 keys included."""
    maker = JoinedMaker(tmp_path)
    check(maker)

    assert maker.around.audit is not None


def test_each_key_is_where_it_belongs(tmp_path: Path) -> None:
    """SM4 keys go into the file and all others onto the token; a version is given once."""
    store = JoinedMaker(tmp_path)()
    store.generate(KeyUsage.TAC)
    store.rotate(KeyUsage.TAC, Algorithm.SM4)
    with pytest.raises(KeyStoreExists):
        store.generate(KeyUsage.TAC, 1, Algorithm.SM4)
    with pytest.raises(NotExportable, match="each"):
        store.backup(tmp_path / "copy", "a passphrase of some length")

    file = FileKeyStore.open(tmp_path / "sm.keys", softhsm.PIN)
    assert [info.name for info in file.list()] == ["tac/2"]
    assert [info.name for info in store.list()] == ["tac/1", "tac/2"]


def test_threads_that_come_and_go_get_their_keys(make: Maker) -> None:
    """Generations of threads at one token get what one thread gets; none is refused or crashes."""
    store = make()
    store.generate(KeyUsage.TAC)
    store.generate(KeyUsage.PURCHASE_PSAM)
    expected = store.card_key(KeyUsage.TAC, 1, FACTOR).kcv, store.psam_purchase_key(1).kcv
    odd: list[object] = []

    def derive() -> None:
        for _ in range(20):
            try:
                found = store.card_key(KeyUsage.TAC, 1, FACTOR).kcv, store.psam_purchase_key(1).kcv
            except HsmRefused as refused:
                odd.append(refused)
            else:
                odd.extend([found] * (found != expected))

    for _ in range(5):
        threads = [threading.Thread(target=derive) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert odd == []


def _slot(label: str) -> int:
    token = pkcs11.lib(softhsm.MODULE).get_token(token_label=label)
    return int(token.slot.slot_id)


def test_masters_are_sensitive_and_stay(make: Maker) -> None:
    """No master gives its value; only purchase masters may be wrapped, and only they are."""
    store = make()
    for usage in (KeyUsage.TAC, KeyUsage.PERSONAL_DATA, KeyUsage.PURCHASE_SOFT):
        store.generate(usage)
    session = pkcs11.lib(softhsm.MODULE).get_token(token_label=make.label).open()
    keys = {key[pkcs11.Attribute.LABEL]: key for key in list(session.get_objects())}

    assert set(keys) == {"yika/tac/1", "yika/personal-data/1", "yika/purchase-soft/1"}
    for label, key in keys.items():
        assert key[pkcs11.Attribute.SENSITIVE]
        assert key[pkcs11.Attribute.EXTRACTABLE] == (label == "yika/purchase-soft/1")
        with pytest.raises(pkcs11.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]
    session.close()


def test_a_lost_session_is_opened_again(make: Maker) -> None:
    """When all sessions are gone in mid-operation, the next call logs in again and goes on."""
    store = make()
    store.generate(KeyUsage.PRESENCE)
    bulk = store.bulk(KeyUsage.PRESENCE, 1)
    before = bulk.derive(np.zeros((1, 8), np.uint8))

    softhsm.lose_sessions(_slot(make.label))

    assert np.array_equal(bulk.derive(np.zeros((1, 8), np.uint8)), before)
    softhsm.lose_sessions(_slot(make.label))
    assert store.generate(KeyUsage.TAC).version == 1
    softhsm.lose_sessions(_slot(make.label))
    assert len(make(again=True).list()) == 2


def test_a_token_that_stays_away_is_named(make: Maker, tmp_path: Path) -> None:
    """A token that is gone for good ends in a named error, after one more try."""
    store = make()
    store.generate(KeyUsage.PRESENCE)
    calls = []

    def vanish(session: pkcs11.Session, found: dict[str, object]) -> None:
        calls.append(session)
        raise pkcs11.DeviceRemoved

    with pytest.raises(HsmSessionLost, match="nothing was changed"):
        store._sessions.use(vanish)

    assert len(calls) == 2
    assert store.card_key(KeyUsage.PRESENCE, 1, FACTOR).version == 1


def test_a_child_starts_the_library_anew(make: Maker) -> None:
    """After a fork parent and child both derive, and both know the PIN from a wrong one."""
    store = make()
    store.generate(KeyUsage.TAC)
    before = store.card_key(KeyUsage.TAC, 1, FACTOR).kcv
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with pytest.raises(HsmPinWrong):
                Pkcs11KeyStore.open(softhsm.MODULE, make.label, "999999", make.around)
            again = make(again=True).card_key(KeyUsage.TAC, 1, FACTOR).kcv
            status = 0 if store.card_key(KeyUsage.TAC, 1, FACTOR).kcv == before == again else 2
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(ended) == 0
    assert store.card_key(KeyUsage.TAC, 1, FACTOR).kcv == before


def test_threads_work_in_sessions_of_their_own(make: Maker) -> None:
    """Eight threads derive at once, and each gets the right keys."""
    store = make()
    store.generate(KeyUsage.TAC)
    factors = np.arange(8000, dtype=np.uint8).reshape(-1, 8)
    expected = store.bulk(KeyUsage.TAC, 1).derive(factors)
    right: list[bool] = []

    def derive() -> None:
        for _ in range(5):
            derived = store.bulk(KeyUsage.TAC, 1).derive(factors)
            right.append(np.array_equal(derived, expected))

    threads = [threading.Thread(target=derive) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert right == [True] * 40


def test_long_calls_are_cut_for_the_token(make: Maker) -> None:
    """More cards than the token takes at once give the same keys as one by one."""
    store = make()
    store.generate(KeyUsage.TAC)
    factors = np.random.default_rng(4).integers(0, 256, (9000, 8), np.uint8)

    derived = store.bulk(KeyUsage.TAC, 1).derive(factors)

    for row in (0, 4095, 4096, 8999):
        single = store.bulk(KeyUsage.TAC, 1).derive(factors[row : row + 1])
        assert np.array_equal(single[0], derived[row])


def test_wrong_pin_is_told_and_bounded(make: Maker) -> None:
    """A wrong PIN is named, logged in or not, and after five the token is not asked for a while."""
    with pytest.raises(HsmPinWrong, match="refuses the PIN"):
        Pkcs11KeyStore.open(softhsm.MODULE, make.label, "999999", make.around)
    make()
    for _ in range(TRIES_FREE):
        with pytest.raises(HsmPinWrong):
            Pkcs11KeyStore.open(softhsm.MODULE, make.label, "999999", make.around)
    with pytest.raises(KeyStoreThrottled, match="try again in 60 s"):
        make(again=True)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (pkcs11.PinLocked(), HsmPinLocked),
        (pkcs11.PinIncorrect(), HsmPinWrong),
        (pkcs11.NoSuchToken(), HsmAbsent),
        (pkcs11.DeviceRemoved(), HsmSessionLost),
        (pkcs11.UserNotLoggedIn(), HsmSessionLost),
        (pkcs11.MechanismInvalid(), HsmRefused),
        (pkcs11.TokenWriteProtected(), HsmRefused),
    ],
)
def test_library_errors_have_names(error: pkcs11.PKCS11Error, expected: type) -> None:
    """What the standard calls CKR_something becomes an error of this package, place named."""
    told = named("pkcs11:m?token=t", error)

    assert type(told) is expected
    assert "pkcs11:m?token=t" in str(told)


def test_absent_module_and_token_are_told(tmp_path: Path) -> None:
    """A module that is not there and a token that is not there are both HsmAbsent."""
    here = Surroundings("tester", tmp_path / "audit")
    with pytest.raises(HsmAbsent, match="no such token"):
        open_store("pkcs11:/nowhere/lib.so?token=yika", softhsm.PIN, here)
    with pytest.raises(HsmAbsent, match="NoSuchToken"):
        open_store(f"pkcs11:{softhsm.MODULE}?token=nobody", softhsm.PIN, here)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spec", ["pkcs11:", "pkcs11:m", "pkcs11:m?token=", "pkcs11:m?slot=1", ""])
def test_half_a_name_names_no_store(spec: str) -> None:
    """A name that lacks module or token, or says more, is refused with the form to use."""
    with pytest.raises(KeyStoreUnnamed, match=r"pkcs11:MODULE\?token=LABEL"):
        open_store(spec, softhsm.PIN)


def test_named_store_opens_with_its_log(make: Maker, tmp_path: Path) -> None:
    """A store opens by its name, and its audit log is where the name says."""
    log = tmp_path / "token.audit"
    spec = f"pkcs11:{softhsm.MODULE}?token={make.label}&audit={log}"
    store = open_store(spec, softhsm.PIN)
    store.generate(KeyUsage.TAC)

    assert (store.backend, store.audit.path) == ("pkcs11", log)
    assert store.audit.verify().lines == 1


def test_a_token_gives_no_backup(make: Maker, tmp_path: Path) -> None:
    """Masters of a token go into no file; its maker's backup is named instead."""
    with pytest.raises(NotExportable, match="maker"):
        make().backup(tmp_path / "copy", "a passphrase of some length")

    assert not (tmp_path / "copy").exists()
