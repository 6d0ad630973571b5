# SPDX-License-Identifier: Apache-2.0
"""Check that a request comes from a terminal: a signature over method, path and time.

Header: `Authorization: Yika-Terminal <utc_ms>.<signature hex>`, the signature being over
"yika/request/1" 00 ‖ METHOD ‖ 00 ‖ path ‖ 00 ‖ utc_ms in decimal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy.orm import Session

from keys.verify import verify
from server.errors import Problem
from server.terminals import policy
from server.terminals.models import Terminal, TerminalKey
from server.terminals.services import keys_of
from swipe.requests import REQUEST_CONTEXT, request_message

_HEADER = re.compile(r"Yika-Terminal (\d{1,15})\.([0-9a-f]{128})", re.ASCII)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The parts of a request that the signature covers, and the header that carries it."""

    method: str
    path: str
    authorization: str | None
    body: bytes = b""


def authenticate(
    session: Session, terminal_id: int, request: SignedRequest, now_ms: int
) -> Terminal:
    """Return the terminal whose valid key signed the request, its row locked.

    Raises:
        Problem: 401, for whatever reason; the text tells a wrong clock from a wrong signature.
    """
    found = _HEADER.fullmatch(request.authorization or "")
    terminal = session.get(Terminal, terminal_id, with_for_update=True)
    if found is None or terminal is None or terminal.state in ("pending", "revoked"):
        raise _refusal("终端未知、未批准或已停用", "terminal unknown, not approved or revoked")
    utc_ms, signature = int(found[1]), bytes.fromhex(found[2])
    data = request_message(request.method, request.path, utc_ms, request.body)
    valid = [key for key in keys_of(session, terminal_id) if in_force(key)]
    if not any(verify(key.public_key, signature, REQUEST_CONTEXT, data) for key in valid):
        raise _refusal("请求签名不对", "the signature of the request is wrong")
    if abs(now_ms - utc_ms) > policy.REQUEST_SKEW_MS:
        raise _refusal(
            "终端时钟与服务器相差超过一天，请先上传以校时",
            "the terminal's clock is more than a day off; upload first, the receipt sets it",
            server_utc_ms=now_ms,
        )
    return terminal


def in_force(key: TerminalKey) -> bool:
    """Say whether a key may ask: approved, not revoked, and not ended by another key."""
    return key.valid_from_ms is not None and key.revoked_ms is None and key.until_seq is None


def _refusal(zh: str, en: str, **facts: int) -> Problem:
    return Problem(401, "terminal-refused", zh, en, **facts)
