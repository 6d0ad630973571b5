# SPDX-License-Identifier: Apache-2.0
"""A trace as pcapng: read back by a parser written from the format's own description."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from card.pcapng import COMMENT_BYTES_MAX, encode, exchange_bytes
from card.trace import Exchange, Tape

READ = Exchange(1_500, "pcsc:甲", bytes.fromhex("00B0950038"), bytes(56), 0x9000)
SELECT = Exchange(0, "pcsc:乙", bytes.fromhex("00A40000023F0000"), b"", 0x6A82)
TAPE = Tape((SELECT, READ), bytes.fromhex("3B6800"), "pcsc:甲", 1_800_000_000_000_000)


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet as the independent reader finds it."""

    interface: str
    when_us: int
    sub_type: int
    payload: bytes
    comment: str


def _blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk the blocks: type, total length twice, padded to 32 bits."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size % 4 == 0
        assert data[at + size - 4 : at + size] == struct.pack("<I", size)
        yield kind, data[at + 8 : at + size - 4]
        at += size
    assert at == len(data)


def _options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        code, size = struct.unpack_from("<HH", data, at)
        if code == 0:
            assert size == 0
            assert at + 4 == len(data)
            break
        found[code] = data[at + 4 : at + 4 + size]
        at += 4 + size + -size % 4
    return found


def _datagram(packet: bytes) -> bytes:
    """Check an IPv4 and a UDP header and return what the datagram carries."""
    assert packet[0] == 0x45
    assert struct.unpack_from("!H", packet, 2)[0] == len(packet)
    assert sum(struct.unpack("!10H", packet[:20])) % 0xFFFF == 0
    assert packet[9] == 17
    assert ipaddress.ip_address(packet[16:20]).is_loopback
    source, target, size, _ = struct.unpack_from("!HHHH", packet, 20)
    assert (source, target) == (4729, 4729)
    assert size == len(packet) - 20
    return packet[28:]


def _packets(data: bytes) -> list[Packet]:
    names: list[str] = []
    found: list[Packet] = []
    for number, (kind, body) in enumerate(_blocks(data)):
        if number == 0:
            assert kind == 0x0A0D0D0A
            assert body[:8] == struct.pack("<IHH", 0x1A2B3C4D, 1, 0)
        elif kind == 1:
            assert struct.unpack_from("<H", body)[0] == 228
            options = _options(body[8:])
            assert options[9] == b"\x06"
            names.append(options.get(2, b"").decode())
        else:
            assert kind == 6
            interface, high, low, kept, length = struct.unpack_from("<IIIII", body)
            assert kept == length
            gsmtap = _datagram(body[20 : 20 + kept])
            assert gsmtap[:3] == bytes((2, 4, 4))
            comment = _options(body[20 + kept + -kept % 4 :]).get(1, b"").decode()
            packet = Packet(names[interface], high << 32 | low, gsmtap[12], gsmtap[16:], comment)
            found.append(packet)
    return found


def test_the_file_holds_atr_and_every_exchange() -> None:
    """Packets come in order, each on its reader's interface, at its microsecond."""
    atr, select, read = _packets(encode(TAPE, lambda item: f"注 {item.sw:04X}"))

    assert (atr.sub_type, atr.payload, atr.interface) == (1, TAPE.atr, "pcsc:甲")
    assert (select.sub_type, select.interface) == (0, "pcsc:乙")
    assert select.payload == bytes.fromhex("00A40000023F006A82")
    assert read.when_us - select.when_us == 1_500
    assert select.when_us == TAPE.started_us
    assert read.payload == bytes.fromhex("00B0950038") + bytes(56) + bytes.fromhex("9000")
    assert read.comment == "注 9000"


@pytest.mark.parametrize(
    ("command", "head"),
    [
        ("00840000", "0084000000"),
        ("0084000008", "0084000008"),
        ("0020000002123400", "00200000021234"),
        ("00200000021234", "00200000021234"),
        ("00B2AAC800", "00B2AAC800"),
        ("00", "00"),
    ],
)
def test_exchanges_take_the_form_of_a_contact_line(command: str, head: str) -> None:
    """Every case of APDU becomes header, P3 and data; Le behind data is left off."""
    item = Exchange(0, "", bytes.fromhex(command), b"ab", 0x9000)

    assert exchange_bytes(item) == bytes.fromhex(head) + b"ab\x90\x00"


def test_a_comment_is_cut_between_characters() -> None:
    """A comment longer than the limit ends with a whole character."""
    (_, packet, _) = _packets(encode(TAPE, lambda _: "记" * COMMENT_BYTES_MAX))

    assert set(packet.comment) == {"记"}
    assert len(packet.comment) == COMMENT_BYTES_MAX // 3


def test_an_empty_trace_is_a_valid_file() -> None:
    """Nothing recorded still gives a section with an interface."""
    assert _packets(encode(Tape(()), lambda _: "")) == []
