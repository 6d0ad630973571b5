# SPDX-License-Identifier: Apache-2.0
"""What a configuration notice says: site, activities, operators, messages, rules; each checked.

The JSON is the server's and signed; it is read with limits all the same, and a member that is
missing, of another type or out of bounds is refused by its name; only a rule is brought within its
bounds. Members not known are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from swipe.errors import FieldError
from swipe.notices import RULE_BOUNDS, Config, bounded
from swipe.operator_pin import SERIAL_SIZE, PinVerifier
from swipe.operator_pin import TEXT_MAX as PIN_MAX
from terminal.errors import NoticeRefused
from terminal.policy import Rules

ACTIVITIES_MAX = 1_000  # a year of a busy site
OPERATORS_MAX = 100  # who may sign on at one site
MESSAGES_MAX = 20  # more than this nobody reads on four lines
TEXT_MAX = 64  # characters of a name
MESSAGE_MAX = 200  # characters of a message: three turns of the display
CODE_MAX = 16
NUMBER_MAX = 2**63 - 1  # the server's keys
FAMILY_MAX = 2**32 - 1
SECONDS_MAX = 2**32 - 1  # an event's seconds
PLANNED_MIN_MAX = 24 * 60
TZ_Q_MIN, TZ_Q_MAX = -48, 56  # UTC-12:00 to UTC+14:00 in quarter hours
# A volunteer may come this much before the start and leave this much after the end.
EARLY_S, LATE_S = 3600, 3600

_Kind = TypeVar("_Kind")

Role = Literal["operator", "supervisor"]
ActivityChoice = Literal["schedule", "code", "fixed"]
_ROLES: dict[str, Role] = {"operator": "operator", "supervisor": "supervisor"}
_CHOICES: dict[str, ActivityChoice] = {"schedule": "schedule", "code": "code", "fixed": "fixed"}


@dataclass(frozen=True, slots=True)
class Activity:
    """A planned activity: when it is, and its name in both languages.

    Between activities of one `family` a volunteer may switch; 0 is no family. `minors` says
    whether somebody under age may serve in it.
    """

    id: int
    name_zh: str
    name_en: str
    start_s: int
    end_s: int
    code: str = ""
    family: int = 0
    planned_min: int = 0
    minors: bool = True


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who may sign on: the last 8 bytes of the card's serial, a name to show, a role.

    Without `pin`, the verifier of the PIN, there is nothing to sign on with.
    """

    asn8: bytes
    name: str
    role: Role = "operator"
    pin: PinVerifier | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A line from the server to the people at the terminal, shown from one second until another."""

    id: int
    zh: str
    en: str
    from_s: int
    until_s: int


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """What a configuration notice says, checked; the defaults are those of a bare terminal."""

    version: int = 0
    site: int = 0
    name_zh: str = ""
    name_en: str = ""
    tz_q: int | None = None
    activities: tuple[Activity, ...] = ()
    rules: Rules = field(default_factory=Rules)
    operators: tuple[Operator, ...] = ()
    activity_choice: ActivityChoice = "schedule"
    fixed_activity: int = 0
    messages: tuple[Message, ...] = ()
    expires_s: int | None = None
    require_sign_on: bool = False
    psam_soft_ok: bool = True
    built_ms: int = 0

    def activity_at(self, utc_s: int) -> Activity | None:
        """Return the activity of this moment: running ones first, then the one nearest by."""
        near = [a for a in self.activities if is_near(a, utc_s)]
        return min(near, key=lambda a: _distance(a, utc_s), default=None)

    def activity_by_code(self, code: str) -> Activity | None:
        """Return the activity with this code; letters count the same in either case.

        >>> SiteConfig(activities=(Activity(7, "", "", 0, 1, "G12"),)).activity_by_code("g12").id
        7
        """
        wanted = code.strip().upper()
        found = (a for a in self.activities if wanted and a.code.upper() == wanted)
        return next(found, None)

    def activity_by_id(self, number: int) -> Activity | None:
        """Return the activity with this number."""
        return next((a for a in self.activities if a.id == number), None)

    def operator(self, asn: bytes) -> Operator | None:
        """Return who signs on with a card of this serial, of 10 bytes or its last 8."""
        return next((o for o in self.operators if o.asn8 == asn[-SERIAL_SIZE:]), None)

    def messages_at(self, utc_s: int) -> tuple[Message, ...]:
        """Return the messages to be shown at this second."""
        return tuple(m for m in self.messages if m.from_s <= utc_s < m.until_s)


def is_near(activity: Activity, utc_s: int) -> bool:
    """Say whether somebody may come to an activity, be there or leave it at this second."""
    return activity.start_s - EARLY_S <= utc_s < activity.end_s + LATE_S


def _distance(activity: Activity, utc_s: int) -> tuple[int, int, int]:
    outside = max(activity.start_s - utc_s, utc_s - activity.end_s, 0)
    return outside, activity.start_s, activity.id


def parse_config(notice: Config) -> SiteConfig:
    """Read the JSON of a configuration.

    Raises:
        NoticeRefused: Naming the member that is missing, of another type or out of bounds.
    """
    try:
        document = json.loads(notice.json)
    except (ValueError, RecursionError) as exc:
        raise NoticeRefused("config", f"no JSON: {exc}") from exc
    if type(document) is not dict:
        raise NoticeRefused("config", "no JSON object")
    site = _object(document.get("site"), "site")
    params = _object(document.get("params", {}), "params")
    return SiteConfig(
        version=notice.version,
        site=_number(site, "id", 0, NUMBER_MAX),
        name_zh=_text(site, "name_zh"),
        name_en=_text(site, "name_en"),
        tz_q=_number(site, "tz_q", TZ_Q_MIN, TZ_Q_MAX),
        activities=_each(document, "activities", ACTIVITIES_MAX, _activity),
        rules=_rules(params),
        operators=_each(document, "operators", OPERATORS_MAX, _operator),
        activity_choice=_one_of(document, "activity_choice", _CHOICES, "schedule"),
        fixed_activity=_number(document, "fixed_activity", 0, NUMBER_MAX, 0),
        messages=_each(document, "messages", MESSAGES_MAX, _message),
        expires_s=_expiry(document),
        require_sign_on=_truth(params, "require_sign_on", default=False),
        psam_soft_ok=_truth(params, "psam_soft_ok", default=True),
        built_ms=notice.built_ms,
    )


def _activity(item: dict[str, Any]) -> Activity:
    return Activity(
        id=_number(item, "id", 0, NUMBER_MAX),
        name_zh=_text(item, "name_zh"),
        name_en=_text(item, "name_en"),
        start_s=_number(item, "start", 0, SECONDS_MAX),
        end_s=_number(item, "end", 0, SECONDS_MAX),
        code=_text(item, "code", CODE_MAX, ""),
        family=_number(item, "family", 0, FAMILY_MAX, 0),
        planned_min=_number(item, "planned_min", 0, PLANNED_MIN_MAX, 0),
        minors=_truth(item, "minors", default=True),
    )


def _operator(item: dict[str, Any]) -> Operator:
    text = _text(item, "asn8", 2 * SERIAL_SIZE)
    try:
        asn8 = bytes.fromhex(text)
    except ValueError:
        asn8 = b""
    if len(asn8) != SERIAL_SIZE:
        raise NoticeRefused("config", f"asn8 must be {SERIAL_SIZE} bytes in hex")
    role = _one_of(item, "role", _ROLES, "operator")
    return Operator(asn8, _text(item, "name"), role, _pin(_text(item, "pin", PIN_MAX, "")))


def _pin(text: str) -> PinVerifier | None:
    try:
        return PinVerifier.parse(text) if text else None
    except FieldError as exc:
        raise NoticeRefused("config", str(exc)) from exc


def _message(item: dict[str, Any]) -> Message:
    return Message(
        id=_number(item, "id", 0, NUMBER_MAX),
        zh=_text(item, "zh", MESSAGE_MAX),
        en=_text(item, "en", MESSAGE_MAX),
        from_s=_number(item, "from", 0, SECONDS_MAX),
        until_s=_number(item, "until", 0, SECONDS_MAX),
    )


def _rules(params: dict[str, Any]) -> Rules:
    """Read the rules; a number out of bounds counts as the bound.

    To refuse it would take activities, operators and messages away with it.
    """
    values: dict[str, Any] = {
        name: bounded(name, _number(params, name, -SECONDS_MAX, SECONDS_MAX))
        for name in RULE_BOUNDS
        if name in params
    }
    for name in ("require_activity", "require_open"):
        values[name] = _truth(params, name, default=False)
    return Rules(**values)


def _expiry(document: dict[str, Any]) -> int | None:
    if document.get("expires") is None:
        return None
    return _number(document, "expires", 0, SECONDS_MAX)


def _object(value: object, name: str) -> dict[str, Any]:
    if value is None:
        raise NoticeRefused("config", f"{name} is missing")
    if type(value) is not dict:
        raise NoticeRefused("config", f"{name} must be an object")
    return value


def _each(
    document: dict[str, Any], name: str, most: int, read: Callable[[dict[str, Any]], _Kind]
) -> tuple[_Kind, ...]:
    items = document.get(name, [])
    if type(items) is not list:
        raise NoticeRefused("config", f"{name} must be a list")
    if len(items) > most:
        raise NoticeRefused("config", f"more than {most} {name}")
    return tuple(read(_object(item, f"each of {name}")) for item in items)


def _number(
    item: dict[str, Any], name: str, low: int, high: int, default: int | None = None
) -> int:
    value = item.get(name, default)
    if value is None:
        raise NoticeRefused("config", f"{name} is missing")
    if type(value) is not int or not low <= value <= high:
        raise NoticeRefused("config", f"{name} must be {low} to {high}")
    return value


def _text(item: dict[str, Any], name: str, most: int = TEXT_MAX, default: str | None = None) -> str:
    value = item.get(name, default)
    if value is None:
        raise NoticeRefused("config", f"{name} is missing")
    if type(value) is not str or len(value) > most:
        raise NoticeRefused("config", f"{name} must be text of at most {most} characters")
    return value


def _truth(item: dict[str, Any], name: str, *, default: bool) -> bool:
    value = item.get(name, default)
    if type(value) is not bool:
        raise NoticeRefused("config", f"{name} must be true or false")
    return value


def _one_of(item: dict[str, Any], name: str, words: dict[str, _Kind], default: _Kind) -> _Kind:
    value = item.get(name)
    if value is None:
        return default
    if type(value) is not str or value not in words:
        raise NoticeRefused("config", f"{name} must be one of {', '.join(words)}")
    return words[value]
