# SPDX-License-Identifier: Apache-2.0
"""X.509 certificates (RFC 5280): the public key in one, and one made for a server of our own."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keys.errors import BadPublicKey


def spki_sha256(der: bytes) -> bytes:
    """Return SHA-256 over the SubjectPublicKeyInfo of a certificate in DER.

    Raises:
        BadPublicKey: The bytes are no certificate.
    """
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, TypeError) as exc:
        raise BadPublicKey("X.509") from exc
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).digest()


def pem_to_der(pem: bytes) -> bytes:
    """Return the first certificate of a PEM file in DER.

    Raises:
        BadPublicKey: There is none.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as exc:
        raise BadPublicKey("X.509") from exc
    return certificate.public_bytes(serialization.Encoding.DER)


def self_signed(
    names: Sequence[str], start: dt.datetime, end: dt.datetime, private_pem: bytes | None = None
) -> tuple[bytes, bytes]:
    """Make a certificate over a P-256 key, signed with itself; return both as PEM.

    Args:
        names: DNS names and addresses the server is reached by.
        start: From when it is good.
        end: Until when.
        private_pem: A key to certify again; without it a new one is made.
    """
    key = (
        ec.generate_private_key(ec.SECP256R1())
        if private_pem is None
        else serialization.load_pem_private_key(private_pem, None)
    )
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadPublicKey("P-256")
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
