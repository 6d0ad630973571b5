# SPDX-License-Identifier: Apache-2.0
"""Roles and rights as data: what each role may do, and over what a role may be given.

What a role is not given here it may not do. To change what a role may, change this table and
nothing else; the pages, the commands and the tests read it.
"""

from __future__ import annotations

OWN = frozenset({"own.read", "own.write"})
RIGHTS = {
    "activities.apply": "申请活动 · apply for activities",
    "activities.approve": "审批活动 · approve, refuse and cancel activities",
    "activities.read": "查看活动 · see activities",
    "applications.capture": "代录申请 · take down an application for somebody",
    "applications.decide": "审批入会申请 · decide on volunteers' applications",
    "applications.import": "导入申请 · import applications",
    "applications.read": "查看申请 · see applications",
    "audit.read": "查看审计 · read the audit trail",
    "bank.export": "导出银行文件 · make files for a partner",
    "bank.import": "导入银行文件 · take in a partner's files",
    "bank.read": "查看银行文件 · see files and their lines",
    "bank.resolve": "处理银行差错 · settle lines that were refused",
    "benefits.export": "导出权益 · export benefits",
    "benefits.read": "查看权益 · see benefits",
    "cards.block": "挂失与停用 · report lost, block",
    "cards.bulk": "批量制卡 · bulk actions on cards",
    "cards.order": "申请制卡 · order cards",
    "cards.read": "查看卡 · see cards and their history",
    "cards.replace": "换卡 · replace cards",
    "desk.operate": "发卡台 · work with a card at the desk",
    "hours.decide": "认定时长 · settle exceptions and requests",
    "hours.read": "查看时长 · see people's hours",
    "outbox.read": "查看通知 · see messages and their state",
    "outbox.retry": "重发通知 · send a message again",
    "reports.read": "查看报表 · read statistics",
    "sessions.end": "结束他人会话 · end other people's sessions",
    "sites.read": "查看服务点 · see a site and who is on duty",
    "structure.read": "查看组织架构 · see regions, organisations, memberships",
    "structure.write": "维护组织架构 · change organisations, sites' places, sub-sites",
    "terminals.read": "查看终端 · see terminals",
    "users.grant": "授权 · give and take roles",
    "volunteers.read": "查询义工 · look volunteers up",
    "own.read": "本人信息 · one's own pages",
    "own.write": "本人请求 · one's own requests",
}  # fmt: skip

_READ = frozenset(right for right in RIGHTS if right.endswith(".read")) - OWN
_APPLICATIONS = frozenset(right for right in RIGHTS if right.startswith("applications."))
_BANK = frozenset(right for right in RIGHTS if right.startswith("bank."))
_CARDS = frozenset(right for right in RIGHTS if right.startswith("cards."))

MATRIX: dict[str, frozenset[str]] = {
    "volunteer": OWN,
    "leader": frozenset(
        {"activities.apply", "activities.read", "hours.decide", "hours.read", "sites.read"}
    ),
    "staff": _APPLICATIONS | _BANK | _CARDS | {
        "activities.approve", "activities.read", "benefits.export", "benefits.read",
        "desk.operate", "hours.read", "outbox.read", "outbox.retry", "reports.read",
        "structure.read", "structure.write", "terminals.read", "volunteers.read",
    },
    "org_manager": frozenset({
        "activities.apply", "activities.read", "applications.capture", "applications.decide",
        "applications.read", "hours.decide", "hours.read", "reports.read", "sites.read",
        "structure.read", "volunteers.read",
    }),
    "region_manager": _APPLICATIONS | {
        "activities.approve", "activities.read", "benefits.read", "cards.read", "hours.read",
        "outbox.read", "reports.read", "sites.read", "structure.read", "structure.write",
        "terminals.read", "volunteers.read",
    },
    "call_centre": frozenset({
        "applications.capture", "applications.read", "cards.block", "cards.read",
        "hours.read", "volunteers.read",
    }),
    "partner": frozenset({"bank.export", "bank.import", "bank.read"}),
    "auditor": _READ,
    "admin": frozenset(RIGHTS) - OWN,
}  # fmt: skip

# Over what a role can be given: a leader leads sites, a partner sees its own files only.
SCOPES_OF: dict[str, frozenset[str]] = {
    "volunteer": frozenset(),
    "leader": frozenset({"site"}),
    "staff": frozenset({"all", "region", "organisation"}),
    "org_manager": frozenset({"organisation"}),
    "region_manager": frozenset({"region"}),
    "call_centre": frozenset({"all", "region"}),
    "partner": frozenset({"partner"}),
    "auditor": frozenset({"all", "region", "organisation"}),
    "admin": frozenset({"all"}),
}
