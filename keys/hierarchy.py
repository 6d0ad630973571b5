# SPDX-License-Identifier: Apache-2.0
"""The key hierarchy as data: which key is whose, by which cipher, for how long, and may it leave.

``docs/key-hierarchy.md`` is printed from these tables (``keys.hierarchy_document``); the key
stores ask them what to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass

from keys.algorithm import Algorithm
from keys.errors import UnsupportedAlgorithm
from keys.usage import CARD_KEYS, KeyUsage

_CARD = (Algorithm.TDES, Algorithm.SM4)
_FMCOS = "FMCOS 2.0 user manual, WRITE KEY"
_PSAM = "FMCOS PSAM key load, CJ/T 166 purchase SAM"
_OWN = "this project"


@dataclass(frozen=True, slots=True)
class Level:
    """Describe one storey of the hierarchy and how its keys come from the one above."""

    name: str
    label_zh: str
    label_en: str
    holder: str
    comes_from: str


LEVELS: tuple[Level, ...] = (
    Level("root", "根", "root", "national or league key office", "generated in a ceremony"),
    Level("region", "区域", "region", "region's key office", "root diversified by the region code"),
    Level(
        "issuer",
        "发卡方",
        "issuer",
        "key store of the server (file or PKCS#11)",
        "region diversified by the issuer code, or the issuer's own ceremony",
    ),
    Level(
        "card",
        "卡片",
        "card",
        "the chip; derived again in memory when a proof is checked",
        "issuer diversified by the last 8 bytes of the card's serial",
    ),
    Level(
        "psam",
        "消费安全模块",
        "PSAM",
        "the PSAM's chip, or a software PSAM's file",
        "purchase master as it is, wrapped; control key diversified by the PSAM's serial",
    ),
    Level(
        "terminal",
        "终端",
        "terminal",
        "the terminal, where it was made",
        "generated on the device, enrolled by pairing code; never derived",
    ),
)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """Declare one kind of issuer key.

    ``algorithms`` names what it may be, the default first. ``index`` is the key id on card or
    PSAM where it has one. ``tr31_usage`` and ``tr31_mode`` are what its key block says (X9.143
    tables 4 and 6; numeric usages are proprietary there). An exportable key may leave its store,
    only inside a key block.
    """

    usage: KeyUsage
    label_zh: str
    label_en: str
    algorithms: tuple[Algorithm, ...]
    owner: str
    years: int
    held_below: str
    tr31_usage: str
    tr31_mode: str
    exportable: bool
    source: str

    @property
    def index(self) -> str:
        """Give key type and key id on the card, such as ``3E 01``, or a dash.

        >>> row(KeyUsage.PURCHASE_PSAM).index
        '3E 01'
        """
        slot = CARD_KEYS.get(self.usage)
        return f"{slot.key_type:02X} {slot.key_id:02X}" if slot else "–"


_U = KeyUsage
HIERARCHY: tuple[KeyRow, ...] = (
    KeyRow(_U.CARD_CONTROL, "卡片主控密钥", "card control key", _CARD, "issuer", 10,
           "card", "10", "X", False, _FMCOS),
    KeyRow(_U.CONTROL, "应用主控密钥", "application control key", _CARD, "issuer", 10,
           "card", "11", "X", False, _FMCOS),
    KeyRow(_U.DESK_READ, "柜台读取密钥", "desk reading key", _CARD, "issuer", 10,
           "card", "12", "X", False, _FMCOS),
    KeyRow(_U.MAINTENANCE, "应用维护密钥", "application maintenance key", _CARD, "issuer", 10,
           "card", "13", "X", False, _FMCOS),
    KeyRow(_U.PURCHASE_PSAM, "消费主密钥", "purchase key, hardware PSAM", _CARD, "issuer", 10,
           "card, PSAM", "14", "X", True, _PSAM),
    KeyRow(_U.PURCHASE_SOFT, "消费主密钥（软）", "purchase key, software PSAM", _CARD, "issuer",
           5, "card, software PSAM", "15", "X", True, _PSAM),
    KeyRow(_U.TAC, "TAC 主密钥", "TAC key", _CARD, "issuer", 10,
           "card", "16", "X", False, _FMCOS),
    KeyRow(_U.PRESENCE, "在场主密钥", "presence key (CG2)", _CARD, "issuer", 10,
           "card", "17", "X", False, _FMCOS),
    KeyRow(_U.PSAM_CONTROL, "PSAM 主控密钥", "PSAM control key", _CARD, "issuer", 10,
           "PSAM", "18", "X", False, _PSAM),
    KeyRow(_U.PIN_UNBLOCK, "PIN 解锁密钥", "PIN unblocking key", _CARD, "issuer", 10,
           "card", "19", "X", False, _FMCOS),
    KeyRow(_U.PIN_RELOAD, "PIN 重装密钥", "PIN reload key", _CARD, "issuer", 10,
           "card", "1A", "X", False, _FMCOS),
    KeyRow(_U.LOAD, "圈存主密钥", "load key", _CARD, "issuer", 5,
           "card", "1B", "X", False, _FMCOS),
    KeyRow(_U.UNLOAD, "圈提主密钥", "unload key", _CARD, "issuer", 5,
           "card", "1C", "X", False, _FMCOS),
    KeyRow(_U.OVERDRAFT, "透支限额密钥", "overdraft limit key", _CARD, "issuer", 5,
           "card", "1D", "X", False, _FMCOS),
    KeyRow(_U.PERSONAL_DATA, "个人数据密钥", "personal data key", (Algorithm.AES,), "issuer", 5,
           "–", "D0", "B", False, _OWN),
    KeyRow(_U.KEY_BLOCK, "密钥块保护密钥", "key block protection key",
           (Algorithm.AES, Algorithm.TDES), "issuer and the partner it is shared with", 2,
           "–", "K1", "B", False, "ANSI X9.143, usage K1"),
    KeyRow(_U.SERVER_IDENTITY, "服务器身份保护密钥", "server identity key", (Algorithm.AES,),
           "issuer", 5, "–", "1E", "B", False, _OWN),
)  # fmt: skip
_ROWS = {declared.usage: declared for declared in HIERARCHY}


def row(usage: KeyUsage) -> KeyRow:
    """Give the declaration of a usage."""
    return _ROWS[usage]


def chosen_algorithm(usage: KeyUsage, algorithm: Algorithm | None) -> Algorithm:
    """Give the algorithm a key of this usage is made for; ``None`` takes the default.

    >>> chosen_algorithm(KeyUsage.TAC, None)
    <Algorithm.TDES: '3des'>

    Raises:
        UnsupportedAlgorithm: the hierarchy does not declare it for this usage.
    """
    declared = row(usage).algorithms
    if algorithm is None:
        return declared[0]
    if algorithm not in declared:
        raise UnsupportedAlgorithm(algorithm.value, f"be a {usage.value} key")
    return algorithm


def usage_of_block(tr31_usage: str) -> KeyUsage | None:
    """Give the usage that a key block's two characters name, or none.

    >>> usage_of_block("16")
    <KeyUsage.TAC: 'tac'>
    """
    for declared in HIERARCHY:
        if declared.tr31_usage == tr31_usage:
            return declared.usage
    return None
