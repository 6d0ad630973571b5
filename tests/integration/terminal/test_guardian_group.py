# SPDX-License-Identifier: Apache-2.0
"""Minors and the guardian's word at one terminal: what is counted, said and left open."""

from __future__ import annotations

import datetime as dt

import pytest

from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Moment, Tear
from keys.store import FileKeyStore
from swipe.hotlist import CardSet, HotlistBitmap
from swipe.kinds import EventType, Flag, RejectReason
from tests.integration.terminal.bench import asn, issue
from tests.integration.terminal.post import OTHER, VOLUNTEER, Post

DEBIT = 0x54
BORN = dt.date(2014, 1, 1)
CHILD = 11


def torn_then_whole(post: Post, card: VirtualCard) -> str:
    """Pull a card off behind DEBIT and lay it down again; return the second answer."""
    card.tear(Tear(ins=DEBIT, moment=Moment.BEFORE_ANSWER))
    post.tap(card, seconds=5)
    card.tear(None)
    return post.tap(card, seconds=5)


def test_child_that_obeys_stays_in(post: Post, store: FileKeyStore) -> None:
    """Alone, key 4, the guardian, "children, tap now": the child is told so, counted, and in."""
    child = issue(store, CHILD, BORN)
    alone = post.tap(child, seconds=80)
    post.press("4")
    post.tap(issue(store, VOLUNTEER), seconds=10)
    behind = post.tap(child, seconds=5)
    again = post.tap(child, seconds=5)
    shown = post.turn()
    post.press("n")
    post.bench.clock.advance(7200)
    left = post.tap(child)

    assert "GUARDIAN NEEDED" in alone
    assert all("已签到 IN" in text and "GUARDIAN OK" in text for text in (behind, again))
    assert "TAPPED 1" in shown
    assert "签退 OUT" in left
    assert [e.flags & Flag.GUARDIAN_PRESENT for e in post.events(EventType.IN)] == [0]
    assert len(post.events(EventType.OUT)) == 1


def test_torn_tap_of_a_lone_child_is_told_as_any(post: Post, store: FileKeyStore) -> None:
    """Made good, it still needs the guardian, and no slip says that it counts."""
    post.parts.every_slip = True
    told = torn_then_whole(post, issue(store, CHILD, BORN))

    assert "GUARDIAN NEEDED" in told
    assert post.paper.slips == []


def test_torn_tap_of_a_listed_card_is_told_in_red(post: Post, store: FileKeyStore) -> None:
    """What was on the list when it tapped is not plain because the answer was lost."""
    post.parts.every_slip = True
    post.station.notices.hotlist = HotlistBitmap(7, 0, CardSet.of([asn(VOLUNTEER)]))
    told = torn_then_whole(post, issue(store, VOLUNTEER))

    assert "CARD REPORTED LOST" in told
    assert post.paper.slips == []


def test_torn_tap_in_a_group_is_counted(post: Post, store: FileKeyStore) -> None:
    """A minor whose second try brought the proof is one of the group, and renews its wait."""
    post.press("4")
    post.tap(issue(store, VOLUNTEER), seconds=100)
    told = torn_then_whole(post, issue(store, CHILD, BORN))
    shown = post.turn()
    next_one = post.tap(issue(store, CHILD + 1, BORN), seconds=5)

    assert "签到 IN" in told
    assert "TAPPED 1" in shown
    assert "签到 IN" in next_one


def test_torn_tap_before_the_word_is_attested_by_it(post: Post, store: FileKeyStore) -> None:
    """Torn alone, then the guardian, then the card again: in, and the guardian is recorded."""
    card = issue(store, CHILD, BORN)
    card.tear(Tear(ins=DEBIT, moment=Moment.BEFORE_ANSWER))
    post.tap(card, seconds=5)
    card.tear(None)
    post.press("4")
    post.tap(issue(store, VOLUNTEER), seconds=5)
    told = post.tap(card, seconds=5)

    assert "GUARDIAN OK" in told
    assert "TAPPED 1" in post.turn()


def test_child_behind_key_four_is_not_the_guardian(post: Post, store: FileKeyStore) -> None:
    """It is told so, nothing is written to its card, and the guardian is still waited for."""
    child = issue(store, CHILD, BORN)
    post.tap(child, seconds=90)
    post.press("4")
    told = post.tap(child, seconds=4)
    waiting = post.turn()
    word = post.tap(issue(store, VOLUNTEER), seconds=4)
    post.press("n")
    post.bench.clock.advance(3600)
    left = post.tap(child)

    assert "ADULT'S CARD PLEASE" in told
    assert post.payload(EventType.REJECTED)["reason"] == RejectReason.MINOR_ALONE
    assert "GUARDIAN, TAP NOW" in waiting
    assert "监护 GUARDIAN" in word
    assert "签退 OUT" in left


def test_listed_card_gives_no_word(post: Post, store: FileKeyStore) -> None:
    """A lost card behind key 4 is recorded in red, and opens no group."""
    post.station.notices.hotlist = HotlistBitmap(7, 0, CardSet.of([asn(VOLUNTEER)]))
    post.press("4")
    told = post.tap(issue(store, VOLUNTEER), seconds=4)
    waiting = post.turn()
    word = post.tap(issue(store, OTHER), seconds=4)

    assert "CARD REPORTED LOST" in told
    assert "GUARDIAN, TAP NOW" in waiting
    assert "监护 GUARDIAN" in word
    assert "CHILDREN, TAP NOW" in post.turn()


@pytest.mark.parametrize("keys", ["n", "y", "1", "0", "6n", "4n", "9", "5n"])
def test_word_ends_with_its_group(post: Post, store: FileKeyStore, keys: str) -> None:
    """Whatever key ends the group, the next family's child needs its own guardian."""
    post.press("4")
    post.tap(issue(store, VOLUNTEER), seconds=4)
    post.press(keys)

    assert "GUARDIAN NEEDED" in post.tap(issue(store, CHILD, BORN))


def test_undo_in_a_group_takes_the_child_off(post: Post, store: FileKeyStore) -> None:
    """Key 2 leaves the group open, counts the child no more, and then again once."""
    child = issue(store, CHILD, BORN)
    post.press("4")
    post.tap(issue(store, VOLUNTEER), seconds=4)
    post.tap(child, seconds=4)
    post.press("2")
    post.bench.clock.advance(4)
    none = post.turn()
    post.tap(child, seconds=4)

    assert "TAPPED 0" in none
    assert "TAPPED 1" in post.turn()
    assert [e.flags & Flag.GUARDIAN_PRESENT for e in post.events(EventType.IN)] == [
        Flag.GUARDIAN_PRESENT,
        Flag.GUARDIAN_PRESENT,
    ]
