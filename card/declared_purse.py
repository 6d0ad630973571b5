# SPDX-License-Identifier: Apache-2.0
"""Declared commands of the purse and of purchase SAMs (JR/T 0025.9; FMCOS 2.0 manual ch. 8).

P2 of INITIALIZE and GET BALANCE is 01 for the passbook (EF 0001) and 02 for the purse (EF 0002).
"""

from __future__ import annotations

from card.declared_fmcos import OWN, OWN_ANY
from card.declared_types import Bits, CommandSpec, Form, Part, Vector
from card.status_words import Text

_MANUAL = "JR/T 0025.9; FMCOS 2.0 user manual"
_COMPUTED = "computed: 3DES key 00112233445566778899AABBCCDDEEFF"
_TRACE = "klks/fmcos-python docs, e-wallet debugging record"
_EITHER = frozenset({0x01, 0x02})
_WHICH = Text("P2 01 存折，02 钱包", "P2: 01 passbook, 02 purse")

_INDEX = Part("key_index", 1, Text("密钥索引", "key index"))
_AMOUNT = Part("amount", 4, Text("交易金额", "amount"), form=Form.NUMBER)
_TERMINAL = Part("terminal", 6, Text("终端机编号", "terminal number"))
_BALANCE = Part("balance", 4, Text("余额", "balance"), form=Form.NUMBER)
_ONLINE = Part("online_seq", 2, Text("联机交易序号", "on-line counter"), form=Form.NUMBER)
_OFFLINE = Part("offline_seq", 2, Text("脱机交易序号", "off-line counter"), form=Form.NUMBER)
_LIMIT = Part("overdraft", 3, Text("透支限额", "overdraft limit"), form=Form.NUMBER)
_VERSION = Part("key_version", 1, Text("密钥版本", "key version"))
_ALGORITHM = Part("algorithm", 1, Text("算法标识", "algorithm"))
_RANDOM = Part("random", 4, Text("随机数", "random"))
_MAC1 = Part("mac1", 4, Text("MAC1", "MAC1"))
_MAC2 = Part("mac2", 4, Text("MAC2", "MAC2"))
_MAC3 = Part("mac3", 4, Text("MAC3", "MAC3"))
_TAC = Part("tac", 4, Text("交易验证码 TAC", "TAC"))
_DATE = Part("date", 4, Text("交易日期", "date"), form=Form.DATE)
_TIME = Part("time", 3, Text("交易时间", "time"), form=Form.TIME)
_PSAM_SEQ = Part("psam_seq", 4, Text("终端交易序号", "terminal's number"), form=Form.NUMBER)
_KIND = Part("kind", 1, Text("交易类型", "kind of transaction"))

_BEGIN = (_INDEX, _AMOUNT, _TERMINAL)
_ONLINE_BEGUN = (_BALANCE, _ONLINE, _VERSION, _ALGORITHM, _RANDOM, _MAC1)
_OFFLINE_BEGUN = (_BALANCE, _OFFLINE, _LIMIT, _VERSION, _ALGORITHM, _RANDOM)
_ONLINE_COMMIT = (_DATE, _TIME, _MAC2)


def _initialize(
    name: str, label: Text, p1: int, p2: int | frozenset[int], vector: Vector
) -> CommandSpec:
    """Declare INITIALIZE FOR a transaction; P1 says which."""
    answer = _OFFLINE_BEGUN if p1 in (0x01, 0x02, 0x03) else _ONLINE_BEGUN
    return CommandSpec(
        name, label, OWN, 0x50, p1, p2, _BEGIN, answer, False, False, f"{_MANUAL} ch. 8",
        (vector,), _WHICH,
    )  # fmt: skip


INITIALIZING = (
    _initialize(
        "INITIALIZE FOR LOAD", Text("圈存初始化", "begin a load"), 0x00, _EITHER,
        Vector("80500002", "02 00002000 001122334455", 16,
               "00000000 0000 00 02 3948BC11 31BA0BCD", _TRACE),
    ),
    _initialize(
        "INITIALIZE FOR PURCHASE", Text("消费初始化", "begin a purchase"), 0x01, _EITHER,
        Vector("80500102", "01 00000001 001122334455", 15,
               "00002000 0000 000000 00 00 584633C9", _TRACE),
    ),
    _initialize(
        "INITIALIZE FOR CASH WITHDRAW", Text("取现初始化", "begin a cash withdrawal"), 0x02, 0x01,
        Vector("80500201", "01 00000064 001122334455", 15,
               "00002000 0000 000000 00 00 584633C9", "computed"),
    ),
    _initialize(
        "INITIALIZE FOR CAPP PURCHASE", Text("复合消费初始化", "begin a composite purchase"),
        0x03, 0x02,
        Vector("80500302", "01 00000000 001122334455", 15,
               "00000000 0000 000000 00 00 584633C9", "computed"),
    ),
    CommandSpec(
        "INITIALIZE FOR UPDATE", Text("修改透支限额初始化", "begin an overdraft change"), OWN,
        0x50, 0x04, 0x01, (_INDEX, _TERMINAL),
        (_BALANCE, _ONLINE, _LIMIT, _VERSION, _ALGORITHM, _RANDOM, _MAC1), False, False,
        f"{_MANUAL} ch. 8",
        (
            Vector("80500401", "01 001122334455", 19,
                   "00002000 0001 000000 00 00 584633C9 2DAFF9AD", _COMPUTED),
        ),
    ),
    _initialize(
        "INITIALIZE FOR UNLOAD", Text("圈提初始化", "begin an unload"), 0x05, 0x01,
        Vector("80500501", "01 00000064 001122334455", 16,
               "00002000 0001 00 00 584633C9 9A20522F", _COMPUTED),
    ),
)  # fmt: skip

COMMITTING = (
    CommandSpec(
        "CREDIT FOR LOAD", Text("圈存", "load"), OWN, 0x52, 0x00, 0x00, _ONLINE_COMMIT, (_TAC,),
        False, True, f"{_MANUAL} 8.5",
        (Vector("80520000", "20161216 105800 8AFA5718", 4, "FA00066D", _TRACE),),
    ),
    CommandSpec(
        "DEBIT FOR PURCHASE", Text("消费", "purchase"), OWN, 0x54, 0x01, 0x00,
        (_PSAM_SEQ, _DATE, _TIME, _MAC1), (_TAC, _MAC2), False, True, f"{_MANUAL} 8.8, 8.9",
        (
            Vector("80540100", "00000000 20161216 134600 D45737C5", 8, "8AF270DC 66B54A6B",
                   _TRACE),
        ),
    ),
    CommandSpec(
        "DEBIT FOR UNLOAD", Text("圈提", "unload"), OWN, 0x54, 0x03, 0x00, _ONLINE_COMMIT,
        (_MAC3,), False, True, f"{_MANUAL} ch. 8",
        (Vector("80540300", "20261121 090000 73CA19B9", 4, "8F22DD2C", _COMPUTED),),
    ),
    CommandSpec(
        "UPDATE OVERDRAW LIMIT", Text("修改透支限额", "change the overdraft limit"), OWN, 0x58,
        0x00, 0x00, (_LIMIT, *_ONLINE_COMMIT), (_TAC,), False, True, f"{_MANUAL} ch. 8",
        (Vector("80580000", "001000 20261121 090000 A76FC265", 4, "D95491EC", _COMPUTED),),
    ),
    CommandSpec(
        "UPDATE CAPP DATA CACHE by tag",
        Text("写复合应用缓存（按标识）", "composite record for the debit, by tag"), OWN_ANY, 0xDC,
        None, Bits(0x00, 0x07), (Part("record", None, Text("记录", "record")),), (), True, False,
        f"{_MANUAL} 8.9", (Vector("80DCAAC8", "AA0101", source="computed"),),
        Text("P1 记录标识，P2 高五位为 SFI", "P1: record tag; P2 high five bits: SFI"),
    ),
    CommandSpec(
        "UPDATE CAPP DATA CACHE",
        Text("写复合应用缓存（按号）", "composite record for the debit, by number"), OWN_ANY, 0xDC,
        None, Bits(0x04, 0x07), (Part("record", None, Text("记录", "record")),), (), True, False,
        f"{_MANUAL} 8.9", (Vector("80DC01CC", "AA0101", source="computed"),),
        Text("P1 记录号，P2 高五位为 SFI", "P1: record number; P2 high five bits: SFI"),
    ),
)  # fmt: skip

ASKING = (
    CommandSpec(
        "GET BALANCE", Text("读余额", "read the balance"), OWN, 0x5C, 0x00, _EITHER, (),
        (_BALANCE,), False, False, f"{_MANUAL} ch. 8",
        (
            Vector("805C0002", "", 4, "00000AC3",
                   "recorded card, SocialSisterYi/T-Union_Master docs/card_data_format.md"),
        ),
        _WHICH,
    ),
    CommandSpec(
        "GET TRANSACTION PROVE", Text("取交易认证", "fetch the proof"), OWN, 0x5A, 0x00, None,
        (Part("sequence", 2, Text("交易序号", "counter"), form=Form.NUMBER),),
        (Part("mac", 4, Text("MAC", "MAC")), _TAC), False, False, f"{_MANUAL} ch. 8",
        (Vector("805A0009", "0007", 8, "A0564210 B79C7329", "computed"),),
        Text("P2 交易类型", "P2: kind of transaction"),
    ),
)  # fmt: skip

_FACTORS = Part("factors", None, Text("分散因子", "diversification data"))
_PSAM_DOC = "PBOC PSAM card application specification"

PSAM = (
    CommandSpec(
        "INIT SAM FOR PURCHASE", Text("PSAM 消费初始化", "PSAM: begin a purchase"), OWN, 0x70,
        0x00, 0x00,
        (_RANDOM, _OFFLINE, _AMOUNT, _KIND, _DATE, _TIME, _VERSION, _ALGORITHM, _FACTORS),
        (_PSAM_SEQ, _MAC1), False, True, _PSAM_DOC,
        (
            Vector("80700000", "584633C9 0000 00000000 09 20261121 090000 00 00 1122334455667788",
                   8, "00000000 8E8147AA", "computed"),
        ),
    ),
    CommandSpec(
        "CREDIT SAM FOR PURCHASE", Text("PSAM 校验 MAC2", "PSAM: check MAC2"), OWN, 0x72, 0x00,
        0x00, (_MAC2,), (), True, True, _PSAM_DOC,
        (Vector("80720000", "A0564210", source="computed"),),
    ),
    CommandSpec(
        "DELIVERY KEY", Text("PSAM 分散密钥", "PSAM: derive a working key"), OWN, 0x1A, None,
        None, (_FACTORS,), (), False, False, _PSAM_DOC,
        (Vector("801A2801", "1122334455667788", source="computed"),),
        Text("P1 密钥用途，P2 密钥号", "P1: key usage; P2: key id"),
    ),
    CommandSpec(
        "CIPHER DATA", Text("PSAM 加密或 MAC", "PSAM: encrypt or make a MAC"), OWN, 0xFA,
        frozenset({0x00, 0x01, 0x02, 0x03, 0x05, 0x07}), 0x00,
        (Part("data", None, Text("待处理数据", "data to process")),),
        (Part("result", None, Text("结果", "result")),), False, False, _PSAM_DOC,
        (Vector("80FA0000", "0102030405060708", None, "178F59F8578E0D3F", "computed"),),
        Text("P1 00 加密，05 单块 MAC", "P1: 00 encrypt, 05 MAC of one block"),
    ),
)  # fmt: skip

PURSE = INITIALIZING + COMMITTING + ASKING
