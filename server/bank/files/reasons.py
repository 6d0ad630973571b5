# SPDX-License-Identifier: Apache-2.0
"""The reason code table: every way a file, a batch or a record can be refused, in two languages."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from server.errors import ServerError

# What is shown of a wrong value: enough to find it, little enough for an answer's column.
SHOWN_MAX = 40


class Level(enum.StrEnum):
    """What a reason speaks of (the three levels of ISO 20022 pain.002)."""

    FILE = "F"
    BATCH = "B"
    RECORD = "R"


class Status(enum.StrEnum):
    """What became of a file, a batch or a record (ISO 20022 names; QUAR is ours)."""

    ACCEPTED = "ACCP"
    PARTIAL = "PART"
    REJECTED = "RJCT"
    QUARANTINED = "QUAR"


@dataclass(frozen=True, slots=True)
class Reason:
    """One row of the table; `final`: the same bytes will always get this answer."""

    code: str
    level: Level
    zh: str
    en: str
    final: bool = True


_F, _R = Level.FILE, Level.RECORD
_ROWS = (
    Reason("F01", _F, "清单文件缺失或无法读取", "manifest missing or unreadable", False),
    Reason("F02", _F, "文件大小与清单不符，可能未传完",
           "size differs from the manifest: half uploaded?", False),
    Reason("F03", _F, "文件摘要与清单不符", "digest differs from the manifest", False),
    Reason("F04", _F, "签名不正确", "signature wrong"),
    Reason("F05", _F, "签名密钥不是该伙伴的", "signed with a key that is not this partner's"),
    Reason("F06", _F, "无法解密", "cannot be decrypted"),
    Reason("F07", _F, "解开后超过限额", "grows beyond the limit when unpacked"),
    Reason("F08", _F, "文件太大或行数太多", "too large, or too many lines"),
    Reason("F09", _F, "不是本格式，或版本不支持", "not of this family, or of another version"),
    Reason("F10", _F, "伙伴代码不符", "another partner's code"),
    Reason("F11", _F, "该伙伴不得发送此类文件", "this partner may not send this kind"),
    Reason("F12", _F, "生产环境拒收测试文件，反之亦然", "test and production do not mix"),
    Reason("F13", _F, "文件日期在未来", "dated in the future", False),
    Reason("F14", _F, "文件日期过旧", "dated too long ago", False),
    Reason("F15", _F, "序号重复而内容不同，已留存", "sequence known with other content; kept"),
    Reason("F16", _F, "序号有缺口，先补前面的文件",
           "gap in the sequence: send the missing file first", False),
    Reason("F17", _F, "行长或行尾不符", "a line has another length or end"),
    Reason("F18", _F, "记录类型或行序不符", "record type or running number out of order"),
    Reason("F19", _F, "文件不完整：没有尾记录", "truncated: no trailer"),
    Reason("F20", _F, "尾记录之后还有内容", "something follows the trailer"),
    Reason("F21", _F, "笔数与尾记录不符", "count differs from the trailer"),
    Reason("F22", _F, "控制总数与尾记录不符", "control total differs from the trailer"),
    Reason("F23", _F, "内容摘要与尾记录不符", "digest differs from the trailer"),
    Reason("F24", _F, "字符编码不符", "not in the agreed character set"),
    Reason("F25", _F, "文件头或尾的字段不合格式", "a field of header or trailer is malformed"),
    Reason("F26", _F, "合同约定：有一条被拒则全部不处理",
           "by contract one rejected record stops the file"),
    Reason("B01", Level.BATCH, "合同约定：有一条被拒则全批不处理",
           "by contract one rejected record stops its batch"),
    Reason("R01", _R, "字段不合格式", "field malformed"),
    Reason("R02", _R, "字段不能为空", "field missing"),
    Reason("R03", _R, "字段超长", "field too long"),
    Reason("R04", _R, "代码不在表中", "value not in its list"),
    Reason("R05", _R, "日期在文件日期之后", "dated after the file"),
    Reason("R06", _R, "同一文件内重复", "repeated in the same file"),
    Reason("R07", _R, "没有这个制卡单", "no such order"),
    Reason("R08", _R, "制卡单属于其他伙伴", "order of another partner"),
    Reason("R09", _R, "状态不能这样变化", "does not follow from the state"),
    Reason("R10", _R, "没有这个义工", "no such volunteer"),
    Reason("R11", _R, "网点未知", "unknown branch"),
    Reason("R12", _R, "不在该批中", "not of this batch"),
    Reason("R13", _R, "金额与笔数不符", "amount does not follow from the count"),
    Reason("R14", _R, "原因代码未知，转人工", "unknown reason code: set apart for staff"),
    Reason("R15", _R, "随本批或本文件停止", "stopped with its batch or file"),
    Reason("R16", _R, "规则不允许", "refused by a rule"),
    Reason("R17", _R, "照片与号码不符", "photo does not belong to the number"),
)  # fmt: skip
REASONS: dict[str, Reason] = {row.code: row for row in _ROWS}


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: reason code, line (1 is the header, 0 the file as a whole), field, values."""

    code: str
    line: int = 0
    field: str = ""
    expected: str = ""
    found: str = ""

    def text(self, name: str) -> str:
        """Say it in one line of both languages.

        >>> Finding("F21", 9, "count", "7", "8").text("a.dat")
        'a.dat:9 F21 count: 笔数与尾记录不符 · count differs from the trailer (expected 7, found 8)'
        """
        reason = REASONS[self.code]
        place = f"{name}:{self.line}" if self.line else name
        where = f" {self.field}" if self.field else ""
        values = f" (expected {self.expected}, found {self.found})" if self.expected else ""
        return f"{place} {self.code}{where}: {reason.zh} · {reason.en}{values}"


class FileRefused(ServerError):
    """A file is refused as a whole; `finding` says what is wrong where.

    `lines` are the records that stopped it, where the contract says that a record may.
    """

    def __init__(self, finding: Finding, lines: tuple[Finding, ...] = ()) -> None:
        super().__init__(finding)
        self.finding = finding
        self.lines = lines

    def __str__(self) -> str:
        return self.finding.text("file")


def shown(value: object) -> str:
    r"""Write a value for a finding: printable, short.

    >>> shown(b"12\x00"), shown("x" * 50)[-4:]
    ('12\\x00', 'xxx…')
    """
    if isinstance(value, bytes):
        value = value.rstrip(b" ").decode("gb18030", "backslashreplace")
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value)
    )
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"
