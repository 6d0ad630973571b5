# SPDX-License-Identifier: Apache-2.0
"""Keys that sign releases: made and kept off line by people, never by the server.

A key file is sealed under its holder's passphrase (Argon2id, AES-256-GCM); what is public of it
is one line of hex. Releases are signed with plain Ed25519, as The Update Framework says.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from securesystemslib.signer import Key, SecretsHandler, Signature, Signer, SSlibKey

from keys.envelope import DEFAULT_COST, Envelope, KdfCost
from keys.files import write_private
from keys.identity import Identity
from server.errors import Refused

MAGIC = b"YIKARLSK"
PUBLIC_HEX = 64


class ReleaseSigner(Signer):
    """Sign metadata with a key that was opened."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    @property
    def public_key(self) -> Key:
        """Return the key as metadata names it."""
        return public_key(self._identity.public_key.hex())

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> Signer:
        """Refuse: keys are opened by `open_key` only."""
        del public_key, secrets_handler
        raise ValueError(priv_key_uri.partition(":")[0])

    def sign(self, payload: bytes) -> Signature:
        """Sign the bytes as they are."""
        return Signature(self.public_key.keyid, self._identity.sign(b"", payload).hex())


def make_key(path: Path, passphrase: str, cost: KdfCost = DEFAULT_COST) -> str:
    """Make a key, write it sealed to a new file, and return its public half in hex.

    Raises:
        Refused: The passphrase is empty, or the file exists.
    """
    if not passphrase:
        raise Refused("passphrase", "口令为空", "the passphrase is empty")
    identity = Identity.generate()
    envelope = Envelope.create(MAGIC, passphrase, cost)
    try:
        write_private(path, identity.sealed_by(envelope.seal), replace=False)
    except FileExistsError as exc:
        raise Refused("key-exists", f"{path} 已存在", f"{path} exists already") from exc
    return identity.public_key.hex()


def open_key(path: Path, passphrase: str) -> ReleaseSigner:
    """Open a key file.

    Raises:
        KeysError: The passphrase is wrong, or the file damaged.
    """
    _, pem = Envelope.open(MAGIC, passphrase, path.read_bytes(), str(path))
    return ReleaseSigner(Identity.from_pem(pem, str(path)))


def public_key(text: str) -> SSlibKey:
    """Return a public key as metadata holds it; its name is the hash of the key.

    >>> public_key("ab" * 32).keyid[:12]
    '9a2db2e23f15'
    """
    plain = text.strip().lower()
    if len(plain) != PUBLIC_HEX or not set(plain) <= set("0123456789abcdef"):
        raise Refused("public-key", "公钥须为 64 个十六进制字符", "a public key is 64 hex digits")
    keyid = hashlib.sha256(bytes.fromhex(plain)).hexdigest()
    return SSlibKey(keyid, "ed25519", "ed25519", {"public": plain})
