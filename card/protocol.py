# SPDX-License-Identifier: Apache-2.0
"""What lies between an APDU and the wire: GET RESPONSE and wrong-length repeats.

Over T=0 a card cannot send data in answer to a command with data: it says 61xx and waits for
GET RESPONSE; a wrong Le is answered by 6Cxx (ISO/IEC 7816-3 §12.2). PC/SC hands both to us.

61xx says that the command itself was carried out (ISO/IEC 7816-4 §5.6). A GET RESPONSE that then
fails has lost its answer and nothing else: it is a fault of the transport, never the card's refusal
of the command.
"""

from __future__ import annotations

from collections.abc import Callable

from card.apdu import HEADER_BYTES, LE_MAX, CommandApdu, ResponseApdu
from card.errors import MalformedApdu, ProtocolFault
from card.operation import Connection

PARTS_MAX = 16  # 16 × 256 bytes: no answer of a PBOC card comes near
LENGTH_REPEATS_MAX = 1  # the card has named the right length; a second 6Cxx is a fault

_MORE = 0x61
_DONE = frozenset({0x90, 0x62, 0x63})  # done, or done with a warning
_WRONG_LE = 0x6C
_GET_RESPONSE = 0xC0


class ByteConnection:
    """Makes a connection of any function from command bytes to answer bytes.

    >>> ByteConnection(lambda apdu: bytes.fromhex("319000")).transmit(b"....")
    (b'1', 36864)
    """

    def __init__(self, send: Callable[[bytes], bytes]) -> None:
        self._send = send

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send the bytes and split the answer."""
        response = ResponseApdu.from_bytes(self._send(apdu))
        return response.data, response.sw


class T0Connection:
    """Answers 61xx and 6Cxx itself, so that callers see whole answers.

    It is safe over T=1 and contactless too, where 61xx is rare and 6Cxx is not used.

    Args:
        inner: The raw connection.
        strip_le: Leave Le off commands with data, as T=0 demands. False over T=1.
    """

    def __init__(self, inner: Connection, *, strip_le: bool = True) -> None:
        self._inner = inner
        self._strip_le = strip_le

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send a command, fetch all of its answer.

        Raises:
            ProtocolFault: The command was carried out and its answer cannot be fetched.
        """
        tpdu = self._as_tpdu(apdu) if self._strip_le else apdu
        data, sw = self._inner.transmit(tpdu)
        if sw >> 8 == _WRONG_LE:
            data, sw = self._again(tpdu, sw)
        if sw >> 8 != _MORE:
            return data, sw
        parts = [data]
        while sw >> 8 == _MORE:
            if len(parts) > PARTS_MAX:
                raise ProtocolFault("61xx without end")
            cla = apdu[0] & 0x03  # the logical channel, nothing else, belongs to GET RESPONSE
            tpdu = bytes((cla, _GET_RESPONSE, 0, 0, sw & 0xFF))
            data, sw = self._inner.transmit(tpdu)
            if sw >> 8 == _WRONG_LE:
                data, sw = self._again(tpdu, sw)
            parts.append(data)
        if sw >> 8 not in _DONE:
            raise ProtocolFault(f"GET RESPONSE is answered by {sw:04X}")
        return b"".join(parts), sw

    def _again(self, tpdu: bytes, sw: int) -> tuple[bytes, int]:
        """Send a command with the length that the card's 6Cxx names."""
        for _ in range(LENGTH_REPEATS_MAX):
            data, sw = self._inner.transmit(_with_le(tpdu, sw & 0xFF))
            if sw >> 8 != _WRONG_LE:
                return data, sw
        raise ProtocolFault("6Cxx without end")

    def _as_tpdu(self, apdu: bytes) -> bytes:
        size = len(apdu)
        if size == HEADER_BYTES + 1:
            return apdu
        if size == HEADER_BYTES:
            return apdu + b"\x00"  # case 1: P3 is part of every T=0 header
        after_data = size - HEADER_BYTES - 1 - apdu[HEADER_BYTES]
        if not apdu[HEADER_BYTES] or after_data not in (0, 1):
            raise MalformedApdu("data")
        return apdu[:-1] if after_data else apdu


def _with_le(tpdu: bytes, le: int) -> bytes:
    """Return the command with the length the card named.

    >>> _with_le(bytes.fromhex("00B0950000"), 0x38).hex()
    '00b0950038'
    """
    command = CommandApdu.from_bytes(tpdu)
    return CommandApdu(
        command.cla, command.ins, command.p1, command.p2, command.data, le or LE_MAX
    ).to_bytes()
