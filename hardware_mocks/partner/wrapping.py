# SPDX-License-Identifier: Apache-2.0
"""How files travel, from the bank's side: manifest, signature, gzip, the box or OpenPGP."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CONTEXT = b"yika/bank-file/1\0"
BOX = b"YIKABOX1"
BLOCK = 1 << 20
SM2_ID = b"1234567812345678"  # the default identifier of GM/T 0009


class Ed25519Signer:
    """Signs as the suite `ed25519` does."""

    suite = "ed25519"

    def __init__(self, seed: bytes, platform: str = "") -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw().hex()
        self.platform = platform

    def sign(self, message: bytes) -> str:
        """Sign a message."""
        return self._key.sign(message).hex()

    def check(self, message: bytes, signature: str) -> bool:
        """Tell whether the platform signed a message."""
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.platform))
        try:
            key.verify(bytes.fromhex(signature), message)
        except InvalidSignature:
            return False
        return True


class Sm2Signer:
    """Signs as the suite `sm2` does, with the library gmalg."""

    suite = "sm2"

    def __init__(self, secret: bytes, platform: str = "") -> None:
        from gmalg import SM2  # noqa: PLC0415 - only tests and SM partners have the library

        self._make = SM2
        self._secret = secret
        self.public = SM2(secret).generate_pk(secret)[-64:].hex()
        self.platform = platform

    def sign(self, message: bytes) -> str:
        """Sign a message."""
        public = b"\x04" + bytes.fromhex(self.public)
        r, s = self._make(self._secret, SM2_ID, public).sign(message)
        return (bytes(r).rjust(32, b"\0") + bytes(s).rjust(32, b"\0")).hex()

    def check(self, message: bytes, signature: str) -> bool:
        """Tell whether the platform signed a message."""
        raw = bytes.fromhex(signature)
        public = b"\x04" + bytes.fromhex(self.platform)
        checker = self._make(None, SM2_ID, public)
        return bool(checker.verify(message, raw[:32], raw[32:]))


class PgpSigner:
    """Signs as the suite `pgp` does, in a GnuPG home that the caller made and removes."""

    suite = "pgp"

    def __init__(self, home: Path, own: str, platform: str = "") -> None:
        self.home, self.own, self.platform = home, own, platform
        self.public = self._run("--armor", "--export", own).decode()

    def sign(self, message: bytes) -> str:
        """Sign a message."""
        return self._run("--armor", "-u", self.own, "--detach-sign", data=message).decode()

    def check(self, message: bytes, signature: str) -> bool:
        """Tell whether somebody whose key is here signed a message."""
        file = self.home / "signature.asc"
        file.write_text(signature)
        command = ["gpg", "--homedir", str(self.home), "--batch", "--verify", str(file), "-"]
        done = subprocess.run(command, input=message, capture_output=True, check=False)
        return done.returncode == 0

    def _run(self, *arguments: str, data: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--quiet",
                   "--pinentry-mode", "loopback", "--passphrase", "", *arguments]  # fmt: skip
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout


Signer = Ed25519Signer | Sm2Signer | PgpSigner


@dataclass(frozen=True)
class Wrapping:
    """Keys and agreements of one bank: `box_to` is the platform's key, `box` the own secret."""

    signer: Signer
    compressed: bool = False
    box: bytes | None = None
    box_to: str = ""

    def wrap(self, content: bytes) -> bytes:
        """Compress and encrypt."""
        data = gzip.compress(content, mtime=0) if self.compressed else content
        return _boxed(data, bytes.fromhex(self.box_to)) if self.box_to else data

    def unwrap(self, wire: bytes) -> bytes:
        """Decrypt and unpack."""
        data = _unboxed(wire, self.box) if self.box else wire
        return gzip.decompress(data) if self.compressed else data

    def manifest(self, name: str, wire: bytes) -> bytes:
        """Write and sign a manifest."""
        document = _document(name, wire, self.signer.suite)
        signature = self.signer.sign(CONTEXT + _canonical(document))
        return json.dumps({**document, "signature": signature}, sort_keys=True).encode()

    def check(self, manifest: bytes, name: str, wire: bytes) -> None:
        """Hold a manifest of the platform against its file; raise `ValueError`."""
        found = json.loads(manifest)
        document = _document(name, wire, self.signer.suite)
        if {key: found.get(key) for key in document} != document:
            raise ValueError(f"{name}: manifest and file differ")
        if not self.signer.check(CONTEXT + _canonical(document), found["signature"]):
            raise ValueError(f"{name}: signature wrong")


def put(folder: Path, name: str, wire: bytes, manifest: bytes) -> Path:
    """Put a file down as the family wants it: .partial, rename, and the manifest last."""
    for part, data in ((name, wire), (name + ".manifest", manifest)):
        draft = folder / (part + ".partial")
        draft.write_bytes(data)
        draft.rename(folder / part)
    return folder / name


def _document(name: str, wire: bytes, suite: str) -> dict[str, object]:
    return {"family": "YIKABANK", "version": "01", "name": name, "size": len(wire),
            "sha256": hashlib.sha256(wire).hexdigest(), "suite": suite}  # fmt: skip


def _canonical(document: dict[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _content_key(shared: bytes, ephemeral: bytes, receiver: bytes) -> AESGCM:
    info = b"yika/file-box/1\0" + ephemeral + receiver
    return AESGCM(HKDF(hashes.SHA256(), 32, None, info).derive(shared))


def _boxed(data: bytes, receiver: bytes) -> bytes:
    once = X25519PrivateKey.from_private_bytes(os.urandom(32))
    public = once.public_key().public_bytes_raw()
    key = _content_key(once.exchange(X25519PublicKey.from_public_bytes(receiver)), public, receiver)
    out = [BOX + public]
    count = max(1, -(-len(data) // BLOCK))
    for place in range(count):
        nonce = place.to_bytes(11, "big") + bytes([place == count - 1])
        out.append(key.encrypt(nonce, data[place * BLOCK : (place + 1) * BLOCK], out[0]))
    return b"".join(out)


def _unboxed(wire: bytes, secret: bytes) -> bytes:
    own = X25519PrivateKey.from_private_bytes(secret)
    head, body = wire[:40], wire[40:]
    shared = own.exchange(X25519PublicKey.from_public_bytes(head[8:]))
    key = _content_key(shared, head[8:], own.public_key().public_bytes_raw())
    step = BLOCK + 16
    count = max(1, -(-len(body) // step))
    return b"".join(
        key.decrypt(
            place.to_bytes(11, "big") + bytes([place == count - 1]),
            body[place * step : (place + 1) * step],
            head,
        )
        for place in range(count)
    )
