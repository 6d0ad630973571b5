# SPDX-License-Identifier: Apache-2.0
"""Key 2: it undoes the tap that the screen has just spoken of, in this start, or nothing."""

from __future__ import annotations

import pytest

from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Moment, Tear
from keys.store import FileKeyStore
from swipe.kinds import EventType, Result
from tests.integration.terminal.bench import asn, issue
from tests.integration.terminal.post import OTHER, VOLUNTEER, Post, configure

DEBIT = 0x54
INVITES = "撤销请按2"


def test_duplicate_invites_only_its_holder(post: Post, store: FileKeyStore) -> None:
    """B IN, 44 s later A IN, B again: no word of key 2, and B's key 2 leaves A's tap alone."""
    card = issue(store, OTHER)
    post.tap(card, seconds=44)
    post.tap(issue(store, VOLUNTEER), seconds=4)
    again = post.tap(card)
    refused = post.press("2")

    assert "ALREADY RECORDED" in again
    assert INVITES not in again
    assert "LAST CARD ONLY" in refused
    assert post.events(EventType.VOID_LAST) == []


def test_nervous_second_tap_is_told_of_key_two(post: Post, store: FileKeyStore) -> None:
    """Whose own tap is seconds old is invited, and key 2 does it, with the name beside."""
    card = issue(store, VOLUNTEER)
    post.tap(card, seconds=5)
    invited = post.tap(card)
    undone = post.press("2")
    late = post.tap(card, seconds=20)
    again = post.tap(card)

    assert INVITES in invited
    assert "已撤销" in undone
    assert "林**" in undone
    assert "签到 IN" in late
    assert INVITES not in again
    assert "不用再刷" in again


def test_torn_tap_made_good_undoes_nobody_elses(post: Post, store: FileKeyStore) -> None:
    """B's tap is torn, A taps, B again is told IN; key 2 then is not about A."""
    card = issue(store, OTHER)
    card.tear(Tear(ins=DEBIT, moment=Moment.BEFORE_ANSWER))
    post.tap(card, seconds=2)
    card.tear(None)
    post.tap(issue(store, VOLUNTEER), seconds=2)
    good = post.tap(card)
    refused = post.press("2")

    assert "签到 IN" in good
    assert "LAST CARD ONLY" in refused
    assert post.events(EventType.VOID_LAST) == []
    assert post.events(EventType.TORN_RESOLVED)[-1].result == Result.RESOLVED


@pytest.mark.parametrize("asked", ["", "6"], ids=["unread", "asked about"])
def test_card_without_a_tap_comes_between(post: Post, store: FileKeyStore, asked: str) -> None:
    """A card that could not be read, or was only asked about, is not whose tap is undone."""
    post.tap(issue(store, VOLUNTEER), seconds=2)
    post.press(asked)
    post.tap(issue(store, OTHER) if asked else VirtualCard())

    assert "LAST CARD ONLY" in post.press("2")


def test_own_query_keeps_the_undo(post: Post, store: FileKeyStore) -> None:
    """Who asks about the own card after the tap may still undo it."""
    card = issue(store, VOLUNTEER)
    post.tap(card, seconds=2)
    post.press("6")
    post.tap(card)

    assert "已撤销" in post.press("2")
    assert post.events(EventType.VOID_LAST)[-1].card_asn == asn(VOLUNTEER)


def test_nothing_is_undone_after_a_restart(post: Post, store: FileKeyStore) -> None:
    """The server takes back taps of the same start only, so the terminal promises no more."""
    post.tap(issue(store, VOLUNTEER), seconds=2)
    post.cut_power()
    configure(post)

    assert "NOT AFTER A RESTART" in post.press("2")
    assert post.events(EventType.VOID_LAST) == []


def test_duplicate_after_a_restart_invites_nobody(post: Post, store: FileKeyStore) -> None:
    """A second tap seconds after the restart is a duplicate without a word of key 2."""
    card = issue(store, VOLUNTEER)
    post.tap(card, seconds=2)
    post.cut_power()
    configure(post)
    again = post.tap(card)

    assert "ALREADY RECORDED" in again
    assert INVITES not in again
    assert "NOT AFTER A RESTART" in post.press("2")
