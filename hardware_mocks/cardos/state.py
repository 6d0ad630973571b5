# SPDX-License-Identifier: Apache-2.0
"""What a card remembers without power: directories, files, keys, purse, and its written form.

The written form is one line with a magic word and a SHA-256, then JSON. It is text so that a
person can look into a card image with a pager when a test fails.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

MAGIC = "yika-card-image-1"

MF_FID = 0x3F00
# Memory of the 32 KB class, which the default file set is made for.
EEPROM_BYTES = 32 * 1024

# Directory size that reserves nothing: as much as there is above.
UNLIMITED = 0xFFFF

DIRECTORY = 0x38
TRANSPARENT = 0x28
LINEAR_FIXED = 0x2A
LINEAR_VARIABLE = 0x2C
CYCLIC = 0x2E
PURSE = 0x2F
KEY_FILE = 0x3F

# Key kinds with an error counter where the others have version and algorithm: line protection,
# PIN unblocking, PIN reloading, external authentication, PIN.
COUNTED_KEYS = range(0x36, 0x3B)
SM4_IDENTIFIER = 0x04
SM4_KEY_BYTES = 16

# File types whose two size bytes are the number of records and the record length.
COUNTED = (LINEAR_FIXED, CYCLIC, PURSE)

EF_HEADER_BYTES = 11
PURSE_BODY_BYTES = 22
KEY_OVERHEAD_BYTES = 8


class NotAnImage(ValueError):
    """The bytes are not a card image as `dump` writes it; the text says what differs."""


@dataclass(slots=True)
class Key:
    """One record of a key file; the meaning of `third` and `fourth` depends on the kind.

    Kinds 36 to 3A: next state and error counter (high nibble tries allowed, low nibble tries
    left); `counted_algorithm` is then what the record carried beside them. All others: key
    version and algorithm.
    """

    kind: int
    number: int
    line: int  # 80h: changes need a MAC, 40h: changes are encrypted
    use: int
    change: int
    third: int
    fourth: int
    value: bytes = field(repr=False)
    counted_algorithm: int = 0

    @property
    def sm4(self) -> bool:
        """Whether the key is one of SM4; all others are DES by their length."""
        named = self.counted_algorithm if self.kind in COUNTED_KEYS else self.fourth
        return named == SM4_IDENTIFIER and len(self.value) == SM4_KEY_BYTES

    @property
    def tries_left(self) -> int:
        """How often a wrong proof may still be shown."""
        return self.fourth & 0x0F

    def spend_try(self) -> int:
        """Count one wrong proof and return the tries that are left."""
        left = max(self.tries_left - 1, 0)
        self.fourth = self.fourth & 0xF0 | left
        return left

    def restore_tries(self) -> bool:
        """Allow all tries again after a right proof; tell whether anything changed."""
        full = self.fourth & 0xF0 | self.fourth >> 4
        changed = full != self.fourth
        self.fourth = full
        return changed


@dataclass(slots=True)
class Proof:
    """The cryptograms of the latest purse transaction, kept for GET TRANSACTION PROVE."""

    kind: int
    sequence: int
    mac: bytes
    tac: bytes


@dataclass(slots=True)
class Purse:
    """Balance and counters of one electronic purse or passbook; amounts in its smallest unit."""

    balance: int = 0
    online: int = 0
    offline: int = 0
    overdraft: int = 0
    proof: Proof | None = None


@dataclass(slots=True)
class Ef:
    """One elementary file: its header as CREATE FILE gave it, and its body by type."""

    fid: int
    kind: int
    line: int
    size: int
    read: int
    write: int
    last: int
    body: bytes | None = None
    records: list[bytes] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    purse: Purse | None = None

    @property
    def record_count(self) -> int:
        """How many records a counted file holds."""
        return self.size >> 8

    @property
    def record_length(self) -> int:
        """The length of each record of a counted file in bytes."""
        return self.size & 0xFF

    @property
    def footprint(self) -> int:
        """EEPROM bytes the file takes (FMCOS 2.0 user manual 4.2)."""
        if self.kind == PURSE:
            return EF_HEADER_BYTES + PURSE_BODY_BYTES
        if self.kind in COUNTED:
            return EF_HEADER_BYTES + self.record_count * (self.record_length + 1)
        return EF_HEADER_BYTES + self.size


@dataclass(slots=True)
class Df:
    """One directory (MF, DDF or ADF); `block` is 0 free, 1 until unblocked, 2 for good."""

    fid: int
    name: bytes
    size: int
    create: int
    erase: int
    application_file: int
    block: int = 0
    files: dict[int, Ef] = field(default_factory=dict)
    children: dict[int, Df] = field(default_factory=dict)

    @property
    def key_file(self) -> Ef | None:
        """The one key file of the directory."""
        return next((ef for ef in self.files.values() if ef.kind == KEY_FILE), None)

    @property
    def unprotected(self) -> bool:
        """Whether the directory holds no key yet, so that its rights protect nothing.

        The manual frees a directory "without a key file"; an empty key file counts the same
        here, or a card cut between CREATE FILE and its first WRITE KEY would be lost.
        """
        key_file = self.key_file
        return key_file is None or not key_file.keys

    @property
    def used(self) -> int:
        """EEPROM bytes of everything inside the directory."""
        return sum(ef.footprint for ef in self.files.values()) + sum(
            child.reserved for child in self.children.values()
        )

    @property
    def footprint(self) -> int:
        """EEPROM bytes of the directory with its header and name."""
        return EF_HEADER_BYTES + len(self.name) + self.used

    @property
    def reserved(self) -> int:
        """EEPROM bytes the directory takes from the one above: all it may ever use."""
        if self.size == UNLIMITED:
            return self.footprint
        return EF_HEADER_BYTES + len(self.name) + self.size

    def key(self, kind: int, number: int) -> Key | None:
        """Find a key by kind and number."""
        key_file = self.key_file
        keys = key_file.keys if key_file else []
        return next((k for k in keys if (k.kind, k.number) == (kind, number)), None)


@dataclass(slots=True)
class CardImage:
    """Everything one card keeps without power."""

    uid: bytes
    mf: Df | None = None
    blocked: bool = False
    eeprom: int = EEPROM_BYTES


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    message = f"{type(value).__name__} has no written form"
    raise TypeError(message)


def seal(content: dict[str, Any]) -> bytes:
    """Write a JSON object below a line with the magic word and its SHA-256."""
    body = json.dumps(content, default=_plain, separators=(",", ":")).encode()
    return f"{MAGIC} {hashlib.sha256(body).hexdigest()}\n".encode() + body


def unseal(written: bytes) -> dict[str, Any]:
    """Read what `seal` wrote.

    Raises:
        NotAnImage: the magic word or the checksum differs.

    >>> unseal(seal({"uid": b"Y"}))
    {'uid': '59'}
    """
    head, _, body = written.partition(b"\n")
    magic, _, digest = head.decode("ascii", "replace").partition(" ")
    if magic != MAGIC:
        reason = "no card image (magic word missing)"
        raise NotAnImage(reason)
    if digest != hashlib.sha256(body).hexdigest():
        reason = "checksum differs"
        raise NotAnImage(reason)
    content: dict[str, Any] = json.loads(body)
    return content


def kind_of(written: bytes) -> str:
    """Tell what an image is of: "card" or "psam".

    Raises:
        NotAnImage: the bytes are no image at all.
    """
    return str(unseal(written).get("kind"))


def dump(image: CardImage) -> bytes:
    """Return the written form of a card."""
    return seal({"kind": "card", **asdict(image)})


def load(written: bytes) -> CardImage:
    """Rebuild a card from its written form.

    Raises:
        NotAnImage: the bytes were not written by `dump`.

    >>> image = CardImage(bytes.fromhex("01020304"))
    >>> load(dump(image)) == image
    True
    """
    content = unseal(written)
    if content["kind"] != "card":
        reason = f"a {content['kind']}, not a card"
        raise NotAnImage(reason)
    mf = content["mf"]
    return CardImage(
        bytes.fromhex(content["uid"]),
        _directory(mf) if mf else None,
        content["blocked"],
        content.get("eeprom", EEPROM_BYTES),
    )


def _directory(raw: dict[str, Any]) -> Df:
    files = [_file(item) for item in raw.pop("files").values()]
    children = [_directory(item) for item in raw.pop("children").values()]
    raw["name"] = bytes.fromhex(raw["name"])
    return Df(
        **raw,
        files={ef.fid: ef for ef in files},
        children={child.fid: child for child in children},
    )


def _file(raw: dict[str, Any]) -> Ef:
    body, purse = raw.pop("body"), raw.pop("purse")
    records = [bytes.fromhex(record) for record in raw.pop("records")]
    keys = [Key(**{**key, "value": bytes.fromhex(key["value"])}) for key in raw.pop("keys")]
    return Ef(
        **raw,
        body=None if body is None else bytes.fromhex(body),
        records=records,
        keys=keys,
        purse=_purse(purse) if purse else None,
    )


def _purse(raw: dict[str, Any]) -> Purse:
    proof = raw.pop("proof")
    if proof:
        proof = Proof(
            proof["kind"],
            proof["sequence"],
            bytes.fromhex(proof["mac"]),
            bytes.fromhex(proof["tac"]),
        )
    return Purse(**raw, proof=proof)
