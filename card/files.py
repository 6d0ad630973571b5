# SPDX-License-Identifier: Apache-2.0
"""The volunteer card's files and keys as data (FMCOS 2.0 user manual, chapters 4, 5 and 7.13).

One declaration serves the codec, personalisation, the dump of a card and the document
docs/spec/card-layout.md, which `python -m card.layout_document` prints.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any

from card.access import (
    AFTER_ANY_PROOF,
    AFTER_CONTROL_KEY,
    AFTER_DESK_KEY,
    ALWAYS,
    CONTROL_STATE,
    DESK_STATE,
    NEVER,
    UNUSED,
)
from card.codec import Layout
from card.layouts import (
    COMPOSITE,
    HOLDER_DATA,
    LOG_RECORD,
    PHOTO_HEAD,
    PUBLIC_DATA,
    SERVICE_DATA,
    TRAINING,
    UPDATE_STATE,
)
from card.status_words import Text
from keys.algorithm import Algorithm
from keys.usage import CARD_KEYS, KeyUsage

MF_FID = 0x3F00
VOLUNTEER_AID = bytes.fromhex("F059494B4101")
EF_HEADER_BYTES = 11  # what the card adds to every file (manual 4.2)
KEY_OVERHEAD_BYTES = 8  # and to every key
PURSE_BYTES = 22
KEY_BYTES = 16

TRIES = 0x33  # three tries, three left; only desk and issuer use such keys, never a tap
NOT_USED = 0xFF

# Version of the application: 1 had no photo, training records or update state.
FIRST_VERSION = 1
APPLICATION_VERSION = 2

PHOTO_BYTES_MAX = 1536  # JPEG of at most 1.5 KB

PLAIN_READS_ONLY = 0xFF  # last byte of a file: reads cannot carry a MAC, writes use key 36/00
MACED_READS = 0x7F  # reads must carry a MAC under key 36/00
KEY_ENCRYPTED = 0xC0  # bits of the key type: later changes must be encrypted and MACed
FCI_FILE = 0x80  # 100xxxxx: SELECT answers with the content of this file

# The chip must keep this free for later applications (at least 12 KB).
FREE_BYTES_MIN = 12_288


class FileKind(enum.IntEnum):
    """File type, first byte of the file control information (manual 7.13.3)."""

    TRANSPARENT = 0x28
    FIXED = 0x2A
    VARIABLE = 0x2C
    CYCLIC = 0x2E
    PURSE = 0x2F
    KEYS = 0x3F

    @property
    def label(self) -> Text:
        """Return the name of the type."""
        return _KINDS[self]


_KINDS = {
    FileKind.TRANSPARENT: Text("二进制", "transparent"),
    FileKind.FIXED: Text("定长记录", "fixed records"),
    FileKind.VARIABLE: Text("变长记录", "variable records"),
    FileKind.CYCLIC: Text("循环记录", "cyclic records"),
    FileKind.PURSE: Text("电子钱包", "purse"),
    FileKind.KEYS: Text("密钥", "keys"),
}

_MAC_ON_WRITE = 0x80
_PLAIN_READS = 0x80  # of the last byte: reads carry no MAC


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One elementary file.

    Attributes:
        fid: File identifier; its low five bits are the SFI.
        kind: File type.
        size: The two size bytes: length, or record count and record length.
        read: Access right for reading; for a purse its use, for keys the file the FCI shows.
        write: Access right for writing; for keys for adding one.
        last: Seventh control byte: line protection, or the SFI of a purse's log.
        layout: What it holds, or what it begins with; None if the card alone writes it.
        label: Its name.
        source: Where the layout comes from.
        mac: Whether writes must carry a MAC under key 36/00.
        since: First version of the application that has it.
        first: Right to write and last byte in version 1 of the application, where they differed.
    """

    fid: int
    kind: FileKind
    size: int
    read: int
    write: int
    last: int
    label: Text
    source: str
    layout: Layout[Any] | None = None
    mac: bool = False
    since: int = FIRST_VERSION
    first: tuple[int, int] | None = None

    def as_of(self, version: int) -> FileSpec:
        """Return the file as a version of the application has it."""
        if self.first is None or version > FIRST_VERSION:
            return self
        write, last = self.first
        return dataclasses.replace(self, write=write, last=last)

    @property
    def sfi(self) -> int:
        """Return the short file identifier."""
        return self.fid & 0x1F

    @property
    def records(self) -> int:
        """Return how many records a file of counted records holds."""
        return self.size >> 8

    @property
    def record_bytes(self) -> int:
        """Return the length of a record in a file of counted records."""
        return self.size & 0xFF

    @property
    def maced_reads(self) -> bool:
        """Whether reads must carry a MAC and are answered with one (manual 7.13.3)."""
        own = self.kind not in (FileKind.PURSE, FileKind.KEYS)
        return own and not self.last & _PLAIN_READS

    @property
    def eeprom_bytes(self) -> int:
        """Return what the file takes of the chip's memory (manual 4.2)."""
        if self.kind is FileKind.PURSE:
            return EF_HEADER_BYTES + PURSE_BYTES
        if self.kind in (FileKind.FIXED, FileKind.CYCLIC):
            return EF_HEADER_BYTES + self.records * (self.record_bytes + 1)
        return EF_HEADER_BYTES + self.size

    def control(self) -> bytes:
        """Return the file control information for CREATE FILE.

        >>> VOLUNTEER.file(0x0018).control().hex()
        '2e1e17f1efff7f'
        """
        kind = self.kind | (_MAC_ON_WRITE if self.mac else 0)
        size = self.size.to_bytes(2, "big")
        return bytes([kind]) + size + bytes([self.read, self.write, NOT_USED, self.last])


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One key of a directory; `third` and `fourth` are what the type puts there.

    Types 39: next state and tries. Type 36: unused and tries. Others: version and algorithm,
    where the version is that of the key set.
    """

    usage: KeyUsage
    next_state: int | None = None
    source: str = "FMCOS 2.0 user manual 7.12; JR/T 0025.9"

    @property
    def key_type(self) -> int:
        """Return the PBOC key type."""
        return CARD_KEYS[self.usage].key_type

    @property
    def key_id(self) -> int:
        """Return the key id."""
        return CARD_KEYS[self.usage].key_id

    @property
    def counted(self) -> bool:
        """Whether wrong use is counted and locks the key."""
        return self.key_type in (0x36, 0x39)

    @property
    def label(self) -> Text:
        """Return the name of the key."""
        slot = CARD_KEYS[self.usage]
        return Text(slot.label_zh, slot.label_en)

    def header(
        self, version: int, *, encrypted: bool = True, algorithm: Algorithm = Algorithm.TDES
    ) -> bytes:
        """Return the bytes before the key in WRITE KEY (manual 7.12.3).

        Five bytes; an SM4 key that counts errors has its algorithm in a sixth, as next state and
        tries stand where other keys name it (ADR 0110).

        >>> KeySpec(KeyUsage.TAC).header(1).hex()
        'f4f0ff0100'
        >>> KeySpec(KeyUsage.MAINTENANCE).header(1, algorithm=Algorithm.SM4).hex()
        'f6f0ffff3304'
        """
        kind = self.key_type | (KEY_ENCRYPTED if encrypted else 0)
        rights = bytes([kind, ALWAYS, AFTER_CONTROL_KEY])
        if not self.counted:
            return rights + bytes([version, algorithm.card_id])
        state = NOT_USED if self.next_state is None else self.next_state
        named = b"" if algorithm is Algorithm.TDES else bytes([algorithm.card_id])
        return rights + bytes([state, TRIES]) + named


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory with its key file, keys and files; the control key 39/00 comes first."""

    fid: int
    name: bytes
    space: int
    fci_file: int
    key_file: FileSpec
    keys: tuple[KeySpec, ...]
    files: tuple[FileSpec, ...]
    label: Text
    version: int = APPLICATION_VERSION

    @property
    def control_key(self) -> KeySpec:
        """Return the key that opens the directory for its owner."""
        return self.keys[0]

    @property
    def other_keys(self) -> tuple[KeySpec, ...]:
        """Return all keys but the control key."""
        return self.keys[1:]

    @property
    def eeprom_bytes(self) -> int:
        """Return what the directory takes of the chip's memory."""
        inside = sum(spec.eeprom_bytes for spec in (self.key_file, *self.files))
        return EF_HEADER_BYTES + len(self.name) + max(inside, self.space)

    def file(self, fid: int) -> FileSpec:
        """Return the file with this identifier.

        Raises:
            KeyError: There is none.
        """
        for spec in self.files:
            if spec.fid == fid:
                return spec
        raise KeyError(fid)

    def files_of(self, version: int) -> tuple[FileSpec, ...]:
        """Return the files as a version of the application has them, in order of creation.

        >>> VOLUNTEER.file(0x0016).maced_reads, VOLUNTEER.files_of(1)[1].maced_reads
        (True, False)
        """
        return tuple(spec.as_of(version) for spec in self.files if spec.since <= version)

    def control(self) -> bytes:
        """Return the control information for CREATE FILE of this directory."""
        rights = bytes([AFTER_CONTROL_KEY, AFTER_CONTROL_KEY, self.fci_file])
        head = b"\x38" + self.space.to_bytes(2, "big") + rights
        return head + b"\xff\xff" + self.name


def _key_file(keys: int, fci_file: int) -> FileSpec:
    size = keys * (KEY_BYTES + KEY_OVERHEAD_BYTES)
    label = Text("密钥文件", "key file")
    return FileSpec(
        0x0000, FileKind.KEYS, size, fci_file, AFTER_CONTROL_KEY, NOT_USED, label, "FMCOS 7.13"
    )


_DIR_SFI = 0x01  # where a list of applications would stand; none is written
_SPARE_KEYS = 2  # room for a second version of the purchase keys while a key set changes

MASTER_FILE = Directory(
    fid=MF_FID,
    name=b"",
    space=0xFFFF,
    fci_file=_DIR_SFI,
    key_file=_key_file(1, _DIR_SFI),
    keys=(KeySpec(KeyUsage.CARD_CONTROL, CONTROL_STATE),),
    files=(),
    label=Text("主文件 MF", "master file"),
)

_PLAIN_FIRST = (AFTER_CONTROL_KEY, PLAIN_READS_ONLY)  # write and last byte in version 1

VOLUNTEER = Directory(
    fid=0x3F01,
    name=VOLUNTEER_AID,
    space=4096,
    fci_file=FCI_FILE | 0x15,
    key_file=_key_file(7 + _SPARE_KEYS, FCI_FILE | 0x15),
    keys=(
        KeySpec(KeyUsage.CONTROL, CONTROL_STATE),
        KeySpec(KeyUsage.DESK_READ, DESK_STATE),
        KeySpec(KeyUsage.MAINTENANCE),
        KeySpec(KeyUsage.PURCHASE_PSAM),
        KeySpec(KeyUsage.PURCHASE_SOFT),
        KeySpec(KeyUsage.TAC),
        KeySpec(KeyUsage.PRESENCE),
    ),
    files=(
        FileSpec(
            0x0015, FileKind.TRANSPARENT, 56, ALWAYS, AFTER_ANY_PROOF, PLAIN_READS_ONLY,
            Text("公共应用基本信息", "public data"), "JR/T 0025.9; FMCOS App. A; own from byte 30",
            PUBLIC_DATA, mac=True, first=_PLAIN_FIRST,
        ),
        FileSpec(
            0x0016, FileKind.TRANSPARENT, 128, AFTER_DESK_KEY, AFTER_CONTROL_KEY,
            MACED_READS, Text("持卡人信息", "holder"), "own, after JR/T 0025.9",
            HOLDER_DATA, mac=True, first=_PLAIN_FIRST,
        ),
        FileSpec(
            0x0017, FileKind.TRANSPARENT, 96, AFTER_DESK_KEY, AFTER_ANY_PROOF,
            MACED_READS, Text("服务信息", "service"), "own", SERVICE_DATA, mac=True,
            first=_PLAIN_FIRST,
        ),
        FileSpec(
            0x0018, FileKind.CYCLIC, 0x1E17, AFTER_ANY_PROOF, NEVER, MACED_READS,
            Text("交易明细", "transaction log"), "JR/T 0025.9; FMCOS table 8.16", LOG_RECORD,
        ),
        FileSpec(
            0x0019, FileKind.VARIABLE, 64, ALWAYS, AFTER_CONTROL_KEY, PLAIN_READS_ONLY,
            Text("复合应用记录", "composite record"), "own; FMCOS 8.9", COMPOSITE,
        ),
        FileSpec(
            0x001A, FileKind.TRANSPARENT, UPDATE_STATE.size, AFTER_DESK_KEY, AFTER_ANY_PROOF,
            MACED_READS, Text("更新状态", "update state"), "own", UPDATE_STATE, mac=True, since=2,
        ),
        FileSpec(
            0x001B, FileKind.TRANSPARENT, PHOTO_HEAD.size + PHOTO_BYTES_MAX, AFTER_DESK_KEY,
            AFTER_CONTROL_KEY, MACED_READS, Text("照片", "photo"),
            "own; FMCOS issuing example (photo file)", PHOTO_HEAD, mac=True, since=2,
        ),
        FileSpec(
            0x001C, FileKind.CYCLIC, 10 << 8 | TRAINING.size, AFTER_DESK_KEY, AFTER_CONTROL_KEY,
            MACED_READS, Text("培训记录", "training records"), "own", TRAINING, mac=True,
            since=2,
        ),
        FileSpec(
            0x0002, FileKind.PURSE, 0x0208, ALWAYS, UNUSED, 0x18,
            Text("电子钱包（余额恒为零）", "purse (balance always 0)"), "JR/T 0025.9; FMCOS 7.13",
        ),
    ),
    label=Text("义工证应用", "volunteer application"),
)  # fmt: skip

# The application as version 1 had it: cards of it are read, and are replaced when they expire.
VOLUNTEER_1 = dataclasses.replace(
    VOLUNTEER, space=2048, files=VOLUNTEER.files_of(FIRST_VERSION), version=FIRST_VERSION
)
