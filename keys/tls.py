# SPDX-License-Identifier: Apache-2.0
"""Pins for TLS: which public key a server must show, told apart from who signed its certificate.

A pin is `sha256:` and 64 hex digits, SHA-256 over the certificate's SubjectPublicKeyInfo
(RFC 7469 §2.4): it outlives a certificate that is made again over the same key.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from keys._prims import certificates

PIN_PREFIX = "sha256:"
_PIN = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
# A pinned certificate is trusted for its key; its dates only please strict libraries.
CERTIFICATE_YEARS = 20


def is_pin(text: str) -> bool:
    """Say whether a text is a pin.

    >>> is_pin("sha256:" + "0" * 64), is_pin("0" * 64)
    (True, False)
    """
    return _PIN.fullmatch(text) is not None


def pin_of(der: bytes) -> str:
    """Return the pin of a certificate in DER.

    Raises:
        BadPublicKey: The bytes are no certificate.
    """
    return PIN_PREFIX + certificates.spki_sha256(der).hex()


def pin_of_pem(pem: bytes) -> str:
    """Return the pin of the first certificate of a PEM file; raises as `pin_of`."""
    return pin_of(certificates.pem_to_der(pem))


def make_certificate(
    names: Sequence[str], now: dt.datetime, private_pem: bytes | None = None
) -> tuple[bytes, bytes]:
    """Make a self-signed certificate for pinning; return certificate and private key as PEM.

    A certificate over the same `private_pem` has the same pin.
    """
    day = dt.timedelta(days=1)
    end = now + CERTIFICATE_YEARS * 365 * day
    return certificates.self_signed(names, now - day, end, private_pem)
