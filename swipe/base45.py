# SPDX-License-Identifier: Apache-2.0
"""Base 45 (RFC 9285): bytes in the alphabet that a QR code packs into 5.5 bits a character."""

from __future__ import annotations

from swipe.errors import FieldError

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUE = {char: value for value, char in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """Write bytes: three characters for two bytes, two for a single one at the end.

    >>> encode(b"Hello!!")
    '%69 VD92EX0'
    """
    out = []
    for at in range(0, len(data) - 1, 2):
        rest, low = divmod(int.from_bytes(data[at : at + 2]), 45)
        high, middle = divmod(rest, 45)
        out += [ALPHABET[low], ALPHABET[middle], ALPHABET[high]]
    if len(data) % 2:
        high, low = divmod(data[-1], 45)
        out += [ALPHABET[low], ALPHABET[high]]
    return "".join(out)


def decode(text: str) -> bytes:
    """Read the bytes back.

    Raises:
        FieldError: A character, a length or a group of characters that no bytes give.

    >>> decode("QED8WEX0")
    b'ietf!'
    """
    try:
        values = [_VALUE[char] for char in text]
    except KeyError as exc:
        raise FieldError("base45", "a character that is none of the 45") from exc
    if len(values) % 3 == 1:
        raise FieldError("base45", f"{len(values)} characters, which no bytes give")
    out = bytearray()
    for at in range(0, len(values), 3):
        group = values[at : at + 3]
        number = sum(value * 45**place for place, value in enumerate(group))
        width = len(group) - 1
        if number >= 1 << (8 * width):
            raise FieldError("base45", f"group {at // 3} is too large")
        out += number.to_bytes(width)
    return bytes(out)
