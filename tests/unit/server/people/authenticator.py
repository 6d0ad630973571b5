# SPDX-License-Identifier: Apache-2.0
"""An authenticator in software: makes key pairs, signs challenges, as WebAuthn level 2 says.

It signs for real (ES256 or EdDSA), so that the server's checks have something to check; what a
test wants to be wrong it changes by a field.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
ES256, EDDSA = -7, -8


def b64(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass
class Authenticator:
    """One key of one person; `counter` rises by one with each signature unless it is kept at 0."""

    algorithm: int = ES256
    verifies: bool = True
    counts: bool = True
    counter: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    def __post_init__(self) -> None:
        """Make the key pair."""
        self.key: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if self.algorithm == ES256
            else ed25519.Ed25519PrivateKey.generate()
        )

    def create(self, options: str, origin: str) -> str:
        """Answer `navigator.credentials.create`."""
        asked = json.loads(options)
        data = self._data(asked["rp"]["id"], ATTESTED)
        data += bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id
        data += cbor2.dumps(self._cose())
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = client_data("webauthn.create", asked["challenge"], origin)
        return self._answer(clientDataJSON=client, attestationObject=attestation)

    def get(self, options: str, origin: str) -> str:
        """Answer `navigator.credentials.get`."""
        asked = json.loads(options)
        data = self._data(asked["rpId"], 0)
        client = client_data("webauthn.get", asked["challenge"], origin)
        signed = data + hashlib.sha256(client).digest()
        if self.algorithm == ES256:
            signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        else:
            signature = self.key.sign(signed)
        return self._answer(clientDataJSON=client, authenticatorData=data, signature=signature)

    def _data(self, rp_id: str, flags: int) -> bytes:
        self.counter += self.counts
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4)

    def _cose(self) -> dict[int, Any]:
        """Return the public key as RFC 9052 writes it."""
        public = self.key.public_key()
        if self.algorithm == ES256:
            x, y = public.public_numbers().x, public.public_numbers().y
            return {1: 2, 3: ES256, -1: 1, -2: x.to_bytes(32), -3: y.to_bytes(32)}
        return {1: 1, 3: EDDSA, -1: 6, -2: public.public_bytes_raw()}

    def _answer(self, **response: bytes) -> str:
        return json.dumps(
            {
                "id": b64(self.credential_id),
                "rawId": b64(self.credential_id),
                "type": "public-key",
                "response": {name: b64(value) for name, value in response.items()},
                "clientExtensionResults": {},
            }
        )


def client_data(kind: str, challenge: str, origin: str) -> bytes:
    """Return what a browser lets the authenticator sign."""
    return json.dumps({"type": kind, "challenge": challenge, "origin": origin}).encode()
