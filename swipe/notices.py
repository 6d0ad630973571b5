# SPDX-License-Identifier: Apache-2.0
"""What the server tells one terminal, signed: its configuration.

It begins with a magic of 8 bytes and ends with a signature of 64 over all before. The magic names
the kind and the format's version. The other notice, for all terminals, is `swipe.hotlist`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from types import MappingProxyType

from keys.identity import Identity
from keys.verify import SIGNATURE_SIZE, verify
from swipe.errors import BadSignature, TooMany, WrongLength, WrongMagic

CONFIG_MAGIC = b"YIKACFG1"
CONFIG_CONTEXT = b"yika/config/1\0"
# A site has some dozens of activities; a terminal has little memory.
MAX_CONFIG_SIZE = 256 * 1024

# What a site may change in its configuration's `params`, and within which bounds, so that no
# configuration can switch a protection off, nor promise at the terminal what the server does not
# credit: it undoes within 10 s, takes a guardian's word for 10 min, and counts no second tap of
# the same minute (`server.reconciliation.parameters`).
RULE_BOUNDS = MappingProxyType(
    {
        "duplicate_s": (60, 600),
        "open_in_max_s": (3600, 48 * 3600),
        "guardian_s": (30, 600),
        "undo_s": (5, 10),
        "minor_years": (10, 18),
    }
)
RULE_SWITCHES = ("require_activity", "require_open", "require_sign_on", "psam_soft_ok")


def bounded(name: str, value: int) -> int:
    """Return the nearest value within a rule's bounds.

    What was set while the bounds were wider stays in signed notices and in a site's settings.

    >>> bounded("undo_s", 60), bounded("duplicate_s", 10), bounded("guardian_s", 120)
    (10, 60, 120)
    """
    low, high = RULE_BOUNDS[name]
    return min(max(value, low), high)


# magic, version, server key id, built (ms since 1970 UTC), terminal, bytes of JSON
CONFIG_HEAD = struct.Struct(">8sIIQQI")


@dataclass(frozen=True, slots=True)
class Config:
    """Carry one terminal's configuration as JSON bytes; what they mean is the terminal's matter."""

    version: int
    json: bytes
    terminal_id: int = 0
    built_ms: int = 0
    key_id: int = 0

    def to_bytes(self, identity: Identity) -> bytes:
        """Give the signed bytes."""
        if len(self.json) > MAX_CONFIG_SIZE:
            raise TooMany("bytes of configuration", MAX_CONFIG_SIZE, len(self.json))
        head = CONFIG_HEAD.pack(
            CONFIG_MAGIC,
            self.version,
            self.key_id,
            self.built_ms,
            self.terminal_id,
            len(self.json),
        )
        return _signed(identity, CONFIG_CONTEXT, head + self.json)

    @classmethod
    def from_bytes(cls, data: bytes, server_public_key: bytes) -> Config:
        """Read and check; raise ``BadSignature``, ``WrongMagic``, ``WrongLength`` and others."""
        body = _opened(data, CONFIG_MAGIC, server_public_key, CONFIG_CONTEXT)
        if len(body) < CONFIG_HEAD.size:
            raise WrongLength("configuration", CONFIG_HEAD.size, len(body))
        _, version, key_id, built_ms, terminal_id, length = CONFIG_HEAD.unpack_from(body)
        if length > MAX_CONFIG_SIZE:
            raise TooMany("bytes of configuration", MAX_CONFIG_SIZE, length)
        if len(body) != CONFIG_HEAD.size + length:
            raise WrongLength("configuration", CONFIG_HEAD.size + length, len(body))
        return cls(version, body[CONFIG_HEAD.size :], terminal_id, built_ms, key_id)


def _signed(identity: Identity, context: bytes, body: bytes) -> bytes:
    return body + identity.sign(context, body)


def _opened(data: bytes, magic: bytes, public_key: bytes, context: bytes) -> bytes:
    if data[:8] != magic:
        raise WrongMagic(magic.decode(), data[:8])
    body, signature = data[:-SIGNATURE_SIZE], data[-SIGNATURE_SIZE:]
    if not verify(public_key, signature, context, body):
        raise BadSignature(magic.decode())
    return body
