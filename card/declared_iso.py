# SPDX-License-Identifier: Apache-2.0
"""Declared commands of ISO/IEC 7816-4 as FMCOS 2.0 speaks them (user manual chapter 7).

Class 04 carries a MAC; the data before it may be encrypted, which only the file's type tells.
"""

from __future__ import annotations

from card.declared_types import Bits, CommandSpec, Part, Vector
from card.status_words import Text

PLAIN = frozenset({0x00})
PLAIN_OR_MACED = frozenset({0x00, 0x04})

_MANUAL = "FMCOS 2.0 user manual"
_TRACE_SZT = "recorded card, nfcim/nfsee tests/reader-mock.js"
_COMPUTED = "computed: 3DES key 00112233445566778899AABBCCDDEEFF, challenge 01020304"
_TRACE_MAC = "klks/fmcos-python examples/test_mac.py"
_ISSUING = "FMCOS 2.0 issuing manual, card issuing example"

_CONTENT = Part("content", None, Text("内容", "content"))
_RECORD = Part("record", None, Text("记录", "record"))
_FCI = Part("fci", None, Text("文件控制信息", "file control information"))
_CHALLENGE = Part("challenge", None, Text("随机数", "challenge"))
_CRYPTOGRAM = Part("cryptogram", 8, Text("密文", "cryptogram"))
_DATA = Part("data", None, Text("待处理数据", "data to process"))
_RESULT = Part("result", None, Text("结果", "result"))

_SFI_OFFSET = Text("P1 低五位为 SFI，P2 偏移", "P1 low five bits: SFI; P2: offset")
_FAR_OFFSET = Text("P1P2 为当前文件内偏移", "P1 P2: offset in the current file")
_NUMBER = Text("P1 记录号，P2 高五位为 SFI", "P1: record number; P2 high five bits: SFI")
_TAG = Text("P1 记录标识，P2 高五位为 SFI", "P1: record tag; P2 high five bits: SFI")
_KEY_ID = Text("P2 密钥号", "P2: key id")

_BY_SFI = Bits(0x80, 0xE0)
_CURRENT = Bits(0x00, 0x80)
_BY_NUMBER = Bits(0x04, 0x07)
_BY_TAG = Bits(0x00, 0x07)
_APPEND_CYCLIC = Bits(0x03, 0x07)

SELECTING = (
    CommandSpec(
        "SELECT by identifier", Text("按标识符选择", "select by identifier"), PLAIN, 0xA4, 0x00,
        0x00, (Part("fid", 2, Text("文件标识符", "file identifier")),), (_FCI,), False, False,
        f"ISO/IEC 7816-4 §7.1.1; {_MANUAL} 7.4",
        (
            Vector("00A40000", "1001", 256, "6F3284075041592E535A54A5279F0801029F0C20"
                   "0000000000000000FD21000051800000A344C213201703142027031401010000",
                   _TRACE_SZT),
        ),
    ),
    CommandSpec(
        "SELECT by name", Text("按名称选择", "select by name"), PLAIN, 0xA4, 0x04, 0x00,
        (Part("name", None, Text("应用名称", "application name")),), (_FCI,), False, False,
        f"ISO/IEC 7816-4 §7.1.1; {_MANUAL} 7.4",
        (
            Vector("00A40400", "A000000632010105", 256, "6F318408A000000632010105A5259F080102"
                   "9F0C1E01011000FFFFFFFF02010310517007010479138120190718204012310000",
                   _TRACE_SZT),
        ),
    ),
    CommandSpec(
        "GET RESPONSE", Text("取应答", "get response"), PLAIN, 0xC0, 0x00, 0x00, (), (_CONTENT,),
        False, False, f"ISO/IEC 7816-4 §7.6.1; {_MANUAL} ch. 7",
        (Vector("00C00000", "", 4, "00000001", "computed"),),
    ),
)  # fmt: skip

BINARIES = (
    CommandSpec(
        "READ BINARY", Text("读二进制文件", "read binary"), PLAIN_OR_MACED, 0xB0, _BY_SFI, None,
        (), (_CONTENT,), True, False, f"ISO/IEC 7816-4 §7.2.3; {_MANUAL} 7.5",
        (
            Vector("00B09700", "", 11, "0000015658005840000101", _TRACE_SZT),
            Vector("04B08000", "F09C8A19", None, "112233445566778899 8D318577", _TRACE_MAC),
        ),
        _SFI_OFFSET, maced_answer=True,
    ),
    CommandSpec(
        "READ BINARY of the current file", Text("读当前二进制文件", "read current binary"),
        PLAIN_OR_MACED, 0xB0, _CURRENT, None, (), (_CONTENT,), True, False,
        f"ISO/IEC 7816-4 §7.2.3; {_MANUAL} 7.5",
        (
            Vector("04B00000", "F09C8A19", None,
                   "11223344556677889900AABBCCDDEEFF 8D318577", _TRACE_MAC),
        ),
        _FAR_OFFSET, maced_answer=True,
    ),
    CommandSpec(
        "UPDATE BINARY", Text("写二进制文件", "update binary"), PLAIN_OR_MACED, 0xD6, _BY_SFI,
        None, (_CONTENT,), (), True, True, f"ISO/IEC 7816-4 §7.2.5; {_MANUAL} 7.7",
        (
            Vector("04D69500", "000122000001FFFF01010000220000000000000620160101205012310000"
                   " 96E32EF1", source=_TRACE_MAC),
        ),
        _SFI_OFFSET,
    ),
    CommandSpec(
        "UPDATE BINARY of the current file", Text("写当前二进制文件", "update current binary"),
        PLAIN_OR_MACED, 0xD6, _CURRENT, None, (_CONTENT,), (), True, True,
        f"ISO/IEC 7816-4 §7.2.5; {_MANUAL} 7.7",
        (
            Vector("04D60000", "11223344556677889900AABBCCDDEEFF F2F62231",
                   source=_TRACE_MAC),
        ),
        _FAR_OFFSET,
    ),
    CommandSpec(
        "WRITE BINARY", Text("写二进制文件（D0）", "write binary (D0)"), PLAIN_OR_MACED, 0xD0,
        None, None, (_CONTENT,), (), True, True, f"ISO/IEC 7816-4 §7.2.4; {_MANUAL} 7.7",
        (Vector("00D09600", "0102", source="computed"),), _SFI_OFFSET,
    ),
)  # fmt: skip

RECORDS = (
    CommandSpec(
        "READ RECORD", Text("按号读记录", "read record by number"), PLAIN_OR_MACED, 0xB2, None,
        _BY_NUMBER, (), (_RECORD,), True, False, f"ISO/IEC 7816-4 §7.3.3; {_MANUAL} 7.6",
        (
            Vector("00B201C4", "", 23, "0001000000000000100266666666666620240411212121",
                   "klks/fmcos-python docs, simple test PBOC payment environment"),
            Vector("04B201C4", "925654FA", None, "00 54A4CC25", _COMPUTED),
        ),
        _NUMBER, maced_answer=True,
    ),
    CommandSpec(
        "READ RECORD by tag", Text("按标识读记录", "read record by tag"), PLAIN_OR_MACED, 0xB2,
        None, _BY_TAG, (), (_RECORD,), True, False, f"ISO/IEC 7816-4 §7.3.3; {_MANUAL} 7.6",
        (Vector("00B2AAC8", "", 3, "AA0101", "computed"),), _TAG, maced_answer=True,
    ),
    CommandSpec(
        "UPDATE RECORD", Text("按号写记录", "update record by number"), PLAIN_OR_MACED, 0xDC,
        None, _BY_NUMBER, (_RECORD,), (), True, True,
        f"ISO/IEC 7816-4 §7.3.5; {_MANUAL} 7.8",
        (Vector("00DC010C", "01020304", source="computed"),), _NUMBER,
    ),
    CommandSpec(
        "UPDATE RECORD append", Text("循环文件追加记录", "append to a cyclic file"),
        PLAIN_OR_MACED, 0xDC, 0x00, _APPEND_CYCLIC, (_RECORD,), (), True, True,
        f"{_MANUAL} 7.8",
        (Vector("00DC00C3", "0102", source="computed"),),
        Text("P2 高五位为 SFI，低三位 011", "P2 high five bits: SFI, low three 011"),
    ),
    CommandSpec(
        "UPDATE RECORD by tag", Text("按标识写记录", "update record by tag"), PLAIN_OR_MACED,
        0xDC, None, Bits(0x00, 0x04), (_RECORD,), (), True, True,
        f"ISO/IEC 7816-4 §7.3.5; {_MANUAL} 7.8",
        (Vector("00DCAAC8", "AA0101", source="computed"),), _TAG,
    ),
    CommandSpec(
        "APPEND RECORD", Text("追加记录", "append record"), PLAIN_OR_MACED, 0xE2, 0x00,
        _BY_NUMBER, (_RECORD,), (), True, True, f"ISO/IEC 7816-4 §7.3.6; {_MANUAL} 7.9",
        (Vector("00E2000C", "61114F09A00000000386980701500450424F43", source=_ISSUING),),
        Text("P2 高五位为 SFI", "P2 high five bits: SFI"),
    ),
    CommandSpec(
        "APPEND RECORD (plain card)", Text("追加记录（通用卡）", "append record, plain card"),
        PLAIN, 0xE2, 0x00, _BY_TAG, (_RECORD,), (), False, True, "ISO/IEC 7816-4 §7.3.6",
        (Vector("00E200C8", "0102", source="computed"),),
        Text("P2 高五位为 SFI", "P2 high five bits: SFI"),
    ),
)  # fmt: skip

SECURITY = (
    CommandSpec(
        "GET CHALLENGE", Text("取随机数", "get challenge"), PLAIN, 0x84, 0x00, 0x00, (),
        (_CHALLENGE,), False, False, f"ISO/IEC 7816-4 §7.5.3; {_MANUAL} 7.2",
        (Vector("00840000", "", 4, "BB83BFF3", f"{_MANUAL} 7.1"),),
        Text("Le 04 或 08", "Le 04 or 08"),
    ),
    CommandSpec(
        "EXTERNAL AUTHENTICATE", Text("外部认证", "external authenticate"), PLAIN, 0x82, 0x00,
        None, (_CRYPTOGRAM,), (), True, True, f"ISO/IEC 7816-4 §7.5.4; {_MANUAL} 7.1",
        (Vector("00820000", "74B0047DD681D96C", source=f"{_MANUAL} 7.1"),), _KEY_ID,
    ),
    CommandSpec(
        "INTERNAL AUTHENTICATE encrypt", Text("内部认证：加密", "internal authenticate: encrypt"),
        PLAIN, 0x88, 0x00, None, (_DATA,), (_RESULT,), False, False,
        f"ISO/IEC 7816-4 §7.5.2; {_MANUAL} 7.3",
        (Vector("00880000", "0102030405060708", None, "178F59F8578E0D3F", f"{_MANUAL} 7.3"),),
        _KEY_ID,
    ),
    CommandSpec(
        "INTERNAL AUTHENTICATE decrypt", Text("内部认证：解密", "internal authenticate: decrypt"),
        PLAIN, 0x88, 0x01, None, (_DATA,), (_RESULT,), False, False,
        f"ISO/IEC 7816-4 §7.5.2; {_MANUAL} 7.3",
        (Vector("00880100", "178F59F8578E0D3F", None, "0102030405060708", f"{_MANUAL} 7.3"),),
        _KEY_ID,
    ),
    CommandSpec(
        "INTERNAL AUTHENTICATE MAC", Text("内部认证：MAC", "internal authenticate: MAC"),
        PLAIN, 0x88, 0x02, None, (_DATA,), (_RESULT,), False, False,
        f"ISO/IEC 7816-4 §7.5.2; {_MANUAL} 7.3",
        (Vector("00880200", "0102030405060708", None, "A82A8CEB", f"{_MANUAL} 7.3"),),
        _KEY_ID,
    ),
    CommandSpec(
        "VERIFY", Text("验证口令", "verify PIN"), PLAIN, 0x20, 0x00, None,
        (Part("pin", None, Text("口令", "PIN"), secret=True),), (), True, True,
        f"ISO/IEC 7816-4 §7.5.6; {_MANUAL} ch. 7",
        (Vector("00200001", "12345F", source=_ISSUING),), Text("P2 口令号", "P2: PIN id"),
    ),
    CommandSpec(
        "CHANGE REFERENCE DATA", Text("修改口令（通用卡）", "change PIN, plain card"), PLAIN, 0x24,
        0x00, None,
        (Part("pins", None, Text("旧口令 新口令", "old PIN, new PIN"), secret=True),), (), True,
        True, "ISO/IEC 7816-4 §7.5.7",
        (Vector("00240001", "3132333435363738", source="computed"),),
        Text("P2 口令号", "P2: PIN id"),
    ),
    CommandSpec(
        "RESET RETRY COUNTER", Text("解锁口令（通用卡）", "unblock PIN, plain card"), PLAIN, 0x2C,
        0x00, None,
        (Part("codes", None, Text("解锁码 新口令", "unblocking code, new PIN"), secret=True),), (),
        True, True, "ISO/IEC 7816-4 §7.5.10",
        (Vector("002C0001", "31323334353637383132", source="computed"),),
        Text("P2 口令号", "P2: PIN id"),
    ),
)  # fmt: skip

ISO = SELECTING + BINARIES + RECORDS + SECURITY
