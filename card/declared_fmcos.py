# SPDX-License-Identifier: Apache-2.0
"""Declared commands of FMCOS 2.0's own: files, keys, PINs, blocking (user manual ch. 7 and 8)."""

from __future__ import annotations

from card.declared_types import CommandSpec, Part, Vector
from card.status_words import Text

OWN = frozenset({0x80})
OWN_MACED = frozenset({0x84})
OWN_ANY = frozenset({0x80, 0x84})

_MANUAL = "FMCOS 2.0 user manual"
_ISSUING = "FMCOS 2.0 issuing manual, card issuing example"
_COMPUTED = "computed: 3DES key 00112233445566778899AABBCCDDEEFF, challenge 01020304"
_LINE_BITS = (0x00, 0x40, 0x80, 0xC0)

_FID = Text("P1P2 文件标识符", "P1 P2: file identifier")
_PIN_ID = Text("P2 口令号", "P2: PIN id")

_TYPE = Part("type", 1, Text("类型", "type"))
_CREATE = Part("create", 1, Text("建立权限", "right to create"))
_ERASE = Part("erase", 1, Text("擦除权限", "right to erase"))
_READ = Part("read", 1, Text("读权限", "right to read"))
_WRITE = Part("write", 1, Text("写权限", "right to write"))
_USE = Part("use", 1, Text("使用权限", "right to use"))
_RFU = Part("rfu", 1, Text("保留", "reserved"))
_SPACE = Part("space", 2, Text("空间", "space"))
_MAC = Part("mac", 4, Text("MAC", "MAC"))

_TYPED_FILES = frozenset(kind | line for kind in (0x28, 0x2A, 0x2C, 0x2E) for line in _LINE_BITS)


def _create(
    name: str,
    label: Text,
    types: frozenset[int],
    data: tuple[Part, ...],
    vectors: tuple[Vector, ...],
) -> CommandSpec:
    """Declare one form of CREATE FILE, told from the others by the type byte."""
    return CommandSpec(
        name, label, OWN, 0xE0, None, None, (_TYPE, *data), (), False, True,
        f"{_MANUAL} 7.13", vectors, _FID, types,
    )  # fmt: skip


FILES = (
    CommandSpec(
        "CREATE FILE, master file", Text("建立主文件", "create the master file"), OWN, 0xE0, 0x3F,
        0x00,
        (
            _TYPE, _SPACE, _CREATE, _ERASE,
            Part("dir_file", 1, Text("目录文件", "directory list file")),
            Part("transport", None, Text("传输代码", "transport code"), secret=True),
        ),
        (), False, True, f"{_MANUAL} 7.13.1",
        (Vector("80E03F00", "38 FFFF F0 01 FF FFFFFFFFFFFFFF", source=_ISSUING),), _FID,
    ),
    _create(
        "CREATE FILE, directory", Text("建立目录", "create a directory"), frozenset({0x38}),
        (
            _SPACE, _CREATE, _ERASE,
            Part("fci_file", 1, Text("选择时返回的文件", "file that SELECT returns")),
            Part("rfu", 2, Text("保留", "reserved")),
            Part("name", None, Text("应用名称", "application name")),
        ),
        (Vector("80E03F01", "38 036F F0 F0 95 FFFF A00000000386980701", source=_ISSUING),),
    ),
    _create(
        "CREATE FILE, key file", Text("建立密钥文件", "create the key file"), frozenset({0x3F}),
        (
            _SPACE,
            Part("fci_file", 1, Text("选择时返回的文件", "file that SELECT returns")),
            Part("add", 1, Text("增加密钥权限", "right to add keys")),
            Part("rfu", 2, Text("保留", "reserved")),
        ),
        (Vector("80E00000", "3F 018F 95 F0 FFFF", source=_ISSUING),),
    ),
    _create(
        "CREATE FILE, purse", Text("建立钱包或存折", "create a purse"), frozenset({0x2F}),
        (
            Part("size", 2, Text("固定 0208", "always 0208")), _USE, _RFU,
            Part("rfu2", 1, Text("保留", "reserved")),
            Part("log", 1, Text("交易明细文件", "log file")),
        ),
        (Vector("80E00002", "2F 0208 F0 00 FF 18", source=_ISSUING),),
    ),
    _create(
        "CREATE FILE", Text("建立基本文件", "create an elementary file"), _TYPED_FILES,
        (
            Part("size", 2, Text("大小，或记录数与记录长", "size, or records and length")),
            _READ, _WRITE, _RFU,
            Part("line", 1, Text("线路保护", "line protection")),
        ),
        (
            Vector("80E00015", "A8 001E F0 F0 FF FF", source=_ISSUING),
            Vector("80E00018", "2E 0A17 F1 EF FF FF", source=_ISSUING),
        ),
    ),
    CommandSpec(
        "ERASE DF", Text("擦除目录", "erase the directory"), OWN, 0x0E, 0x00, 0x00, (), (), False,
        True, f"{_MANUAL} 7.11", (Vector("800E0000", source=f"{_MANUAL} 7.11"),),
    ),
)  # fmt: skip

_KEY_RECORD = (
    _TYPE, _USE,
    Part("change", 1, Text("更改权限", "right to change")),
    Part("third", 1, Text("后续状态或密钥版本", "next state or key version")),
    Part("fourth", 1, Text("错误计数器或算法标识", "tries or algorithm")),
    Part("key", None, Text("密钥或口令", "key or PIN"), secret=True),
)  # fmt: skip
_WRAPPED = (Part("wrapped", None, Text("加密的密钥", "wrapped key"), secret=True),)

KEYS = (
    CommandSpec(
        "WRITE KEY, add", Text("增加密钥", "add a key"), OWN_ANY, 0xD4, 0x01, None, _KEY_RECORD,
        (), True, True, f"{_MANUAL} 7.12",
        (
            Vector("80D40101", "3E F0 02 00 01 3E013E013E013E013E013E013E013E01",
                   source=_ISSUING),
            Vector("84D40102", "7C87BC23140021B3AFEA67E6359DDCFE D7C943F6",
                   source="klks/fmcos-python docs, ciphertext with MAC to add/modify keys"),
        ),
        Text("P2 密钥号", "P2: key id"), wrapped=_WRAPPED,
    ),
    CommandSpec(
        "WRITE KEY, replace", Text("更改密钥", "replace a key"), OWN_ANY, 0xD4, None, None,
        _KEY_RECORD, (), True, True, f"{_MANUAL} 7.12",
        (
            Vector("84D43901", "7C87BC23140021B3AFEA67E6359DDCFE 9095E4E1",
                   source="klks/fmcos-python docs, ciphertext with MAC to add/modify keys"),
        ),
        Text("P1 密钥类型，P2 密钥号", "P1: key type; P2: key id"), wrapped=_WRAPPED,
    ),
)  # fmt: skip

_NEW_PIN = Part("new_pin", None, Text("新口令", "new PIN"), secret=True)

PINS = (
    CommandSpec(
        "CHANGE PIN", Text("修改口令", "change PIN"), OWN, 0x5E, 0x01, None,
        (Part("pins", None, Text("旧口令 FF 新口令", "old PIN, FF, new PIN"), secret=True),), (),
        True, True, f"{_MANUAL} ch. 8; JR/T 0025.9",
        (Vector("805E0101", "1234FF5678", source="computed"),), _PIN_ID,
    ),
    CommandSpec(
        "RELOAD PIN", Text("重装口令", "reload PIN"), OWN, 0x5E, 0x00, None, (_NEW_PIN, _MAC), (),
        True, True, f"{_MANUAL} ch. 8; JR/T 0025.9",
        (Vector("805E0001", "1234 0E50C705", source=_COMPUTED),), _PIN_ID,
    ),
    CommandSpec(
        "PIN UNBLOCK", Text("解锁口令", "unblock PIN"), OWN_MACED, 0x24, None, 0x00,
        (), (), True, True, f"{_MANUAL} ch. 8; JR/T 0025.9",
        (Vector("84240100", "453F20EEC905F7CA 49C325BC", source=_COMPUTED),),
        Text("P1 口令号", "P1: PIN id"),
        wrapped=(Part("wrapped", None, Text("加密的口令", "wrapped PIN"), secret=True),),
    ),
)  # fmt: skip

BLOCKING = (
    CommandSpec(
        "CARD BLOCK", Text("锁卡", "block the card"), OWN_MACED, 0x16, 0x00, 0x00, (), (), True,
        True, f"{_MANUAL} 8.1", (Vector("84160000", "276CA7C5", source=_COMPUTED),),
    ),
    CommandSpec(
        "APPLICATION BLOCK", Text("锁应用", "block the application"), OWN_MACED, 0x1E, 0x00,
        frozenset({0x00, 0x01}), (), (), True, True, f"{_MANUAL} 8.3",
        (Vector("841E0000", "59C9FF76", source=_COMPUTED),),
        Text("P2 00 可解锁，01 永久", "P2: 00 until unblocked, 01 for good"),
    ),
    CommandSpec(
        "APPLICATION UNBLOCK", Text("解锁应用", "unblock the application"), OWN_MACED, 0x18, 0x00,
        0x00, (), (), True, True, f"{_MANUAL} 8.2",
        (Vector("84180000", "89A8090B", source=_COMPUTED),),
    ),
)  # fmt: skip

FMCOS = FILES + KEYS + PINS + BLOCKING
