# SPDX-License-Identifier: Apache-2.0
"""Header and trailer, the same fields in both profiles, and the sums between them."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field

from server.bank.files.layout import Field, Kind
from server.bank.files.reasons import FileRefused, Finding, shown

FAMILY, VERSION = "YIKABANK", "01"
SUM_MODULUS = 10**18  # a control total keeps the last 18 digits
COUNT_MAX = 99_999_999

HEADER_FIELDS = tuple(
    Field.parse(text)
    for text in (
        "family:8a", "version:2n", "partner:12a", "kind:3a", "sequence:8n", "date:8d", "test:1a",
        "refers:8n",
    )
)  # fmt: skip
TRAILER_FIELDS = tuple(
    Field.parse(text) for text in ("count:8n", "control_key:18n", "control_fen:18n", "sha256:64h")
)


@dataclass(frozen=True, slots=True)
class Header:
    """Who sends what: `refers` is the sequence of the file that this one answers, else 0."""

    partner: str
    kind: Kind
    sequence: int
    date: dt.date
    test: bool = False
    refers: int = 0

    def values(self) -> dict[str, str]:
        """Give the fields as they are written."""
        return {
            "family": FAMILY,
            "version": VERSION,
            "partner": self.partner,
            "kind": self.kind,
            "sequence": str(self.sequence),
            "date": f"{self.date:%Y%m%d}",
            "test": "T" if self.test else "P",
            "refers": str(self.refers),
        }

    @classmethod
    def of(cls, values: dict[str, str]) -> Header:
        """Read the fields.

        Raises:
            FileRefused: F09 for another family or version, F25 for a malformed field.
        """
        for name, expected in (("family", FAMILY), ("version", VERSION)):
            if values[name] != expected:
                raise FileRefused(Finding("F09", 1, name, expected, shown(values[name])))
        try:
            kind = Kind(values["kind"])
        except ValueError as error:
            known = ",".join(Kind)
            raise FileRefused(Finding("F25", 1, "kind", known, shown(values["kind"]))) from error
        if values["test"] not in ("T", "P"):
            raise FileRefused(Finding("F25", 1, "test", "T,P", shown(values["test"])))
        return cls(
            values["partner"],
            kind,
            _whole(values, "sequence", 1),
            _date(values, "date"),
            values["test"] == "T",
            _whole(values, "refers", 1),
        )


@dataclass(frozen=True, slots=True)
class Trailer:
    """What the records before it came to."""

    count: int
    control_key: int
    control_fen: int
    sha256: str

    def values(self) -> dict[str, str]:
        """Give the fields as they are written."""
        return {
            "count": str(self.count),
            "control_key": str(self.control_key),
            "control_fen": str(self.control_fen),
            "sha256": self.sha256,
        }

    @classmethod
    def of(cls, values: dict[str, str], line: int) -> Trailer:
        """Read the fields; raise `FileRefused` (F25) for a malformed one."""
        return cls(
            _whole(values, "count", line),
            _whole(values, "control_key", line),
            _whole(values, "control_fen", line),
            values["sha256"],
        )


@dataclass
class Sums:
    """What has been read or written so far: count, control totals, digest of the bytes."""

    count: int = 0
    control_key: int = 0
    control_fen: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, count: int, key: int, fen: int) -> None:
        """Add the sums of some records."""
        self.count += count
        self.control_key = (self.control_key + key) % SUM_MODULUS
        self.control_fen = (self.control_fen + fen) % SUM_MODULUS

    def trailer(self) -> Trailer:
        """Give the trailer that belongs behind them."""
        return Trailer(self.count, self.control_key, self.control_fen, self.digest.hexdigest())

    def check(self, found: Trailer, line: int) -> None:
        """Compare with a trailer; raise `FileRefused` (F21 to F23) for the first difference."""
        own = self.trailer()
        for code, name in (("F21", "count"), ("F22", "control_key"), ("F22", "control_fen"),
                           ("F23", "sha256")):  # fmt: skip
            expected, said = str(getattr(own, name)), str(getattr(found, name))
            if expected != said:
                raise FileRefused(Finding(code, line, name, shown(expected), shown(said)))


def _whole(values: dict[str, str], name: str, line: int) -> int:
    text = values[name]
    if not (text.isascii() and text.isdigit()):
        raise FileRefused(Finding("F25", line, name, "digits", shown(text)))
    return int(text)


def _date(values: dict[str, str], name: str) -> dt.date:
    text = values[name]
    try:
        if len(text) != 8 or not (text.isascii() and text.isdigit()):
            raise ValueError(text)
        return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError as error:
        raise FileRefused(Finding("F25", 1, name, "YYYYMMDD", shown(text))) from error
