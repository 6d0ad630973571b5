# SPDX-License-Identifier: Apache-2.0
"""Errors of the key package: facts in attributes, the text derived, never a key inside.

KeysError
├── KeyStoreError
│   ├── KeyStoreLocked      wrong passphrase
│   │   └── HsmPinWrong     the token refuses the PIN
│   ├── KeyStoreDamaged     the file is not what was written
│   ├── KeyStoreExists      refuse to overwrite
│   ├── KeyStoreThrottled   too many wrong passphrases in a row
│   ├── KeyStoreUnnamed     the words that should name a store do not
│   ├── KeyStoreElsewhere   the store belongs to another machine (`host` has these three)
│   ├── HostUnknown         this machine has no id to bind a store to
│   ├── NotBindable         this kind of store is bound to no machine
│   ├── HsmAbsent           no module, no token of this name
│   ├── HsmPinLocked        the token takes no PIN any more
│   ├── HsmSessionLost      the token went away in mid-operation, and did not come back
│   ├── HsmRefused          the token cannot or will not do this
│   ├── AuditBroken         a line of the audit log does not follow the one before
│   └── AuditUnwritable     a use that cannot be logged does not happen
├── UnknownKey              no such usage and version
├── KeyRetired              the version is being replaced: not for new cards
├── KeyExpired              the version's retirement date is past
├── NotExportable           the key does not leave its store
├── TestKeysRefused         a production configuration meets test keys
├── WrongPurpose            the key may not do that
├── BadKeyLength            a length that no cipher here takes
├── UnsupportedAlgorithm    the cipher cannot do that
├── WeakKey                 a key that no key officer would load
├── BadPublicKey            not a public key of its suite
├── BadSignature            a signature that does not verify
├── BadSeal                 sealed data changed, or sealed for something else
├── KeyBlockError
│   ├── KeyBlockDamaged     not the text of a key block
│   ├── KeyBlockRejected    the MAC differs: changed, or another protection key
│   └── KeyBlockRefused     authentic or well-formed, but not allowed here
├── KcvDiffers              a key is not the one its check value names
├── CeremonyError
│   ├── ComponentUnreadable  not hex digits
│   ├── ComponentsDiffer     typed differently the second time
│   ├── ComponentRepeated    two equal components cancel each other
│   ├── CustodianRepeated    one person for two parts
│   ├── ShareUnreadable      not a share of a passphrase, or a digit is wrong
│   ├── ShareRepeated        one share twice is one custodian
│   ├── RehearsalRefused     test keys do not enter a store of real ones
│   ├── CeremonyAborted      stopped; nothing was stored
│   └── TranscriptDamaged    not a transcript, or changed since it was signed
└── PsamError
    ├── Mac2Rejected        the card's answer is wrong
    ├── NoTransaction       MAC2 without a purchase begun
    └── PsamBlocked         too many wrong MAC2, or the counter is used up
"""

from __future__ import annotations

from datetime import date


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


class KeyStoreThrottled(KeyStoreError):
    """Report that no passphrase is tried for now: too many were wrong in a row."""

    def __init__(self, path: str, wait_s: int) -> None:
        self.wait_s = wait_s
        super().__init__(path, f"{wait_s} s")

    def __str__(self) -> str:
        return f"{self.path}: too many wrong passphrases; try again in {self.wait_s} s"


class KeyStoreUnnamed(KeyStoreError):
    """Report words that should name a key store and do not."""

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.detail}; a store is FILE, file:FILE or pkcs11:MODULE?token=LABEL"
        )


class HsmAbsent(KeyStoreError):
    """Report a PKCS#11 module or token that is not there."""

    def __str__(self) -> str:
        return f"{self.path}: no such token ({self.detail}); is the HSM connected and set up?"


class HsmPinWrong(KeyStoreLocked):
    """Report a PIN that the token refuses; it counts the tries."""

    def __str__(self) -> str:
        return f"{self.path}: the token refuses the PIN{self.detail}"


class HsmPinLocked(KeyStoreError):
    """Report a token that takes no PIN any more."""

    def __str__(self) -> str:
        return f"{self.path}: the PIN is locked; the security officer must set a new one"


class HsmSessionLost(KeyStoreError):
    """Report a token that went away in mid-operation; nothing was half-written."""

    def __str__(self) -> str:
        return f"{self.path}: the session was lost ({self.detail}); nothing was changed, try again"


class HsmRefused(KeyStoreError):
    """Report what this token cannot or will not do."""

    def __str__(self) -> str:
        return f"{self.path}: the token refuses: {self.detail}"


class AuditBroken(KeyStoreError):
    """Report the first line of an audit log that is not what was written."""

    def __init__(self, path: str, line: int, reason: str) -> None:
        self.line = line
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"{self.path}: line {self.line} {self.detail}"


class AuditUnwritable(KeyStoreError):
    """Report an audit log that takes no line: then no key is used."""

    def __str__(self) -> str:
        return f"{self.path}: cannot log the use of a key ({self.detail}), so it is not used"


class UnknownKey(KeysError):
    """Report that no key has this usage and version."""

    def __init__(self, usage: str, version: int) -> None:
        self.usage = usage
        self.version = version
        super().__init__(usage, version)

    def __str__(self) -> str:
        if not self.version:  # asked for the newest
            return f"no key {self.usage} of any version; yika-keys generate makes the first"
        return f"no key {self.usage} version {self.version}"


class KeyRetired(KeysError):
    """Report a version that has a retirement date: it serves issued cards, not new ones."""

    def __init__(self, usage: str, version: int, on: date) -> None:
        self.usage = usage
        self.version = version
        self.on = on
        super().__init__(usage, version, on)

    def __str__(self) -> str:
        return (
            f"key {self.usage} version {self.version} retires on {self.on}: no new cards;"
            " take the newer version"
        )


class KeyExpired(KeyRetired):
    """Report a version whose retirement date is past: it serves nothing any more."""

    def __str__(self) -> str:
        return f"key {self.usage} version {self.version} was retired on {self.on}"


class NotExportable(KeysError):
    """Report a key that does not leave its store, not even wrapped."""

    def __init__(self, usage: str, reason: str) -> None:
        self.usage = usage
        self.reason = reason
        super().__init__(usage, reason)

    def __str__(self) -> str:
        return f"a {self.usage} key does not leave its store: {self.reason}"


class TestKeysRefused(KeysError):
    """Report keys of a rehearsal where real cards are at stake."""

    __test__ = False

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        super().__init__(names)

    def __str__(self) -> str:
        return (
            f"the store holds test keys ({', '.join(self.names)}); production refuses them,"
            " set [keys] allow_test_keys for a rehearsal"
        )


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


class UnsupportedAlgorithm(KeysError):
    """Report something a cipher is not defined for."""

    def __init__(self, algorithm: str, operation: str) -> None:
        self.algorithm = algorithm
        self.operation = operation
        super().__init__(algorithm, operation)

    def __str__(self) -> str:
        return f"algorithm {self.algorithm} cannot {self.operation}"


class WeakKey(KeysError):
    """Report a key of the right length that gives no security; never its bytes."""

    def __init__(self, algorithm: str, reason: str) -> None:
        self.algorithm = algorithm
        self.reason = reason
        super().__init__(algorithm, reason)

    def __str__(self) -> str:
        return f"a weak {self.algorithm} key: {self.reason}"


class BadPublicKey(KeysError):
    """Report bytes that are not a public key of their suite."""

    def __init__(self, suite: str = "Ed25519") -> None:
        self.suite = suite
        super().__init__(suite)

    def __str__(self) -> str:
        return f"not a public key of {self.suite}"


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


class KeyBlockError(KeysError):
    """Report trouble with a key block."""


class KeyBlockDamaged(KeyBlockError):
    """Report text that is not a key block of version B or D, by field and offset."""

    def __init__(self, field: str, offset: int, detail: str) -> None:
        self.field = field
        self.offset = offset
        self.detail = detail
        super().__init__(field, offset, detail)

    def __str__(self) -> str:
        return f"key block damaged: {self.field} at character {self.offset}: {self.detail}"


class KeyBlockRejected(KeyBlockError):
    """Report a MAC that differs: the block was changed, or another key protects it."""

    def __init__(self, version: str) -> None:
        self.version = version
        super().__init__(version)

    def __str__(self) -> str:
        return (
            f"the key block (version {self.version}) does not verify: changed on its way,"
            " or wrapped under another key block protection key; compare the check values"
        )


class KeyBlockRefused(KeyBlockError):
    """Report a key, header or protection key that does not fit the other or is not allowed."""

    def __init__(self, field: str, detail: str) -> None:
        self.field = field
        self.detail = detail
        super().__init__(field, detail)

    def __str__(self) -> str:
        return f"key block refused: {self.field}: {self.detail}"


class KcvDiffers(KeysError):
    """Report a key whose check value is not the one expected."""

    def __init__(self, what: str, expected: str, actual: str) -> None:
        self.what = what
        self.expected = expected
        self.actual = actual
        super().__init__(what, expected, actual)

    def __str__(self) -> str:
        return f"{self.what}: check value {self.actual}, expected {self.expected}"


class CeremonyError(KeysError):
    """Base of what goes wrong in a key ceremony; what was typed is never repeated."""


class ComponentUnreadable(CeremonyError):
    """Report a component that is not hex digits."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)

    def __str__(self) -> str:
        return f"not a key component: {self.detail}"


class ComponentsDiffer(CeremonyError):
    """Report that the second entry is not the first."""

    def __str__(self) -> str:
        return "the second entry differs from the first"


class ComponentRepeated(CeremonyError):
    """Report two equal components, by their places counted from 1."""

    def __init__(self, one: int, other: int) -> None:
        self.places = (one, other)
        super().__init__(one, other)

    def __str__(self) -> str:
        one, other = self.places
        return f"components {one} and {other} are equal and would cancel each other"


class CustodianRepeated(CeremonyError):
    """Report one person who would hold two parts."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)

    def __str__(self) -> str:
        return f"{self.name!r} has a part already; each part needs a person of its own"


class ShareUnreadable(CeremonyError):
    """Report text that is not a share of a passphrase."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)

    def __str__(self) -> str:
        return f"not a share: {self.detail}"


class ShareRepeated(CeremonyError):
    """Report one share given twice."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)

    def __str__(self) -> str:
        return f"share {self.number} was given twice; a second custodian is needed"


class RehearsalRefused(CeremonyError):
    """Report a rehearsal that would put test keys beside real ones."""

    def __init__(self, place: str) -> None:
        self.place = place
        super().__init__(place)

    def __str__(self) -> str:
        return f"{self.place}: holds real keys; rehearse in a store of its own"


class CeremonyAborted(CeremonyError):
    """Report a ceremony that ended before its keys were stored."""

    def __init__(self, step: str, reason: str) -> None:
        self.step = step
        self.reason = reason
        super().__init__(step, reason)

    def __str__(self) -> str:
        return f"ceremony stopped at {self.step}: {self.reason}; nothing was stored"


class TranscriptDamaged(CeremonyError):
    """Report a transcript that is not what was signed."""

    def __init__(self, path: str, detail: str) -> None:
        self.path = path
        self.detail = detail
        super().__init__(path, detail)

    def __str__(self) -> str:
        return f"{self.path}: not a transcript as it was signed: {self.detail}"


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
