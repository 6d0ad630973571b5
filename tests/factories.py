# SPDX-License-Identifier: Apache-2.0
"""Builders for tests: identities, events, chains and batches that are right in every byte.

What a test does not name has a plain value. ``make_tap`` computes the card's proofs with a key
store, as card and PSAM would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from keys.envelope import KdfCost
from keys.identity import Identity, Suite
from keys.store import FileKeyStore
from keys.usage import DPK_INDEX_PSAM, PURCHASE_USAGE, KeyUsage
from swipe.batch import BatchStamp, build_batch, split
from swipe.event import (
    Event,
    core_digest,
    event_hash,
    genesis_prev,
    sign,
    tap_counts,
)
from swipe.frames import EXPORT, FileHeader, FrameKind, frame
from swipe.kinds import BatchKind, CardKind, CgType, EventType
from swipe.receipt import NO_RECEIPT, Receipt
from swipe.receipt import sign as sign_receipt

TERMINAL_ID = 0x5949_4B41_0000_0001
KEY_ID = 7
SITE = 3
ACTIVITY = 31
PSAM_NO = bytes.fromhex("880000000001")
CARD_ASN = bytes.fromhex("00005949000000000018")
TZ_Q = 32
# 2026-11-21 09:00:00 in Shanghai.
UTC_S = 1_795_222_800
# A guess costs nothing here: tests do not wait for argon2id. A hash names its own cost.
CHEAP = KdfCost(passes=1, memory_kib=64, lanes=1)
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSPHRASE = "correct horse battery staple"


def make_identity(name: str = "terminal", suite: Suite = Suite.ED25519) -> Identity:
    """Make the identity that belongs to a name, always the same one."""
    seed = hashlib.sha256(f"test identity {name}".encode()).digest()
    return Identity.from_seed(seed, suite)


def make_store(path: Path) -> FileKeyStore:
    """Make a key store with version 1 of every key."""
    store = FileKeyStore.create(path, PASSPHRASE, CHEAP)
    for usage in KeyUsage:
        store.generate(usage)
    return store


def make_event(identity: Identity | None = None, **fields: Any) -> Event:
    """Make one signed event; an IN of a PBOC card unless fields say otherwise.

    The proofs are plain filler; ``make_tap`` makes true ones.
    """
    identity = identity or make_identity()
    values: dict[str, Any] = {
        "type": EventType.IN,
        "terminal_id": TERMINAL_ID,
        "key_id": KEY_ID,
        "seq": 1,
        "boot": 1,
        "up_s": 60,
        "up_ms": 0,
        "utc_s": UTC_S,
        "utc_ms": 0,
        "unc_ms": 500,
        "tz_q": TZ_Q,
        "site": SITE,
        "activity": ACTIVITY,
        "psam_no": PSAM_NO,
    }
    payload = fields.pop("payload", None)
    if "prev" not in fields:
        terminal_id = fields.get("terminal_id", TERMINAL_ID)
        values["prev"] = genesis_prev(terminal_id, identity.public_key)
    if payload is None:
        values |= {
            "card_kind": CardKind.PBOC_PURSE,
            "cg_type": CgType.DES3,
            "dpk_idx": DPK_INDEX_PSAM,
            "card_asn": CARD_ASN,
            "card_ctr": 5,
            "card_rand": bytes.fromhex("584633c9"),
            "psam_seq": 1,
            "tac": b"\x11" * 4,
            "mac2": b"\x22" * 4,
            "cg2": b"\x33" * 8,
            "key_ver": 1,
        }
    event = Event(**(values | fields))
    return sign(event if payload is None else event.with_payload(payload), identity)


def make_tap(store: FileKeyStore, identity: Identity | None = None, **fields: Any) -> Event:
    """Make one signed event whose TAC, MAC2 and CG2 are those of the card."""
    identity = identity or make_identity()
    event = make_event(identity, **fields)
    asn8 = event.card_asn[2:]
    date, time = event.bcd()
    purchase = store.card_key(PURCHASE_USAGE[event.dpk_idx], event.key_ver, asn8)
    session = purchase.session(event.card_rand, event.card_ctr, event.psam_seq)
    tac_key = store.card_key(KeyUsage.TAC, event.key_ver, asn8)
    presence = store.card_key(KeyUsage.PRESENCE, event.key_ver, asn8)
    proven = replace(
        event,
        tac=tac_key.tac4(event.psam_no, event.psam_seq, date, time),
        mac2=session.mac2(0),
        cg2=presence.cg2(core_digest(event, identity.suite)),
    )
    return sign(proven, identity)


def make_chain(
    n: int,
    identity: Identity | None = None,
    store: FileKeyStore | None = None,
    *,
    start: Event | None = None,
    changes: Sequence[dict[str, Any]] = (),
) -> list[Event]:
    """Make n chained events, IN and OUT in turn, one minute apart.

    ``start`` is the event before the first (none: a new chain); ``changes[i]`` are fields of the
    i-th event. With a store the proofs are true.
    """
    identity = identity or make_identity()
    events: list[Event] = []
    last = start
    for i in range(n):
        fields: dict[str, Any] = {"type": EventType.OUT if i % 2 else EventType.IN}
        fields |= {"utc_s": UTC_S + 60 * i, "up_s": 60 * (i + 1), "psam_seq": i + 1, "card_ctr": i}
        if last is not None:
            n_in, n_out = tap_counts(last)
            fields |= {"seq": last.seq + 1, "prev": event_hash(last, identity.suite)}
            fields |= {"n_in": last.n_in + n_in, "n_out": last.n_out + n_out}
        fields |= changes[i] if i < len(changes) else {}
        last = make_tap(store, identity, **fields) if store else make_event(identity, **fields)
        events.append(last)
    return events


def make_batch(
    events: Sequence[Event],
    identity: Identity | None = None,
    *,
    batch_no: int = 1,
    kind: int = BatchKind.LIVE,
    flags: int = 0,
) -> bytes:
    """Make the signed bytes of a batch of these events."""
    stamp = BatchStamp(
        kind=kind,
        key_id=KEY_ID,
        batch_no=batch_no,
        utc_ms=events[-1].utc_total_ms + 1000,
        flags=flags,
    )
    raw = [event.to_bytes() for event in events]
    return build_batch(stamp, raw, identity or make_identity())


def make_receipt(
    batch: bytes,
    server: Identity | None = None,
    *,
    before: Receipt | None = None,
    **fields: Any,
) -> Receipt:
    """Make the server's signed receipt for a batch, following the one before."""
    header, _ = split(batch)
    values: dict[str, Any] = {
        "terminal_id": header.terminal_id,
        "batch_no": header.batch_no,
        "up_to_seq": header.last_seq,
        "head": header.head,
        "log_size": header.last_seq,
        "log_root": hashlib.sha256(header.head).digest(),
        "srv_utc_ms": header.utc_ms + 500,
        "key_id": 1,
        "prev_receipt": before.anchor if before else NO_RECEIPT,
    }
    return sign_receipt(Receipt(**(values | fields)), server or make_identity("server"))


def make_file(
    frames: Iterable[bytes], identity: Identity | None = None, *, flags: int = EXPORT
) -> bytes:
    """Make the bytes of a journal or export with these frames."""
    public_key = (identity or make_identity()).public_key
    head = FileHeader(TERMINAL_ID, KEY_ID, public_key, flags)
    return head.to_bytes() + b"".join(frames)


def event_frames(events: Iterable[Event]) -> list[bytes]:
    """Make one frame for each event."""
    return [frame(FrameKind.EVENT, event.to_bytes()) for event in events]
