# SPDX-License-Identifier: Apache-2.0
"""Errors of the key package: facts in attributes, the text derived, never a key inside.

KeysError
├── KeyStoreError
│   ├── KeyStoreLocked      wrong passphrase
│   ├── KeyStoreDamaged     the file is not what was written
│   └── KeyStoreExists      refuse to overwrite
├── UnknownKey              no such usage and version
├── WrongPurpose            the key may not do that
├── BadKeyLength            a length that no cipher here takes
├── BadPublicKey            not an Ed25519 public key
├── BadSignature            a signature that does not verify
├── BadSeal                 sealed data changed, or sealed for something else
└── PsamError
    ├── Mac2Rejected        the card's answer is wrong
    ├── NoTransaction       MAC2 without a purchase begun
    └── PsamBlocked         too many wrong MAC2, or the counter is used up
"""

from __future__ import annotations


class KeysError(Exception):
    """Base of all errors of this package."""


class KeyStoreError(KeysError):
    """Report trouble with the file that holds keys."""

    def __init__(self, path: str, detail: str = "") -> None:
        self.path = path
        self.detail = detail
        super().__init__(path, detail)


class KeyStoreLocked(KeyStoreError):
    """Report a passphrase that does not open the file."""

    def __str__(self) -> str:
        return f"{self.path}: wrong passphrase, or the file was changed on purpose"


class KeyStoreDamaged(KeyStoreError):
    """Report a file that is not what was written: take the backup."""

    def __str__(self) -> str:
        return f"{self.path}: damaged ({self.detail}); restore it from a backup"


class KeyStoreExists(KeyStoreError):
    """Report a file that would be overwritten."""

    def __str__(self) -> str:
        return f"{self.path}: exists already; keys are never overwritten"


class UnknownKey(KeysError):
    """Report that no key has this usage and version."""

    def __init__(self, usage: str, version: int) -> None:
        self.usage = usage
        self.version = version
        super().__init__(usage, version)

    def __str__(self) -> str:
        return f"no key {self.usage} version {self.version}"


class WrongPurpose(KeysError):
    """Report an operation that the key's usage does not allow."""

    def __init__(self, usage: str, operation: str) -> None:
        self.usage = usage
        self.operation = operation
        super().__init__(usage, operation)

    def __str__(self) -> str:
        return f"a {self.usage} key may not {self.operation}"


class BadKeyLength(KeysError):
    """Report a key or block of a length that no operation here takes."""

    def __init__(self, what: str, expected: int, actual: int) -> None:
        self.what = what
        self.expected = expected
        self.actual = actual
        super().__init__(what, expected, actual)

    def __str__(self) -> str:
        return f"{self.what}: {self.actual} bytes, expected {self.expected}"


class BadPublicKey(KeysError):
    """Report bytes that are not an Ed25519 public key."""

    def __str__(self) -> str:
        return "not an Ed25519 public key of 32 bytes"


class BadSignature(KeysError):
    """Report a signature that does not verify."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(what)

    def __str__(self) -> str:
        return f"{self.what}: the signature does not verify"


class BadSeal(KeysError):
    """Report sealed data that was changed or belongs to another place."""

    def __str__(self) -> str:
        return "sealed data does not open: changed, or sealed for another record"


class PsamError(KeysError):
    """Base of what a purchase SAM refuses."""


class Mac2Rejected(PsamError):
    """Report a MAC2 that this purchase does not have."""

    def __init__(self, attempts_left: int | None = None) -> None:
        self.attempts_left = attempts_left
        super().__init__(attempts_left)

    def __str__(self) -> str:
        left = "" if self.attempts_left is None else f", {self.attempts_left} attempts left"
        return f"the card's MAC2 is wrong{left}"


class NoTransaction(PsamError):
    """Report a MAC2 given although no purchase was begun."""

    def __str__(self) -> str:
        return "no purchase was begun in this PSAM"


class PsamBlocked(PsamError):
    """Report a PSAM that will not serve again."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"the PSAM is blocked ({self.reason}); replace it"
