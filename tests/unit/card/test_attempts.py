# SPDX-License-Identifier: Apache-2.0
"""The guard: what is remembered, what is refused, and what two people may decide."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from card.attempts import AttemptGuard, Consent, KeyDisagrees, NotTwoPeople
from card.errors import GuardRefused
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from keys.working import TRANSPORT_KEY

NAME = "00000000000000000017/3F01/39-00"
TWO = Consent(("王芳", "李强"), ("柜台核对过密钥库", "见过卡片和发卡记录"))


@pytest.fixture(params=["memory", "file"])
def guard(request: pytest.FixtureRequest, tmp_path: Path) -> AttemptGuard:
    """A guard that keeps in memory, and one that keeps in a file."""
    return AttemptGuard(tmp_path / "attempts" if request.param == "file" else None)


def test_two_attempts_are_enough_and_one_is_not(guard: AttemptGuard) -> None:
    """With 63C2 a program may try, with 63C1 it may not."""
    guard.note(NAME, 0x63C2)
    guard.check(NAME)
    guard.note(NAME, 0x63C1)

    with pytest.raises(GuardRefused) as caught:
        guard.check(NAME)
    assert (caught.value.key, caught.value.attempts_left) == (NAME, 1)


def test_wrong_macs_count_although_the_card_is_silent(guard: AttemptGuard) -> None:
    """Two wrong MACs of three leave one attempt: no third without two people."""
    guard.note_wrong_mac(NAME)
    guard.check(NAME)
    guard.note_wrong_mac(NAME)

    with pytest.raises(GuardRefused):
        guard.check(NAME)


def test_a_key_other_than_the_card_took_before_is_not_tried(
    guard: AttemptGuard, store: FileKeyStore
) -> None:
    """Version and check value of the key that opened the card are compared before the next try."""
    mine = store.card_key(KeyUsage.CONTROL, 1, bytes(8))
    other = store.card_key(KeyUsage.CONTROL, 1, b"\x01" * 8)
    guard.note(NAME, 0x9000, mine)

    guard.check(NAME, mine)
    with pytest.raises(KeyDisagrees) as caught:
        guard.check(NAME, other)

    assert caught.value.known == f"v1/{mine.kcv}"
    assert caught.value.at_hand == f"v1/{other.kcv}"
    assert guard.holds(NAME, mine)
    assert not guard.holds(NAME, other)


def test_a_failure_does_not_make_a_key_known(guard: AttemptGuard) -> None:
    """Only a key that opened the card is remembered as the card's."""
    guard.note(NAME, 0x63C2, TRANSPORT_KEY)

    assert guard.holds(NAME, TRANSPORT_KEY) is None


def test_while_a_key_is_written_over_either_may_hold(
    guard: AttemptGuard, store: FileKeyStore
) -> None:
    """A cut in WRITE KEY leaves the old or the new key; a proof settles which."""
    final = store.card_key(KeyUsage.CONTROL, 1, bytes(8))
    guard.note(NAME, 0x9000, TRANSPORT_KEY)
    guard.replacing(NAME, final)
    guard.check(NAME, TRANSPORT_KEY)
    guard.check(NAME, final)

    guard.note(NAME, 0x9000, final)

    with pytest.raises(KeyDisagrees):
        guard.check(NAME, TRANSPORT_KEY)


def test_two_people_may_decide_once(guard: AttemptGuard) -> None:
    """A decision lets one try pass, and both names and reasons are kept."""
    guard.note(NAME, 0x63C1)
    guard.allow(NAME, TWO)

    guard.check(NAME)
    with pytest.raises(GuardRefused):
        guard.check(NAME)

    (kept,) = guard.consents()
    assert (kept.key, kept.consent) == (NAME, TWO)


@pytest.mark.parametrize(
    ("names", "reasons"),
    [
        (("王芳", " 王芳"), ("换过密钥库", "换过密钥库")),
        (("Wang Fang", "wang  fang"), ("store checked", "store checked")),
        (("王芳", ""), ("换过密钥库", "换过密钥库")),
        (("王芳", "李强"), ("换过密钥库", "好")),
    ],
)
def test_one_person_is_not_two(names: tuple[str, str], reasons: tuple[str, str]) -> None:
    """The same name written otherwise, no name, or no reason is not a decision."""
    with pytest.raises(NotTwoPeople):
        Consent(names, reasons)


def test_everything_is_remembered_across_programs(tmp_path: Path) -> None:
    """Another guard on the same file knows all of it; a grant dies with its program."""
    path = tmp_path / "attempts"
    first = AttemptGuard(path, now=lambda: dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC))
    first.note(NAME, 0x9000, TRANSPORT_KEY)
    first.note(NAME, 0x6983)
    first.allow(NAME, TWO)

    second = AttemptGuard(path)

    assert second.holds(NAME, TRANSPORT_KEY)
    assert second.consents()[0].made == "2026-11-21T09:00:00+00:00"
    with pytest.raises(GuardRefused) as caught:
        second.check(NAME)
    assert caught.value.attempts_left == 0


def test_two_programs_at_one_desk_do_not_forget_each_other(tmp_path: Path) -> None:
    """What two guards note in turn is all kept."""
    path = tmp_path / "attempts"
    one, two = AttemptGuard(path), AttemptGuard(path)
    one.note("a", 0x63C1)
    two.note("b", 0x63C1)

    for name in ("a", "b"):
        with pytest.raises(GuardRefused):
            AttemptGuard(path).check(name)


def test_what_a_guard_knows_can_be_kept_elsewhere() -> None:
    """A guard that was told the facts of another refuses what the other would refuse."""
    first, second = AttemptGuard(), AttemptGuard()
    first.note(NAME, 0x63C1)
    first.note("other", 0x9000, TRANSPORT_KEY)

    second.recall(first.facts())

    assert second.facts() == first.facts()
    assert second.holds("other", TRANSPORT_KEY)
    with pytest.raises(GuardRefused):
        second.check(NAME)
