# SPDX-License-Identifier: Apache-2.0
"""What each master key is for, and where its card key lives on the card."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class KeyUsage(enum.Enum):
    """Name the one purpose of a key; a key never serves two.

    The table of ``keys.hierarchy`` says of each who owns it, by which cipher and for how long.
    """

    CONTROL = "control"
    DESK_READ = "desk-read"
    MAINTENANCE = "maintenance"
    PURCHASE_PSAM = "purchase-psam"
    PURCHASE_SOFT = "purchase-soft"
    TAC = "tac"
    PRESENCE = "presence"
    CARD_CONTROL = "card-control"
    PSAM_CONTROL = "psam-control"
    PERSONAL_DATA = "personal-data"
    KEY_BLOCK = "key-block"
    SERVER_IDENTITY = "server-identity"
    # Purse applications of other users of the SDK; the volunteer's application has none of these.
    PIN_UNBLOCK = "pin-unblock"
    PIN_RELOAD = "pin-reload"
    LOAD = "load"
    UNLOAD = "unload"
    OVERDRAFT = "overdraft"


# Keys from which no card, PSAM or terminal key is ever derived.
UNDERIVED = frozenset({KeyUsage.PERSONAL_DATA, KeyUsage.KEY_BLOCK, KeyUsage.SERVER_IDENTITY})
# Keys under which data is sealed; they do nothing else.
SEALING = frozenset({KeyUsage.PERSONAL_DATA, KeyUsage.SERVER_IDENTITY})

# What the volunteer scheme issues cards with: a store made for it holds these and no other.
SCHEME_USAGES = (
    KeyUsage.CONTROL,
    KeyUsage.DESK_READ,
    KeyUsage.MAINTENANCE,
    KeyUsage.PURCHASE_PSAM,
    KeyUsage.PURCHASE_SOFT,
    KeyUsage.TAC,
    KeyUsage.PRESENCE,
    KeyUsage.CARD_CONTROL,
    KeyUsage.PSAM_CONTROL,
    KeyUsage.PERSONAL_DATA,
    KeyUsage.KEY_BLOCK,
    KeyUsage.SERVER_IDENTITY,
)


@dataclass(frozen=True, slots=True)
class CardKeySlot:
    """Say where a card keeps a key: PBOC key type, key id, and its name for people."""

    key_type: int
    key_id: int
    label_zh: str
    label_en: str


# FMCOS 2.0 key types (user manual, WRITE KEY): 39 external authentication, 36 line protection,
# 3E purchase, 34 TAC, 30 encryption. CARD_CONTROL is the 39/00 of the MF, CONTROL that of the ADF.
CARD_KEYS: dict[KeyUsage, CardKeySlot] = {
    KeyUsage.CONTROL: CardKeySlot(0x39, 0x00, "应用主控密钥", "application control key"),
    KeyUsage.DESK_READ: CardKeySlot(0x39, 0x01, "柜台读取密钥", "desk reading key"),
    KeyUsage.MAINTENANCE: CardKeySlot(0x36, 0x00, "应用维护密钥", "application maintenance key"),
    KeyUsage.PURCHASE_PSAM: CardKeySlot(0x3E, 0x01, "消费密钥", "purchase key, hardware PSAM"),
    KeyUsage.PURCHASE_SOFT: CardKeySlot(
        0x3E, 0x02, "消费密钥（软）", "purchase key, software PSAM"
    ),
    KeyUsage.TAC: CardKeySlot(0x34, 0x00, "TAC密钥", "TAC key"),
    KeyUsage.PRESENCE: CardKeySlot(0x30, 0x01, "在场密钥", "presence key (CG2)"),
    KeyUsage.CARD_CONTROL: CardKeySlot(0x39, 0x00, "卡片主控密钥", "card control key"),
}

# dpk_idx of an event: bit 7 marks a software PSAM, the rest is the key id of the purchase key.
DPK_INDEX_PSAM = 0x01
DPK_INDEX_SOFT = 0x82
PURCHASE_USAGE: dict[int, KeyUsage] = {
    DPK_INDEX_PSAM: KeyUsage.PURCHASE_PSAM,
    DPK_INDEX_SOFT: KeyUsage.PURCHASE_SOFT,
}
