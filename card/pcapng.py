# SPDX-License-Identifier: Apache-2.0
"""A trace as a pcapng file that a stock Wireshark opens and decodes.

Each exchange is one GSMTAP packet of type SIM (UDP port 4729 over IPv4, link type 228), which
Wireshark dissects without any setting; the packet's comment holds what the declarations say, since
Wireshark does not know the purse commands. The file has one interface per reader, named after it,
and microsecond time stamps. Formats: draft-ietf-opsawg-pcapng; GSMTAP as libosmocore's gsmtap.h
lays it out; RFC 791; RFC 768.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from card.apdu import LE_MAX, CommandApdu
from card.errors import MalformedApdu
from card.trace import Exchange, Tape
from keys.files import write_private

LINKTYPE_IPV4 = 228
GSMTAP_PORT = 4729
SNAP_BYTES = 65_535
COMMENT_BYTES_MAX = 4_096  # a comment is read by people; a card cannot make it longer

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_END, _COMMENT, _NAME, _RESOLUTION, _APPLICATION = 0, 1, 2, 9, 4
_MICROSECONDS = b"\x06"
_GSMTAP_SIM = 4
_SUB_APDU, _SUB_ATR = 0, 1
_LOOPBACK = bytes((127, 0, 0, 1))
_UDP = 17

Comment = Callable[[Exchange], str]


def save(tape: Tape, path: Path, comment: Comment) -> None:
    """Write a tape as pcapng to a file that only its owner may read.

    Args:
        tape: The trace.
        path: The file; an older one is replaced.
        comment: What to say of an exchange, for people.
    """
    write_private(path, encode(tape, comment), replace=True)


def encode(tape: Tape, comment: Comment) -> bytes:
    """Return a tape as the bytes of a pcapng file.

    >>> encode(Tape(()), lambda item: "")[:4].hex()
    '0a0d0d0a'
    """
    readers = list(dict.fromkeys([tape.reader, *(item.reader for item in tape.exchanges)]))
    blocks = [_section()]
    blocks += [_interface(reader) for reader in readers]
    if tape.atr:
        packet = _gsmtap(_SUB_ATR, tape.atr)
        blocks.append(_packet(0, tape.started_us, packet, f"ATR {tape.atr.hex().upper()}"))
    for item in tape.exchanges:
        packet = _gsmtap(_SUB_APDU, exchange_bytes(item))
        when = tape.started_us + item.t_us
        blocks.append(_packet(readers.index(item.reader), when, packet, comment(item)))
    return b"".join(blocks)


def exchange_bytes(item: Exchange) -> bytes:
    """Return an exchange as GSMTAP holds it: CLA INS P1 P2 P3, data both ways, status word.

    P3 is Lc, or Le where there are no data to the card, as on a T=0 line.

    >>> item = Exchange(0, "", bytes.fromhex("0084000004"), bytes(4), 0x9000)
    >>> exchange_bytes(item).hex()
    '0084000004000000009000'
    """
    status = item.sw.to_bytes(2, "big")
    try:
        command = CommandApdu.from_bytes(item.command)
    except MalformedApdu:
        return item.command + item.answer + status
    third = len(command.data) or (command.le or 0) % LE_MAX
    return command.header + bytes([third]) + command.data + item.answer + status


def _section() -> bytes:
    options = _option(_APPLICATION, b"yika-card") + _option(_END, b"")
    return _block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1) + options)


def _interface(reader: str) -> bytes:
    name = _option(_NAME, reader.encode("utf-8")) if reader else b""
    options = name + _option(_RESOLUTION, _MICROSECONDS) + _option(_END, b"")
    return _block(_INTERFACE, struct.pack("<HHI", LINKTYPE_IPV4, 0, SNAP_BYTES) + options)


def _packet(interface: int, when_us: int, packet: bytes, comment: str) -> bytes:
    stamp = when_us & ((1 << 64) - 1)
    head = struct.pack(
        "<IIIII", interface, stamp >> 32, stamp & 0xFFFFFFFF, len(packet), len(packet)
    )
    coded = comment.encode("utf-8")[:COMMENT_BYTES_MAX].decode("utf-8", "ignore").encode("utf-8")
    options = _option(_COMMENT, coded) + _option(_END, b"") if coded else b""
    return _block(_PACKET, head + _padded(packet) + options)


def _block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _gsmtap(sub_type: int, payload: bytes) -> bytes:
    """Return an IPv4 packet from and to this host with a GSMTAP datagram in it."""
    gsmtap = struct.pack("!BBBBHBBIBBBB", 2, 4, _GSMTAP_SIM, 0, 0, 0, 0, 0, sub_type, 0, 0, 0)
    datagram = gsmtap + payload
    udp = struct.pack("!HHHH", GSMTAP_PORT, GSMTAP_PORT, 8 + len(datagram), 0)  # no checksum
    size = 20 + len(udp) + len(datagram)
    head = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, 64, _UDP, 0) + _LOOPBACK + _LOOPBACK
    check = _checksum(head)
    return head[:10] + check.to_bytes(2, "big") + head[12:] + udp + datagram


def _checksum(head: bytes) -> int:
    """Return the Internet checksum of an IPv4 header (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(head) // 2}H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
