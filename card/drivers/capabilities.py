# SPDX-License-Identifier: Apache-2.0
"""What a card operating system can do, and what an application asks of it, in words."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from card.errors import CapabilityMissing
from card.status_words import Text


class Capability(enum.Enum):
    """One thing that a card can do or not."""

    BINARY_FILES = "binary files"
    RECORD_FILES = "record files"
    PIN = "PIN"
    PIN_UNBLOCK = "PIN unblock"
    PIN_RELOAD = "PIN reload"
    EXTERNAL_AUTHENTICATE = "external authenticate"
    INTERNAL_AUTHENTICATE = "internal authenticate"
    SECURE_MESSAGING = "secure messaging"
    CREATE_FILES = "create files"
    WRITE_KEYS = "write keys"
    BLOCKING = "blocking"
    PURSE = "purse"
    COMPOSITE_PURCHASE = "composite purchase"
    TRANSACTION_PROOF = "transaction proof"
    SM4 = "SM4"

    @property
    def label(self) -> Text:
        """Return the capability in words."""
        return Text(_ZH[self], self.value)


_ZH = {
    Capability.BINARY_FILES: "二进制文件",
    Capability.RECORD_FILES: "记录文件",
    Capability.PIN: "口令",
    Capability.PIN_UNBLOCK: "口令解锁",
    Capability.PIN_RELOAD: "口令重装",
    Capability.EXTERNAL_AUTHENTICATE: "外部认证",
    Capability.INTERNAL_AUTHENTICATE: "内部认证",
    Capability.SECURE_MESSAGING: "安全报文",
    Capability.CREATE_FILES: "建立文件",
    Capability.WRITE_KEYS: "写入密钥",
    Capability.BLOCKING: "锁定",
    Capability.PURSE: "电子钱包",
    Capability.COMPOSITE_PURCHASE: "复合消费",
    Capability.TRANSACTION_PROOF: "交易认证",
    Capability.SM4: "SM4 算法",
}

# What the volunteer application needs, and what for.
VOLUNTEER_NEEDS: Mapping[Capability, Text] = {
    Capability.CREATE_FILES: Text("建立应用文件", "to make the application's files"),
    Capability.WRITE_KEYS: Text("写入应用密钥", "to hold the application's keys"),
    Capability.BINARY_FILES: Text("保存持卡人信息", "to hold the holder's data"),
    Capability.RECORD_FILES: Text("保存刷卡与培训记录", "to hold taps and training"),
    Capability.EXTERNAL_AUTHENTICATE: Text("柜台认证后读取", "to let only desks read"),
    Capability.SECURE_MESSAGING: Text("写入须带 MAC", "to take no write without a MAC"),
    Capability.INTERNAL_AUTHENTICATE: Text("证明持卡人在场（CG2）", "to prove presence (CG2)"),
    Capability.COMPOSITE_PURCHASE: Text("刷卡即零金额复合消费", "to tap: a purchase of 0"),
    Capability.TRANSACTION_PROOF: Text("恢复中断的刷卡", "to finish a torn tap"),
}


def require(
    application: str,
    card: str,
    found: frozenset[Capability],
    needs: Mapping[Capability, Text] = VOLUNTEER_NEEDS,
) -> None:
    """Refuse a card that lacks something an application needs.

    Args:
        application: Name of the profile or application.
        card: Name of the card operating system, or of the card that was probed.
        found: What it can do.
        needs: What is needed, and what for.

    Raises:
        CapabilityMissing: With the first thing it lacks and the reason it is needed.
    """
    for capability, reason in needs.items():
        if capability not in found:
            raise CapabilityMissing(application, card, capability.label, reason)
