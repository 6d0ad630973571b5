# SPDX-License-Identifier: Apache-2.0
"""Issue the day's cards and the hardware PSAM: from blank, through PC/SC, on several readers."""

from __future__ import annotations

import datetime as dt
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from card.card_keys import CardKeys
from card.operation import run
from card.personalise import personalise
from card.profile import CardData
from card.psam_issuing import PsamData, PsamKeys, personalise_psam
from card.readers import Reader, open_reader
from hardware_mocks.cardhost.client import Hand
from hardware_mocks.day.document import DAY
from hardware_mocks.day.furnish import Member
from hardware_mocks.pcsc import PcscStack
from keys.custody import KeyStore

# Two desk readers and, before the posts open, the two terminals' own.
ISSUING_SLOTS = ("desk-0", "desk-1", "pos-a", "pos-b")
DESK_SLOT = ISSUING_SLOTS[0]
KEY_VERSION = 1
VALID_YEARS = 5
ADULT_YEARS = 14
# pcscd sees a card after 0.4 s on an idle machine; this much on one that is very busy.
READER_TIMEOUT_S = 15.0
PSAM_SLOT = "psam-a"
PSAM_CARD = "psam-a"
PSAM_SERIAL = bytes.fromhex("59495053414d00000001")
PSAM_NUMBERS = {"A": bytes.fromhex("594900000001"), "B": bytes.fromhex("594900000002")}


class ReaderSilent(TimeoutError):
    """A card was put on a reader, or taken off, and PC/SC did not notice."""

    def __init__(self, slot: str, what: str) -> None:
        super().__init__(f"reader {slot}: {what} not noticed within {READER_TIMEOUT_S:.0f} s")


@dataclass(frozen=True, slots=True)
class Workshop:
    """What issuing needs: readers with a hand for the cards, and keys."""

    stack: PcscStack
    store: KeyStore


def issue_psam(shop: Workshop) -> None:
    """Make a blank PSAM, issue it in terminal A's second slot and leave it there."""
    with shop.stack.hand() as hand:
        hand.blank(PSAM_CARD, kind="psam")
        hand.insert(PSAM_SLOT, PSAM_CARD)
    reader = open_reader(f"pcsc:{shop.stack.reader_of(PSAM_SLOT)}")
    data = PsamData(PSAM_SERIAL, PSAM_NUMBERS["A"])
    keys = PsamKeys.from_store(shop.store.for_new_cards(), PSAM_SERIAL, KEY_VERSION)
    _await_card(reader, PSAM_SLOT)
    connection = reader.connect()
    try:
        run(personalise_psam(data, keys), connection)
    finally:
        connection.close()
        reader.close()


def lay_on_desk(stack: PcscStack, hand: Hand, card: str) -> None:
    """Put a card on the first desk reader and wait until PC/SC sees it."""
    hand.insert(DESK_SLOT, card)
    reader = open_reader(f"pcsc:{stack.reader_of(DESK_SLOT)}")
    try:
        _await_card(reader, DESK_SLOT)
    finally:
        reader.close()


def issue_cards(
    shop: Workshop, members: Iterable[Member], issued: Callable[[Member], None]
) -> None:
    """Issue one card to each member, side by side on all issuing readers.

    `issued` is called for each member whose card is done, one call at a time.
    """
    waiting: queue.Queue[Member | None] = queue.Queue()
    failed = threading.Event()
    report = threading.Lock()

    def work(slot: str) -> None:
        try:
            with shop.stack.hand() as hand:
                while not failed.is_set() and (member := waiting.get()) is not None:
                    _issue_one(shop, hand, slot, member)
                    with report:
                        issued(member)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(len(ISSUING_SLOTS), thread_name_prefix="issue") as pool:
        desks = [pool.submit(work, slot) for slot in ISSUING_SLOTS]
        try:
            for member in members:
                waiting.put(member)
        finally:
            for _ in ISSUING_SLOTS:
                waiting.put(None)
        for desk in desks:
            desk.result()


def _issue_one(shop: Workshop, hand: Hand, slot: str, member: Member) -> None:
    """Take a blank card and personalise it."""
    hand.blank(member.person.slot_card)
    hand.insert(slot, member.person.slot_card)
    reader = open_reader(f"pcsc:{shop.stack.reader_of(slot)}")
    try:
        _await_card(reader, slot)
        connection = reader.connect()
        try:
            data = card_data(member)
            keys = CardKeys.from_store(shop.store.for_new_cards(), data.asn, KEY_VERSION)
            run(personalise(data, keys), connection)
        finally:
            connection.close()
        hand.remove(slot)
        if not reader.wait_removed(READER_TIMEOUT_S):
            raise ReaderSilent(slot, "removal")
    finally:
        reader.close()


def card_data(member: Member) -> CardData:
    """Return what a member's card is going to hold; a birthday only where it is needed."""
    born = member.person.born
    minor = born.replace(year=born.year + ADULT_YEARS) > DAY
    return CardData(
        asn=bytes.fromhex(member.asn),
        valid_from=dt.date(DAY.year, 1, 1),
        valid_to=dt.date(DAY.year + VALID_YEARS, 12, 31),
        masked_name=member.masked_name,
        name=member.person.name,
        volunteer_number=member.number,
        birth_date=born if minor else None,
        minor_rules=minor,
        key_version=KEY_VERSION,
    )


def _await_card(reader: Reader, slot: str) -> None:
    if not reader.wait_card(READER_TIMEOUT_S):
        raise ReaderSilent(slot, "insertion")
