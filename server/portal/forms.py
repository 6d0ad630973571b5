# SPDX-License-Identifier: Apache-2.0
"""Forms of the pages: what was typed becomes values or faults, field by field.

A form is a frozen value with the texts as typed; `faults` maps a field to an English text that
`gettext` translates. Secrets are never put back into a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from server.people.policy import PRELIMINARY_LETTER

from .language import N_
from .policy import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN, PasswordFault

NUMBER_DIGITS = 10
NAME_LENGTH_MAX = 64
REASON_LENGTH_MIN = 4  # "ok" explains nothing to an auditor
REASON_LENGTH_MAX = 200  # what the rows of corrections and cards hold

NUMBER_FAULT = N_("The number has 10 digits.")
REASON_FAULT = N_("Say the reason in at least 4 characters.")
TIME_FAULT = N_("Give day and time, for example 2026-11-21 17:30.")

PASSWORD_FAULTS = {
    PasswordFault.TOO_SHORT: N_("Use at least 8 characters."),
    PasswordFault.TOO_LONG: N_("Use at most 128 characters."),
    PasswordFault.TOO_SIMPLE: N_("Too few different characters."),
    PasswordFault.COMMON: N_("Many people use this password; choose another."),
    PasswordFault.CONTAINS_NAME: N_("Leave your number or name out of it."),
    PasswordFault.UNCHANGED: N_("Choose one that differs from the old one."),
    PasswordFault.NOT_REPEATED: N_("The two entries differ."),
}
assert PASSWORD_LENGTH_MIN == 8, "the text above names it"
assert PASSWORD_LENGTH_MAX == 128, "the text above names it"


def digits(text: str) -> str:
    """Return what was typed without the spaces and hyphens people put into numbers.

    >>> digits(" 12345 67895 "), digits("１２３-4567895")
    ('1234567895', '1234567895')
    """
    kept = (char for char in text if not char.isspace() and char != "-")
    return "".join(str(int(char)) if char.isdecimal() else char for char in kept)


@dataclass(frozen=True, slots=True)
class VolunteerSignIn:
    """Number and secret of a volunteer."""

    number: str
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, typed: Mapping[str, str]) -> VolunteerSignIn:
        """Take the form as typed."""
        return cls(digits(typed.get("number", "")).upper()[:20], typed.get("secret", ""))

    def faults(self) -> dict[str, str]:
        """Return what is missing or too long."""
        found = {}
        if not is_number(self.number):
            found["number"] = NUMBER_FAULT
        if not 0 < len(self.secret) <= PASSWORD_LENGTH_MAX:
            found["secret"] = N_("Enter your password or one-time code.")
        return found


@dataclass(frozen=True, slots=True)
class DeskSignIn:
    """Name and password of a leader or of staff."""

    name: str
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, typed: Mapping[str, str]) -> DeskSignIn:
        """Take the form as typed."""
        return cls(typed.get("name", "").strip()[: NAME_LENGTH_MAX + 1], typed.get("secret", ""))

    def faults(self) -> dict[str, str]:
        """Return what is missing or too long."""
        found = {}
        if not 0 < len(self.name) <= NAME_LENGTH_MAX:
            found["name"] = N_("Enter your user name.")
        if not 0 < len(self.secret) <= PASSWORD_LENGTH_MAX:
            found["secret"] = N_("Enter your password.")
        return found


@dataclass(frozen=True, slots=True)
class NewPassword:
    """The current and the new password, twice."""

    current: str = field(repr=False)
    new: str = field(repr=False)
    again: str = field(repr=False)

    @classmethod
    def parse(cls, typed: Mapping[str, str]) -> NewPassword:
        """Take the form as typed."""
        return cls(typed.get("current", ""), typed.get("new", ""), typed.get("again", ""))

    def faults(self, *, needs_current: bool) -> dict[str, str]:
        """Return what is missing or does not agree."""
        found = {}
        if needs_current and not 0 < len(self.current) <= PASSWORD_LENGTH_MAX:
            found["current"] = N_("Enter your current password.")
        if self.new != self.again:
            found["again"] = PASSWORD_FAULTS[PasswordFault.NOT_REPEATED]
        return found


@dataclass(frozen=True, slots=True)
class Decision:
    """A leader's decision on an exception, times as typed (wall time of the site)."""

    approve: bool
    start: str
    end: str
    reason: str

    @classmethod
    def parse(cls, typed: Mapping[str, str]) -> Decision:
        """Take the form as typed."""
        return cls(
            approve=typed.get("decision") == "approve",
            start=typed.get("start", "").strip(),
            end=typed.get("end", "").strip(),
            reason=typed.get("reason", "").strip()[: REASON_LENGTH_MAX + 1],
        )

    def faults(self) -> dict[str, str]:
        """Return what is missing; a rejection needs a reason only."""
        found = {}
        if not REASON_LENGTH_MIN <= len(self.reason) <= REASON_LENGTH_MAX:
            found["reason"] = REASON_FAULT
        if self.approve:
            found |= {
                name: TIME_FAULT
                for name, text in (("start", self.start), ("end", self.end))
                if wall_time(text) is None
            }
        return found


def is_number(text: str) -> bool:
    """Say whether a text has the shape of a volunteer's or an applicant's number.

    >>> is_number("1234567895"), is_number("Y000000011"), is_number("123")
    (True, True, False)
    """
    figures = text[1:] if text[:1] == PRELIMINARY_LETTER else text
    return len(text) == NUMBER_DIGITS and figures.isascii() and figures.isdigit()


def wall_time(text: str) -> datetime | None:
    """Return the naive wall time of a datetime-local field, None when it is none.

    >>> wall_time("2026-11-21T17:30")
    datetime.datetime(2026, 11, 21, 17, 30)
    >>> wall_time("half past five") is None
    True
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo is None else None


def lost_reason_faults(reason: str) -> dict[str, str]:
    """Return what is wrong with the reason given for a lost card."""
    good = REASON_LENGTH_MIN <= len(reason) <= REASON_LENGTH_MAX
    return {} if good else {"reason": REASON_FAULT}
