# SPDX-License-Identifier: Apache-2.0
"""Errors of the swipe formats: facts in attributes, the text derived.

SwipeError
├── WrongLength         bytes that cannot be this record
├── WrongMagic          a file or notice of another kind
├── UnknownVersion      a version this program does not read
├── TooMany             more than the named limit
├── FieldError          a field that cannot hold the value
├── PayloadError        a payload and an event type that do not belong together
├── WrongEvents         events that do not make a batch
├── BadNote             text that is no signed note, checkpoint, key or proof
├── BadLog              tiles that are missing, or do not give the root they should
└── BadSignature        (from keys) a notice whose signature does not verify
"""

from __future__ import annotations

from keys.errors import BadSignature

__all__ = [
    "BadLog",
    "BadNote",
    "BadSignature",
    "FieldError",
    "PayloadError",
    "SwipeError",
    "TooMany",
    "UnknownVersion",
    "WrongEvents",
    "WrongLength",
    "WrongMagic",
]


class SwipeError(Exception):
    """Base of all errors of this package."""


class WrongLength(SwipeError):
    """Report bytes of a length that the record cannot have."""

    def __init__(self, what: str, expected: int, actual: int) -> None:
        self.what = what
        self.expected = expected
        self.actual = actual
        super().__init__(what, expected, actual)

    def __str__(self) -> str:
        return f"{self.what}: {self.actual} bytes, expected {self.expected}"


class WrongMagic(SwipeError):
    """Report bytes that begin like something else."""

    def __init__(self, what: str, found: bytes) -> None:
        self.what = what
        self.found = found
        super().__init__(what, found)

    def __str__(self) -> str:
        return f"not a {self.what}: it begins with {self.found.hex() or 'nothing'}"


class UnknownVersion(SwipeError):
    """Report a version that this program does not read."""

    def __init__(self, what: str, version: int) -> None:
        self.what = what
        self.version = version
        super().__init__(what, version)

    def __str__(self) -> str:
        return f"{self.what} version {self.version} is unknown; update this program"


class TooMany(SwipeError):
    """Report more of something than the format allows."""

    def __init__(self, what: str, limit: int, actual: int) -> None:
        self.what = what
        self.limit = limit
        self.actual = actual
        super().__init__(what, limit, actual)

    def __str__(self) -> str:
        return f"{self.actual} {self.what}, at most {self.limit}"


class FieldError(SwipeError):
    """Report a field that cannot hold what was given."""

    def __init__(self, field: str, detail: str) -> None:
        self.field = field
        self.detail = detail
        super().__init__(field, detail)

    def __str__(self) -> str:
        return f"{self.field}: {self.detail}"


class PayloadError(SwipeError):
    """Report a payload that an event type does not have."""

    def __init__(self, type_: int, detail: str) -> None:
        self.type = type_
        self.detail = detail
        super().__init__(type_, detail)

    def __str__(self) -> str:
        return f"event type {self.type:#04x}: {self.detail}"


class WrongEvents(SwipeError):
    """Report events that do not make a batch."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)

    def __str__(self) -> str:
        return f"these events make no batch: {self.detail}"


class BadNote(SwipeError):
    """Report text that is not the note, checkpoint, verifier key or proof it should be."""

    def __init__(self, what: str, detail: str) -> None:
        self.what = what
        self.detail = detail
        super().__init__(what, detail)

    def __str__(self) -> str:
        return f"{self.what}: {self.detail}"


class BadLog(SwipeError):
    """Report tiles of a log that are missing or contradict its checkpoint."""

    def __init__(self, path: str, detail: str) -> None:
        self.path = path
        self.detail = detail
        super().__init__(path, detail)

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"
