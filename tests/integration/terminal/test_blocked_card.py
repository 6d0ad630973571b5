# SPDX-License-Identifier: Apache-2.0
"""A blocked card: its holder is sent to the desk, and the journal keeps that it was here."""

from __future__ import annotations

import pytest

from card.commands import application_block, select_name
from card.files import VOLUNTEER_AID
from card.operation import Connection, exchange, run
from card.secure_messaging import maced
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from swipe import payloads
from swipe.event import Event
from swipe.kinds import CardKind, EventType, RejectReason
from terminal.policy import Say
from terminal.tap import present
from tests.integration.terminal.bench import Bench, asn, connect, issue

INITIALIZE = 0x50


class Locked:
    """A connection to a card whose purchase key is locked."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Refuse INITIALIZE, pass on everything else."""
        return (b"", 0x6983) if apdu[1] == INITIALIZE else self._inner.transmit(apdu)


def refusal(bench: Bench) -> Event:
    """Return the newest event, which must say that a blocked card was turned away."""
    bench.desk.write_notes()
    event = bench.events()[-1]
    assert event.type == EventType.REJECTED
    assert payloads.parse(event.type, event.payload)["reason"] == RejectReason.CARD_BLOCKED
    return event


@pytest.mark.parametrize("p2", [0, 1], ids=["until unblocked", "for good"])
def test_blocked_application_is_named_and_recorded(
    bench: Bench, store: FileKeyStore, p2: int
) -> None:
    """A card blocked under its keys is sent to the desk; its serial cannot be read any more."""
    card = issue(store, 1)
    connection = connect(card)
    run(exchange(select_name(VOLUNTEER_AID)), connection)
    key = store.card_key(KeyUsage.MAINTENANCE, 1, asn(1)[2:])
    run(maced(application_block(p2), key), connection)
    card.reset()
    outcome = bench.tap(card)

    assert (outcome.say, outcome.code) == (Say.CARD_BLOCKED, "")
    assert refusal(bench).card_asn == bytes(10)


def test_card_locked_in_mid_tap_is_recorded_with_its_serial(
    bench: Bench, store: FileKeyStore
) -> None:
    """What was read before the refusal stands in the record of it."""
    outcome = present(bench.desk, Locked(connect(issue(store, 1))))
    event = refusal(bench)

    assert outcome.say is Say.CARD_BLOCKED
    assert (event.card_asn, event.card_kind) == (asn(1), CardKind.PBOC_PURSE)
