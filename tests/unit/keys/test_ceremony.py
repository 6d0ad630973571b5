# SPDX-License-Identifier: Apache-2.0
"""The key ceremony: what the three see, what is stored, and what any slip leads to."""

from __future__ import annotations

import errno
import itertools
import json
from pathlib import Path

import pytest

from keys import purse
from keys.algorithm import Algorithm
from keys.ceremony import Ceremony
from keys.ceremony_deposit import check_room, deposit, deposit_new
from keys.ceremony_entry import TRIES_MAX
from keys.ceremony_plan import KeyOrder, Plan
from keys.ceremony_shares import put_together, read_share
from keys.errors import (
    BadKeyLength,
    CeremonyAborted,
    ComponentRepeated,
    ComponentsDiffer,
    ComponentUnreadable,
    CustodianRepeated,
    KcvDiffers,
    KeysError,
    KeyStoreExists,
    KeyStoreLocked,
    RehearsalRefused,
    ShareUnreadable,
    TestKeysRefused,
    WeakKey,
)
from keys.files import Disk
from keys.kcv import kcv
from keys.store import FileKeyStore
from keys.surroundings import Surroundings
from keys.usage import KeyUsage
from tests.factories import CHEAP, PASSPHRASE
from tests.unit.keys.room import COPY, ORDER, PARTS, PEOPLE, Room, typed

KEY = bytes(a ^ b ^ c for a, b, c in zip(*(bytes.fromhex(part) for part in PARTS), strict=True))
FACTOR = bytes.fromhex("1122334455667788")


def test_three_components_make_the_key(tmp_path: Path) -> None:
    """The stored key is the XOR of what the three typed: its check value and card keys agree."""
    outcome = Room(typed()).hold(Plan((ORDER,)))

    store, (info,) = deposit_new(tmp_path / "issuer.keys", outcome, CHEAP)

    assert info.kcv == kcv(KEY)
    assert store.card_key(KeyUsage.TAC, 1, FACTOR).kcv == kcv(purse.diversify(KEY, FACTOR))


def test_any_two_custodians_open_the_store(tmp_path: Path) -> None:
    """Two shares of the three open the new store; one share, or a guess, does not."""
    room = Room(typed())
    path = tmp_path / "issuer.keys"
    deposit_new(path, room.hold(Plan((ORDER,))), CHEAP)
    shares = [read_share(text) for text in room.shown]

    for one, other in itertools.combinations(shares, 2):
        assert FileKeyStore.open(path, put_together(one, other)).has(KeyUsage.TAC, 1)
    with pytest.raises(KeyStoreLocked):
        FileKeyStore.open(path, shares[0].content.hex())


def test_the_machine_may_make_the_components(tmp_path: Path) -> None:
    """Made components are shown once each, proved from the copy, and give the key."""
    turns = [COPY, COPY] * 3
    room = Room([*PEOPLE, *turns, "yes"])

    outcome = room.hold(Plan((ORDER,), generated=True))
    _, (info,) = deposit_new(tmp_path / "k", outcome, CHEAP)

    parts = [bytes.fromhex(text.split("   ")[0]) for text in room.shown[::2]]
    key = bytes(a ^ b ^ c for a, b, c in zip(*parts, strict=True))
    assert info.kcv == kcv(key)
    assert [text.split("KCV ")[1] for text in room.shown[::2]] == [kcv(part) for part in parts]


def test_each_custodian_sees_their_own_check_value_only() -> None:
    """The screen is cleared before and after each custodian and shows no component."""
    room = Room(typed(shares=False))

    room.hold(Plan((ORDER,), new_store=False))

    text = "\n".join(room.screen)
    assert room.clears == 7
    for part in PARTS:
        assert kcv(bytes.fromhex(part)) in text
        assert part not in text.upper()
    assert kcv(KEY) in text
    assert room.hidden == [part for part in PARTS for _ in range(2)]


SLIPS: list[tuple[list[str], type[KeysError]]] = [
    ([PARTS[0][:-1] + "G"], ComponentUnreadable),
    ([PARTS[0][:-2]], BadKeyLength),
    (["00" * 16], WeakKey),
    ([PARTS[0][:16] * 2], WeakKey),
    ([PARTS[0], PARTS[1]], ComponentsDiffer),
    ([PARTS[0], PARTS[0][:-1] + "X"], ComponentUnreadable),
]


@pytest.mark.parametrize(("slip", "error"), SLIPS)
def test_a_slip_may_be_mended(slip: list[str], error: type[KeysError]) -> None:
    """After a slip the custodian is told what was wrong and tries again."""
    answers = typed(shares=False)
    answers[4:4] = slip
    room = Room(answers)

    room.hold(Plan((ORDER,), new_store=False))

    assert any("tries left" in line for line in room.screen)


@pytest.mark.parametrize(("slip", "error"), SLIPS)
def test_three_slips_end_the_ceremony(slip: list[str], error: type[KeysError]) -> None:
    """The third slip stops the ceremony by a named error that repeats no digit typed."""
    with pytest.raises(CeremonyAborted) as caught:
        Room([*PEOPLE, *(slip * TRIES_MAX)]).hold(Plan((ORDER,), new_store=False))

    assert isinstance(caught.value.__cause__, error)
    text = f"{caught.value}{caught.value!r}{caught.value.__cause__!r}".upper()
    assert not any(typed[at : at + 6] in text for typed in slip for at in range(0, 26, 2))


@pytest.mark.parametrize(
    ("parts", "expected", "error"),
    [
        ((PARTS[0], PARTS[1], PARTS[0]), None, ComponentRepeated),
        (PARTS, "ABCDEF", KcvDiffers),
        (
            (PARTS[0], PARTS[1], f"{int(PARTS[0], 16) ^ int(PARTS[1], 16):032X}"),
            None,
            WeakKey,
        ),
    ],
)
def test_a_wrong_key_is_not_agreed_to(
    parts: tuple[str, str, str], expected: str | None, error: type[KeysError]
) -> None:
    """Equal components, a weak key and an unexpected check value stop it at the combination."""
    order = KeyOrder(KeyUsage.TAC, 1, Algorithm.TDES, expected)

    with pytest.raises(CeremonyAborted) as caught:
        Room(typed(*parts, shares=False)).hold(Plan((order,), new_store=False))

    assert isinstance(caught.value.__cause__, error)
    assert caught.value.step == "combination"


def test_an_expected_check_value_agrees_in_any_case(tmp_path: Path) -> None:
    """The right expected check value, in small letters too, lets the key in."""
    order = KeyOrder(KeyUsage.TAC, 1, Algorithm.TDES, kcv(KEY).lower())

    deposit_new(tmp_path / "k", Room(typed()).hold(Plan((order,))), CHEAP)

    assert (tmp_path / "k").exists()


def test_one_person_has_one_part() -> None:
    """A name given twice, in whatever letters, is refused."""
    with pytest.raises(CeremonyAborted) as caught:
        Room(["Officer", "Ann", " ANN ", "ann", "aNN"]).hold(Plan((ORDER,)))

    assert isinstance(caught.value.__cause__, CustodianRepeated)


def test_a_wrongly_copied_share_is_found() -> None:
    """A share that is typed as another is refused before the custodian leaves."""
    turn = [PARTS[0], PARTS[0], "y"]

    with pytest.raises(CeremonyAborted) as caught:
        Room([*PEOPLE, *turn, "S1-00", "", "S2-0"]).hold(Plan((ORDER,)))

    assert isinstance(caught.value.__cause__, ShareUnreadable)


@pytest.mark.parametrize(
    "answers",
    [[*PEOPLE, *[PARTS[0], PARTS[0], "n"] * 3], [*typed(shares=False)[:-1], "no"]],
)
def test_a_no_is_a_no(answers: list[str]) -> None:
    """A check value that is not the envelope's, or no agreement at the end, stops it."""
    with pytest.raises(CeremonyAborted, match="nothing was stored"):
        Room(answers).hold(Plan((ORDER,), new_store=False))


def test_leaving_at_any_step_leaves_nothing() -> None:
    """Wherever the driver stops, the components in memory are wiped."""
    for steps in range(1, 40):
        ceremony = Ceremony(Plan((ORDER,), new_store=False))
        script = ceremony.script()
        answers = iter(typed(shares=False))
        step = next(script)
        for _ in range(steps):
            try:
                step = script.send(next(answers) if type(step).__name__ == "Ask" else "")
            except StopIteration:
                return
        script.close()
        parts = [part for parts in ceremony.outcome.parts.values() for part in parts]
        assert all(len(part) == 0 for part in parts)


def test_rehearsal_keys_are_marked_and_kept_apart(tmp_path: Path) -> None:
    """Keys of a rehearsal are marked; they and real ones do not share a store."""
    path = tmp_path / "test.keys"
    store, (info,) = deposit_new(path, Room(typed()).hold(Plan((ORDER,), rehearsal=True)), CHEAP)
    other = KeyOrder(KeyUsage.TAC, 2, Algorithm.TDES)

    assert info.marked_test
    assert store.test_keys
    check_room(store, [other], rehearsal=True)
    with pytest.raises(TestKeysRefused):
        check_room(store, [other], rehearsal=False)
    real = FileKeyStore.create(tmp_path / "real.keys", PASSPHRASE, CHEAP)
    real.generate(KeyUsage.CONTROL)
    with pytest.raises(RehearsalRefused):
        check_room(real, [other], rehearsal=True)


def test_a_store_that_exists_is_added_to(tmp_path: Path) -> None:
    """In a store that exists the key is added; a version that is there already is refused."""
    store = FileKeyStore.create(tmp_path / "k", PASSPHRASE, CHEAP)
    plan = Plan((ORDER,), new_store=False)

    deposit(store, Room(typed(shares=False)).hold(plan))

    assert FileKeyStore.open(tmp_path / "k", PASSPHRASE).info(KeyUsage.TAC, 1).kcv == kcv(KEY)
    with pytest.raises(KeyStoreExists):
        deposit(store, Room(typed(shares=False)).hold(plan))


def test_a_fault_while_storing_leaves_nothing(tmp_path: Path) -> None:
    """When one of several keys cannot be stored, no store and no log is left."""
    twice = KeyOrder(KeyUsage.TAC, 1, Algorithm.SM4)
    answers = [*PEOPLE]
    for part in PARTS:
        answers += [part, part, "y"] * 2 + [COPY]
    outcome = Room([*answers, "yes"]).hold(Plan((ORDER, twice)))

    with pytest.raises(KeyStoreExists):
        deposit_new(tmp_path / "issuer.keys", outcome, CHEAP)

    assert list(tmp_path.iterdir()) == []


class _FailingDisk(Disk):
    """A disk that is full from one operation on."""

    def __init__(self, good: int) -> None:
        self.left = good

    def write(self, handle: int, data: bytes) -> None:
        """Write, or fail."""
        self._count()
        super().write(handle, data)

    def link(self, draft: Path, path: Path) -> None:
        """Link, or fail."""
        self._count()
        super().link(draft, path)

    def rename(self, draft: Path, path: Path) -> None:
        """Rename, or fail."""
        self._count()
        super().rename(draft, path)

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "no space left on device")


def test_a_full_disk_leaves_all_or_nothing(tmp_path: Path) -> None:
    """Whenever the disk fails, there is the whole store or nothing at all."""
    outcome = Room(typed()).hold(Plan((ORDER,)))
    results = set()
    for good in range(8):
        folder = tmp_path / str(good)
        folder.mkdir()
        around = Surroundings(disk=_FailingDisk(good))
        try:
            store, _ = deposit_new(folder / "issuer.keys", outcome, CHEAP, around)
            results.add(len(store.list()))
        except OSError:
            assert list(folder.iterdir()) == []
            results.add(0)

    assert results == {0, 1}


def test_nothing_secret_is_in_texts() -> None:
    """No repr of plan, outcome or events carries a component, a share or the passphrase."""
    room = Room(typed())
    outcome = room.hold(Plan((ORDER,)))
    passphrase = put_together(*(read_share(text) for text in room.shown[:2]))

    text = (repr(outcome) + json.dumps([repr(event) for event in outcome.events])).lower()
    for secret in (*PARTS, passphrase, KEY.hex(), *(s[3:] for s in room.shown)):
        assert secret.lower() not in text
