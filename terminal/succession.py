# SPDX-License-Identifier: Apache-2.0
"""Go on where a dead box ended: its last receipt, and its running figures.

The journal of a box that replaces another begins with the last receipt of the old one, which the
server signed: batches go on behind it. What a receipt does not say (the last event held, a later
one where records in the middle are missing, starts and running totals) comes with it, signed for
this box's key, stands in a small file beside it, and counts until the first event of the new box,
which repeats it, is durable.
"""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, dataclass

from keys.identity import Identity
from keys.verify import verify as verify_signature
from swipe.errors import SwipeError
from swipe.frames import FrameKind
from swipe.receipt import Receipt, verify
from swipe.requests import (
    REQUEST_CONTEXT,
    SUCCESSION_CONTEXT,
    request_message,
    succession_message,
)
from terminal.errors import BadAnswer, Refused, SuccessionLost, SuccessionRefused
from terminal.files import JOURNAL_DRAFT
from terminal.journal import Journal
from terminal.passport import Passport
from terminal.recover import BOOT_SKIP
from terminal.state import State
from terminal.storage import Disk
from terminal.transport import Request, Transport

SUCCESSION_PATH = "/api/v1/terminals/{}/succession"
SUCCESSION = "succession.json"
COUNT_MAX = 0xFFFF_FFFF
HEAD_SIZE = 32


@dataclass(frozen=True, slots=True)
class Figures:
    """The old box's last event that the server holds (number, hash in hex), and what it counted."""

    head: str
    last_seq: int
    boot: int
    n_in: int
    n_out: int
    n_rej: int


def succeed(disk: Disk, identity: Identity, passport: Passport, transport: Transport) -> bool:
    """Let the journal's draft begin behind the old box's last receipt; False while unapproved.

    Raises:
        ServerError: No answer, or a refusal.
        BadAnswer: What came is not this server's, for this terminal and this box.
    """
    raw = fetch_figures(disk, identity, passport, transport)
    if raw is None:
        return False
    journal = Journal.on(disk, JOURNAL_DRAFT)
    try:
        journal.add((FrameKind.RECEIPT, raw))
    finally:
        journal.close()
    return True


def fetch_figures(
    disk: Disk, identity: Identity, passport: Passport, transport: Transport
) -> bytes | None:
    """Fetch and keep the old box's figures; return its last receipt, None while unapproved.

    Raises:
        ServerError, BadAnswer: As for `succeed`.
    """
    path = SUCCESSION_PATH.format(passport.terminal_id)
    signature = identity.sign(REQUEST_CONTEXT, request_message("POST", path, 0))
    body = json.dumps({"signature": signature.hex()}).encode()
    try:
        answer = transport.send(Request("POST", path, body, "application/json"))
    except Refused as exc:
        raise SuccessionRefused(exc.status, exc.title, exc.retry_after_s) from exc
    told = _read(answer)
    if told is None:
        return None
    raw, figures, signature = told
    head, *counts = astuple(figures)
    message = succession_message(identity.public_key, raw, bytes.fromhex(head), tuple(counts))
    key = passport.server_key.public_key
    if not verify_signature(key, signature, SUCCESSION_CONTEXT, message):
        raise BadAnswer("succession")
    receipt = _receipt(raw, passport)
    if receipt.up_to_seq > figures.last_seq:
        raise BadAnswer("succession")
    disk.write_whole(SUCCESSION, json.dumps(asdict(figures)).encode())
    return raw


def has_figures(disk: Disk, state: State) -> bool:
    """Say whether a box in the place of another can start: before its first event it needs them."""
    try:
        return bool(state.events) or _kept(disk) is not None
    except SuccessionLost:
        return False


def go_on(disk: Disk, state: State) -> None:
    """Give a state without an event the figures of the box before; later ones have their own.

    Raises:
        SuccessionLost: They are there and cannot be read.
    """
    figures = None if state.events else _kept(disk)
    if figures is None:
        return
    state.go_on_behind(figures.last_seq, bytes.fromhex(figures.head))
    state.boot = figures.boot + BOOT_SKIP
    state.n_in, state.n_out, state.n_rej = figures.n_in, figures.n_out, figures.n_rej


def _kept(disk: Disk) -> Figures | None:
    """Read the figures of the box before; None if there are none."""
    try:
        raw = disk.read(SUCCESSION)
        if raw is None:
            return None
        figures = Figures(**json.loads(raw))
        head, *counts = astuple(figures)
        whole = len(bytes.fromhex(head)) == HEAD_SIZE and all(type(n) is int for n in counts)
    except (OSError, ValueError, TypeError) as exc:
        raise SuccessionLost(SUCCESSION) from exc
    if not whole or not all(0 <= count <= COUNT_MAX for count in counts):
        raise SuccessionLost(SUCCESSION)
    return figures


def _read(answer: bytes) -> tuple[bytes, Figures, bytes] | None:
    try:
        document = json.loads(answer)
        if not document["approved"]:
            return None
        counts = [int(document[name]) for name in ("last_seq", "boot", "n_in", "n_out", "n_rej")]
        head = bytes.fromhex(document["head"])
        raw, signature = (bytes.fromhex(document[name]) for name in ("receipt", "signature"))
    except (ValueError, TypeError, KeyError) as exc:
        raise BadAnswer("succession") from exc
    if not all(0 <= count <= COUNT_MAX for count in counts) or len(head) != HEAD_SIZE:
        raise BadAnswer("succession")
    return raw, Figures(head.hex(), *counts), signature


def _receipt(raw: bytes, passport: Passport) -> Receipt:
    """Check that the receipt is the pinned server's, for this terminal."""
    try:
        receipt = Receipt.from_bytes(raw)
    except SwipeError as exc:
        raise BadAnswer("receipt") from exc
    genuine = verify(receipt, passport.server_key.public_key)
    if not genuine or receipt.terminal_id != passport.terminal_id:
        raise BadAnswer("receipt")
    return receipt
