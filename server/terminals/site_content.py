# SPDX-License-Identifier: Apache-2.0
"""The JSON of a terminal's configuration: what its site plans, who may sign on, what to show."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.terminals import policy, site_settings
from server.terminals.models import Activity, Site, SiteMessage, SiteOperator, Terminal
from swipe.notices import RULE_BOUNDS, bounded

# The terminal shows activities on four lines; more than this nobody scrolls through.
ACTIVITIES_MAX = 200
# Somebody may tap out late; a week after its end nobody chooses an activity any more.
ACTIVITY_AFTER_MS = 7 * 24 * 3_600_000
# The first two of the ten bytes of a serial are the issuer's prefix; cards are told by the rest.
ASN8_FROM_DIGIT = 4


def content(session: Session, terminal: Terminal, version: int, now_ms: int) -> bytes:
    """Return the configuration of a terminal as UTF-8 JSON."""
    site = session.get_one(Site, terminal.site_id)
    document = {
        "version": version,
        "expires": (now_ms + policy.NOTICE_LIFETIME_MS) // 1000,
        "terminal": {"id": terminal.id, "name": terminal.name},
        "site": {
            "id": site.id,
            "name_zh": site.name_zh,
            "name_en": site.name_en,
            "tz_q": site.tz_q,
        },
        "activity_choice": terminal.activity_choice,
        "fixed_activity": terminal.fixed_activity or 0,
        "activities": _activities(session, terminal, now_ms),
        "operators": [_operator(who) for who in site_settings.operators(session, site.id)],
        "messages": [
            _message(message) for message in site_settings.messages(session, site.id, now_ms)
        ],
        "params": _rules(site.rules),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _activities(session: Session, terminal: Terminal, now_ms: int) -> list[dict[str, Any]]:
    """Return the newest activities of the site, and the terminal's fixed one among them.

    All of them are approved; those called off and those long over are left out.
    """
    fixed = Activity.id == (terminal.fixed_activity or 0)
    current = sa.and_(Activity.cancelled_ms.is_(None), Activity.end_ms > now_ms - ACTIVITY_AFTER_MS)
    statement = (
        sa.select(Activity)
        .where(Activity.site_id == terminal.site_id, sa.or_(fixed, current))
        .order_by(
            fixed.desc(),
            Activity.start_ms.desc(),
            Activity.id,
        )
        .limit(ACTIVITIES_MAX)
    )
    families = _families(session, terminal.site_id)
    found = sorted(session.scalars(statement), key=lambda a: (a.start_ms, a.id))
    return [
        {
            "id": activity.id,
            "code": activity.code,
            "name_zh": activity.name_zh,
            "name_en": activity.name_en,
            "start": activity.start_ms // 1000,
            "end": activity.end_ms // 1000,
            "family": families[activity.family],
            "planned_min": activity.planned_min,
            "minors": activity.minors,
        }
        for activity in found
    ]


def _families(session: Session, site_id: int) -> dict[str, int]:
    """Number the families of a site by their first activity: the same at every version."""
    statement = (
        sa.select(Activity.family, sa.func.min(Activity.id))
        .where(Activity.site_id == site_id)
        .group_by(Activity.family)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def _rules(rules: dict[str, Any]) -> dict[str, Any]:
    """Return a site's rules; what was set while the bounds were wider counts as the bound."""
    return {
        name: bounded(name, value) if name in RULE_BOUNDS else value
        for name, value in rules.items()
    }


def _operator(operator: SiteOperator) -> dict[str, Any]:
    asn8 = operator.asn[ASN8_FROM_DIGIT:]
    return {"asn8": asn8, "name": operator.name, "role": operator.role, "pin": operator.pin}


def _message(message: SiteMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "zh": message.zh,
        "en": message.en,
        "from": message.from_ms // 1000,
        "until": message.until_ms // 1000,
    }
