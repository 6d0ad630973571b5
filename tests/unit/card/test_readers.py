# SPDX-License-Identifier: Apache-2.0
"""The PC/SC driver over a scripted winscard: codes become facts, waiting comes back."""

from __future__ import annotations

import time
from typing import Any

import pytest

from card.errors import (
    CardError,
    CardRemoved,
    MuteCard,
    NoCard,
    NoPermission,
    NoReader,
    NoService,
    ReaderBusy,
    ReaderError,
)
from card.readers import open_reader
from card.readers.pcsc import PcscReader
from card.readers.winscard import Context

EMPTY, PRESENT, UNKNOWN = 0x10, 0x20, 0x04
TIMEOUT = 0x8010000A - (1 << 32)  # as pyscard gives it: signed


class FakeScard:
    """winscard's calls, each answered from its own list; the last answer stays."""

    SCARD_SCOPE_USER = 0
    SCARD_SHARE_EXCLUSIVE = 1
    SCARD_PROTOCOL_T0 = 1
    SCARD_PROTOCOL_T1 = 2
    SCARD_PCI_T0 = "pci-t0"
    SCARD_PCI_T1 = "pci-t1"
    SCARD_RESET_CARD = 1
    SCARD_UNPOWER_CARD = 2
    SCARD_LEAVE_CARD = 0

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = answers
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls.append(f"{name} {arguments[-1]}")
            left = self.answers.get(name, [0])
            return left.pop(0) if len(left) > 1 else left[0]

        return call


def _reader(**answers: list[Any]) -> tuple[PcscReader, FakeScard]:
    base: dict[str, list[Any]] = {
        "SCardEstablishContext": [(0, 7)],
        "SCardConnect": [(0, 8, 1)],
        "SCardStatus": [(0, "r", 0, 1, [0x3B, 0x00])],
        "SCardReconnect": [(0, 2)],
        "SCardDisconnect": [0],
        "SCardReleaseContext": [0],
    }
    library = FakeScard(**{**base, **answers})
    return PcscReader("pcsc:r", lambda: Context(library), settle_s=60.0), library


def _change(state: int) -> tuple[int, list[Any]]:
    return 0, [("r", state, [])]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x8010000C, NoCard),
        (0x80100066, MuteCard),
        (0x80100067, MuteCard),
        (0x8010000F, MuteCard),
        (0x80100009, NoReader),
        (0x80100017, NoReader),
        (0x8010001D, NoService),
        (0x8010006A, NoPermission),
        (0x80100069, CardRemoved),
        (0x80100001, ReaderError),
    ],
)
def test_connect_names_what_is_wrong(code: int, kind: type[CardError]) -> None:
    """Each code of SCardConnect becomes the fact a person can act on."""
    reader, _ = _reader(SCardConnect=[(code - (1 << 32), 0, 0)])

    with pytest.raises(kind):
        reader.connect()


def test_a_card_in_use_is_tried_for_a_moment() -> None:
    """Another program that looks at a card for a moment is waited for."""
    busy = (0x8010000B - (1 << 32), 0, 0)
    reader, _ = _reader(SCardConnect=[busy, busy, (0, 8, 1)])

    assert reader.connect().atr.hex() == "3b00"


def test_a_session_lost_with_the_service_is_begun_again() -> None:
    """The first call after a restart of the service opens a new session and goes on."""
    lost = (0x8010001D - (1 << 32), 0, 0)
    reader, library = _reader(
        SCardGetStatusChange=[_change(PRESENT)], SCardConnect=[lost, (0, 8, 1)]
    )
    reader.wait_card(0.0)
    reader.connect().close()

    assert sum(call.startswith("SCardEstablishContext") for call in library.calls) == 2


def test_t1_keeps_le_and_uses_its_own_header() -> None:
    """The protocol the card chose decides how commands go out."""
    reader, library = _reader(SCardConnect=[(0, 8, 2)], SCardTransmit=[(0, [0x90, 0x00])])
    connection = reader.connect()
    connection.transmit(bytes.fromhex("00A40000023F0000"))

    assert library.calls[-1] == f"SCardTransmit {list(bytes.fromhex('00A40000023F0000'))}"


@pytest.mark.parametrize(
    "answer", [(0x80100016 - (1 << 32), []), (0x80100069 - (1 << 32), []), (0, [])]
)
def test_a_card_that_stops_answering_has_left(answer: tuple[int, list[int]]) -> None:
    """Not transacted, removed or an empty answer: the card left; it is not reset then."""
    reader, library = _reader(SCardTransmit=[answer])
    connection = reader.connect()
    with pytest.raises(CardRemoved):
        connection.transmit(bytes.fromhex("0084000004"))
    connection.close()

    assert library.calls[-1] == "SCardDisconnect 0"


def test_after_a_card_left_the_next_one_is_powered_anew() -> None:
    """A card that came before the service looked is powered, and only once."""
    reader, library = _reader(SCardTransmit=[(0, []), (0, [0x90, 0x00])])
    connection = reader.connect()
    with pytest.raises(CardRemoved):
        connection.transmit(bytes.fromhex("0084000004"))
    reader.connect().close()
    reader.connect().close()

    assert [call for call in library.calls if call.startswith("SCardReconnect")] == [
        "SCardReconnect 2"
    ]
    assert library.calls[-1] == "SCardDisconnect 1"


def test_a_card_that_left_unnoticed_is_not_taken_for_the_next() -> None:
    """While the service still reports the card that has left, a short wait says it is there."""
    reader, _ = _reader(
        SCardGetStatusChange=[
            _change(0x10000 | PRESENT),
            _change(0x10000 | PRESENT),
            (TIMEOUT, []),
        ],
        SCardTransmit=[(0, [])],
    )
    reader.wait_card(0.0)
    connection = reader.connect()
    with pytest.raises(CardRemoved):
        connection.transmit(bytes.fromhex("0084000004"))
    connection.close()

    assert reader.wait_removed(0.0) is False


def test_a_card_that_cannot_be_powered_anew_is_let_go() -> None:
    """A failure between taking a card and using it leaves no lock behind."""
    reader, library = _reader(SCardTransmit=[(0, [])], SCardReconnect=[(0x80100069 - (1 << 32), 0)])
    connection = reader.connect()
    with pytest.raises(CardRemoved):
        connection.transmit(bytes.fromhex("0084000004"))
    connection.close()
    with pytest.raises(CardRemoved):
        reader.connect()

    assert library.calls[-1] == "SCardDisconnect 0"


def test_waiting_sleeps_in_the_service() -> None:
    """A wait is one call that lasts, not a loop of short ones."""
    reader, library = _reader(SCardGetStatusChange=[_change(EMPTY), _change(0x10000 | PRESENT)])

    assert reader.wait_card(5.0)
    waits = [call for call in library.calls if call.startswith("SCardGetStatusChange")]
    assert len(waits) == 2


def test_a_wait_ends_at_its_time() -> None:
    """No card in time is False, not an error."""
    reader, _ = _reader(SCardGetStatusChange=[_change(EMPTY), (TIMEOUT, [])])

    assert reader.wait_card(0.0) is False


def test_a_reader_that_comes_back_ends_the_wait() -> None:
    """A reader unplugged and plugged in again is found by the same object."""
    reader, _ = _reader(
        SCardGetStatusChange=[
            (0x80100009 - (1 << 32), []),
            (TIMEOUT, []),
            _change(UNKNOWN),
            (TIMEOUT, []),
            _change(PRESENT),
        ]
    )

    assert reader.wait_card(5.0)


def test_an_absent_reader_is_named_at_the_end() -> None:
    """Only when the time is over is the missing reader an error."""
    reader, _ = _reader(SCardGetStatusChange=[(0x80100009 - (1 << 32), [])])
    started = time.monotonic()

    with pytest.raises(NoReader):
        reader.wait_card(0.3)
    assert time.monotonic() - started >= 0.3


def test_removal_is_seen_by_the_count_of_events() -> None:
    """A card exchanged between two looks has left, though one lies there again."""
    reader, _ = _reader(
        SCardGetStatusChange=[_change(0x10000 | PRESENT), _change(0x30000 | PRESENT)]
    )
    reader.wait_card(0.0)

    assert reader.wait_removed(5.0)


def test_a_card_that_stays_is_still_there() -> None:
    """Without any event the wait for removal ends with False."""
    reader, _ = _reader(
        SCardGetStatusChange=[
            _change(0x10000 | PRESENT), _change(0x10000 | PRESENT), (TIMEOUT, []),
        ]
    )  # fmt: skip
    reader.wait_card(0.0)

    assert reader.wait_removed(0.0) is False


def test_a_lost_service_is_no_removal() -> None:
    """Whether the card still lies there nobody knows: the loss is told, the next look goes on."""
    lost: tuple[int, list[Any]] = (0x8010001D - (1 << 32), [])
    reader, _ = _reader(
        SCardGetStatusChange=[_change(0x10000 | PRESENT), lost, _change(0x10000 | PRESENT)]
    )
    reader.wait_card(0.0)

    with pytest.raises(NoService):
        reader.wait_removed(5.0)
    assert reader.wait_card(0.0)


@pytest.mark.parametrize("name", ["usb:1", "pcsc:", "Yika", "serial:", "serial:?model=x"])
def test_unknown_schemes_are_refused(name: str) -> None:
    """A reader's name says how it is reached."""
    with pytest.raises(NoReader):
        open_reader(name)


def test_a_busy_card_is_given_up_after_a_while() -> None:
    """A program that keeps the card is named."""
    reader, _ = _reader(SCardConnect=[(0x8010000B - (1 << 32), 0, 0)])

    with pytest.raises(ReaderBusy):
        reader.connect()
