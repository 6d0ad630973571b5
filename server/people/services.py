# SPDX-License-Identifier: Apache-2.0
"""What staff do with people: take in volunteers, give and block cards, add users.

Every function works inside the caller's unit of work and writes its audit line there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.db import to_millis
from server.errors import Refused
from server.people import audit, personal, policy, sequences, sign_in
from server.people.models import (
    CODE,
    ROLES,
    Card,
    DirtyPerson,
    RoleGrant,
    SealedPersonKey,
    User,
    Volunteer,
)

# Birthdays begin at midnight where the volunteers live.
BIRTHDAY_ZONE = ZoneInfo("Asia/Shanghai")
NAME_LENGTH_MAX = 64
# Who may order and approve; states in which a card stands on the hotlist.
STAFF_ROLES = ("staff", "admin")
LISTED_STATES = ("lost", "blocked", "replaced", "revoked")


@dataclass(frozen=True, slots=True)
class NewVolunteer:
    """What is needed to take somebody in; `guardian_number` is the guardian's volunteer number."""

    name: str
    birth: dt.date
    guardian_number: str | None = None


def add_volunteer(
    session: Session, store: KeyStore, new: NewVolunteer, actor: str, now_ms: int
) -> tuple[Volunteer, str]:
    """Take in a volunteer; return the row and the one-time sign-in code, shown only now."""
    name = new.name.strip()
    if not 1 <= len(name) <= NAME_LENGTH_MAX:
        raise Refused(
            "name-length", "姓名长度不对", f"a name has 1 to {NAME_LENGTH_MAX} characters"
        )
    guardian = find_volunteer(session, new.guardian_number) if new.guardian_number else None
    number = policy.volunteer_number(sequences.next_value(session, sequences.VOLUNTEER))
    code = sign_in.new_code()
    sealed_key, sealed_name, sealed_birth = personal.seal_identity(
        store, number, personal.Identity(name, new.birth)
    )
    volunteer = Volunteer(
        number=number,
        sealed_name=sealed_name,
        sealed_birth=sealed_birth,
        masked_name=policy.mask_name(name),
        minor_until_ms=minor_until_ms(new.birth, now_ms),
        guardian_id=guardian.id if guardian else None,
        created_ms=now_ms,
        secret_hash=sign_in.hash_secret(code),
        secret_kind=CODE,
        code_ms=now_ms,
    )
    session.add(volunteer)
    session.flush()
    session.add(SealedPersonKey(volunteer_id=volunteer.id, sealed=sealed_key, made_ms=now_ms))
    audit.record(session, now_ms, actor, "volunteer.added", f"volunteer:{number}")
    return volunteer, code


def find_volunteer(session: Session, number: str) -> Volunteer:
    """Return the volunteer with this number, or refuse."""
    volunteer = session.scalar(sa.select(Volunteer).where(Volunteer.number == number))
    if volunteer is None:
        raise Refused("unknown-volunteer", "没有这个义工号", f"no volunteer {number}")
    return volunteer


def link_guardian(
    session: Session, number: str, guardian_number: str, actor: str, now_ms: int
) -> None:
    """Name the guardian of a volunteer."""
    volunteer = find_volunteer(session, number)
    guardian = find_volunteer(session, guardian_number)
    if guardian.id == volunteer.id:
        raise Refused("own-guardian", "监护人不能是本人", "nobody is their own guardian")
    volunteer.guardian_id = guardian.id
    mark_dirty(session, [volunteer.id])
    audit.record(
        session, now_ms, actor, "volunteer.guardian-linked", f"volunteer:{number}",
        guardian=guardian_number,
    )  # fmt: skip


def next_card_serial(session: Session) -> str:
    """Take the serial for a card that is going to be issued."""
    return policy.card_serial(sequences.next_value(session, sequences.CARD_SERIAL))


def register_card(
    session: Session, number: str, asn: str, key_version: int, actor: str, now_ms: int
) -> Card:
    """Bind an issued card to a volunteer; doing it again changes nothing."""
    if not policy.is_card_serial(asn):
        raise Refused("card-serial", "卡序列号须为 20 位数字", "a card serial has 20 digits")
    volunteer = find_volunteer(session, number)
    known = session.scalar(sa.select(Card).where(Card.asn == asn))
    if known is not None:
        if known.volunteer_id == volunteer.id:
            return known
        raise Refused("card-taken", "此卡已属于别人", f"card {asn} belongs to somebody else")
    card = Card(
        asn=asn,
        volunteer_id=volunteer.id,
        state="active",
        key_version=key_version,
        issued_ms=now_ms,
    )
    session.add(card)
    session.flush()
    mark_dirty(session, [volunteer.id])
    audit.record(session, now_ms, actor, "card.registered", f"card:{asn}", number=number)
    return card


@dataclass(frozen=True, slots=True)
class CardReport:
    """A report that a card must not be used: from when, in which state, why."""

    asn: str
    at_ms: int
    reason: str
    state: str = "lost"


def report_card(session: Session, report: CardReport, actor: str, now_ms: int) -> Card:
    """Put a card on the hotlist from the reported instant on."""
    if report.state not in LISTED_STATES:
        raise Refused(
            "card-state", "卡状态不对", f"a report says one of {', '.join(LISTED_STATES)}"
        )
    if report.at_ms > now_ms:
        raise Refused("future-report", "挂失时间不能晚于现在", "the report lies in the future")
    card = find_card(session, report.asn)
    card.state = report.state
    card.revoked_ms = report.at_ms
    card.reason = report.reason
    sequences.next_value(session, sequences.CARD_LISTING)
    mark_dirty(session, [card.volunteer_id])
    audit.record(
        session, now_ms, actor, f"card.{report.state}", f"card:{card.asn}",
        from_ms=report.at_ms, reason=report.reason,
    )  # fmt: skip
    return card


# What features above do when a card serves again: each adds itself; it may refuse.
RESTORED: list[Callable[[Session, Card, str, int], None]] = []


def restore_card(session: Session, asn: str, actor: str, now_ms: int) -> Card:
    """Take a card off the hotlist that was found, or whose chip serves again.

    Raises:
        Refused: no such card, it was not lost, or another one is made in its place.
    """
    card = find_card(session, asn)
    if card.state not in ("lost", "blocked"):
        raise Refused("not-lost", "此卡没有挂失", f"card {asn} is {card.state}, not lost")
    card.state = "active"
    card.revoked_ms = None
    card.reason = None
    sequences.next_value(session, sequences.CARD_LISTING)
    mark_dirty(session, [card.volunteer_id])
    for follow in RESTORED:
        follow(session, card, actor, now_ms)
    audit.record(session, now_ms, actor, "card.restored", f"card:{asn}")
    return card


def find_card(session: Session, asn: str) -> Card:
    """Return the card with this serial, or refuse."""
    card = session.scalar(sa.select(Card).where(Card.asn == asn))
    if card is None:
        raise Refused("unknown-card", "没有这张卡", f"no card {asn}")
    return card


@dataclass(frozen=True, slots=True)
class NewUser:
    """Somebody who is going to work with the pages; a leader belongs to a site."""

    name: str
    role: str
    site_id: int | None = None


def add_user(session: Session, new: NewUser, password: str, actor: str, now_ms: int) -> User:
    """Add somebody who works with the pages.

    A leader leads the named site, staff and administrators work everywhere; every other role
    opens nothing until it is granted over something.
    """
    if new.role not in ROLES:
        raise Refused("role", "没有这个角色", f"a role is one of {', '.join(ROLES)}")
    if session.scalar(sa.select(User.id).where(User.name == new.name)) is not None:
        raise Refused("name-taken", "用户名已被使用", f"there is a user {new.name} already")
    sign_in.check_password(password)
    user = User(
        name=new.name,
        role=new.role,
        site_id=new.site_id,
        secret_hash=sign_in.hash_secret(password),
    )
    session.add(user)
    session.flush()
    if new.role == "leader" and new.site_id is not None:
        session.add(_first_grant(user, ("site", str(new.site_id)), actor, now_ms))
    if new.role in STAFF_ROLES:
        session.add(_first_grant(user, ("all", ""), actor, now_ms))
    audit.record(session, now_ms, actor, "user.added", f"user:{new.name}", role=new.role)
    return user


def _first_grant(user: User, scope: tuple[str, str], actor: str, now_ms: int) -> RoleGrant:
    return RoleGrant(
        user_id=user.id,
        role=user.role,
        scope_kind=scope[0],
        scope_ref=scope[1],
        granted_by=actor,
        granted_ms=now_ms,
    )


def require_staff(session: Session, name: str) -> User:
    """Return the user of this name who is staff or administrator everywhere now, or refuse."""
    held = sa.select(RoleGrant.user_id).where(
        RoleGrant.role.in_(STAFF_ROLES),
        RoleGrant.scope_kind == "all",
        RoleGrant.revoked_ms.is_(None),
    )
    user = session.scalar(sa.select(User).where(User.name == name, User.id.in_(held)))
    if user is None:
        raise Refused("not-staff", f"{name} 不是工作人员", f"{name} is no staff user")
    return user


# Written once: to build a statement costs more than to run it.
_WARDS = sa.select(Volunteer.id).where(
    Volunteer.guardian_id.in_(sa.bindparam("guardians", expanding=True))
)


def mark_dirty(session: Session, volunteer_ids: Iterable[int]) -> None:
    """Queue people, and those they are guardians of, so that their hours are derived again."""
    named = set(volunteer_ids)
    named |= set(session.scalars(_WARDS, {"guardians": list(named)})) if named else set()
    rows = [{"volunteer_id": volunteer_id} for volunteer_id in sorted(named)]
    if rows:
        session.execute(sa.insert(DirtyPerson), rows)


def minor_until_ms(birth: dt.date, now_ms: int) -> int | None:
    """Return when somebody stops being a minor, None when that is past."""
    until_ms = to_millis(policy.minor_until(birth, BIRTHDAY_ZONE))
    return until_ms if until_ms > now_ms else None
