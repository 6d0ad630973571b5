# SPDX-License-Identifier: Apache-2.0
"""What a file's number, date and counts allow. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from server.bank.files.frame import Header
from server.bank.files.reasons import REASONS, Finding, Status


@dataclass(frozen=True, slots=True)
class Terms:
    """What a header is held against: the day here, the partner's age limit, its environment."""

    partner: str
    today: dt.date
    age_days: int
    test: bool
    sequence: int


def header_fault(header: Header, terms: Terms) -> Finding | None:
    """Say what forbids a file by its header, None when nothing does.

    >>> import datetime as dt
    >>> from server.bank.files.layout import Kind
    >>> head = Header("B-1", Kind.RESULT, 3, dt.date(2026, 11, 23))
    >>> header_fault(head, Terms("B-1", dt.date(2026, 11, 22), 30, False, 3)).code
    'F13'
    """
    if header.partner != terms.partner:
        return Finding("F10", 1, "partner", terms.partner, header.partner)
    if header.sequence != terms.sequence:
        return Finding("F25", 1, "sequence", str(terms.sequence), str(header.sequence))
    if header.test != terms.test:
        return Finding("F12", 1, "test", "T" if terms.test else "P", "T" if header.test else "P")
    if header.date > terms.today:
        return Finding("F13", 1, "date", f"<= {terms.today:%Y%m%d}", f"{header.date:%Y%m%d}")
    oldest = terms.today - dt.timedelta(days=terms.age_days)
    if header.date < oldest:
        return Finding("F14", 1, "date", f">= {oldest:%Y%m%d}", f"{header.date:%Y%m%d}")
    return None


def sequence_fault(last: int, sequence: int) -> Finding | None:
    """Say whether a number may come after the last one that counted.

    >>> sequence_fault(6, 7), sequence_fault(6, 9).code, sequence_fault(6, 6).code
    (None, 'F16', 'F15')
    """
    if sequence <= last:
        return Finding("F15", 1, "sequence", str(last + 1), str(sequence))
    if sequence > last + 1:
        return Finding("F16", 1, "sequence", str(last + 1), str(sequence))
    return None


def refused_status(finding: Finding) -> str:
    """Tell a refusal for good from one that waits: RJCT or HELD.

    >>> refused_status(Finding("F04")), refused_status(Finding("F16"))
    ('RJCT', 'HELD')
    """
    return "RJCT" if REASONS[finding.code].final else "HELD"


def status_of(others: int) -> Status:
    """Sum up a file or a batch by how many of its records did not take effect.

    >>> status_of(0).value, status_of(4).value
    ('ACCP', 'PART')
    """
    return Status.PARTIAL if others else Status.ACCEPTED


def fitted(text: str, width: int, charset: str = "gb18030") -> str:
    """Cut a text so that its bytes have room.

    >>> fitted("王小明", 5), fitted("abc", 5)
    ('王小', 'abc')
    """
    return text.encode(charset, "replace")[:width].decode(charset, "ignore")
