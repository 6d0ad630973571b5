# SPDX-License-Identifier: Apache-2.0
"""How card keys are asked for: one call, whose answer is typed by the purpose of its usage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from keys.algorithm import Algorithm
from keys.handle import (
    AccountPurpose,
    ControlPurpose,
    DeskPurpose,
    KeyHandle,
    MaintenancePurpose,
    PinReloadPurpose,
    PinUnblockPurpose,
    PresencePurpose,
    PurchasePurpose,
    TacPurpose,
)
from keys.usage import KeyUsage

_Control: TypeAlias = Literal[KeyUsage.CONTROL, KeyUsage.CARD_CONTROL, KeyUsage.PSAM_CONTROL]
_Purchase: TypeAlias = Literal[KeyUsage.PURCHASE_PSAM, KeyUsage.PURCHASE_SOFT]
_Account: TypeAlias = Literal[KeyUsage.LOAD, KeyUsage.UNLOAD, KeyUsage.OVERDRAFT]


class BulkKey:
    """Derive the keys of many cards in one pass, whichever cipher the master has."""

    def __init__(self, algorithm: Algorithm, encrypt: Callable[[bytes], bytes]) -> None:
        self.algorithm = algorithm
        self._encrypt = encrypt

    def __repr__(self) -> str:
        return f"BulkKey({self.algorithm.value})"

    def derive(self, factors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give the 16-byte keys (n, 16) of n diversifiers (n, 8): ``purse.diversify`` of each.

        3DES takes a factor and its complement as two blocks, SM4 as one: the same bytes go in.
        """
        blocks = np.concatenate([factors, ~factors], axis=1)
        keys = self._encrypt(blocks.tobytes())
        return np.frombuffer(keys, dtype=np.uint8).reshape(-1, 16)


class CardKeySource(ABC):
    """Give card keys as handles, each typed by the purpose of its usage."""

    @overload
    def card_key(
        self, usage: _Control, version: int, diversifier8: bytes, /
    ) -> KeyHandle[ControlPurpose]: ...
    @overload
    def card_key(
        self, usage: Literal[KeyUsage.DESK_READ], version: int, diversifier8: bytes, /
    ) -> KeyHandle[DeskPurpose]: ...
    @overload
    def card_key(
        self, usage: Literal[KeyUsage.MAINTENANCE], version: int, diversifier8: bytes, /
    ) -> KeyHandle[MaintenancePurpose]: ...
    @overload
    def card_key(
        self, usage: _Purchase, version: int, diversifier8: bytes, /
    ) -> KeyHandle[PurchasePurpose]: ...
    @overload
    def card_key(
        self, usage: Literal[KeyUsage.TAC], version: int, diversifier8: bytes, /
    ) -> KeyHandle[TacPurpose]: ...
    @overload
    def card_key(
        self, usage: Literal[KeyUsage.PRESENCE], version: int, diversifier8: bytes, /
    ) -> KeyHandle[PresencePurpose]: ...
    @overload
    def card_key(
        self, usage: Literal[KeyUsage.PIN_UNBLOCK], version: int, diversifier8: bytes, /
    ) -> KeyHandle[PinUnblockPurpose]: ...
    @overload
    def card_key(
        self, usage: Literal[KeyUsage.PIN_RELOAD], version: int, diversifier8: bytes, /
    ) -> KeyHandle[PinReloadPurpose]: ...
    @overload
    def card_key(
        self, usage: _Account, version: int, diversifier8: bytes, /
    ) -> KeyHandle[AccountPurpose]: ...
    @overload
    def card_key(self, usage: KeyUsage, version: int, diversifier8: bytes, /) -> KeyHandle[Any]: ...
    def card_key(self, usage: KeyUsage, version: int, diversifier8: bytes, /) -> KeyHandle[Any]:
        """Derive the key of one card (or PSAM): diversified by the last 8 bytes of its serial.

        Raises:
            UnknownKey: there is no such master.
            KeyExpired: its retirement date is past.
            WrongPurpose: no card keys are derived from this usage.
        """
        return self._card_key(usage, version, diversifier8)

    @abstractmethod
    def _card_key(self, usage: KeyUsage, version: int, diversifier8: bytes) -> KeyHandle[Any]:
        """Derive the key, whatever its type."""
