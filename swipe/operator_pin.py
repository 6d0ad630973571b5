# SPDX-License-Identifier: Apache-2.0
"""What proves an operator's PIN off line: a salted, slow hash that the configuration carries.

The server makes a verifier when the PIN is chosen and keeps nothing else; the terminal compares.
A PIN has few digits, so whoever holds a verifier can search all of them: the hash is as slow as a
small box bears, the card's serial is part of it so that no verifier fits another card, and the
configuration's file is readable by its owner only. What keeps people out at the terminal is the
limit on tries. Nothing here shows a PIN, neither in an error nor in a representation.

Form: ``scrypt$14$8$1$SALT$HASH``, the numbers being log2 N, r and p, both ends in hex.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from swipe.errors import FieldError

PIN_DIGITS_MIN = 4  # fewer can be guessed within the tries of a week
PIN_DIGITS_MAX = 8  # what a pad of ten keys is patient with
SALT_SIZE = 16
HASH_SIZE = 32
SERIAL_SIZE = 8
LOG_N, R, P = 14, 8, 1  # 16 MiB and some tens of milliseconds
# A verifier that asks for more is not one of ours, and must not stop a terminal.
LOG_N_MAX, R_MAX, P_MAX = 16, 8, 2
MEMORY_MAX = 128 << 20
TEXT_MAX = 128

_FORM = re.compile(r"scrypt\$(\d{1,2})\$(\d)\$(\d)\$([0-9a-f]{32})\$([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PinVerifier:
    """A salted hash of one operator's PIN.

    Attributes:
        log_n: log2 of scrypt's N; with `r` and `p` the cost.
        salt: 16 random bytes.
        digest: 32 bytes.
    """

    log_n: int
    r: int
    p: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def make(
        cls, pin: str, asn8: bytes, salt: bytes | None = None, log_n: int = LOG_N
    ) -> PinVerifier:
        """Return the verifier of a PIN for the card whose serial ends with these 8 bytes.

        Salt and cost are chosen here unless a vector or a test gives them.

        Raises:
            FieldError: The PIN is not 4 to 8 digits; the text does not repeat it.
        """
        if not is_pin(pin):
            raise FieldError("PIN", f"{PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits")
        chosen = secrets.token_bytes(SALT_SIZE) if salt is None else salt
        return cls(log_n, R, P, chosen, _derive(pin, asn8, chosen, (log_n, R, P)))

    @classmethod
    def parse(cls, text: str) -> PinVerifier:
        """Read a verifier as the configuration carries it.

        Raises:
            FieldError: It is none, or costs more than a terminal can pay.
        """
        match = _FORM.fullmatch(text) if len(text) <= TEXT_MAX else None
        if match is None:
            raise FieldError("PIN verifier", "not of the form scrypt$N$r$p$salt$hash")
        log_n, r, p = (int(number) for number in match.group(1, 2, 3))
        if not (1 <= log_n <= LOG_N_MAX and 1 <= r <= R_MAX and 1 <= p <= P_MAX):
            raise FieldError("PIN verifier", "costs out of bounds")
        return cls(log_n, r, p, bytes.fromhex(match[4]), bytes.fromhex(match[5]))

    def __str__(self) -> str:
        """Return the form the configuration carries."""
        return f"scrypt${self.log_n}${self.r}${self.p}${self.salt.hex()}${self.digest.hex()}"

    def accepts(self, pin: str, asn8: bytes) -> bool:
        """Say whether this is the PIN of the card with this serial; in constant time.

        >>> asn8 = bytes(8)
        >>> verifier = PinVerifier.make("2468", asn8, salt=bytes(16))
        >>> verifier.accepts("2468", asn8), verifier.accepts("2469", asn8)
        (True, False)
        """
        if not is_pin(pin):
            return False
        found = _derive(pin, asn8, self.salt, (self.log_n, self.r, self.p))
        return hmac.compare_digest(found, self.digest)


def is_pin(text: str) -> bool:
    """Say whether a text has the form of a PIN: 4 to 8 ASCII digits.

    >>> is_pin("2468"), is_pin("246"), is_pin("24 68")
    (True, False, False)
    """
    size = PIN_DIGITS_MIN <= len(text) <= PIN_DIGITS_MAX
    return size and text.isascii() and text.isdigit()


def _derive(pin: str, asn8: bytes, salt: bytes, cost: tuple[int, int, int]) -> bytes:
    log_n, r, p = cost
    return hashlib.scrypt(
        pin.encode(),
        salt=b"yika/operator-pin/1\0" + asn8 + salt,
        n=1 << log_n,
        r=r,
        p=p,
        maxmem=MEMORY_MAX,
        dklen=HASH_SIZE,
    )
