# SPDX-License-Identifier: Apache-2.0
"""The electronic card on a phone: a token of the server that lives for two minutes.

Its code is `YT1:` and 94 bytes in base 45, 145 characters. A terminal checks it without a network:
the server's signature, the time, the hotlist, and that it was not shown here before. The event of
such a tap has card_kind 3 and cg_type 4, and carries in bytes 96 to 127 which token it was and a
digest that only somebody who held the whole token can know.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from keys.identity import Identity
from keys.verify import verify
from swipe import base45
from swipe.errors import BadSignature, FieldError, UnknownVersion, WrongLength, WrongMagic
from swipe.layout import Field, Layout

TOKEN_CONTEXT = b"yika/token/1\0"
SEEN_CONTEXT = b"yika/token-seen/1\0"
TOKEN_PREFIX = "YT1:"  # noqa: S105 - how the code begins
VERSION = 1
# Long enough to walk up to the reader, too short for a picture to be sent round.
LIFE_DEFAULT_S = 120
LIFE_MAX_S = 600
MINOR = 0x01  # bit 0 of the flags: the rules for minors apply
FLAGS_KNOWN = MINOR

BODY_LAYOUT = Layout(
    "phone token",
    (
        Field("ver", "B"),
        Field("flags", "B"),
        Field("life_s", "H"),
        Field("key_id", "I"),
        Field("issued_s", "I"),
        Field("token_id", "8s"),
        Field("asn", "10s"),
    ),
)
TOKEN_SIZE = BODY_LAYOUT.size + 64
CODE_LENGTH = len(TOKEN_PREFIX) + TOKEN_SIZE * 3 // 2

# Bytes 96 to 127 of the event. The places of card_ctr and psam_seq stay zero: whoever puts taps
# into an order by them finds no order here.
SEEN_LAYOUT = Layout(
    "phone token payload",
    (
        Field("no_card_ctr", "2s"),
        Field("issued_s", "I"),
        Field("no_psam_seq", "4s"),
        Field("token_id", "8s"),
        Field("seen", "8s"),
        Field("life_s", "H"),
        Field("reserved", "2s"),
        Field("flags", "B"),
        Field("result", "B"),
    ),
)


@dataclass(frozen=True, slots=True)
class PhoneToken:
    """Name a volunteer's electronic card for a short while.

    Attributes:
        asn: the opaque serial of the electronic card, 10 bytes.
        token_id: 8 random bytes; never used twice.
        issued_s: when it was signed, seconds since 1970 UTC.
        life_s: for how many seconds it may be shown, 1 to 600.
        key_id: the server's key.
        flags: bit 0: the rules for minors apply.
    """

    asn: bytes
    token_id: bytes
    issued_s: int
    life_s: int = LIFE_DEFAULT_S
    key_id: int = 0
    flags: int = 0

    @property
    def expires_s(self) -> int:
        """Give the last second at which it may be shown."""
        return self.issued_s + self.life_s

    @property
    def is_minor(self) -> bool:
        """Say whether the rules for minors apply to its holder."""
        return bool(self.flags & MINOR)

    def to_bytes(self, identity: Identity) -> bytes:
        """Give the 94 signed bytes; raise ``FieldError`` for a life that is none."""
        body = BODY_LAYOUT.pack(
            {
                "ver": VERSION,
                "flags": self.flags,
                "life_s": _life(self.life_s),
                "key_id": self.key_id,
                "issued_s": self.issued_s,
                "token_id": self.token_id,
                "asn": self.asn,
            }
        )
        return body + identity.sign(TOKEN_CONTEXT, body)

    @classmethod
    def from_bytes(cls, raw: bytes, public_key: bytes) -> PhoneToken:
        """Read a token that this key signed.

        Raises:
            WrongLength: These are not 94 bytes.
            UnknownVersion: It is of a later version.
            FieldError: A life or a flag that no token has.
            BadSignature: It is not the server's.
        """
        if len(raw) != TOKEN_SIZE:
            raise WrongLength("phone token", TOKEN_SIZE, len(raw))
        body, signature = raw[: BODY_LAYOUT.size], raw[BODY_LAYOUT.size :]
        values = BODY_LAYOUT.unpack(body)
        if values.pop("ver") != VERSION:
            raise UnknownVersion("phone token", raw[0])
        if not verify(public_key, signature, TOKEN_CONTEXT, body):
            raise BadSignature("phone token")
        _life(values["life_s"])
        if values["flags"] & ~FLAGS_KNOWN:
            raise FieldError("flags", "a bit that must be zero is not")
        return cls(**values)


def token_code(raw: bytes) -> str:
    """Write the text of the QR code of a token's 94 bytes.

    >>> len(token_code(bytes(94)))
    145
    """
    return TOKEN_PREFIX + base45.encode(raw)


def read_code(code: bytes) -> bytes:
    """Give the 94 bytes of a scanned code, unchecked.

    Raises:
        WrongMagic: This is another kind of code.
        WrongLength: It is too short or too long.
        FieldError: It holds what base 45 does not.
    """
    prefix = TOKEN_PREFIX.encode()
    if not code.startswith(prefix):
        raise WrongMagic("phone token", code[:8])
    if len(code) != CODE_LENGTH:
        raise WrongLength("phone token", CODE_LENGTH, len(code))
    return base45.decode(code[len(prefix) :].decode("latin-1"))


def seen_digest(raw: bytes) -> bytes:
    """Give the 8 bytes that prove somebody held the whole token, signature included."""
    return hashlib.sha256(SEEN_CONTEXT + raw).digest()[:8]


def payload_of(token: PhoneToken, raw: bytes, result: int = 0) -> bytes:
    """Give bytes 96 to 127 of the event for a token shown."""
    return SEEN_LAYOUT.pack(
        {
            "no_card_ctr": bytes(2),
            "issued_s": token.issued_s,
            "no_psam_seq": bytes(4),
            "token_id": token.token_id,
            "seen": seen_digest(raw),
            "life_s": token.life_s,
            "reserved": bytes(2),
            "flags": token.flags,
            "result": result,
        }
    )


def _life(seconds: int) -> int:
    if not 1 <= seconds <= LIFE_MAX_S:
        raise FieldError("life_s", f"{seconds} is not 1 to {LIFE_MAX_S}")
    return seconds
