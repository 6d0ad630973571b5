# SPDX-License-Identifier: Apache-2.0
"""What a terminal puts on a memory stick, and what the server gives back on it.

One folder for each terminal, ``yika-<terminal>``: for each batch a file ``batch-<number>.yika``
with the very bytes an upload would carry; ``manifest.json``, which names them all and is signed
with the terminal's key; and, after the server has taken them, ``receipts.yika``: the header of an
export and one RECEIPT frame for each batch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from keys.identity import Identity
from keys.verify import verify
from swipe.batch import BatchHeader
from swipe.errors import FieldError

STICK_CONTEXT = b"yika/stick/1\0"
MANIFEST = "manifest.json"
RECEIPTS = "receipts.yika"
# A million events in batches of a hundred; and a name that leads nowhere else.
BATCHES_MAX = 10_000
MANIFEST_SIZE_MAX = 4 * 1024 * 1024
_FOLDER = re.compile(r"yika-(\d{1,20})", re.ASCII)
_FILE = re.compile(r"batch-(\d{8})\.yika", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listed:
    """One batch of a stick: its number, its events, and SHA-256 of its bytes in hex."""

    batch_no: int
    first_seq: int
    last_seq: int
    sha256: str

    @classmethod
    def of(cls, header: BatchHeader, body: bytes) -> Listed:
        """List a batch."""
        digest = hashlib.sha256(body).hexdigest()
        return cls(header.batch_no, header.first_seq, header.last_seq, digest)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is on a stick: whose, when it was written, which batches."""

    terminal_id: int
    key_id: int
    made_ms: int
    batches: tuple[Listed, ...]

    def seal(self, identity: Identity) -> bytes:
        """Return the file: JSON with the terminal's signature over the rest of it."""
        document = asdict(self)
        signature = identity.sign(STICK_CONTEXT, _canonical(document))
        return json.dumps(document | {"signature": signature.hex()}, indent=1).encode()

    @classmethod
    def parse(cls, data: bytes) -> tuple[Manifest, bytes, bytes]:
        """Read a file; return the manifest, the bytes that are signed, and the signature.

        Raises:
            FieldError: It is no manifest.
        """
        if len(data) > MANIFEST_SIZE_MAX:
            raise FieldError("manifest", f"longer than {MANIFEST_SIZE_MAX} bytes")
        try:
            document: dict[str, Any] = json.loads(data)
            signature = bytes.fromhex(document.pop("signature"))
            listed = [Listed(**item) for item in document["batches"]]
            manifest = cls(**(document | {"batches": tuple(listed)}))
            numbers = [manifest.terminal_id, manifest.key_id, manifest.made_ms]
            numbers += [
                n for item in listed for n in (item.batch_no, item.first_seq, item.last_seq)
            ]
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise FieldError("manifest", "not of this format") from exc
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise FieldError("manifest", "a number is none")
        if len(listed) > BATCHES_MAX or not all(isinstance(b.sha256, str) for b in listed):
            raise FieldError("manifest", "not of this format")
        return manifest, _canonical(document), signature


def manifest_holds(signed: bytes, signature: bytes, public_key: bytes) -> bool:
    """Say whether a manifest's signature is this key's."""
    return verify(public_key, signature, STICK_CONTEXT, signed)


def folder_name(terminal_id: int) -> str:
    """Name a terminal's folder on a stick.

    >>> folder_name(4711)
    'yika-4711'
    """
    return f"yika-{terminal_id}"


def folder_terminal(name: str) -> int | None:
    """Tell whose folder it is; None if it is no terminal's."""
    found = _FOLDER.fullmatch(name)
    return int(found[1]) if found else None


def batch_name(number: int) -> str:
    """Name the file of a batch.

    >>> batch_name(7)
    'batch-00000007.yika'
    """
    return f"batch-{number:08d}.yika"


def batch_numbers(names: Sequence[str]) -> list[int]:
    """Tell the numbers of the batches among some names, in order; other files are passed over.

    >>> batch_numbers(["manifest.json", "batch-00000012.yika", ".batch-00000009.yika.new"])
    [12]
    """
    return sorted(int(found[1]) for name in names if (found := _FILE.fullmatch(name)))


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
