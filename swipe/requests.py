# SPDX-License-Identifier: Apache-2.0
"""What a terminal signs besides its records: enrolment, a change of key, a question to the server.

Both sides build the same bytes here; the context keeps one purpose from being shown for another.
"""

from __future__ import annotations

import hashlib

ENROL_CONTEXT = b"yika/enrol/1\0"
ENROLLED_CONTEXT = b"yika/enrolled/1\0"
ROTATE_CONTEXT = b"yika/rotate/1\0"
CHANGED_CONTEXT = b"yika/rotated/1\0"
SUCCESSION_CONTEXT = b"yika/succession/1\0"
REQUEST_CONTEXT = b"yika/request/1\0"
STATUS_CONTEXT = b"yika/status/1\0"


def enrol_message(token: str, psam_no: bytes, dpk_idx: int) -> bytes:
    r"""Give what a new key signs to be enrolled: token ‖ 00 ‖ PSAM number (6) ‖ key index (1).

    >>> enrol_message("K7QF", bytes(6), 1)
    b'K7QF\x00\x00\x00\x00\x00\x00\x00\x01'
    """
    return b"\0".join((token.encode(), psam_no + bytes([dpk_idx])))


def enrolled_message(
    public_key: bytes, terminal_id: int, key_ids: tuple[int, int], *, replaces: bool
) -> bytes:
    """Give what the server signs in answer to an enrolment.

    Terminal (8) ‖ the key's number (4) ‖ the server key's number (4) ‖ 01 for a box that replaces
    another, else 00 ‖ the new key.

    >>> enrolled_message(b"K", 7, (2, 1), replaces=False).hex()
    '00000000000000070000000200000001004b'
    """
    numbers = b"".join(number.to_bytes(4) for number in key_ids)
    return terminal_id.to_bytes(8) + numbers + bytes([replaces]) + public_key


def change_message(terminal_id: int, old_key_id: int, public_key: bytes) -> bytes:
    """Give what both keys sign for a change: terminal (8) ‖ old key's number (4) ‖ new key.

    >>> change_message(7, 1, b"K").hex()
    '0000000000000007000000014b'
    """
    return terminal_id.to_bytes(8) + old_key_id.to_bytes(4) + public_key


def changed_message(terminal_id: int, key_id: int, public_key: bytes) -> bytes:
    """Give what the server signs in answer: terminal (8) ‖ the new key's number (4) ‖ new key.

    >>> changed_message(7, 2, b"K").hex()
    '0000000000000007000000024b'
    """
    return terminal_id.to_bytes(8) + key_id.to_bytes(4) + public_key


def succession_message(
    public_key: bytes, receipt: bytes, head: bytes, figures: tuple[int, ...]
) -> bytes:
    """Give what the server signs for a new box.

    Its key ‖ last receipt ‖ hash of the last event held (32) ‖ that one's number, boot, in, out,
    rejected. The key is the one that asked (32, or 64 of SM2), a figure has 4 bytes; the receipt
    names the terminal.

    >>> succession_message(b"K", b"R", b"H", (4, 3, 2, 1, 0)).hex()
    '4b52480000000400000003000000020000000100000000'
    """
    return public_key + receipt + head + b"".join(figure.to_bytes(4) for figure in figures)


def request_message(method: str, path: str, utc_ms: int, body: bytes = b"") -> bytes:
    r"""Give what a terminal signs to ask: method ‖ 00 ‖ path ‖ 00 ‖ utc_ms in decimal.

    A request with a body goes on with 00 ‖ SHA-256 of the body (32).

    >>> request_message("GET", "/api/v1/terminals/7/config", 1)
    b'GET\x00/api/v1/terminals/7/config\x001'
    """
    message = f"{method}\0{path}\0{utc_ms}".encode()
    return message + b"\0" + hashlib.sha256(body).digest() if body else message


def status_message(terminal_id: int, status: bytes) -> bytes:
    r"""Give what a terminal signs to say how it does: terminal (8) ‖ the status in JSON.

    >>> status_message(7, b"{}")
    b'\x00\x00\x00\x00\x00\x00\x00\x07{}'
    """
    return terminal_id.to_bytes(8) + status
