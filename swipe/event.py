# SPDX-License-Identifier: Apache-2.0
"""The swipe event: 160 signed bytes and a signature of 64.

Core (0 to 95), the card's answer or a payload (96 to 127), the hash of the event before (128 to
159), the terminal's signature (160 to 223). ``docs/spec/wire-format.md`` is the specification.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from keys.identity import Identity
from keys.purse import bcd_datetime
from keys.suite import Suite
from keys.verify import verify
from swipe.errors import WrongLength
from swipe.kinds import PROVEN_TYPES, CardKind, CgType, EventType, Result
from swipe.layout import Field, Layout

VERSION = 1
EVENT_SIGNED = 160
EVENT_SIZE = 224
CORE_SIZE = 96
PAYLOAD_SIZE = 32
SWIPE_CONTEXT = b"yika/swipe/1\0"
CORE_CONTEXT = b"yika/core/1\0"
CHAIN_CONTEXT = b"yika/chain/1\0"
# The most negative latitude or longitude means that there is none.
NO_POSITION = -0x8000_0000
ZERO_HASH = bytes(32)

EVENT_LAYOUT = Layout(
    "event",
    (
        Field("ver", "B"),
        Field("type", "B"),
        Field("flags", "H"),
        Field("terminal_id", "Q"),
        Field("key_id", "I"),
        Field("seq", "I"),
        Field("boot", "I"),
        Field("up_s", "I"),
        Field("up_ms", "H"),
        Field("utc_ms", "H"),
        Field("utc_s", "I"),
        Field("unc_ms", "I"),
        Field("tz_q", "b"),
        Field("card_kind", "B"),
        Field("cg_type", "B"),
        Field("dpk_idx", "B"),
        Field("site", "I"),
        Field("activity", "I"),
        Field("card_asn", "10s"),
        Field("psam_no", "6s"),
        Field("hot_ver", "I"),
        Field("n_in", "I"),
        Field("n_out", "I"),
        Field("lat", "i"),
        Field("lon", "i"),
        Field("anchor", "8s"),
        Field("card_ctr", "H"),
        Field("card_rand", "4s"),
        Field("psam_seq", "I"),
        Field("tac", "4s"),
        Field("mac2", "4s"),
        Field("cg2", "8s"),
        Field("card_acc", "I"),
        Field("key_ver", "B"),
        Field("result", "B"),
        Field("prev", "32s"),
        Field("signature", "64s"),
    ),
)
# Bytes 96 to 127 alone: the card's answer. A payload takes the same room.
ANSWER_LAYOUT = Layout("card answer", EVENT_LAYOUT.fields[-11:-2])


@dataclass(frozen=True)
class Event:
    """One event, with the names of the specification's table.

    Instants: ``utc_s`` seconds since 1970 UTC and ``utc_ms`` 0 to 999; ``up_s`` and ``up_ms`` since
    the boot numbered ``boot``; ``unc_ms`` the radius the clock is good for; ``tz_q`` signed quarter
    hours. ``lat`` and ``lon`` count 1e-7 degrees.
    """

    type: int
    terminal_id: int
    key_id: int
    seq: int
    boot: int
    up_s: int
    up_ms: int
    utc_s: int
    utc_ms: int
    unc_ms: int
    tz_q: int
    prev: bytes
    ver: int = VERSION
    flags: int = 0
    card_kind: int = CardKind.NONE
    cg_type: int = CgType.NONE
    dpk_idx: int = 0
    site: int = 0
    activity: int = 0
    card_asn: bytes = bytes(10)
    psam_no: bytes = bytes(6)
    hot_ver: int = 0
    n_in: int = 0
    n_out: int = 0
    lat: int = NO_POSITION
    lon: int = NO_POSITION
    anchor: bytes = bytes(8)
    card_ctr: int = 0
    card_rand: bytes = bytes(4)
    psam_seq: int = 0
    tac: bytes = bytes(4)
    mac2: bytes = bytes(4)
    cg2: bytes = bytes(8)
    card_acc: int = 0
    key_ver: int = 0
    result: int = Result.OK
    signature: bytes = bytes(64)

    @classmethod
    def from_bytes(cls, data: bytes) -> Event:
        """Read 224 bytes; raise ``WrongLength`` for any other length."""
        event = object.__new__(cls)
        # Every field of the event is one of the layout: half the time of passing them by name.
        event.__dict__.update(EVENT_LAYOUT.unpack(data))
        event.__dict__["_bytes"] = bytes(data)  # every byte is a field's: they are not coded again
        return event

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Event:
        """Make an event of its fields by name; as the constructor, in a fifth of its time."""
        event = object.__new__(cls)
        fields = event.__dict__
        fields.update(_DEFAULTS)
        fields.update(values)
        if len(fields) != len(EVENT_LAYOUT.names):
            return cls(**values)  # which says what is missing or unknown
        return event

    @classmethod
    def from_signed_bytes(cls, data: bytes) -> Event:
        """Read the 160 bytes of an event not yet signed (an INTENT)."""
        if len(data) != EVENT_SIGNED:
            raise WrongLength("event without signature", EVENT_SIGNED, len(data))
        return cls.from_bytes(data + bytes(EVENT_SIZE - EVENT_SIGNED))

    def to_bytes(self) -> bytes:
        """Give all 224 bytes; raise ``FieldError`` for a value that does not fit."""
        values = self.__dict__
        raw: bytes | None = values.get("_bytes")
        if raw is None:
            raw = values["_bytes"] = EVENT_LAYOUT.pack(values)
        return raw

    def answered(self, signed: bytes, signature: bytes, answer: Mapping[str, Any]) -> Event:
        """Give the event with a card's answer and a signature, whose 160 signed bytes these are."""
        event = object.__new__(type(self))
        fields = event.__dict__
        fields.update(self.__dict__)
        fields.update(answer)
        fields["signature"] = signature
        fields["_bytes"] = signed + signature
        return event

    @property
    def signed_bytes(self) -> bytes:
        """Give the 160 bytes under the signature."""
        return self.to_bytes()[:EVENT_SIGNED]

    @property
    def payload(self) -> bytes:
        """Give bytes 96 to 127 as they are."""
        return self.to_bytes()[CORE_SIZE : CORE_SIZE + PAYLOAD_SIZE]

    def with_payload(self, payload: bytes) -> Event:
        """Give the event with these 32 bytes in 96 to 127, not signed any more."""
        return replace(self, **ANSWER_LAYOUT.unpack(payload), signature=bytes(64))

    @property
    def utc_total_ms(self) -> int:
        """Give the claimed instant in milliseconds since 1970 UTC."""
        return 1000 * self.utc_s + self.utc_ms

    @property
    def up_total_ms(self) -> int:
        """Give the milliseconds since the boot."""
        return 1000 * self.up_s + self.up_ms

    def bcd(self) -> tuple[bytes, bytes]:
        """Give the date and time that PSAM and card were sent: of utc_s in the zone tz_q."""
        return bcd_datetime(self.utc_s, self.tz_q)


_DEFAULTS = {field.name: field.default for field in fields(Event) if field.default is not MISSING}


def core_digest(event: Event, suite: Suite = Suite.ED25519) -> bytes:
    """Compute h8, what the card answers with CG2: over the core and the chain, without 96 to 127.

    h8 = H("yika/core/1" 00 ‖ bytes 0 to 95 ‖ bytes 128 to 159), left 8; H is SHA-256, or SM3 where
    the terminal's key is of that suite.
    """
    raw = event.signed_bytes
    return suite.digest(CORE_CONTEXT + raw[:CORE_SIZE] + raw[128:EVENT_SIGNED])[:8]


def content_hash(event: Event | bytes) -> bytes:
    """Compute the identity of the content: SHA-256 of the 160 signed bytes, in every suite."""
    return hashlib.sha256(_raw(event)[:EVENT_SIGNED]).digest()


def event_hash(event: Event | bytes, suite: Suite = Suite.ED25519) -> bytes:
    """Compute what the next event's ``prev`` must be: the suite's hash of all 224 bytes."""
    return suite.digest(_raw(event))


def genesis_prev(terminal_id: int, public_key: bytes) -> bytes:
    """Compute ``prev`` of a terminal's event number 1.

    H("yika/chain/1" 00 ‖ terminal_id (8) ‖ public key (32, or 64 of SM2)), H of the key's suite.

    >>> genesis_prev(7, bytes(32)).hex()[:16]
    '25a39038ec5f5220'
    """
    return Suite.of(public_key).digest(CHAIN_CONTEXT + terminal_id.to_bytes(8) + public_key)


def sign(event: Event, identity: Identity) -> Event:
    """Give the event with the terminal's signature over its 160 bytes."""
    return replace(event, signature=identity.sign(SWIPE_CONTEXT, event.signed_bytes))


def verify_event(event: Event, public_key: bytes) -> bool:
    """Say whether the signature is this key's."""
    return verify(public_key, event.signature, SWIPE_CONTEXT, event.signed_bytes)


def is_proven(type_: int) -> bool:
    """Say whether bytes 96 to 127 are a card's answer (and not a payload)."""
    return type_ in PROVEN_TYPES


def tap_counts(event: Event) -> tuple[int, int]:
    """Say how much an event adds to the running n_in and n_out.

    IN and OUT count one each, SWITCH one in both, when the tap was made or torn; nothing else does.
    """
    if event.result not in (Result.OK, Result.TORN):
        return 0, 0
    switch = event.type == EventType.SWITCH
    return int(event.type == EventType.IN or switch), int(event.type == EventType.OUT or switch)


def _raw(event: Event | bytes) -> bytes:
    data: Any = event.to_bytes() if isinstance(event, Event) else event
    if len(data) != EVENT_SIZE:
        raise WrongLength("event", EVENT_SIZE, len(data))
    return bytes(data)
