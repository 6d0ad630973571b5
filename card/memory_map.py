# SPDX-License-Identifier: Apache-2.0
"""What a chip's memory is used for, row by row, and whether enough stays free.

Sizes come from the declarations of `card.files` and the rules of the card's manual (4.2): every
file costs a header, a directory keeps the space it was created with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from card.files import EF_HEADER_BYTES, FREE_BYTES_MIN, Directory, FileSpec
from card.profile import REDUCED, STANDARD, Profile, ProfileTooBig
from card.status_words import Text

PROFILES = {profile.name: profile for profile in (STANDARD, REDUCED)}


@dataclass(frozen=True, slots=True)
class ChipClass:
    """A chip by its memory for files.

    Attributes:
        name: How the command line calls it.
        chip_bytes: Memory for files.
        profile: The profile it is issued with; None where no profile fits.
        label: Its name.
        source: Where the size comes from.
    """

    name: str
    chip_bytes: int
    profile: str | None
    label: Text
    source: str


CHIPS: tuple[ChipClass, ...] = (
    ChipClass("fm1208", 8_192, REDUCED.name, Text("FM1208（8 KB）", "FM1208 (8 KB)"),
              "FMCOS 2.0 user manual 1.1; not tried on metal"),
    ChipClass("16k", 16_384, None, Text("16 KB 芯片", "a chip of 16 KB"), "by its size"),
    ChipClass("32k", 32_768, STANDARD.name,
              Text("32 KB 芯片（默认）", "a chip of 32 KB, the default"), "by its size"),
    ChipClass("64k", 65_536, STANDARD.name, Text("64 KB 芯片", "a chip of 64 KB"), "by its size"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One use of memory: which file of which directory, and its bytes."""

    place: str
    label: Text
    size: int


@dataclass(frozen=True, slots=True)
class MemoryMap:
    """All uses of a chip's memory.

    Attributes:
        name: Profile or chip.
        chip_bytes: Memory for files.
        free_bytes_min: What must stay free.
        rows: The uses, in order of creation.
    """

    name: str
    chip_bytes: int
    free_bytes_min: int
    rows: tuple[Row, ...]

    @property
    def used(self) -> int:
        """Return the bytes in use."""
        return sum(row.size for row in self.rows)

    @property
    def free(self) -> int:
        """Return the bytes that stay free; negative where it does not fit at all."""
        return self.chip_bytes - self.used

    @property
    def fits(self) -> bool:
        """Whether enough stays free."""
        return self.free >= self.free_bytes_min

    def require(self) -> None:
        """Refuse a chip with too little memory.

        Raises:
            ProfileTooBig: Less stays free than must.
        """
        if not self.fits:
            raise ProfileTooBig(
                self.name, f"{self.free} bytes free where {self.free_bytes_min} are due"
            )

    def document(self) -> dict[str, Any]:
        """Return the map as plain values."""
        return {
            "name": self.name,
            "chip_bytes": self.chip_bytes,
            "used_bytes": self.used,
            "free_bytes": self.free,
            "free_bytes_min": self.free_bytes_min,
            "fits": self.fits,
            "rows": [
                {"place": row.place, **row.label._asdict(), "bytes": row.size} for row in self.rows
            ],
        }

    def lines(self) -> list[str]:
        """Return the map for people."""
        shown = [
            f"{row.size:6}  {row.place:10} {row.label.zh} / {row.label.en}" for row in self.rows
        ]
        shown.append(f"{self.used:6}  已用 / used, of {self.chip_bytes}")
        verdict = "够 / enough" if self.fits else "不够 / too little"
        shown.append(f"{self.free:6}  剩余 / free, at least {self.free_bytes_min}: {verdict}")
        return shown


def memory_map(profile: Profile = STANDARD) -> MemoryMap:
    """Return how a profile uses its chip.

    >>> memory_map(STANDARD).free == STANDARD.free_bytes
    True
    """
    rows = (*_master_file(profile.master_file), *_application(profile.application))
    return MemoryMap(profile.name, profile.chip_bytes, profile.free_bytes_min, rows)


def chip_map(chip: ChipClass, profile: Profile | None = None) -> MemoryMap:
    """Return how a chip would be used; without a named profile 12 KB have to stay free."""
    free_min = FREE_BYTES_MIN if profile is None else profile.free_bytes_min
    base = profile or STANDARD
    rows = (*_master_file(base.master_file), *_application(base.application))
    return MemoryMap(chip.name, chip.chip_bytes, free_min, rows)


def _master_file(directory: Directory) -> tuple[Row, ...]:
    return (_row(directory, directory.key_file),)


def _application(directory: Directory) -> tuple[Row, ...]:
    head = EF_HEADER_BYTES + len(directory.name)
    rows = [Row(f"{directory.fid:04X}", directory.label, head)]
    rows += [_row(directory, spec) for spec in (directory.key_file, *directory.files)]
    reserve = directory.eeprom_bytes - sum(row.size for row in rows)
    label = Text("应用内预留", "reserved inside the application")
    return (*rows, Row(f"{directory.fid:04X}", label, reserve))


def _row(directory: Directory, spec: FileSpec) -> Row:
    return Row(f"{directory.fid:04X}/{spec.fid:04X}", spec.label, spec.eeprom_bytes)
