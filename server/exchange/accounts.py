# SPDX-License-Identifier: Apache-2.0
"""Service accounts: programs of partners, each with a secret, scopes and an end.

`Authorization: Bearer yika_<id>_<secret>`. The secret has 256 random bits, so that a digest is
enough to keep; it is compared in constant time, and shown once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.errors import Problem, Refused
from server.exchange.models import ServiceAccount
from server.exchange.policy import Scope
from server.people import audit, services
from server.structure import organisations, regions
from server.structure.rights import ALL, ORGANISATION, REGION, SITE, Reach
from server.structure.rights import Scope as Part
from server.terminals.services import find_site

SECRET_BYTES = 32
EVERYTHING = Part(ALL)
DAY_MS = 24 * 3600 * 1000
DAYS_DEFAULT, DAYS_MAX = 365, 730  # a secret nobody renews ends by itself
SEEN_EVERY_MS = 60_000  # write "last seen" at most once a minute
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_BEARER = re.compile(r"Bearer yika_(\d{1,12})_([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """A program that is to get an account: its name, scopes, and for how many days."""

    name: str
    scopes: Sequence[Scope]
    days: int = DAYS_DEFAULT
    within: Part = EVERYTHING


def create(session: Session, new: NewAccount, by: str, now_ms: int) -> tuple[ServiceAccount, str]:
    """Make an account; return it and the bearer token, which is shown only now.

    Raises:
        Refused: the name is taken or malformed, no scope, too long a time, or no staff user.
    """
    services.require_staff(session, by)
    if not NAME.fullmatch(new.name):
        raise Refused("name", "名称用小写字母、数字和连字符", "a name has a-z, 0-9 and -")
    if session.scalar(sa.select(ServiceAccount.id).where(ServiceAccount.name == new.name)):
        raise Refused("name-taken", "名称已被使用", f"there is an account {new.name} already")
    if not new.scopes or not 1 <= new.days <= DAYS_MAX:
        raise Refused(
            "scopes", f"至少一项权限，有效期 1 至 {DAYS_MAX} 天",
            f"at least one scope, and 1 to {DAYS_MAX} days",
        )  # fmt: skip
    _check_part(session, new.within)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    account = ServiceAccount(
        name=new.name,
        secret_sha256=_digest(secret),
        scopes=sorted(set(new.scopes)),
        within_kind=new.within.kind,
        within_ref=new.within.ref,
        created_by=by,
        created_ms=now_ms,
        expires_ms=now_ms + new.days * DAY_MS,
    )
    session.add(account)
    session.flush()
    audit.record(
        session, now_ms, by, "account.created", f"account:{new.name}",
        scopes=account.scopes, within=str(new.within),
    )  # fmt: skip
    return account, f"yika_{account.id}_{secret}"


def revoke(session: Session, name: str, by: str, now_ms: int) -> ServiceAccount:
    """End an account at once; ending it again changes nothing."""
    services.require_staff(session, by)
    account = session.scalar(sa.select(ServiceAccount).where(ServiceAccount.name == name))
    if account is None:
        raise Refused("unknown-account", "没有这个帐号", f"no account {name}")
    if account.revoked_ms is None:
        account.revoked_ms = now_ms
        audit.record(session, now_ms, by, "account.revoked", f"account:{name}")
    return account


def authenticate(session: Session, header: str | None, scope: Scope, now_ms: int) -> ServiceAccount:
    """Return the account whose token this is, if it may do this.

    Raises:
        Problem: 401 for every token that is not valid now, 403 for one without the scope.
    """
    found = _BEARER.fullmatch(header or "")
    account = session.get(ServiceAccount, int(found[1])) if found else None
    expected = account.secret_sha256 if account else bytes(32)
    right = hmac.compare_digest(expected, _digest(found[2] if found else ""))
    if (
        account is None
        or not right
        or account.revoked_ms is not None
        or account.expires_ms <= now_ms
    ):
        raise Problem(
            401, "account-refused", "帐号未知、已停用或已过期",
            "no such account, revoked, or expired: ask the platform's staff for a new token",
        )  # fmt: skip
    if scope not in account.scopes:
        raise Problem(
            403, "scope-missing", f"此帐号没有权限 {scope}",
            f"this account lacks the scope {scope}", scope=str(scope),
        )  # fmt: skip
    if account.seen_ms is None or now_ms - account.seen_ms >= SEEN_EVERY_MS:
        account.seen_ms = now_ms
    return account


def reach_of(account: ServiceAccount) -> Reach:
    """Return of which part of the whole an account reads."""
    kind, ref = account.within_kind, account.within_ref
    if kind == SITE:
        return Reach(sites=frozenset({int(ref)}))
    if kind == ORGANISATION:
        return Reach(organisations=frozenset({int(ref)}))
    if kind == REGION:
        return Reach(regions=frozenset({ref}))
    return Reach(everywhere=kind == ALL)


def _check_part(session: Session, part: Part) -> None:
    if part.kind == REGION:
        regions.find(session, part.ref)
    elif part.kind in (SITE, ORGANISATION) and part.ref.isascii() and part.ref.isdigit():
        if part.kind == SITE:
            find_site(session, int(part.ref))
        else:
            organisations.find(session, int(part.ref))
    elif part != EVERYTHING:
        raise Refused(
            "within", "范围须为 all、region、organisation 或 site",
            "an account is within all, a region, an organisation or a site",
        )  # fmt: skip


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
