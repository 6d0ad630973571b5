# SPDX-License-Identifier: Apache-2.0
"""The keys of one card as handles, derived from a key store; and the key of blank cards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from keys.usage import KeyUsage
from keys.working import TRANSPORT_KEY, WorkingKey

# What blank cards and PSAMs are delivered with; public, so its bytes may stand here.
TRANSPORT_KEY_BYTES = b"\xff" * 16

CARD_USAGES = (
    KeyUsage.CARD_CONTROL,
    KeyUsage.CONTROL,
    KeyUsage.DESK_READ,
    KeyUsage.MAINTENANCE,
    KeyUsage.PURCHASE_PSAM,
    KeyUsage.PURCHASE_SOFT,
    KeyUsage.TAC,
    KeyUsage.PRESENCE,
)


class KeyDeriver(Protocol):
    """Any key store that derives card keys."""

    def card_key(self, usage: KeyUsage, version: int, diversifier8: bytes, /) -> WorkingKey:
        """Return the key of one card."""
        ...


@dataclass(frozen=True, slots=True)
class CardKeys:
    """All keys of one card.

    Attributes:
        by_usage: A handle for each usage of `CARD_USAGES`.
        version: Version of the key set.
        transport: The key a blank card comes with.
    """

    by_usage: dict[KeyUsage, WorkingKey]
    version: int
    transport: WorkingKey = TRANSPORT_KEY

    @classmethod
    def from_store(cls, store: KeyDeriver, asn: bytes, version: int) -> CardKeys:
        """Derive the keys of a card by the last 8 bytes of its serial.

        Raises:
            UnknownKey: The store lacks a usage or the version.
        """
        factor = asn[2:]
        return cls(
            {usage: store.card_key(usage, version, factor) for usage in CARD_USAGES}, version
        )

    def __getitem__(self, usage: KeyUsage) -> WorkingKey:
        """Return the key of a usage."""
        return self.by_usage[usage]
