# SPDX-License-Identifier: Apache-2.0
"""A general purse card: PIN, passbook and purse with all their keys, under 3DES or SM4.

Its keys are public: they belong to test cards. It is issued with plain commands while its
directories are still free, as the vendor's example does (FMCOS 2.0 technical manual).
"""

from __future__ import annotations

from hardware_mocks.cardos.algorithms import DES, SM4, Algorithm
from hardware_mocks.cardos.shell import ChipCard

NAME = bytes.fromhex("A00000000386980701")
FID = 0x3F01
SELECT = b"\x00\xa4\x04\x00\x09" + NAME
PIN = bytes.fromhex("123456")
PIN_ROOM = 6
PIN_STATE = 0x01
CONTROL_STATE = 0x0F

PASSBOOK, PURSE = 0x01, 0x02

CONTROL = bytes(range(0x10, 0x20))
MAINTENANCE = bytes(range(0x20, 0x30))
UNBLOCKING = bytes(range(0x30, 0x40))
RELOADING = bytes(range(0x40, 0x50))
PURCHASE = bytes(range(0x50, 0x60))
LOAD = bytes(range(0x60, 0x70))
UNLOAD = bytes(range(0x70, 0x80))
LIMIT = bytes(range(0x80, 0x90))
INTERNAL = bytes(range(0x90, 0xA0))
PRESENCE = bytes(range(0xA0, 0xB0))

# kind, number, the four header bytes after the kind, key
_KEYS = (
    (0x36, 0x00, "F0FFFF33", MAINTENANCE),
    (0x37, 0x00, "F0FFFF33", UNBLOCKING),
    (0x38, 0x00, "F0FFFF33", RELOADING),
    (0x39, 0x00, "F0FF0F33", CONTROL),
    (0x3E, 0x01, "F0FF0100", PURCHASE),
    (0x3F, 0x01, "F1FF0100", LOAD),
    (0x3D, 0x01, "F1FF0100", UNLOAD),
    (0x3C, 0x01, "F1FF0100", LIMIT),
    (0x34, 0x00, "F0FF0100", INTERNAL),
    (0x30, 0x01, "F0FF0100", PRESENCE),
)
_COUNTED = (0x36, 0x37, 0x38, 0x39)
_SM4 = 0x04

# Every type of file, plain, MACed (A8), encrypted (68) and both (E8).
_FILES = (
    "80E0001507A8001EF0F0FFFF",
    "80E000160728 0040F0F1FFFF",
    "80E0001707E80040F1F1FF7F",
    "80E00018072E0A17F1EFFFFF",
    "80E00019072C0080F0F0FFFF",
    "80E0001A07AA0410F0F0FFFF",
    "80E0001B076E0408F0F0FFFF",
    "80E00001072F0208F000FF18",
    "80E00002072F0208F000FF18",
)
RECORD = bytes.fromhex("AA0E") + bytes(14)
FACE = bytes(range(30))


def issue(chip: ChipCard, algorithm: Algorithm = DES) -> None:
    """Make a purse card of a blank one.

    Raises:
        AssertionError: the card refused a command of its own issuing.
    """
    _send(chip, bytes.fromhex("80E03F000D38FFFFF0F001FFFFFFFFFFFFFF"))
    _send(chip, bytes.fromhex("80E03F011138 0FFFF0F095FFFF") + NAME)
    _send(chip, SELECT)
    _send(chip, bytes.fromhex("80E00000073F020095FFFFFF"))
    for create in _FILES:
        _send(chip, bytes.fromhex(create))
    _send(chip, b"\x00\xe2\x00\xcc\x10" + RECORD)
    for kind, number, head, key in _KEYS:
        _send(chip, _write_key(number, bytes((kind,)) + _header(kind, head, algorithm) + key))
        if kind == 0x36:
            _write_face(chip, algorithm)
    pin = PIN.ljust(PIN_ROOM, b"\xff")
    _send(chip, _write_key(0x00, bytes.fromhex("3AF0EF0133") + pin))
    chip.reset()


def _header(kind: int, head: str, algorithm: Algorithm) -> bytes:
    header = bytes.fromhex(head)
    if algorithm is not SM4:
        return header
    return header + bytes((_SM4,)) if kind in _COUNTED else header[:-1] + bytes((_SM4,))


def _write_key(number: int, record: bytes) -> bytes:
    return bytes((0x80, 0xD4, 0x01, number, len(record))) + record


def _write_face(chip: ChipCard, algorithm: Algorithm) -> None:
    challenge = _send(chip, bytes.fromhex("0084000004"))
    signed = bytes((0x04, 0xD6, 0x95, 0x00, len(FACE) + 4)) + FACE
    _send(chip, signed + algorithm.message_mac(MAINTENANCE, challenge, signed))


def _send(chip: ChipCard, apdu: bytes) -> bytes:
    answer = chip.transmit(apdu)
    assert answer[-2] in (0x90, 0x61), f"{apdu.hex()} -> {answer.hex()}"
    return answer[:-2]
