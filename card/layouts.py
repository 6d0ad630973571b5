# SPDX-License-Identifier: Apache-2.0
"""What the volunteer application's files hold, byte by byte.

The layouts follow the PBOC purse (JR/T 0025.9, files 0015 to 0018) and its composite purchase
(file 0019); fields of our own lie behind those of the standard. Numbers are big-endian.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field

from construct import Bytes, Const, Int8sb, Int8ub, Int16ub, Int32ub, Padding

from card.codec import BCD_DATE, Field, Layout, padded_text
from card.status_words import Text

COMPOSITE_TAG = 0xAA
FLAG_MINOR_RULES = 0x01  # bits of `PublicData.flags`
FLAG_SM4 = 0x02
ISSUER_ID = bytes.fromhex("59494B4100000001")  # "YIKA", issuer 1

_RESERVED = Text("保留，全零", "reserved, zero")


@dataclass(frozen=True, slots=True)
class PublicData:
    """File 0015: who issued what to whom, until when. Readable by anybody, also in the FCI."""

    issuer: bytes
    application_type: int
    application_version: int
    asn: bytes
    valid_from: dt.date | None
    valid_to: dt.date | None
    issuer_fci: bytes
    birth_date: dt.date | None
    masked_name: str = field(repr=False)
    flags: int
    key_version: int


@dataclass(frozen=True, slots=True)
class HolderData:
    """File 0016: the holder, for a desk that has authenticated."""

    holder_type: int
    name: str = field(repr=False)
    volunteer_number: str
    document_type: int
    document_tail: str = field(repr=False)


class Membership(enum.IntFlag):
    """What the holder is a member of, in `ServiceData.member_flags`."""

    LEAGUE = 0x01
    LEAGUE_ALUMNI = 0x02


class Function(enum.IntFlag):
    """Functions the holder has opted into, in `ServiceData.functions`; none by default."""

    FINANCE = 0x01
    HEALTH = 0x02
    TRANSIT = 0x04
    TRAVEL = 0x08
    INSURANCE = 0x10


FLAG_LABELS: dict[enum.IntFlag, Text] = {
    Membership.LEAGUE: Text("共青团员", "league member"),
    Membership.LEAGUE_ALUMNI: Text("超龄离团", "league alumni"),
    Function.FINANCE: Text("金融", "finance"),
    Function.HEALTH: Text("医疗", "health"),
    Function.TRANSIT: Text("交通", "transit"),
    Function.TRAVEL: Text("旅游", "travel"),
    Function.INSURANCE: Text("保险", "insurance"),
}


@dataclass(frozen=True, slots=True)
class ServiceData:
    """File 0017: membership, functions and totals, for a desk that has authenticated.

    The fields from `totals_date` on are zero on cards of application version 1, which reads as
    nothing.
    """

    organisation: bytes
    member_flags: int
    functions: int
    level: int
    total_minutes: int
    guardian_mobile: str = field(repr=False)
    totals_date: dt.date | None = None
    total_taps: int = 0
    training_minutes: int = 0
    guardian_number: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class UpdateState:
    """File 001A: which script of changes the card took last.

    A script writes this file last, so that its number says the whole script is on the card. It is
    read with a MAC: nobody but the card can have answered. Number 0 means none yet.
    """

    update_seq: int
    script: bytes
    date: dt.date | None


@dataclass(frozen=True, slots=True)
class PhotoHead:
    """What file 001B begins with; the JPEG follows.

    A photo is there only where `length` is not 0 and `check` is right: the head is written last,
    so a cut leaves no half photo that looks like a whole one.
    """

    length: int
    check: bytes


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """One record of file 001C, appended by a desk or by the server through one."""

    date: dt.date | None
    course: int
    minutes: int
    result: int
    organisation: bytes
    number: int


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of file 0018, written by the card itself with each purchase.

    `card_ctr` is the counter before the purchase; date and time are the terminal's, packed.
    """

    card_ctr: int
    overdraft: bytes
    amount: int
    kind: int
    psam_no: bytes
    date: bytes
    time: bytes


@dataclass(frozen=True, slots=True)
class Composite:
    """The record of file 0019: inputs of the latest tap, committed together with it.

    A hint for the direction and the means to rebuild a torn tap; never evidence. Kind 0 means
    that there was no tap yet.
    """

    kind: int
    tz_q: int
    psam_no: bytes
    psam_seq: int
    card_rand: bytes
    card_ctr: int
    utc_s: int
    activity: int

    def to_bytes(self) -> bytes:
        """Return the 32 bytes of the record."""
        return COMPOSITE.build(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Composite:
        """Read the 32 bytes of the record."""
        return COMPOSITE.parse(data)


NO_TAP = Composite(0, 0, bytes(6), 0, bytes(4), 0, 0, 0)
NO_UPDATE = UpdateState(0, bytes(8), None)

PUBLIC_DATA = Layout(
    "0015",
    PublicData,
    (
        Field("issuer", Bytes(8), Text("发卡方标识", "issuer")),
        Field("application_type", Int8ub, Text("应用类型：01 启用，00 未启用",
                                               "application type: 01 enabled, 00 not")),
        Field("application_version", Int8ub, Text("应用版本", "application version")),
        Field("asn", Bytes(10), Text("应用序列号（卡号），BCD",
                                     "application serial number (card number), BCD")),
        Field("valid_from", BCD_DATE, Text("启用日期 YYYYMMDD", "valid from YYYYMMDD")),
        Field("valid_to", BCD_DATE, Text("有效日期 YYYYMMDD", "valid to YYYYMMDD")),
        Field("issuer_fci", Bytes(2), Text("发卡方自定义 FCI", "issuer discretionary FCI")),
        Field("birth_date", BCD_DATE, Text("出生日期，零为无", "date of birth, zero for none")),
        Field("masked_name", padded_text(20, "gb18030"),
              Text("脱敏姓名 GB18030，补零", "masked name, GB18030, zero padded")),
        Field("flags", Int8ub, Text("标志：位0 按未成年人处理，位1 密钥为 SM4",
                                    "flags: bit 0 the rules for minors apply, bit 1 keys are SM4")),
        Field("key_version", Int8ub, Text("密钥组版本", "version of the key set")),
    ),
    (
        (
            "59494B41000000010101 00000000000000000017 2026110120311031000019980704 CDF52A2A"
            + "00" * 17 + "01",
            PublicData(
                ISSUER_ID, 1, 1, bytes.fromhex("00000000000000000017"),
                dt.date(2026, 11, 1), dt.date(2031, 10, 31), bytes(2), dt.date(1998, 7, 4),
                "王**", 0, 1,
            ),
        ),
    ),
)  # fmt: skip

HOLDER_DATA = Layout(
    "0016",
    HolderData,
    (
        Field("holder_type", Int8ub, Text("持卡人类型", "holder type")),
        Field("name", padded_text(40, "gb18030"),
              Text("姓名 GB18030，补零", "name, GB18030, zero padded")),
        Field("volunteer_number", padded_text(20, "ascii"),
              Text("志愿者号 ASCII，补零", "volunteer number, ASCII, zero padded")),
        Field("document_type", Int8ub, Text("证件类型：00 身份证",
                                            "document type: 00 identity card")),
        Field("document_tail", padded_text(6, "ascii"),
              Text("证件号后六位", "last six of the document number")),
        Field(None, Padding(60), _RESERVED),
    ),
    (
        (
            "00 CDF5D0A1C3F7" + "00" * 34 + "31303030303030303034" + "00" * 10
            + "00 313233343558" + "00" * 60,
            HolderData(0, "王小明", "1000000004", 0, "12345X"),
        ),
    ),
)  # fmt: skip

SERVICE_DATA = Layout(
    "0017",
    ServiceData,
    (
        Field("organisation", Bytes(8), Text("组织标识", "organisation")),
        Field("member_flags", Int8ub, Text("成员标志", "member flags")),
        Field("functions", Int8ub, Text("功能位图", "functions, bit map")),
        Field("level", Int8ub, Text("星级", "level")),
        Field("total_minutes", Int32ub, Text("累计分钟（仅供参考，以服务器为准）",
                                             "total minutes (for display; the server decides)")),
        Field("guardian_mobile", padded_text(11, "ascii"),
              Text("监护人手机 ASCII", "guardian's mobile, ASCII")),
        Field("totals_date", BCD_DATE, Text("累计截止日期", "totals are as of this day")),
        Field("total_taps", Int32ub, Text("累计次数", "services counted")),
        Field("training_minutes", Int32ub, Text("累计培训分钟", "total minutes of training")),
        Field("guardian_number", padded_text(10, "ascii"),
              Text("监护人志愿者号 ASCII", "guardian's volunteer number, ASCII")),
        Field(None, Padding(48), _RESERVED),
    ),
    (
        (  # a card of application version 1
            "0000000000000007 01 03 02 000004B0 3133383030303030303030" + "00" * 70,
            ServiceData(bytes.fromhex("0000000000000007"), 1, 3, 2, 1200, "13800000000"),
        ),
        (
            "0000000000000007 01 14 03 00001770 3133383030303030303030 20261120 0000002A"
            "00000078 31303030303030303034" + "00" * 48,
            ServiceData(
                bytes.fromhex("0000000000000007"), Membership.LEAGUE,
                Function.TRANSIT | Function.INSURANCE, 3, 6000, "13800000000",
                dt.date(2026, 11, 20), 42, 120, "1000000004",
            ),
        ),
    ),
)  # fmt: skip

# Vector: composite purchase of amount 0, layout of FMCOS 2.0 user manual table 8.16.
LOG_RECORD = Layout(
    "0018",
    LogRecord,
    (
        Field("card_ctr", Int16ub, Text("脱机交易序号（加一前）",
                                        "offline transaction counter, before the increment")),
        Field("overdraft", Bytes(3), Text("透支限额", "overdraft limit")),
        Field("amount", Int32ub, Text("交易金额", "amount")),
        Field("kind", Int8ub, Text("交易类型：09 复合消费", "kind: 09 composite purchase")),
        Field("psam_no", Bytes(6), Text("终端机编号", "terminal number of the PSAM")),
        Field("date", Bytes(4), Text("交易日期 YYYYMMDD", "date YYYYMMDD")),
        Field("time", Bytes(3), Text("交易时间 hhmmss", "time hhmmss")),
    ),
    (
        (
            "0003 000000 00000000 09 001122334455 20261121 090000",
            LogRecord(
                3, bytes(3), 0, 9, bytes.fromhex("001122334455"),
                bytes.fromhex("20261121"), bytes.fromhex("090000"),
            ),
        ),
    ),
)  # fmt: skip

COMPOSITE = Layout(
    "0019",
    Composite,
    (
        Field(None, Const(bytes([COMPOSITE_TAG])), Text("复合应用类型标识符 AA", "record tag AA")),
        Field(None, Const(b"\x1e"), Text("长度 1E", "length 1E")),
        Field("kind", Int8ub, Text("刷卡种类（事件类型），0 为无",
                                   "kind of tap (event type), 0 for none")),
        Field("tz_q", Int8sb, Text("时区，刻钟数", "time zone in quarter hours")),
        Field("psam_no", Bytes(6), Text("终端机编号", "terminal number of the PSAM")),
        Field("psam_seq", Int32ub, Text("终端交易序号", "terminal transaction number")),
        Field("card_rand", Bytes(4), Text("卡片随机数", "card's random")),
        Field("card_ctr", Int16ub, Text("卡片交易序号（加一前）",
                                        "card's counter, before the increment")),
        Field("utc_s", Int32ub, Text("UTC 秒", "UTC seconds")),
        Field("activity", Int32ub, Text("活动编号", "activity")),
        Field(None, Padding(4), _RESERVED),
    ),
    (
        ("AA1E" + "00" * 30, NO_TAP),
        (
            "AA1E 01 20 001122334455 00000017 584633C9 0003 6B00EF10 00000065 00000000",
            Composite(
                1, 32, bytes.fromhex("001122334455"), 23, bytes.fromhex("584633C9"), 3,
                1_795_223_312, 101,
            ),
        ),
    ),
)  # fmt: skip

UPDATE_STATE = Layout(
    "001A",
    UpdateState,
    (
        Field("update_seq", Int16ub, Text("更新序号，零为未更新过",
                                          "number of the latest script, 0 for none")),
        Field("script", Bytes(8), Text("脚本散列前八字节", "first 8 bytes of the script's hash")),
        Field("date", BCD_DATE, Text("脚本日期", "date of the script")),
        Field(None, Padding(2), _RESERVED),
    ),
    (
        ("00" * 16, NO_UPDATE),
        (
            "0007 1122334455667788 20261122 0000",
            UpdateState(7, bytes.fromhex("1122334455667788"), dt.date(2026, 11, 22)),
        ),
    ),
)  # fmt: skip

PHOTO_HEAD = Layout(
    "001B",
    PhotoHead,
    (
        Field("length", Int16ub, Text("照片长度，零为无", "length of the JPEG, 0 for none")),
        Field("check", Bytes(4), Text("照片 SHA-256 前四字节", "first 4 bytes of its SHA-256")),
    ),
    (
        ("0000 00000000", PhotoHead(0, bytes(4))),
        ("0400 01020304", PhotoHead(1024, bytes.fromhex("01020304"))),
    ),
)  # fmt: skip

TRAINING = Layout(
    "001C",
    TrainingRecord,
    (
        Field("date", BCD_DATE, Text("培训日期", "date of the training")),
        Field("course", Int32ub, Text("课程编号", "course")),
        Field("minutes", Int16ub, Text("时长（分钟）", "length in minutes")),
        Field("result", Int8ub, Text("结果：01 合格，00 未考核", "result: 01 passed, 00 no test")),
        Field("organisation", Bytes(8), Text("培训组织", "who trained")),
        Field("number", Int32ub, Text("记录号，服务器编", "number of the record, by the server")),
        Field(None, Padding(1), _RESERVED),
    ),
    (
        (
            "20261115 00000011 0078 01 0000000000000007 00000203 00",
            TrainingRecord(
                dt.date(2026, 11, 15), 17, 120, 1, bytes.fromhex("0000000000000007"), 0x203
            ),
        ),
    ),
)  # fmt: skip
