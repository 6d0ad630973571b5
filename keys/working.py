# SPDX-License-Identifier: Apache-2.0
"""Card-level keys as handles: operations instead of bytes, each for the usages that may have it."""

from __future__ import annotations

from keys import _prims, purse
from keys.errors import WrongPurpose
from keys.kcv import kcv
from keys.usage import KeyUsage

_U = KeyUsage
_CONTROLS = frozenset({_U.CONTROL, _U.CARD_CONTROL, _U.PSAM_CONTROL})
_PURCHASE = frozenset({_U.PURCHASE_PSAM, _U.PURCHASE_SOFT})
# What a key may do. Encrypting is EXTERNAL AUTHENTICATE, mac4 is secure messaging.
_ALLOWED: dict[str, frozenset[KeyUsage]] = {
    "encrypt": _CONTROLS | {_U.DESK_READ},
    "mac4": _CONTROLS | {_U.MAINTENANCE},
    "wrap_for_card": _CONTROLS,
    "session": _PURCHASE,
    "tac4": frozenset({_U.TAC}),
    "cg2": frozenset({_U.PRESENCE}),
}


class SessionKey:
    """Hold the key of one purchase: it makes MAC1 and MAC2 and nothing else."""

    def __init__(self, key8: bytes) -> None:
        self._key = key8

    def __repr__(self) -> str:
        return "SessionKey()"

    def mac1(self, amount: int, kind: int, psam_no: bytes, date: bytes, time: bytes) -> bytes:
        """Compute MAC1 (``purse.mac1``)."""
        return purse.mac1(self._key, amount, kind, psam_no, date, time)

    def mac2(self, amount: int) -> bytes:
        """Compute MAC2 (``purse.mac2``)."""
        return purse.mac2(self._key, amount)


class WorkingKey:
    """Hold one key of one card (or PSAM) and do with it what its usage allows.

    >>> TRANSPORT_KEY
    WorkingKey(control, version=0, kcv=CAAAAF)
    """

    __slots__ = ("_key", "usage", "version")

    def __init__(self, usage: KeyUsage, version: int, key16: bytes) -> None:
        self.usage = usage
        self.version = version
        self._key = key16

    def __repr__(self) -> str:
        return f"WorkingKey({self.usage.value}, version={self.version}, kcv={self.kcv})"

    @property
    def kcv(self) -> str:
        """Give the key check value, six hex digits."""
        return kcv(self._key)

    def _allow(self, operation: str) -> bytes:
        if self.usage not in _ALLOWED[operation]:
            raise WrongPurpose(self.usage.value, operation)
        return self._key

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt whole blocks (3DES ECB), for EXTERNAL AUTHENTICATE and encrypted messages."""
        return _prims.des_ecb(self._allow("encrypt"), data)

    def mac4(self, iv8: bytes, data: bytes) -> bytes:
        """Compute the MAC of secure messaging: retail MAC, left 4 bytes."""
        return purse.retail_mac(self._allow("mac4"), data, iv8)[:4]

    def wrap_for_card(self, header: bytes, key: WorkingKey) -> bytes:
        """Encrypt a key record for a card: ECB(self, LD ‖ header ‖ key ‖ padding).

        LD is the length of header and key. Padding 80 00.. is added only when the length is not
        already a multiple of 8 (FMCOS 2.0, secure messaging).
        """
        record = header + key._key
        plain = len(record).to_bytes(1) + record
        if len(plain) % _prims.BLOCK:
            plain = _prims.pad80(plain)
        return _prims.des_ecb(self._allow("wrap_for_card"), plain)

    def session(self, rand4: bytes, card_ctr: int, psam_seq: int) -> SessionKey:
        """Derive the key of one purchase."""
        key = self._allow("session")
        return SessionKey(purse.session_key(key, rand4, card_ctr, psam_seq))

    def tac4(
        self, psam_no: bytes, psam_seq: int, date: bytes, time: bytes, amount: int = 0
    ) -> bytes:
        """Compute the TAC of a composite purchase."""
        key = self._allow("tac4")
        return purse.tac(key, amount, purse.CAPP_PURCHASE, psam_no, psam_seq, date, time)

    def cg2(self, h8: bytes) -> bytes:
        """Compute CG2 over h8."""
        return purse.cg2(self._allow("cg2"), h8)


# Blank cards and PSAMs of the demonstration carry this key. It is public and protects nothing.
TRANSPORT_KEY = WorkingKey(KeyUsage.CONTROL, 0, b"\xff" * 16)
