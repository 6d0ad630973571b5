# SPDX-License-Identifier: Apache-2.0
"""Rules of applications: who may apply, what is still missing before somebody is a volunteer.

Pure: values in, values out. What a rule says in numbers stands in `Rules`, which staff may set.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

MINUTE_MS = 60_000
NAME_LENGTH_MAX = 64
ADDRESS_LENGTH_MIN, ADDRESS_LENGTH_MAX = 4, 200
MOBILE_LENGTH_MAX = 20
TRY_WINDOW_MS = 15 * MINUTE_MS
# Visitors of a community centre share one address; each begins once and hands in once or twice.
VISITOR_TRIES_MAX = 60
# A partner's program hands in for everybody: two a second is a campaign, more is a loop.
PROGRAM_TRIES_MAX = 1_800
# A declaration accepted in a version: the words stand in the table `agreement`.
_MAINLAND_MOBILE = re.compile(r"1[3-9]\d{9}", re.ASCII)
# ITU-T E.164: at most fifteen digits, country code first.
_FOREIGN_MOBILE = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)


class State(enum.StrEnum):
    """Where an application stands."""

    SUBMITTED = "submitted"
    TRAINING = "training"
    READY = "ready"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


OPEN_STATES = (State.SUBMITTED, State.TRAINING, State.READY)
ENDED_STATES = (State.REJECTED, State.WITHDRAWN)


class Carrier(enum.StrEnum):
    """What the volunteer function is put on: a debit or a credit card."""

    DEBIT = "debit"
    CREDIT = "credit"


class Channel(enum.StrEnum):
    """How an application came in."""

    ONLINE = "online"
    STAFF = "staff"
    CALL = "call"
    APP = "app"
    TERMINAL = "terminal"
    IMPORT = "import"


class Agreement(enum.StrEnum):
    """What an applicant accepts or declares, each in a version."""

    VOLUNTARY = "voluntary"
    REGULATIONS = "regulations"
    CHARTER = "charter"
    CONDUCT = "conduct"
    SERVICE = "service"
    FITNESS = "fitness"
    ABILITY = "ability"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the rules say in numbers; ages in years, times in minutes, yes and no as 1 and 0.

    `birthday_counts`: an age is reached on the birthday (1) or on the day after (0).
    `training_hundredths`: class-hours of training, in hundredths, so that 1.99 is not 2.
    """

    age_min: int = 10
    guardian_until: int = 14
    credit_age_min: int = 18
    birthday_counts: int = 1
    class_hour_minutes: int = 45
    training_hundredths: int = 200
    pre_service_minutes: int = 600
    pre_service_before_training: int = 0
    two_persons: int = 1
    league_age_max: int = 28


LIMITS: dict[str, tuple[int, int]] = {
    "age_min": (6, 18),
    "guardian_until": (6, 18),
    "credit_age_min": (16, 25),
    "birthday_counts": (0, 1),
    "class_hour_minutes": (30, 60),
    "training_hundredths": (0, 10_000),
    "pre_service_minutes": (0, 60_000),
    "pre_service_before_training": (0, 1),
    "two_persons": (0, 1),
    "league_age_max": (14, 60),
}
assert set(LIMITS) == {field.name for field in dataclasses.fields(Rules)}


def rules_of(settings: Mapping[str, int]) -> Rules:
    """Return the rules with what staff have set; what they have not stays as it is.

    >>> rules_of({"age_min": 12}).age_min
    12
    """
    return Rules(**{name: value for name, value in settings.items() if name in LIMITS})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with one field; a warning stops nobody."""

    field: str
    code: str
    zh: str
    en: str
    warning: bool = False


def age_reached(birth: dt.date, years: int, rules: Rules) -> dt.date:
    """Return the day on which an age is reached.

    Who was born on 29 February has the birthday of a common year on 1 March, the later day.

    >>> age_reached(dt.date(2016, 2, 29), 10, Rules())
    datetime.date(2026, 3, 1)
    >>> age_reached(dt.date(2016, 5, 1), 10, Rules(birthday_counts=0))
    datetime.date(2026, 5, 2)
    """
    try:
        day = birth.replace(year=birth.year + years)
    except ValueError:
        day = dt.date(birth.year + years, 3, 1)
    return day if rules.birthday_counts else day + dt.timedelta(days=1)


def is_old_enough(birth: dt.date, years: int, today: dt.date, rules: Rules) -> bool:
    """Say whether somebody has reached an age."""
    return today >= age_reached(birth, years, rules)


def needs_guardian(birth: dt.date, today: dt.date, rules: Rules) -> bool:
    """Say whether somebody may serve only with a guardian.

    >>> needs_guardian(dt.date(2012, 11, 22), dt.date(2026, 11, 21), Rules())
    True
    >>> needs_guardian(dt.date(2012, 11, 22), dt.date(2026, 11, 22), Rules())
    False
    """
    return not is_old_enough(birth, rules.guardian_until, today, rules)


def mobile(typed: str) -> str | None:
    """Return a mobile number as it is kept: 11 digits, or + and country code; None if it is none.

    >>> mobile("138 0013-8000"), mobile("+86 13800138000"), mobile("+852 9123 4567")
    ('13800138000', '13800138000', '+85291234567')
    >>> mobile("12800138000") is None, mobile("1380013800") is None
    (True, True)
    """
    kept = "".join(char for char in typed if not char.isspace() and char not in "-()")
    kept = "".join(str(int(char)) if char.isdecimal() else char for char in kept)
    bare = kept.removeprefix("+86").removeprefix("0086")
    if _MAINLAND_MOBILE.fullmatch(bare):
        return bare
    foreign = _FOREIGN_MOBILE.fullmatch(kept) and not kept.startswith("+86")
    return kept if foreign else None


def clean_name(typed: str) -> str | None:
    r"""Return a name as it is kept, None when it is none: no digits, no controls, 1 to 64 long.

    >>> clean_name(" 买买提·艾力 "), clean_name("𠮷田"), clean_name("Anna O'Neill-Wu")
    ('买买提·艾力', '𠮷田', "Anna O'Neill-Wu")
    >>> clean_name("王5"), clean_name(""), clean_name("王\x00")
    (None, None, None)
    """
    name = " ".join(typed.split())
    good = all(char.isalpha() or char in " ·•.'’-" or _is_mark(char) for char in name)
    return name if 0 < len(name) <= NAME_LENGTH_MAX and good and name[0].isalpha() else None


def _is_mark(char: str) -> bool:
    # Combining marks of names written with them: Vietnamese, Uyghur in Latin letters.
    return "\u0300" <= char <= "\u036f"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an applicant when conditions are looked at.

    `training` in hundredths of a class-hour, `pre_service` in minutes, `missing` the agreements
    not accepted in their present version.
    """

    training: int
    pre_service: int
    has_photo: bool = True
    minor: bool = False
    has_guardian: bool = False
    branch_open: bool = True
    missing: tuple[Agreement, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of becoming a volunteer: met or not, in words, with its figures."""

    code: str
    met: bool
    zh: str
    en: str
    have: int
    need: int


def conditions(standing: Standing, rules: Rules) -> tuple[Condition, ...]:
    """Return every condition of approval, the met ones too.

    >>> found = conditions(Standing(training=199, pre_service=600), Rules())
    >>> [one.code for one in found if not one.met]
    ['training']
    """
    found = [
        _yes_no("photo", standing.has_photo, "照片合格", "a photo that fits"),
        _yes_no("branch", standing.branch_open, "领证网点开放", "the pick-up branch is open"),
        _agreements(standing),
        _training(standing, rules),
        _pre_service(standing, rules),
    ]
    if standing.minor:
        named = standing.has_guardian
        found.insert(0, _yes_no("guardian", named, "已登记监护人", "a guardian is named"))
    return tuple(found)


def _yes_no(code: str, met: bool, zh: str, en: str) -> Condition:
    return Condition(code, met, zh, en, int(met), 1)


def _agreements(standing: Standing) -> Condition:
    need = len(Agreement)
    have = need - len(standing.missing)
    zh, en = "已接受现行各项条款", "present versions of all documents accepted"
    return Condition("agreements", have == need, zh, en, have, need)


def _training(standing: Standing, rules: Rules) -> Condition:
    have, need = standing.training, rules.training_hundredths
    zh = f"培训 {have / 100:.2f}／{need / 100:.2f} 学时"
    en = f"training {have / 100:.2f} of {need / 100:.2f} class-hours"
    return Condition("training", have >= need, zh, en, have, need)


def _pre_service(standing: Standing, rules: Rules) -> Condition:
    have, need = standing.pre_service, rules.pre_service_minutes
    zh, en = f"预服务 {have}／{need} 分钟", f"pre-service {have} of {need} minutes"
    return Condition("pre-service", have >= need, zh, en, have, need)


def state_of(found: tuple[Condition, ...], training: int) -> State:
    """Return where an open application stands by its conditions.

    >>> state_of((), 0)
    <State.READY: 'ready'>
    """
    if all(one.met for one in found):
        return State.READY
    return State.TRAINING if training else State.SUBMITTED
