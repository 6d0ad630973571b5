# SPDX-License-Identifier: Apache-2.0
"""Signed notes, checkpoints, cosignatures and proofs as text (C2SP signed-note and tlog-*).

A checkpoint is three lines, origin, size and root in base64; then an empty line, then signatures:
the log's own and those of witnesses, each of which also says when it saw the log like this.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from keys.identity import Identity
from keys.suite import Suite
from keys.verify import verify
from swipe.errors import BadNote
from swipe.merkle import HASH_SIZE, PROOF_MAX

ED25519, COSIGNATURE = b"\x01", b"\x04"
# No number is assigned to SM2; 0xFF stands before a name of one's own.
SM2 = b"\xffyika/sm2\0"
ALGORITHMS = {ED25519: 32, COSIGNATURE: 32, SM2: 64}
PROOF_HEAD = "c2sp.org/tlog-proof@v1"
# A checkpoint has a few hundred bytes; nobody asks for signatures of this many witnesses.
NOTE_MAX = 64 * 1024
SIGNATURES_MAX = 100
SIZE_MAX = 2**63 - 1
_DASH = "\u2014 "


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under its name, as logs and witnesses are known by."""

    name: str
    algorithm: bytes
    public_key: bytes

    @classmethod
    def of(cls, name: str, public_key: bytes, *, witness: bool = False) -> VerifierKey:
        """Name the public key of a log, or of a witness."""
        kind = SM2 if Suite.of(public_key) is Suite.SM2 else ED25519
        return cls(check_name(name), COSIGNATURE if witness else kind, public_key)

    @classmethod
    def from_text(cls, text: str) -> VerifierKey:
        """Read ``name+hash+base64``; raise ``BadNote`` for anything else."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise BadNote("verifier key", "expected name+hash+base64")
        material = _unbase64(parts[2], "verifier key")
        for algorithm, length in ALGORITHMS.items():
            if material.startswith(algorithm) and len(material) == len(algorithm) + length:
                key = cls(check_name(parts[0]), algorithm, material[len(algorithm) :])
                if key.key_id.hex() == parts[1]:
                    return key
        raise BadNote("verifier key", "unknown algorithm, or the hash does not fit")

    @property
    def key_id(self) -> bytes:
        """Give the four bytes that stand before its signatures."""
        data = self.name.encode() + b"\n" + self.algorithm + self.public_key
        return hashlib.sha256(data).digest()[:4]

    def __str__(self) -> str:
        material = base64.b64encode(self.algorithm + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a tree: whose, how many leaves, which root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """Give what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text and the signatures under it: name, key id and signature of each."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def from_text(cls, note: str) -> Note:
        """Read a signed note; raise ``BadNote`` when it is none."""
        text, gap, rest = note.rpartition("\n\n")
        if len(note) > NOTE_MAX or not gap or not rest.endswith("\n"):
            raise BadNote("signed note", "no signatures behind an empty line")
        if any(ord(sign) < 0x20 and sign != "\n" for sign in note):
            raise BadNote("signed note", "control characters")
        lines = rest[:-1].split("\n")
        if len(lines) > SIGNATURES_MAX:
            raise BadNote("signed note", f"more than {SIGNATURES_MAX} signatures")
        return cls(text + "\n", tuple(_signature(line) for line in lines))

    @property
    def checkpoint(self) -> Checkpoint:
        """Give the checkpoint that the text is; raise ``BadNote`` when it is none."""
        lines = self.text.split("\n")
        if len(lines) < 4 or not lines[0]:
            raise BadNote("checkpoint", "fewer than three lines")
        if not _is_number(lines[1]) or int(lines[1]) > SIZE_MAX:
            raise BadNote("checkpoint", "the size is no number")
        root = _unbase64(lines[2], "checkpoint")
        if len(root) != HASH_SIZE:
            raise BadNote("checkpoint", "the root is no SHA-256")
        return Checkpoint(lines[0], int(lines[1]), root)

    def signed_by(self, key: VerifierKey) -> bool:
        """Say whether a valid signature of this log or witness stands under the text."""
        return any(
            _verifies(self.text, key, signature)
            for name, key_id, signature in self.signatures
            if name == key.name and key_id == key.key_id
        )

    def __str__(self) -> str:
        lines = (signature_line(*each) for each in self.signatures)
        return f"{self.text}\n{''.join(lines)}"


def check_name(name: str) -> str:
    """Return a name of a key or a log; raise ``BadNote`` for one that would break the text."""
    if not name or "+" in name or any(sign.isspace() or ord(sign) < 0x20 for sign in name):
        raise BadNote("name", "empty, or with a blank, a plus or a control character")
    return name


def signature_line(name: str, key_id: bytes, signature: bytes) -> str:
    """Give one line under a note."""
    return f"{_DASH}{name} {base64.b64encode(key_id + signature).decode()}\n"


def signature_lines(text: str) -> tuple[tuple[str, bytes, bytes], ...]:
    """Read lines of signatures, as a witness answers; raise ``BadNote`` for anything else."""
    lines = text.splitlines()
    if len(lines) > SIGNATURES_MAX:
        raise BadNote("signed note", f"more than {SIGNATURES_MAX} signatures")
    return tuple(_signature(line) for line in lines)


def sign(checkpoint: Checkpoint, identity: Identity) -> Note:
    """Sign a checkpoint as its log. The text has no zero byte, so no other context can meet it."""
    key = VerifierKey.of(checkpoint.origin, identity.public_key)
    signature = identity.sign(b"", checkpoint.text.encode())
    return Note(checkpoint.text, ((key.name, key.key_id, signature),))


def cosigned(text: str, seconds: int) -> bytes:
    """Give what a witness signs: that it saw this text, consistent, at this time."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


@dataclass(frozen=True, slots=True)
class Proof:
    """That an entry stands at a place of a checkpoint's tree, to be checked without the log."""

    index: int
    hashes: tuple[bytes, ...]
    note: Note

    @classmethod
    def from_text(cls, text: str) -> Proof:
        """Read a proof; raise ``BadNote`` when it is none."""
        head, gap, note = text.partition("\n\n")
        lines = head.split("\n")
        if not gap or lines[0] != PROOF_HEAD or len(text) > NOTE_MAX:
            raise BadNote("proof", f"it does not begin with {PROOF_HEAD}")
        rest = [line for line in lines[1:] if not line.startswith("extra ")]
        if not rest or not rest[0].startswith("index ") or not _is_number(rest[0][6:]):
            raise BadNote("proof", "no line with the index")
        hashes = tuple(_unbase64(line, "proof") for line in rest[1:])
        if len(hashes) > PROOF_MAX or any(len(each) != HASH_SIZE for each in hashes):
            raise BadNote("proof", "a line that is no hash, or too many")
        return cls(int(rest[0][6:]), hashes, Note.from_text(note))

    def __str__(self) -> str:
        return "\n".join(
            (PROOF_HEAD, f"index {self.index}", *base64_lines(self.hashes), "", str(self.note))
        )


def base64_lines(hashes: Sequence[bytes]) -> list[str]:
    """Write hashes in base64, one a line."""
    return [base64.b64encode(each).decode() for each in hashes]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, coded = line.removeprefix(_DASH).partition(" ")
    data = _unbase64(coded, "signature")
    if not line.startswith(_DASH) or len(data) < 5:
        raise BadNote("signature", "expected a dash, a name and base64")
    return check_name(name), data[:4], data[4:]


def _verifies(text: str, key: VerifierKey, signature: bytes) -> bool:
    data = text.encode()
    if key.algorithm == COSIGNATURE:
        data = cosigned(text, int.from_bytes(signature[:8]))
        signature = signature[8:]
    return len(signature) == 64 and verify(key.public_key, signature, b"", data)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and str(int(text)) == text


def _unbase64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BadNote(what, "what should be base64 is not") from exc
