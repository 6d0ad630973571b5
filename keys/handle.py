# SPDX-License-Identifier: Apache-2.0
"""Keys as handles: operations instead of bytes, each for the purpose that may have it.

``KeyHandle`` carries its purpose as a phantom type. ``store.card_key(KeyUsage.TAC, ...)`` is a
``KeyHandle[TacPurpose]``, which has ``tac4`` and no ``session``: the type checker refuses the wrong
call, and so does the handle itself when the type was lost on the way (``WorkingKey``).
"""

from __future__ import annotations

from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

from keys import _prims, purse
from keys.algorithm import Algorithm
from keys.errors import WrongPurpose
from keys.kcv import kcv
from keys.usage import KeyUsage


class Proves:
    """May answer EXTERNAL AUTHENTICATE."""


class Encrypts:
    """May encrypt whole blocks that the caller lays out."""


class Enciphers:
    """May encrypt what a command carries."""


class Deciphers:
    """May decrypt what an answer carries."""


class Maces:
    """May make MACs of secure messaging."""


class Wraps:
    """May wrap other keys for a card."""


class Pays:
    """May derive the session key of a purchase (MAC1, MAC2)."""


class Accounts:
    """May derive the session key of a load, an unload or a change of the overdraft limit."""


class MakesTac:
    """May make transaction cryptograms."""


class ProvesPresence:
    """May answer INTERNAL AUTHENTICATE (CG2)."""


class ReloadsPin:
    """May make the MAC of RELOAD PIN."""


class ControlPurpose(Proves, Encrypts, Enciphers, Maces, Wraps):
    """A control key of card, application or PSAM."""


class DeskPurpose(Proves, Encrypts, Enciphers):
    """The desk reading key."""


class MaintenancePurpose(Maces, Enciphers, Deciphers):
    """The application maintenance key: MACs, and encryption of files that want it."""


class PinUnblockPurpose(Encrypts, Enciphers, Maces):
    """The PIN unblocking key: it encrypts the PIN and makes the MAC of PIN UNBLOCK."""


class PurchasePurpose(Pays):
    """A purchase key."""


class AccountPurpose(Accounts):
    """A load, unload or overdraft key."""


class TacPurpose(MakesTac):
    """A TAC key."""


class PresencePurpose(ProvesPresence):
    """A presence key."""


class PinReloadPurpose(ReloadsPin):
    """A PIN reload key."""


_U = KeyUsage
PURPOSES: dict[KeyUsage, type] = {
    _U.CONTROL: ControlPurpose,
    _U.CARD_CONTROL: ControlPurpose,
    _U.PSAM_CONTROL: ControlPurpose,
    _U.DESK_READ: DeskPurpose,
    _U.MAINTENANCE: MaintenancePurpose,
    _U.PURCHASE_PSAM: PurchasePurpose,
    _U.PURCHASE_SOFT: PurchasePurpose,
    _U.TAC: TacPurpose,
    _U.PRESENCE: PresencePurpose,
    _U.PIN_UNBLOCK: PinUnblockPurpose,
    _U.PIN_RELOAD: PinReloadPurpose,
    _U.LOAD: AccountPurpose,
    _U.UNLOAD: AccountPurpose,
    _U.OVERDRAFT: AccountPurpose,
}

P_co = TypeVar("P_co", covariant=True)


class SessionKey:
    """Hold the key of one transaction: it makes that transaction's MACs and nothing else."""

    __slots__ = ("_algorithm", "_key")

    def __init__(self, key: bytes, algorithm: Algorithm = Algorithm.TDES) -> None:
        self._key = key
        self._algorithm = algorithm

    def __repr__(self) -> str:
        return "SessionKey()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")

    def mac1(self, amount: int, kind: int, psam_no: bytes, date: bytes, time: bytes) -> bytes:
        """Compute MAC1 of a purchase (``purse.mac1``)."""
        return purse.mac1(self._key, amount, kind, psam_no, date, time, algorithm=self._algorithm)

    def mac2(self, amount: int) -> bytes:
        """Compute MAC2 of a purchase (``purse.mac2``)."""
        return purse.mac2(self._key, amount, algorithm=self._algorithm)

    def mac4(self, data: bytes) -> bytes:
        """Compute a MAC over any fields, as load, unload and overdraft lay them out."""
        return purse.mac4(self._key, data, algorithm=self._algorithm)


class KeyHandle(Generic[P_co]):
    """Hold one key of one card (or PSAM) and do with it what its purpose allows.

    >>> TRANSPORT_KEY
    KeyHandle(control, version=0, 3des, kcv=CAAAAF)
    """

    __slots__ = ("_key", "algorithm", "usage", "version")

    def __init__(
        self, usage: KeyUsage, version: int, key: bytes, algorithm: Algorithm = Algorithm.TDES
    ) -> None:
        self.usage = usage
        self.version = version
        self.algorithm = algorithm
        self._key = key

    def __repr__(self) -> str:
        return (
            f"KeyHandle({self.usage.value}, version={self.version}, {self.algorithm.value},"
            f" kcv={self.kcv})"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")

    @property
    def kcv(self) -> str:
        """Give the key check value, six hex digits."""
        return kcv(self._key, self.algorithm)

    @property
    def block_bytes(self) -> int:
        """Give the block size of the key's cipher."""
        return self.algorithm.block_bytes

    def _allow(self, purpose: type, operation: str) -> bytes:
        if not issubclass(PURPOSES.get(self.usage, object), purpose):
            raise WrongPurpose(self.usage.value, operation)
        return self._key

    def encrypt(self: KeyHandle[Encrypts], data: bytes) -> bytes:
        """Encrypt whole blocks laid out by the caller (ECB)."""
        key = self._allow(Encrypts, "encrypt")
        return _prims.ecb(self.algorithm, key, data)

    def encipher(self: KeyHandle[Enciphers], data: bytes) -> bytes:
        """Encrypt the data of a command: ECB(length ‖ data ‖ padding), ``purse.wrap_ecb``."""
        key = self._allow(Enciphers, "encipher")
        return purse.wrap_ecb(key, data, algorithm=self.algorithm)

    def decipher(self: KeyHandle[Deciphers], data: bytes) -> bytes:
        """Decrypt the data of an answer, the inverse of ``encipher`` (``purse.unwrap_ecb``)."""
        key = self._allow(Deciphers, "decipher")
        return purse.unwrap_ecb(key, data, algorithm=self.algorithm)

    def cryptogram(self: KeyHandle[Proves], challenge: bytes) -> bytes:
        """Answer EXTERNAL AUTHENTICATE: 8 bytes over a challenge of 4 or 8 bytes."""
        key = self._allow(Proves, "cryptogram")
        return purse.cryptogram(key, challenge, algorithm=self.algorithm)

    def mac4(self: KeyHandle[Maces], iv: bytes, data: bytes) -> bytes:
        """Compute the MAC of secure messaging, left 4 bytes.

        ``iv`` is the challenge; it is filled up with zeros to the block size.
        """
        key = self._allow(Maces, "mac4")
        return purse.secure_mac(key, data, iv, algorithm=self.algorithm)[:4]

    def wrap_for_card(self: KeyHandle[Wraps], header: bytes, key: KeyHandle[Any]) -> bytes:
        """Encrypt a key record for a card: ECB(length ‖ header ‖ key ‖ padding).

        Blocks are those of this key, whatever the algorithm of the key inside.
        """
        own = self._allow(Wraps, "wrap_for_card")
        return purse.wrap_ecb(own, header + key._key, algorithm=self.algorithm)

    def session(self: KeyHandle[Pays], rand4: bytes, card_ctr: int, psam_seq: int) -> SessionKey:
        """Derive the key of one purchase."""
        key = self._allow(Pays, "session")
        derived = purse.session_key(key, rand4, card_ctr, psam_seq, algorithm=self.algorithm)
        return SessionKey(derived, self.algorithm)

    def online_session(self: KeyHandle[Accounts], rand4: bytes, online_ctr: int) -> SessionKey:
        """Derive the key of one load, unload or overdraft change: random ‖ counter ‖ 80 00."""
        key = self._allow(Accounts, "online_session")
        derived = purse.session_key(key, rand4, online_ctr, 0x8000, algorithm=self.algorithm)
        return SessionKey(derived, self.algorithm)

    def tac4(
        self: KeyHandle[MakesTac],
        psam_no: bytes,
        psam_seq: int,
        date: bytes,
        time: bytes,
        amount: int = 0,
        kind: int = purse.CAPP_PURCHASE,
    ) -> bytes:
        """Compute the TAC of a purchase, composite unless ``kind`` says otherwise."""
        key = self._allow(MakesTac, "tac4")
        return purse.tac(key, amount, kind, psam_no, psam_seq, date, time, algorithm=self.algorithm)

    def tac_over(self: KeyHandle[MakesTac], data: bytes) -> bytes:
        """Compute the TAC over any fields, as load and unload lay them out."""
        key = self._allow(MakesTac, "tac_over")
        return _folded_mac(key, data, self.algorithm)

    def cg2(self: KeyHandle[ProvesPresence], h8: bytes) -> bytes:
        """Compute CG2 over h8."""
        return purse.cg2(self._allow(ProvesPresence, "cg2"), h8, algorithm=self.algorithm)

    def reload_mac4(self: KeyHandle[ReloadsPin], pin: bytes) -> bytes:
        """Compute the MAC of RELOAD PIN over the new PIN."""
        key = self._allow(ReloadsPin, "reload_mac4")
        return _folded_mac(key, pin, self.algorithm)


def _folded_mac(key: bytes, data: bytes, algorithm: Algorithm) -> bytes:
    return purse.mac4(purse.tac_key(key, algorithm=algorithm), data, algorithm=algorithm)


# A handle whose purpose only its usage tells; wrong use is found when it happens.
WorkingKey: TypeAlias = KeyHandle[Any]

# Blank cards and PSAMs of the demonstration carry this key. It is public and protects nothing.
TRANSPORT_KEY: KeyHandle[ControlPurpose] = KeyHandle(KeyUsage.CONTROL, 0, b"\xff" * 16)
