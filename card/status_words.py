# SPDX-License-Identifier: Apache-2.0
"""Status words: what a card means by them, and what a person can do.

Sources: ISO/IEC 7816-4 §5.1.3 (7816); FMCOS 2.0 user manual §6.2 and the command chapters (FMCOS);
JR/T 0025.9 as cited there (PBOC). The first entry whose mask fits wins.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import NamedTuple

OK = 0x9000


class Text(NamedTuple):
    """One sentence for people, Chinese first."""

    zh: str
    en: str


class Outcome(enum.Enum):
    """What a status word means for whoever drives the card."""

    OK = "done"
    MORE = "the transport must ask again"
    WARNING = "done, with a doubt"
    REFUSED = "the card's decision; asking again will not help"
    AUTHENTICATE = "authenticate first"
    BLOCKED = "a key or the application is locked"
    CARD_FAULT = "the chip failed"
    OUR_FAULT = "we sent something wrong"


class Category(enum.Enum):
    """What a program does with a status word, coarser than `Outcome`."""

    OK = "ok"
    WARN = "warn"
    RETRYABLE = "retryable"
    REFUSED = "refused"
    CARD_BLOCKED = "card-blocked"
    OUR_BUG = "our-bug"

    @property
    def label(self) -> Text:
        """Return the category in words."""
        return _CATEGORY_LABELS[self]


_CATEGORY_LABELS = {
    Category.OK: Text("成功", "done"),
    Category.WARN: Text("成功但有疑问", "done, with a doubt"),
    Category.RETRYABLE: Text("可以再试", "may be tried again"),
    Category.REFUSED: Text("卡片拒绝，再试无用", "refused; asking again will not help"),
    Category.CARD_BLOCKED: Text("卡片或密钥已不可用", "the card or a key is finished"),
    Category.OUR_BUG: Text("程序错误", "our program sent something wrong"),
}
_CATEGORIES = {
    Outcome.OK: Category.OK,
    Outcome.MORE: Category.OK,
    Outcome.WARNING: Category.WARN,
    Outcome.REFUSED: Category.REFUSED,
    Outcome.AUTHENTICATE: Category.RETRYABLE,
    Outcome.BLOCKED: Category.CARD_BLOCKED,
    Outcome.CARD_FAULT: Category.RETRYABLE,
    Outcome.OUR_FAULT: Category.OUR_BUG,
}
# Where the same kind of outcome asks for something else: worn memory, a used-up counter, and
# commands that a card which lost power in between finds out of order.
_OWN_CATEGORY = {
    0x6581: Category.CARD_BLOCKED,
    0x9402: Category.CARD_BLOCKED,
    0x6901: Category.RETRYABLE,
    0x6984: Category.RETRYABLE,
}


@dataclass(frozen=True, slots=True)
class StatusWord:
    """One row: value under mask, kind of outcome, meaning, advice, source.

    `retries_left` is how often the key or PIN may still be tried, where the status word tells.
    """

    value: int
    mask: int
    outcome: Outcome
    meaning: Text
    advice: Text
    source: str
    retries_left: int | None = None

    @property
    def category(self) -> Category:
        """Return what a program does with it.

        >>> describe(0x63C2).category.value, describe(0x6A82).category.value
        ('retryable', 'refused')
        """
        return _OWN_CATEGORY.get(self.value, _CATEGORIES[self.outcome])


_AGAIN = Text("请将卡片放稳后重刷", "hold the card still and tap again")
_DESK = Text("请到服务台处理", "take the card to the service desk")
_REPLACE = Text("请到服务台换卡", "have the card replaced at the service desk")
_REPORT = Text("请记录状态字并报告维护人员", "note the status word and tell the maintainers")
_FOREIGN = Text("请确认是义工证", "check that it is a volunteer card")
_ISSUE = Text("请用 yika-card issue 续写", "finish it with yika-card issue")
_NONE = Text("", "")


def _row(
    value: int, outcome: Outcome, meaning: Text, advice: Text, source: str, mask: int = 0xFFFF
) -> StatusWord:
    return StatusWord(value, mask, outcome, meaning, advice, source)


# fmt: off
STATUS_WORDS: tuple[StatusWord, ...] = (
    _row(0x9000, Outcome.OK, Text("正确执行", "done"), _NONE, "7816"),
    _row(0x6100, Outcome.MORE, Text("还有数据可取",
         "more data is waiting"), _NONE, "7816", 0xFF00),
    _row(0x6281, Outcome.WARNING, Text("数据可能有错或从未写入",
         "the data may be damaged or was never written"), _ISSUE, "FMCOS"),
    _row(0x6282, Outcome.WARNING, Text("文件在应读长度之前结束",
         "the file ended before as many bytes were read"), _REPORT, "7816"),
    _row(0x6283, Outcome.WARNING, Text("文件无效或密钥校验错",
         "the file is invalidated or a key's checksum is wrong"), _REPLACE, "FMCOS"),
    _row(0x63C0, Outcome.AUTHENTICATE, Text("认证失败，尚可重试数次",
         "authentication failed; some attempts are left"), _DESK, "FMCOS", 0xFFF0),
    _row(0x6400, Outcome.CARD_FAULT, Text("执行失败，状态未变",
         "failed, nothing changed"), _AGAIN, "FMCOS"),
    _row(0x6581, Outcome.CARD_FAULT, Text("写存储器失败",
         "writing the memory failed"), _REPLACE, "FMCOS"),
    _row(0x6700, Outcome.OUR_FAULT, Text("长度错误", "wrong length"), _REPORT, "7816"),
    _row(0x6882, Outcome.OUR_FAULT, Text("不支持安全报文",
         "secure messaging is not supported"), _REPORT, "7816"),
    _row(0x6900, Outcome.OUR_FAULT, Text("类别字节与线路保护要求不符",
         "the class byte does not fit the file's protection"), _REPORT, "FMCOS"),
    _row(0x6901, Outcome.OUR_FAULT, Text("状态不符，命令不接受",
         "the command is out of order"), _AGAIN, "FMCOS"),
    _row(0x6981, Outcome.OUR_FAULT, Text("命令与文件类型不符",
         "the command does not fit the file type"), _REPORT, "FMCOS"),
    _row(0x6982, Outcome.AUTHENTICATE, Text("不满足安全状态",
         "the security status is not satisfied"), _DESK, "FMCOS"),
    _row(0x6983, Outcome.BLOCKED, Text("密钥已锁死",
         "the key is blocked for good"), _REPLACE, "FMCOS"),
    _row(0x6984, Outcome.OUR_FAULT, Text("没有有效随机数",
         "no valid challenge"), _AGAIN, "PBOC"),
    _row(0x6985, Outcome.REFUSED, Text("不满足使用条件",
         "conditions of use are not satisfied"), _DESK, "FMCOS"),
    _row(0x6986, Outcome.OUR_FAULT, Text("没有当前文件",
         "no file is selected"), _REPORT, "7816"),
    _row(0x6987, Outcome.OUR_FAULT, Text("缺少安全报文",
         "the MAC is missing"), _REPORT, "FMCOS"),
    _row(0x6988, Outcome.REFUSED, Text("安全报文不正确",
         "the secure message is wrong: another key"), _DESK, "FMCOS"),
    _row(0x6A80, Outcome.OUR_FAULT, Text("数据域参数错误", "wrong data"), _REPORT, "FMCOS"),
    _row(0x6A81, Outcome.REFUSED, Text("不支持此功能（无主文件或卡已锁定）",
         "not supported: no master file, or the card is blocked"), _FOREIGN, "FMCOS"),
    _row(0x6A82, Outcome.REFUSED, Text("文件未找到", "file not found"), _FOREIGN, "FMCOS"),
    _row(0x6A83, Outcome.REFUSED, Text("记录未找到", "record not found"), _ISSUE, "FMCOS"),
    _row(0x6A84, Outcome.REFUSED, Text("空间不足", "not enough room"), _REPLACE, "FMCOS"),
    _row(0x6A86, Outcome.OUR_FAULT, Text("参数错误或文件已存在",
         "wrong P1 P2, or the file exists"), _REPORT, "FMCOS"),
    _row(0x6A88, Outcome.REFUSED, Text("密钥未找到", "key not found"), _ISSUE, "FMCOS"),
    _row(0x6B00, Outcome.OUR_FAULT, Text("偏移超出文件",
         "the offset is beyond the file"), _REPORT, "FMCOS"),
    _row(0x6C00, Outcome.MORE, Text("Le 错误", "wrong Le"), _NONE, "7816", 0xFF00),
    _row(0x6D00, Outcome.OUR_FAULT, Text("不认识的命令",
         "unknown instruction"), _FOREIGN, "7816"),
    _row(0x6E00, Outcome.OUR_FAULT, Text("不认识的类别", "unknown class"), _FOREIGN, "7816"),
    _row(0x6F00, Outcome.CARD_FAULT, Text("数据无效",
         "the card cannot say what is wrong"), _AGAIN, "FMCOS"),
    _row(0x9210, Outcome.REFUSED, Text("存储空间不足",
         "not enough memory"), _REPLACE, "PBOC PSAM"),
    _row(0x9220, Outcome.OUR_FAULT, Text("文件标识符已存在",
         "the file identifier exists"), _REPORT, "PBOC PSAM"),
    _row(0x9301, Outcome.REFUSED, Text("资金不足", "not enough funds"), _DESK, "PBOC"),
    _row(0x9302, Outcome.REFUSED, Text("MAC 错误",
         "the MAC is wrong: key or data differ"), _DESK, "FMCOS"),
    _row(0x9303, Outcome.BLOCKED, Text("应用已永久锁定",
         "the application is blocked for good"), _REPLACE, "FMCOS"),
    _row(0x9401, Outcome.REFUSED, Text("余额不足", "not enough balance"), _DESK, "FMCOS"),
    _row(0x9402, Outcome.REFUSED, Text("交易序号已用尽",
         "the transaction counter is used up"), _REPLACE, "PBOC"),
    _row(0x9403, Outcome.REFUSED, Text("密钥索引不支持",
         "no key with this index or version"), _DESK, "FMCOS"),
    _row(0x9406, Outcome.REFUSED, Text("所需的 MAC 或 TAC 不可用",
         "the MAC or TAC asked for is not available"), _NONE, "FMCOS"),
)
# fmt: on

_TRIES_LEFT, _KEY_BLOCKED, _APPLICATION_BLOCKED = 0x63C0, 0x6983, 0x9303
_UNKNOWN = Text("未知状态字", "unknown status word")


def retries_left(sw: int) -> int | None:
    """Return how often a key or PIN may still be tried; None where the status word says nothing.

    >>> retries_left(0x63C2), retries_left(0x6983), retries_left(0x9000)
    (2, 0, None)
    """
    if sw & 0xFFF0 == _TRIES_LEFT:
        return sw & 0x0F
    return 0 if sw in (_KEY_BLOCKED, _APPLICATION_BLOCKED) else None


def describe(sw: int) -> StatusWord:
    """Return the row of a status word, or one that says it is unknown.

    >>> describe(0x63C2).meaning.en
    'authentication failed; some attempts are left'
    >>> describe(0x9F99).meaning.en
    'unknown status word'
    """
    for row in STATUS_WORDS:
        if sw & row.mask == row.value:
            left = retries_left(sw)
            return row if left is None else dataclasses.replace(row, retries_left=left)
    return StatusWord(sw, 0xFFFF, Outcome.REFUSED, _UNKNOWN, _REPORT, "")
