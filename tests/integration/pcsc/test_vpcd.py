# SPDX-License-Identifier: Apache-2.0
"""The plug speaks vpcd's protocol: checked against a reader of a few lines, without pcscd."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.errors import CardGone
from hardware_mocks.cardos.faults import Mute
from hardware_mocks.cardos.tear import Moment, Tear
from hardware_mocks.vpcd import Plug
from tests.unit.hardware_mocks.cardos import issuing

SELECT = b"\x00\xa4\x04\x00\x06" + issuing.AID
TIMEOUT_S = 5.0


class Reader:
    """vpcd's side: listens, sends length and message apart, as vpcd 3.3 does."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT_S)
        self.port = self._listener.getsockname()[1]
        self._link: socket.socket | None = None

    def accept(self) -> None:
        """Take the card that connects."""
        if self._link:
            self._link.close()
        self._link, _ = self._listener.accept()
        self._link.settimeout(TIMEOUT_S)

    def send(self, message: bytes) -> None:
        """Send one message."""
        assert self._link is not None
        self._link.sendall(len(message).to_bytes(2, "big"))
        self._link.sendall(message)

    def receive(self) -> bytes:
        """Return the next message, empty when the card is gone."""
        assert self._link is not None
        head = self._link.recv(2)
        return self._link.recv(int.from_bytes(head, "big")) if head else b""

    def hang_up(self) -> None:
        """Close the link, as vpcd does when a card does not answer."""
        assert self._link is not None
        self._link.close()

    def close(self) -> None:
        """Close link and listener."""
        if self._link:
            self._link.close()
        self._listener.close()


@pytest.fixture
def reader() -> Iterator[Reader]:
    """A listening reader."""
    reader = Reader()
    yield reader
    reader.close()


@pytest.fixture
def gone() -> threading.Event:
    """Set when the plug reports that its card was pulled."""
    return threading.Event()


@pytest.fixture
def card() -> VirtualCard:
    """An issued card with an antenna, without power."""
    card = VirtualCard(contactless=True)
    issuing.personalise(issuing.Session(card.transmit))
    card.power_off()
    return card


@pytest.fixture
def plug(reader: Reader, card: VirtualCard, gone: threading.Event) -> Iterator[Plug]:
    """The card in the reader."""
    plug = Plug(card, reader.port, lambda _plug: gone.set())
    plug.insert()
    reader.accept()
    yield plug
    plug.abandon()


@pytest.mark.usefixtures("plug")
def test_atr_is_given_at_any_time(reader: Reader, card: VirtualCard) -> None:
    """Control byte 04 is answered with the ATR, also without power and between APDUs."""
    for message in (b"\x04", b"\x01", b"\x04", SELECT, b"\x04"):
        reader.send(message)
        if message == b"\x04":
            assert reader.receive() == card.atr
        elif len(message) > 1:
            assert reader.receive()[-2:] == b"\x90\x00"


@pytest.mark.usefixtures("plug")
def test_power_and_reset_are_obeyed_silently(reader: Reader) -> None:
    """Power on, reset and power off change the card and answer nothing."""
    reader.send(b"\x01")
    reader.send(SELECT)
    assert reader.receive()[-2:] == b"\x90\x00"
    reader.send(b"\x02")
    reader.send(bytes.fromhex("00B2AAC800"))
    assert reader.receive() == bytes.fromhex("6A82")  # after the reset the MF is current


def test_removal_ends_the_connection(reader: Reader, plug: Plug, card: VirtualCard) -> None:
    """A card that is taken away takes its connection and its power with it."""
    reader.send(b"\x01")
    plug.remove()

    assert reader.receive() == b""
    assert not card.powered


@pytest.mark.usefixtures("plug")
def test_torn_card_disappears_without_an_answer(
    reader: Reader, card: VirtualCard, gone: threading.Event
) -> None:
    """A planned cut ends the connection instead of an answer, and is reported."""
    card.tear(Tear(ins=0xA4, moment=Moment.BEFORE_ANSWER))
    reader.send(b"\x01")
    reader.send(SELECT)

    assert reader.receive() == b""
    assert gone.wait(TIMEOUT_S)
    with pytest.raises(CardGone):
        card.transmit(SELECT)


@pytest.mark.usefixtures("plug")
def test_mute_card_is_given_up_and_comes_back(
    reader: Reader, card: VirtualCard, gone: threading.Event
) -> None:
    """A silent card loses its connection after a while and connects again: it was not pulled."""
    card.plan(Mute(seconds=0.05))
    reader.send(b"\x01")
    reader.send(SELECT)
    assert reader.receive() == b""
    reader.accept()
    reader.send(b"\x01")
    reader.send(SELECT)

    assert reader.receive()[-2:] == b"\x90\x00"
    assert not gone.is_set()


def test_torn_card_is_known_to_be_gone_before_the_reader_knows(
    reader: Reader, card: VirtualCard
) -> None:
    """Who sees the connection end may put the next card in: the slot is free already."""
    card.tear(Tear())
    order: list[str] = []
    plug = Plug(card, reader.port, lambda _plug: order.append("free"))
    plug.insert()
    reader.accept()
    reader.send(b"\x01")
    reader.send(SELECT)
    assert reader.receive() == b""
    order.append("seen")
    plug.abandon()

    assert order == ["free", "seen"]


@pytest.mark.usefixtures("plug")
def test_reader_that_comes_back_finds_the_card(reader: Reader, gone: threading.Event) -> None:
    """When pcscd goes and comes back the card connects again by itself."""
    reader.accept()  # closes the first link
    reader.send(b"\x01")
    reader.send(SELECT)

    assert reader.receive()[-2:] == b"\x90\x00"
    assert not gone.is_set()


def test_removal_is_noticed_by_the_next_poll(reader: Reader, plug: Plug) -> None:
    """A card removed between commands is gone for the reader at its next question for the ATR."""
    reader.send(b"\x04")
    assert reader.receive()
    plug.remove()
    assert not plug.wait_noticed(0)
    reader.send(b"\x04")
    assert reader.receive() == b""
    reader.hang_up()

    assert plug.wait_noticed(TIMEOUT_S)


def test_connected_card_is_seen_at_the_next_poll(reader: Reader, plug: Plug) -> None:
    """A connection, and a power-on for the card before, are not yet a look at this card."""
    reader.send(b"\x01")
    reader.send(b"\x04")  # belongs to the power-on
    assert reader.receive()
    assert not plug.wait_seen(0)
    reader.send(b"\x04")
    assert reader.receive()

    assert plug.wait_seen(TIMEOUT_S)


def test_card_that_follows_a_torn_one_waits(reader: Reader, card: VirtualCard, plug: Plug) -> None:
    """After a cut in mid-command the reader finds the slot empty once before the next card."""
    card.tear(Tear())
    reader.send(b"\x01")
    reader.send(SELECT)
    assert reader.receive() == b""
    reader.hang_up()
    following = Plug(card, reader.port, lambda _plug: None, after=plug)
    following.insert()
    reader.accept()  # an empty hand
    reader.send(b"\x01")
    reader.send(b"\x04")  # belongs to the power-on, not to the presence poll
    assert reader.receive() == b""
    reader.hang_up()
    assert not plug.wait_noticed(0)
    reader.accept()
    reader.send(b"\x04")
    assert reader.receive() == b""
    reader.hang_up()
    assert plug.wait_noticed(TIMEOUT_S)

    reader.accept()
    reader.send(b"\x04")
    assert reader.receive() == card.atr
    following.abandon()


def test_card_removed_before_its_turn(reader: Reader, card: VirtualCard, plug: Plug) -> None:
    """A card that is taken away while the one before it is still leaving never connects."""
    plug.remove()
    following = Plug(card, reader.port, lambda _plug: None, after=plug)
    following.insert()
    following.remove()

    assert not following.wait_seen(0.2)
    following.abandon()


def test_plug_waits_for_a_reader(card: VirtualCard) -> None:
    """Without a reader the plug keeps trying and can be taken away again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    plug = Plug(card, port, lambda _plug: None)
    plug.insert()

    assert not plug.wait_seen(0.1)
    plug.abandon()
