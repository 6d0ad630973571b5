# SPDX-License-Identifier: Apache-2.0
"""Identity documents: their forms, and exactly what is wrong with a number. Pure.

GB 11643-1999 gives the mainland number: six digits of region, eight of birth, three of order, one
check digit (ISO 7064 MOD 11-2). The residence permits of people from Hong Kong, Macao and Taiwan
have the same form with regions of their own. No text here ever repeats a number.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Callable
from dataclasses import dataclass

from server.applications.policy import Fault

FIELD = "document"
GB_LENGTH = 18
TAIL_LENGTH = 4
YEAR_MIN = 1900
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"

# GB/T 2260: the first two digits. Counties come and go and old numbers keep theirs.
MAINLAND_REGIONS = frozenset(
    {
        *range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55),
        *range(61, 66),
    }
)  # fmt: skip
# Hong Kong 81, Macao 82, Taiwan 83 (residence permits since 1 September 2018).
HMT_REGIONS = frozenset({81, 82, 83})
# The number of a foreigner's permanent residence card (2023 edition) begins with 9.
FOREIGN_REGIONS = frozenset(range(91, 100))


class DocumentKind(enum.StrEnum):
    """What kind of document somebody shows."""

    MAINLAND_ID = "mainland_id"
    HMT_RESIDENCE = "hmt_residence"
    HK_MACAO_PERMIT = "hk_macao_permit"
    TAIWAN_PERMIT = "taiwan_permit"
    PERMANENT_RESIDENCE = "permanent_residence"
    PASSPORT = "passport"


@dataclass(frozen=True, slots=True)
class Document:
    """A document as typed: its kind and its number."""

    kind: DocumentKind
    number: str

    def __repr__(self) -> str:
        """Name the kind only; the number is nobody's business."""
        return f"Document({self.kind}, …)"


def normal(number: str) -> str:
    """Return a number as it is kept: no blanks, capital letters, ASCII digits.

    >>> normal(" 11010519491231002x "), normal("Ｈ1234 5678")
    ('11010519491231002X', 'H12345678')
    """
    kept = "".join(char for char in number if not char.isspace() and char != "-").upper()
    return "".join(chr(ord(c) - 0xFEE0) if "！" <= c <= "～" else c for c in kept)


def check_character(first17: str) -> str:
    """Return the last character of a GB 11643 number.

    >>> check_character("11010519491231002")
    'X'
    """
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, first17, strict=True))
    return _CHECK[total % 11]


def birth_of(document: Document) -> dt.date | None:
    """Return the birth date that stands in the number, None where none does.

    >>> birth_of(Document(DocumentKind.MAINLAND_ID, "11010519491231002X"))
    datetime.date(1949, 12, 31)
    """
    if document.kind not in _BORN_IN_NUMBER or len(document.number) != GB_LENGTH:
        return None
    return _date(document.number[6:14])


def fault_of(document: Document, today: dt.date) -> Fault | None:
    """Return what is wrong with a number (in its `normal` form), None when nothing is.

    >>> fault_of(Document(DocumentKind.MAINLAND_ID, "110105194912310021"), dt.date(2026, 1, 1)).code
    'document-check'
    """
    return _CHECKS[document.kind](document.number, today)


def _gb(number: str, today: dt.date, regions: frozenset[int]) -> Fault | None:
    if len(number) != GB_LENGTH:
        return _fault(
            "document-length",
            f"证件号码须为 {GB_LENGTH} 位，现为 {len(number)} 位",
            f"the number has {GB_LENGTH} characters, not {len(number)}",
        )
    if not (number[:17].isascii() and number[:17].isdigit() and number[17] in _CHECK):
        return _fault(
            "document-characters",
            "前 17 位须为数字，末位为数字或 X",
            "17 digits, and then a digit or X",
        )
    if int(number[:2]) not in regions:
        return _fault(
            "document-region", "前两位不是地区代码", "the first two digits are no region's"
        )
    born = _date(number[6:14])
    if born is None or born.year < YEAR_MIN:
        return _fault("document-date", "第 7 至 14 位不是日期", "digits 7 to 14 are no date")
    if born > today:
        return _fault("document-future", "出生日期晚于今天", "the birth date lies in the future")
    if check_character(number[:17]) != number[17]:
        return _fault(
            "document-check",
            "末位校验码与前 17 位不符，请核对每一位",
            "the check digit does not fit the 17 before it: compare every digit",
        )
    return None


def _mainland(number: str, today: dt.date) -> Fault | None:
    return _gb(number, today, MAINLAND_REGIONS)


def _hmt(number: str, today: dt.date) -> Fault | None:
    return _gb(number, today, HMT_REGIONS)


def _shape(pattern: str, zh: str, en: str) -> Callable[[str, dt.date], Fault | None]:
    compiled = re.compile(pattern, re.ASCII)

    def check(number: str, _today: dt.date) -> Fault | None:
        return None if compiled.fullmatch(number) else _fault("document-format", zh, en)

    return check


def _permanent(number: str, today: dt.date) -> Fault | None:
    return _OLD_PERMANENT(number, today) if len(number) < GB_LENGTH else _new_permanent(number)


def _new_permanent(number: str) -> Fault | None:
    good = len(number) == GB_LENGTH and number[:17].isascii() and number[:17].isdigit()
    if not good or int(number[:2]) not in FOREIGN_REGIONS:
        return _OLD_PERMANENT(number, dt.date.min)
    if check_character(number[:17]) != number[17]:
        return _fault("document-check", "末位校验码不符", "the check digit does not fit")
    return None


def _date(text: str) -> dt.date | None:
    try:
        return dt.date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def _fault(code: str, zh: str, en: str) -> Fault:
    return Fault(FIELD, code, zh, en)


_OLD_PERMANENT = _shape(
    r"[A-Z]{3}\d{12}",
    "永久居留身份证为 3 个字母加 12 位数字，或以 9 开头的 18 位",
    "three letters and 12 digits, or 18 characters that begin with 9",
)
_BORN_IN_NUMBER = frozenset({DocumentKind.MAINLAND_ID, DocumentKind.HMT_RESIDENCE})
_CHECKS: dict[DocumentKind, Callable[[str, dt.date], Fault | None]] = {
    DocumentKind.MAINLAND_ID: _mainland,
    DocumentKind.HMT_RESIDENCE: _hmt,
    # Card edition: the letter and eight digits; older books added two digits of issue.
    DocumentKind.HK_MACAO_PERMIT: _shape(
        r"[HM]\d{8}(\d{2})?",
        "回乡证为 H 或 M 加 8 位或 10 位数字",
        "H or M, then 8 or 10 digits",
    ),
    DocumentKind.TAIWAN_PERMIT: _shape(
        r"\d{8}|\d{10}[A-Z]?",
        "台胞证为 8 位数字（旧版 10 位加字母）",
        "8 digits, or 10 and a letter on old ones",
    ),
    DocumentKind.PERMANENT_RESIDENCE: _permanent,
    # ICAO Doc 9303: at most nine characters in the machine-readable zone.
    DocumentKind.PASSPORT: _shape(
        r"(?=.*\d)[A-Z0-9]{5,9}",
        "护照号为 5 至 9 位字母和数字",
        "5 to 9 letters and digits",
    ),
}
assert set(_CHECKS) == set(DocumentKind)
