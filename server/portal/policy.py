# SPDX-License-Identifier: Apache-2.0
"""Rules of the pages: who may see what, how often a secret may be tried, what a password must be.

Pure functions on plain values; the clock and the database are the callers' business.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

PASSWORD_LENGTH_MIN = 8  # NIST SP 800-63B: length before composition rules
PASSWORD_LENGTH_MAX = 128  # bounds the work one request can ask of argon2
NAME_PART_MIN = 4  # a user called "li" may have those letters in a password
PASSWORD_DISTINCT_MIN = 4  # "11112222" is long and still guessed at once

FAILURES_PER_SUBJECT_MAX = 5  # a person mistypes a few times; a guesser gets 20 tries an hour
FAILURES_PER_ADDRESS_MAX = 30  # a community centre shares one address
FAILURE_WINDOW_MS = 15 * 60 * 1000

SESSION_IDLE_MS = 30 * 60 * 1000  # library and community-centre PCs are shared
SESSION_LENGTH_MAX_MS = 12 * 60 * 60 * 1000  # one working day
SESSION_TOUCH_MS = 60 * 1000  # write "last seen" at most once a minute

HEARD_WITHIN_MS = 60 * 60 * 1000  # a terminal with a network speaks every few minutes
OVERLONG_MS = 16 * 60 * 60 * 1000  # the longest shift; beyond it a tap-out was forgotten
ON_DUTY_LENGTH_MAX_MS = 24 * 60 * 60 * 1000  # nobody serves a day and a night: not "now" any more

COMMON_PASSWORDS = frozenset(
    {
        "12345678", "123456789", "1234567890", "password", "password1", "qwertyui", "qwerty123",
        "11223344", "87654321", "abcd1234", "a1234567", "woaini1314", "woaini520", "5201314520",
        "1qaz2wsx", "asdfghjkl", "zhiyuanzhe", "yigong123", "volunteer", "iloveyou",
    }
)  # fmt: skip


class Role(enum.StrEnum):
    """Who is signed in. A volunteer is a person with hours; the others are users of the desk."""

    VOLUNTEER = "volunteer"
    LEADER = "leader"
    STAFF = "staff"
    ORG_MANAGER = "org_manager"
    REGION_MANAGER = "region_manager"
    CALL_CENTRE = "call_centre"
    PARTNER = "partner"
    AUDITOR = "auditor"
    ADMIN = "admin"


class PasswordFault(enum.StrEnum):
    """Why a new password is refused."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOO_SIMPLE = "too_simple"
    COMMON = "common"
    CONTAINS_NAME = "contains_name"
    UNCHANGED = "unchanged"
    NOT_REPEATED = "not_repeated"


@dataclass(frozen=True, slots=True)
class Attempts:
    """Failed sign-ins inside the window, the one being judged included."""

    subject: int
    address: int


def attempts_allowed(attempts: Attempts) -> bool:
    """Say whether one more secret may be compared.

    >>> attempts_allowed(Attempts(subject=5, address=5))
    True
    >>> attempts_allowed(Attempts(subject=6, address=6))
    False
    >>> attempts_allowed(Attempts(subject=1, address=31))
    False
    """
    return (
        attempts.subject <= FAILURES_PER_SUBJECT_MAX
        and attempts.address <= FAILURES_PER_ADDRESS_MAX
    )


def password_fault(new: str, *, name: str, current: str) -> PasswordFault | None:
    """Return why `new` cannot be the password of `name`, or None.

    `current` is the secret it replaces (the one-time code at first sign-in), "" when unknown.

    >>> password_fault("12345678", name="1234567895", current="")
    <PasswordFault.COMMON: 'common'>
    >>> password_fault("春风十里不如你", name="1234567895", current="")
    <PasswordFault.TOO_SHORT: 'too_short'>
    >>> password_fault("mei-you-mi-ma", name="1234567895", current="K7QM2X9D")
    """
    lowered = new.casefold()
    if len(new) < PASSWORD_LENGTH_MIN:
        return PasswordFault.TOO_SHORT
    if len(new) > PASSWORD_LENGTH_MAX:
        return PasswordFault.TOO_LONG
    if lowered in COMMON_PASSWORDS:
        return PasswordFault.COMMON
    if len(set(lowered)) < PASSWORD_DISTINCT_MIN:
        return PasswordFault.TOO_SIMPLE
    if len(name) >= NAME_PART_MIN and name.casefold() in lowered:
        return PasswordFault.CONTAINS_NAME
    if new == current:
        return PasswordFault.UNCHANGED
    return None


def session_over(now_ms: int, created_ms: int, seen_ms: int) -> bool:
    """Say whether a session has ended by rest or by age. All instants in ms UTC.

    >>> session_over(SESSION_IDLE_MS, 0, 0), session_over(SESSION_IDLE_MS + 1, 0, 0)
    (False, True)
    """
    return now_ms - seen_ms > SESSION_IDLE_MS or now_ms - created_ms > SESSION_LENGTH_MAX_MS


BROWSERS = (  # the first that is found: the others call themselves Chrome and Safari too
    ("Edg", "Edge"), ("MicroMessenger", "WeChat"), ("HuaweiBrowser", "Huawei Browser"),
    ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"),
)  # fmt: skip
SYSTEMS = (
    ("HarmonyOS", "HarmonyOS"), ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"),
    ("Windows", "Windows"), ("Mac OS", "macOS"), ("Linux", "Linux"),
)  # fmt: skip


def browser_family(agent: str) -> str:
    """Return browser and system of a User-Agent header, so that people know their sessions apart.

    >>> browser_family("Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0 Safari/537.36")
    'Chrome · Linux'
    >>> browser_family("curl/8")
    ''
    """
    found = [
        next((name for mark, name in table if mark in agent), "") for table in (BROWSERS, SYSTEMS)
    ]
    return " · ".join(name for name in found if name)
