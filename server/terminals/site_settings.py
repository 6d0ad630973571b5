# SPDX-License-Identifier: Apache-2.0
"""What a site's terminals are told besides activities: operators, messages, rules, the choice.

Every function works inside the caller's unit of work, writes its audit line there, and steps the
version of the configuration, so that the next receipt names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit, sequences
from server.people.policy import is_card_serial
from server.terminals.models import Activity, Site, SiteMessage, SiteOperator, Terminal
from server.terminals.services import CONFIG, find_site, find_terminal
from swipe.notices import RULE_BOUNDS, RULE_SWITCHES
from swipe.operator_pin import (
    PIN_DIGITS_MAX,
    PIN_DIGITS_MIN,
    SERIAL_SIZE,
    PinVerifier,
    is_pin,
)

OPERATORS_MAX = 100  # who may sign on at one site; the terminal takes no more
MESSAGES_MAX = 20  # nobody reads more on four lines; the terminal takes no more
TEXT_MAX = 64
MESSAGE_MAX = 200
CHOICES = ("schedule", "code", "fixed")
ROLES = ("operator", "supervisor")


@dataclass(frozen=True, slots=True)
class NewOperator:
    """Who may sign on: the card's serial of 20 digits, a name to show, a role."""

    site_id: int
    asn: str
    name: str
    role: str = "operator"


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What the displays shall say, from one instant until another."""

    site_id: int
    zh: str
    en: str
    from_ms: int
    until_ms: int


def add_operator(session: Session, new: NewOperator, actor: str, now_ms: int) -> SiteOperator:
    """Let somebody sign on at a site; a card that may already gets the new name and role."""
    site = _changing(session, new.site_id)
    if not is_card_serial(new.asn):
        raise Refused("card-serial", "卡序列号须为 20 位数字", "a card serial has 20 digits")
    if new.role not in ROLES:
        raise Refused("operator-role", "操作员类别不对", f"a role is one of {', '.join(ROLES)}")
    if not 0 < len(new.name) <= TEXT_MAX:
        raise Refused("operator-name", "姓名太长或为空", f"a name has 1 to {TEXT_MAX} characters")
    known = session.get(SiteOperator, (site.id, new.asn))
    if known is None:
        if len(operators(session, site.id)) >= OPERATORS_MAX:
            raise Refused("operators", "操作员已满", f"a site has at most {OPERATORS_MAX}")
        known = SiteOperator(site_id=site.id, asn=new.asn, name=new.name, role=new.role)
        session.add(known)
    known.name, known.role = new.name, new.role
    session.flush()
    audit.record(
        session, now_ms, actor, "operator.added", f"card:{new.asn}", site=site.id, role=new.role
    )
    return known


def set_pin(session: Session, which: tuple[int, str], pin: str, actor: str, now_ms: int) -> None:
    """Give an operator, by site and card, a PIN; only what proves it is kept and sent."""
    site_id, asn = which
    known = session.get(SiteOperator, which)
    if known is None:
        raise Refused("unknown-operator", "没有这个操作员", f"card {asn} is no operator here")
    if not is_pin(pin):
        raise Refused(
            "operator-pin",
            f"密码须为 {PIN_DIGITS_MIN} 至 {PIN_DIGITS_MAX} 位数字",
            f"a PIN has {PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits",
        )
    _changing(session, site_id)
    known.pin = str(PinVerifier.make(pin, bytes.fromhex(asn[-2 * SERIAL_SIZE :])))
    audit.record(session, now_ms, actor, "operator.pin", f"card:{asn}", site=site_id)


def remove_operator(session: Session, site_id: int, asn: str, actor: str, now_ms: int) -> None:
    """Let somebody sign on no more."""
    known = session.get(SiteOperator, (site_id, asn))
    if known is None:
        raise Refused("unknown-operator", "没有这个操作员", f"card {asn} is no operator here")
    _changing(session, site_id)
    session.delete(known)
    audit.record(session, now_ms, actor, "operator.removed", f"card:{asn}", site=site_id)


def operators(session: Session, site_id: int) -> list[SiteOperator]:
    """Return a site's operators, by serial."""
    statement = sa.select(SiteOperator).where(SiteOperator.site_id == site_id)
    return list(session.scalars(statement.order_by(SiteOperator.asn)))


def add_message(session: Session, new: NewMessage, actor: str, now_ms: int) -> SiteMessage:
    """Give the displays of a site something to say."""
    if new.until_ms <= new.from_ms or new.until_ms <= now_ms:
        raise Refused("message-time", "留言须有将来的结束时间", "a message ends in the future")
    if not (0 < len(new.zh) <= MESSAGE_MAX and len(new.en) <= MESSAGE_MAX):
        raise Refused(
            "message-text", "留言太长或为空", f"a message has 1 to {MESSAGE_MAX} characters"
        )
    site = _changing(session, new.site_id)
    if len(messages(session, site.id, now_ms)) >= MESSAGES_MAX:
        raise Refused("messages", "留言已满", f"a site shows at most {MESSAGES_MAX}; remove one")
    message = SiteMessage(
        site_id=site.id, zh=new.zh, en=new.en, from_ms=new.from_ms, until_ms=new.until_ms
    )
    session.add(message)
    session.flush()
    audit.record(session, now_ms, actor, "message.added", f"message:{message.id}", site=site.id)
    return message


def remove_message(session: Session, message_id: int, actor: str, now_ms: int) -> None:
    """Take a message off the displays."""
    message = session.get(SiteMessage, message_id)
    if message is None:
        raise Refused("unknown-message", "没有这条留言", f"no message {message_id}")
    _changing(session, message.site_id)
    session.delete(message)
    audit.record(session, now_ms, actor, "message.removed", f"message:{message_id}")


def messages(session: Session, site_id: int, now_ms: int) -> list[SiteMessage]:
    """Return a site's messages that are not over, the soonest first."""
    statement = sa.select(SiteMessage).where(
        SiteMessage.site_id == site_id, SiteMessage.until_ms > now_ms
    )
    return list(session.scalars(statement.order_by(SiteMessage.from_ms, SiteMessage.id)))


def set_rules(
    session: Session, site_id: int, rules: Mapping[str, int | bool], actor: str, now_ms: int
) -> Site:
    """Set some of a site's rules; the others stay as they are.

    Raises:
        Refused: A rule that no site may set, or a value out of its bounds.
    """
    for name, value in rules.items():
        _check_rule(name, value)
    site = _changing(session, site_id)
    site.rules = {**site.rules, **rules}
    audit.record(session, now_ms, actor, "site.rules-set", f"site:{site_id}", **rules)
    return site


def choose_activity(
    session: Session, terminal_id: int, choice: str, activity_id: int | None, by: tuple[str, int]
) -> Terminal:
    """Say how a terminal finds the activity of a tap: by schedule, by a typed code, or always one.

    Raises:
        Refused: `fixed` without an activity of the terminal's site.
    """
    actor, now_ms = by
    terminal = find_terminal(session, terminal_id)
    if choice not in CHOICES:
        raise Refused("activity-choice", "选择方式不对", f"one of {', '.join(CHOICES)}")
    found = session.get(Activity, activity_id) if activity_id is not None else None
    if choice == "fixed" and (found is None or found.site_id != terminal.site_id):
        raise Refused(
            "fixed-activity", "须指定本服务点的活动", "`fixed` names an activity of the site"
        )
    terminal.activity_choice = choice
    terminal.fixed_activity = found.id if found is not None and choice == "fixed" else None
    terminal.config_version = sequences.next_value(session, CONFIG)
    subject = f"terminal:{terminal_id}"
    audit.record(session, now_ms, actor, "terminal.activity-chosen", subject, choice=choice)
    return terminal


def _check_rule(name: str, value: int | bool) -> None:
    if name in RULE_SWITCHES:
        if type(value) is not bool:
            raise Refused("rule", f"{name} 须为 true 或 false", f"{name} is true or false")
        return
    if name not in RULE_BOUNDS:
        known = ", ".join((*RULE_BOUNDS, *RULE_SWITCHES))
        raise Refused("rule", f"没有规则 {name}", f"no rule {name}; there are {known}")
    low, high = RULE_BOUNDS[name]
    if type(value) is not int or not low <= value <= high:
        raise Refused("rule", f"{name} 须为 {low} 至 {high}", f"{name} is {low} to {high}")


def _changing(session: Session, site_id: int) -> Site:
    """Return the site with its configuration's version stepped."""
    site = find_site(session, site_id)
    site.config_version = sequences.next_value(session, CONFIG)
    return site
