# SPDX-License-Identifier: Apache-2.0
"""What staff set for applications: the figures of the rules, versions of what people accept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.applications.models import Acceptance, AgreementText, ApplicationRule
from server.applications.policy import LIMITS, Agreement, Rules, rules_of
from server.errors import Refused
from server.people import audit

TEXT_LENGTH_MAX = 100_000  # the longest by-laws have some ten thousand characters


@dataclass(frozen=True, slots=True)
class By:
    """Who sets something, when, and why."""

    actor: str
    now_ms: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NewText:
    """The words of a new version."""

    kind: Agreement
    title_zh: str
    title_en: str
    text_zh: str
    text_en: str


def current_rules(session: Session) -> Rules:
    """Return the rules as they are now."""
    newest = sa.select(sa.func.max(ApplicationRule.id)).group_by(ApplicationRule.name)
    rows = session.execute(
        sa.select(ApplicationRule.name, ApplicationRule.value).where(ApplicationRule.id.in_(newest))
    )
    return rules_of(dict(iter(rows)))


def set_rules(session: Session, settings: Mapping[str, int], by: By) -> Rules:
    """Set figures of the rules from now on; what was approved before stays approved.

    Raises:
        Refused: a name is unknown or a value beyond its limits.
    """
    for name, value in settings.items():
        low, high = LIMITS.get(name, (1, 0))
        if not low <= value <= high:
            known = ", ".join(f"{key} {least}–{most}" for key, (least, most) in LIMITS.items())
            raise Refused("setting", f"参数不对：{name}", f"{name}={value}: use {known}")
        session.add(
            ApplicationRule(
                name=name, value=value, actor=by.actor, reason=by.reason[:200], at_ms=by.now_ms
            )
        )
    session.flush()
    audit.record(
        session, by.now_ms, by.actor, "application-rule.set", "application-rule",
        settings=dict(settings), reason=by.reason,
    )  # fmt: skip
    return current_rules(session)


def current_texts(session: Session) -> list[AgreementText]:
    """Return the present version of everything that applicants accept, in its order."""
    newest = (
        sa.select(AgreementText.kind, sa.func.max(AgreementText.version).label("version"))
        .group_by(AgreementText.kind)
        .subquery()
    )
    rows = session.scalars(
        sa.select(AgreementText).join(
            newest,
            sa.and_(newest.c.kind == AgreementText.kind, newest.c.version == AgreementText.version),
        )
    )
    order = list(Agreement)
    return sorted(rows, key=lambda row: order.index(Agreement(row.kind)))


def add_text(session: Session, new: NewText, by: By) -> AgreementText:
    """Publish a new version; everybody is asked to accept it, applicants before approval.

    Raises:
        Refused: a text is missing or too long.
    """
    texts = (new.title_zh, new.title_en, new.text_zh, new.text_en)
    if not all(0 < len(text.strip()) <= TEXT_LENGTH_MAX for text in texts):
        raise Refused(
            "agreement-text",
            "标题和正文中英文都要填写",
            "titles and texts are needed in both languages",
        )
    before = sa.select(sa.func.max(AgreementText.version)).where(AgreementText.kind == new.kind)
    made = AgreementText(
        kind=new.kind, version=(session.scalar(before) or 0) + 1, title_zh=new.title_zh.strip(),
        title_en=new.title_en.strip(), text_zh=new.text_zh.strip(), text_en=new.text_en.strip(),
        from_ms=by.now_ms, actor=by.actor,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(
        session, by.now_ms, by.actor, "agreement.published", f"agreement:{new.kind}",
        version=made.version,
    )  # fmt: skip
    return made


def current_versions(session: Session) -> dict[Agreement, int]:
    """Return the present version of each agreement."""
    rows = session.execute(
        sa.select(AgreementText.kind, sa.func.max(AgreementText.version)).group_by(
            AgreementText.kind
        )
    )
    return {Agreement(kind): version for kind, version in rows}


def missing_agreements(session: Session, volunteer_id: int) -> tuple[Agreement, ...]:
    """Return what somebody has not accepted in its present version: what to ask for again."""
    rows = session.execute(
        sa.select(Acceptance.kind, sa.func.max(Acceptance.version))
        .where(Acceptance.volunteer_id == volunteer_id)
        .group_by(Acceptance.kind)
    )
    accepted: dict[str, int] = dict(iter(rows))
    wanted = current_versions(session)
    return tuple(kind for kind in Agreement if accepted.get(kind, 0) < wanted.get(kind, 0))


def accept(
    session: Session,
    volunteer_id: int,
    versions: Mapping[Agreement, int],
    channel: str,
    by: By,
) -> int:
    """Note what somebody accepts, in the present versions only; return how many were new.

    Raises:
        Refused: a version is not the present one: the words changed while they were read.
    """
    wanted = current_versions(session)
    for kind, version in versions.items():
        if wanted.get(kind) != version:
            raise Refused(
                "agreement-version",
                "条款已更新，请重新阅读并接受",
                f"there is another version of {kind} now: read and accept it again",
            )
    missing = set(missing_agreements(session, volunteer_id))
    fresh = [kind for kind in Agreement if kind in versions and kind in missing]
    session.add_all(
        Acceptance(
            volunteer_id=volunteer_id, kind=kind, version=versions[kind], at_ms=by.now_ms,
            channel=channel, actor=by.actor,
        )
        for kind in fresh
    )  # fmt: skip
    session.flush()
    return len(fresh)
