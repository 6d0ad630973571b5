# SPDX-License-Identifier: Apache-2.0
"""The 32 bytes in 96 to 127 of events that carry no card answer: one table per type.

A payload is as long as its table and padded with zeros. Types below 0x10 keep byte 127 for
``result``, as a tap does.
"""

from __future__ import annotations

from types import MappingProxyType

from swipe.errors import FieldError, PayloadError, WrongLength
from swipe.event import PAYLOAD_SIZE
from swipe.kinds import EventType
from swipe.layout import Field, Layout

_RESERVED = "reserved"


def _table(type_: EventType, *fields: tuple[str, str]) -> tuple[EventType, Layout]:
    """Build one payload layout; what is left of the 32 bytes is one reserved field."""
    listed = tuple(Field(name, code) for name, code in fields)
    tail = (Field("result", "B"),) if type_ < EventType.OPEN else ()
    room = PAYLOAD_SIZE - sum(field.size for field in listed + tail)
    reserved = (Field(_RESERVED, f"{room}s"),) if room else ()
    return type_, Layout(f"{type_.name} payload", listed + reserved + tail)


PAYLOADS: MappingProxyType[EventType, Layout] = MappingProxyType(
    dict(
        (
            _table(
                EventType.REJECTED, ("reason", "B"), ("kind", "B"), ("utc_s", "I"), ("of_seq", "I")
            ),
            _table(EventType.TORN, ("card_ctr", "H"), ("card_rand", "4s"), ("psam_seq", "I")),
            _table(EventType.VOID_LAST, ("voided_seq", "I"), ("voided_hash", "8s")),
            _table(EventType.RECOVERED, ("log_record", "23s"), ("index", "B")),
            _table(EventType.OPEN, ("operator_asn", "10s"), ("mode", "B"), ("cfg_ver", "I")),
            _table(
                EventType.BOOT,
                ("psam_last", "I"),
                ("journal_events", "I"),
                ("fw_hash", "8s"),
                ("cause", "B"),
                ("journal_state", "B"),
                ("torn", "H"),
            ),
            _table(
                EventType.TIME_SET,
                ("old_utc_ms", "Q"),
                ("new_utc_ms", "Q"),
                ("source", "B"),
                ("unc_ms", "I"),
            ),
            _table(EventType.ACK_ANCHOR, ("receipt_hash", "32s")),
            _table(
                EventType.CLOSE,
                ("n_in", "I"),
                ("n_out", "I"),
                ("n_rej", "I"),
                ("first_seq", "I"),
                ("last_seq", "I"),
                ("day", "I"),
            ),
            _table(EventType.KEY_ROTATE, ("public_key", "32s")),
            _table(
                EventType.CONFIG,
                ("cfg_ver", "I"),
                ("hot_ver", "I"),
                ("psam_no", "6s"),
                ("dpk_idx", "B"),
                ("kind", "B"),
                ("config_hash", "8s"),
            ),
            _table(
                EventType.OUTAGE,
                ("kind", "B"),
                ("started", "I"),
                ("ended", "I"),
                ("tested", "H"),
                ("failed", "H"),
            ),
            _table(EventType.TAMPER, ("kind", "B"), ("expected", "I"), ("found", "I")),
            _table(
                EventType.MANUAL,
                ("entered_by", "10s"),
                ("planned_min", "H"),
                ("start", "I"),
                ("end", "I"),
                ("sheet", "I"),
            ),
            _table(EventType.DECOMMISSION, ("reason", "B"), ("psam_last", "I")),
        )
    )
)


def _layout(type_: int) -> Layout:
    try:
        return PAYLOADS[EventType(type_)]
    except (KeyError, ValueError) as exc:
        raise PayloadError(type_, "this type has no payload") from exc


def build(type_: int, **fields: int | bytes) -> bytes:
    """Give the 32 bytes of a payload; fields not named are zero.

    Raises ``PayloadError`` for a type without payload or a name its table does not have, and
    ``FieldError`` for a value that does not fit.

    >>> build(EventType.DECOMMISSION, reason=1, psam_last=258).hex()[:12]
    '010000010200'
    """
    layout = _layout(type_)
    unknown = set(fields) - set(layout.names) | (fields.keys() & {_RESERVED})
    if unknown:
        raise PayloadError(type_, f"no field {', '.join(sorted(unknown))}")
    values = {
        field.name: fields.get(field.name, bytes(field.size) if field.is_bytes else 0)
        for field in layout.fields
    }
    return layout.pack(values)


def parse(type_: int, payload: bytes) -> dict[str, int | bytes]:
    """Read a payload; raise ``FieldError`` when reserved bytes are not zero.

    >>> parse(EventType.REJECTED, bytes.fromhex("04") + bytes(31))["reason"]
    4
    """
    if len(payload) != PAYLOAD_SIZE:
        raise WrongLength("payload", PAYLOAD_SIZE, len(payload))
    values = _layout(type_).unpack(payload)
    if any(values.pop(_RESERVED, b"")):
        raise FieldError(_RESERVED, "bytes that must be zero are not")
    return values
