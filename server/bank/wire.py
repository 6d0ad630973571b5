# SPDX-License-Identifier: Apache-2.0
"""Between a file's content and how it travels: compression, encryption, signature, digest.

Content is compressed, then encrypted; the manifest names the digest of what comes of it and is
signed. On the way in each step has its limit, and none is taken before the one around it held.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from keys.custody import KeyStore
from keys.errors import BadPublicKey, BadSeal
from keys.file_box import BoxKey, encrypt
from keys.file_pgp import PgpHome, PgpTooLarge
from keys.identity import Identity
from keys.verify import verify
from server.bank.files import manifest as manifests
from server.bank.files.jsonlines import LINE_MAX
from server.bank.files.manifest import CONTEXT, Manifest
from server.bank.files.reasons import FileRefused, Finding, shown
from server.bank.partners import Partner, unseal

# The widest record of 20 million lines would have 8 GB; nobody needs that much in one file.
FILE_BYTES_MAX = 4 << 30
CHUNK = 1 << 20
GZIP_WINDOW = 31  # zlib: a gzip header, and the largest window


@dataclass(frozen=True)
class Packed:
    """A file ready to travel: its bytes in `path`, and the manifest that goes after it."""

    path: Path
    manifest: bytes
    wire_sha256: str
    size: int


def pack(partner: Partner, store: KeyStore, name: str, content: Path, work: Path) -> Packed:
    """Compress, encrypt and sign a file as its partner wants it."""
    path = content
    if partner.declared.compression == "gzip":
        path = work / (name + ".gz")
        with (
            content.open("rb") as source,
            path.open("wb") as raw,
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as target,
        ):
            shutil.copyfileobj(source, target, CHUNK)
    if partner.declared.encryption != "none":
        path = _encrypted(partner, path, work / (name + ".enc"))
    digest, size = digest_of(path)
    made = Manifest(name, size, digest, partner.declared.suite)
    return Packed(path, made.to_bytes(_signature(partner, store, made)), digest, size)


def _encrypted(partner: Partner, source: Path, target: Path) -> Path:
    declared = partner.declared
    if declared.encryption == "box":
        with source.open("rb") as plain, target.open("wb") as sealed:
            encrypt(plain, sealed, bytes.fromhex(declared.encryption_key))
        return target
    with PgpHome.opened() as home:
        home.encrypt(source, target, home.add(declared.encryption_key))
    return target


def _signature(partner: Partner, store: KeyStore, made: Manifest) -> str:
    secret = unseal(store, partner.code, "sign", partner.row.sign_sealed)
    if partner.declared.suite == "pgp":
        with PgpHome.opened() as home:
            return home.sign(CONTEXT + made.signed_bytes(), home.add(secret.decode()))
    identity = Identity.from_pem(secret, f"bank key of {partner.code}")
    return identity.sign(CONTEXT, made.signed_bytes()).hex()


def digest_of(path: Path) -> tuple[str, int]:
    """Return SHA-256 in hex and size of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()


def checked_manifest(data: bytes, name: str, path: Path) -> Manifest:
    """Read a manifest and compare it with its file; the signature is checked apart.

    Raises:
        FileRefused: F01 to F03, F08.
    """
    made, _ = manifests.read(data)
    if made.name != name:
        raise FileRefused(Finding("F01", 0, "name", name, shown(made.name)))
    size = path.stat().st_size if path.exists() else 0
    if made.size > FILE_BYTES_MAX:
        raise FileRefused(Finding("F08", 0, "size", f"<= {FILE_BYTES_MAX}", str(made.size)))
    if made.size != size:
        raise FileRefused(Finding("F02", 0, "size", str(made.size), str(size)))
    found, _ = digest_of(path)
    if found != made.sha256:
        raise FileRefused(Finding("F03", 0, "sha256", shown(made.sha256), shown(found)))
    return made


def check_signature(partner: Partner, data: bytes) -> None:
    """Check who signed a manifest.

    Raises:
        FileRefused: F04 for a wrong signature or suite, F05 for a key that is not the partner's.
    """
    made, signature = manifests.read(data)
    declared = partner.declared
    if made.suite != declared.suite:
        raise FileRefused(Finding("F04", 0, "suite", declared.suite, shown(made.suite)))
    message = made.signed_bytes()
    if declared.suite == "pgp":
        _check_pgp(declared.keys, signature, CONTEXT + message)
        return
    try:
        raw = bytes.fromhex(signature)
        right = any(verify(bytes.fromhex(key), raw, CONTEXT, message) for key in declared.keys)
    except (ValueError, BadPublicKey) as error:
        raise FileRefused(Finding("F04", 0, "signature", "hex", shown(signature))) from error
    if not right:
        raise FileRefused(Finding("F04", 0, "signature", "of the partner's key", "another"))


def _check_pgp(keys: tuple[str, ...], signature: str, message: bytes) -> None:
    with PgpHome.opened() as home:
        known = {home.add(key) for key in keys}
        signer = home.verify(signature, message)
    if signer is None:
        raise FileRefused(Finding("F04", 0, "signature", "of the partner's key", "none that holds"))
    if signer not in known:
        raise FileRefused(Finding("F05", 0, "signature", ",".join(sorted(known)), signer))


def content_of(partner: Partner, store: KeyStore, wire: Path, work: Path) -> Path:
    """Decrypt and unpack a file; where neither is agreed the file itself is its content.

    Raises:
        FileRefused: F06 for what cannot be opened, F07 for what grows beyond the limit.
    """
    path, limit = wire, _limit(partner)
    if partner.declared.encryption != "none":
        path = _decrypted(partner, store, path, work / "opened", limit)
    if partner.declared.compression == "gzip":
        path = _unpacked(path, work / "content", limit)
    return path


def _limit(partner: Partner) -> int:
    declared = partner.declared
    width = max(layout.width for layout in declared.layouts.values()) + 2
    line = LINE_MAX if declared.profile.name == "jsonl" else width
    return min(FILE_BYTES_MAX, (declared.lines_max + 2) * line)


def _decrypted(partner: Partner, store: KeyStore, source: Path, target: Path, limit: int) -> Path:
    sealed = partner.row.open_sealed
    assert sealed is not None
    secret = unseal(store, partner.code, "open", sealed)
    try:
        with target.open("wb") as file:
            if partner.declared.encryption == "box":
                with source.open("rb") as wire:
                    BoxKey(secret).open(wire, file, limit)
            else:
                with PgpHome.opened() as home:
                    home.add(secret.decode())
                    home.decrypt(source, file, limit)
    except BadSeal as error:
        scheme = partner.declared.encryption
        raise FileRefused(Finding("F06", 0, "", f"{scheme} to our key", "not openable")) from error
    except PgpTooLarge as error:
        raise FileRefused(Finding("F07", 0, "size", f"<= {limit} bytes", "more")) from error
    return target


def _unpacked(source: Path, target: Path, limit: int) -> Path:
    size = 0
    try:
        with source.open("rb") as packed, target.open("wb") as file:
            for piece in _inflated(packed):
                size += len(piece)
                if size > limit:
                    raise FileRefused(Finding("F07", 0, "size", f"<= {limit} bytes", "more"))
                file.write(piece)
    except (zlib.error, EOFError) as error:
        raise FileRefused(Finding("F06", 0, "", "gzip", shown(str(error)))) from error
    return target


def _inflated(packed: BinaryIO) -> Iterator[bytes]:
    """Inflate one gzip member, never more than a chunk at a time whatever it says of itself."""
    unpacking = zlib.decompressobj(GZIP_WINDOW)
    while not unpacking.eof:
        waiting = unpacking.unconsumed_tail or packed.read(CHUNK)
        piece = unpacking.decompress(waiting, CHUNK)
        if not waiting and not piece:
            raise EOFError("cut off")
        yield piece
    if unpacking.unused_data or packed.read(1):
        raise EOFError("something follows")
