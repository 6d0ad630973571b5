# SPDX-License-Identifier: Apache-2.0
"""Existing volunteers in a sheet: which column is what, and what is wrong with a line. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from server.applications.checking import Form, check
from server.applications.documents import DocumentKind
from server.applications.policy import Fault, Rules

# Fields of a form that a sheet may have no column for: people are asked when they come.
OPTIONAL = frozenset(
    {"birth", "mobile", "address", "emergency_name", "emergency_mobile", "guardian_number"}
)
HOURS_DIGITS = 2
MINUTES_MAX = 40 * 365 * 8 * 60  # the hours of forty years of service every day
REFERENCE_MAX = 64
TOTAL = "#total"

# What the header of a column may say, lower case and without blanks.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "name": ("name", "姓名", "义工姓名", "志愿者姓名"),
    "birth": ("birth", "birthdate", "dateofbirth", "出生日期", "生日"),
    "document_kind": ("document_kind", "documentkind", "证件类型", "证件种类"),
    "document_number": (
        "document_number", "document", "idnumber", "证件号码", "证件号", "身份证号", "身份证号码",
    ),
    "mobile": ("mobile", "phone", "手机", "手机号", "手机号码", "联系电话"),
    "address": ("address", "地址", "联系地址", "住址"),
    "emergency_name": ("emergency_name", "紧急联系人", "紧急联系人姓名"),
    "emergency_mobile": ("emergency_mobile", "紧急联系人手机", "紧急联系电话"),
    "guardian_number": ("guardian_number", "监护人义工号"),
    "minutes": ("minutes", "分钟", "服务分钟", "累计分钟"),
    "hours": ("hours", "小时", "服务时长", "服务小时", "累计时长", "总时长"),
    "reference": ("reference", "oldnumber", "原编号", "原义工号", "旧编号", "义工号"),
}  # fmt: skip
KINDS: dict[str, DocumentKind] = {
    "身份证": DocumentKind.MAINLAND_ID,
    "居民身份证": DocumentKind.MAINLAND_ID,
    "港澳台居民居住证": DocumentKind.HMT_RESIDENCE,
    "回乡证": DocumentKind.HK_MACAO_PERMIT,
    "港澳居民来往内地通行证": DocumentKind.HK_MACAO_PERMIT,
    "台胞证": DocumentKind.TAIWAN_PERMIT,
    "台湾居民来往大陆通行证": DocumentKind.TAIWAN_PERMIT,
    "外国人永久居留身份证": DocumentKind.PERMANENT_RESIDENCE,
    "护照": DocumentKind.PASSPORT,
}
FIELDS = tuple(SYNONYMS)


@dataclass(frozen=True, slots=True)
class Brought:
    """One line read: the form, the minutes brought along, what the old system called the person."""

    form: Form
    minutes: int
    reference: str


def mapping_of(header: tuple[str, ...], given: Mapping[str, str]) -> dict[str, int]:
    """Return the column of each field: as given (field → title), else by its title's meaning.

    >>> mapping_of(("姓名", "身份证号", "服务时长"), {})
    {'name': 0, 'document_number': 1, 'hours': 2}
    >>> mapping_of(("who", "id"), {"name": "who", "document_number": "id"})
    {'name': 0, 'document_number': 1}
    """
    titles = [_plain(title) for title in header]
    found = {}
    for field, words in SYNONYMS.items():
        wanted = (_plain(given[field]),) if field in given else words
        place = next((titles.index(word) for word in wanted if word in titles), None)
        if place is not None:
            found[field] = place
    return found


def unmapped(mapping: Mapping[str, int], given: Mapping[str, str]) -> list[str]:
    """Return the fields that need a column and have none, and those that were given wrongly."""
    needed = [field for field in ("name", "document_number") if field not in mapping]
    return sorted({*needed, *(field for field in given if field not in mapping)})


def brought(cells: tuple[str, ...], mapping: Mapping[str, int]) -> Brought | Fault:
    """Read a line by its columns; a fault when its time is none."""
    values = {field: cells[place] if place < len(cells) else "" for field, place in mapping.items()}
    minutes = minutes_of(values.pop("minutes", ""), values.pop("hours", ""))
    if minutes is None:
        return Fault(
            "minutes", "minutes", "时长须为整数分钟，或最多两位小数的小时",
            "time is whole minutes, or hours with two decimals at most",
        )  # fmt: skip
    reference = values.pop("reference", "")[:REFERENCE_MAX]
    kind = values.pop("document_kind", "")
    values["document_kind"] = KINDS.get(kind, kind or DocumentKind.MAINLAND_ID)
    return Brought(Form(**values), minutes, reference)


def minutes_of(minutes: str, hours: str) -> int | None:
    """Return the minutes of a line from its minutes or its hours; None when they are no time.

    >>> minutes_of("90", ""), minutes_of("", "1.5"), minutes_of("", ""), minutes_of("", "1.255")
    (90, 90, 0, None)
    """
    if minutes:
        good = minutes.isascii() and minutes.isdigit() and int(minutes) <= MINUTES_MAX
        return int(minutes) if good else None
    if not hours:
        return 0
    whole, _, part = hours.partition(".")
    if not (f"{whole}{part or '0'}".isdigit() and hours.isascii() and len(part) <= HOURS_DIGITS):
        return None
    total = round((int(whole or 0) * 100 + int(part.ljust(HOURS_DIGITS, "0") or 0)) * 60 / 100)
    return total if total <= MINUTES_MAX else None


def line_faults(form: Form, rules: Rules, today: dt.date) -> list[Fault]:
    """Return what is wrong with a line; what a sheet may leave empty is no fault when empty."""
    return [
        fault
        for fault in check(form, rules, today).faults
        if not (fault.field in OPTIONAL and not getattr(form, fault.field).strip())
        or fault.code == "birth"
    ]


def _plain(title: str) -> str:
    return "".join(title.split()).casefold()
