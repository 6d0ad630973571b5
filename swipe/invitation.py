# SPDX-License-Identifier: Apache-2.0
"""What a printed letter tells a new terminal: where its server is, which key it has, who it is.

One line, fit for a QR code and for a keyboard: `yika:1?u=…&k=…&c=…[&t=…][&r=…]&x=…`, values
percent-encoded. `x` is CRC-32 of everything before it: a letter misread is told at once. The
code is good for one box and some days; nothing else in the line is secret.
"""

from __future__ import annotations

import binascii
import hashlib
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlsplit

from swipe.errors import FieldError

SCHEME = "yika:"
_BEGIN = "yika:1?"
TEXT_MAX = 1_000  # a QR code that a cheap scanner still reads
KEY_DIGEST_HEX = 32
CODE_MAX = 40
PIN_MAX = 100


@dataclass(frozen=True, slots=True)
class Invitation:
    """One letter.

    Attributes:
        url: The server's address.
        key_digest: SHA-256 of the server's signing key, left 16 bytes, in hex.
        code: The one-time pairing code.
        tls_pin: The pin of the server's certificate key, as `[server] pin` has it; may be empty.
        root_digest: SHA-256 of the release repository's first root, left 16 bytes, in hex; or "".
    """

    url: str
    key_digest: str
    code: str
    tls_pin: str = ""
    root_digest: str = ""

    def to_text(self) -> str:
        """Write the line.

        >>> Invitation("http://h", "0" * 32, "K7QF-2M9C-XR04").to_text()
        'yika:1?u=http%3A%2F%2Fh&k=00000000000000000000000000000000&c=K7QF-2M9C-XR04&x=9bea366b'
        """
        fields = {"u": self.url, "k": self.key_digest, "c": self.code}
        optional = {"t": self.tls_pin, "r": self.root_digest}
        fields |= {name: value for name, value in optional.items() if value}
        text = _BEGIN + "&".join(
            f"{name}={quote(value, safe='')}" for name, value in fields.items()
        )
        return f"{text}&x={_check(text)}"

    @classmethod
    def from_text(cls, text: str) -> Invitation:
        """Read a line as it was typed or scanned.

        Raises:
            FieldError: It is no such line, was misread, or holds something out of bounds.
        """
        plain = text.strip()
        body, _, check = plain.rpartition("&x=")
        if len(plain) > TEXT_MAX or not body.startswith(_BEGIN):
            raise FieldError("invitation", "not a line of a letter")
        if check.lower() != _check(body):
            raise FieldError("invitation", "misread: the check digits do not fit")
        fields = dict(parse_qsl(body.removeprefix(_BEGIN), max_num_fields=8))
        try:
            found = cls(
                fields.pop("u"), fields.pop("k"), fields.pop("c"),
                fields.pop("t", ""), fields.pop("r", ""),
            )  # fmt: skip
        except KeyError as exc:
            raise FieldError("invitation", f"no field {exc.args[0]}") from exc
        found._examine(fields)
        return found

    def _examine(self, unknown: dict[str, str]) -> None:
        try:
            parts = urlsplit(self.url)
            reachable = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            reachable = False
        fits = {
            "u": reachable and self.url.isprintable() and not set(self.url) & set(" \"'\\"),
            "k": _is_digest(self.key_digest),
            "c": 0 < len(self.code) <= CODE_MAX and self.code.isprintable(),
            "t": len(self.tls_pin) <= PIN_MAX and not set(self.tls_pin) & set(" \"'\\\n"),
            "r": not self.root_digest or _is_digest(self.root_digest),
        }
        wrong = [name for name, good in fits.items() if not good] + sorted(unknown)
        if wrong:
            raise FieldError("invitation", f"field {wrong[0]} cannot be used")


def digest(data: bytes) -> str:
    """Return SHA-256, left 16 bytes, in hex: how a letter names a key or a file.

    >>> digest(b"")
    'e3b0c44298fc1c149afbf4c8996fb924'
    """
    return hashlib.sha256(data).hexdigest()[:KEY_DIGEST_HEX]


def _is_digest(text: str) -> bool:
    return len(text) == KEY_DIGEST_HEX and set(text) <= set("0123456789abcdef")


def _check(text: str) -> str:
    return f"{binascii.crc32(text.encode()):08x}"
