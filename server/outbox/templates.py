# SPDX-License-Identifier: Apache-2.0
"""What is said to people, in Chinese and English; a template names what it must be given.

A short message carries both languages when both fit; else the Chinese one.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

from server.errors import Refused

VALUE_MAX = 100  # of one parameter: a branch's name is the longest
# Three linked short messages of 67 UCS-2 characters: what every network still joins.
SMS_MAX = 201
SIGN = "【义卡】"


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of message."""

    zh: str
    en: str

    @property
    def fields(self) -> frozenset[str]:
        """Return the parameters that the two texts name."""
        parsed = string.Formatter().parse(self.zh + self.en)
        return frozenset(name for _, name, _, _ in parsed if name)


TEMPLATES = {
    "application.received": Template(
        "已收到您的义工申请，预备义工号 {number}。",
        "Your application is received; preliminary number {number}.",
    ),
    "application.approved": Template(
        "恭喜您成为正式义工，义工号 {number}。",
        "You are a volunteer now; your number is {number}.",
    ),
    "application.rejected": Template(
        "您的义工申请未获通过：{reason}。可补充后重新提交。",
        "Your application was not approved: {reason}. You may complete it and apply again.",
    ),
    "card.arrived": Template(
        "您的义工证已到{branch}，请在 {until} 前持身份证件领取。",
        "Your volunteer card is at {branch}; collect it with your document by {until}.",
    ),
    "card.reminder": Template(
        "您的义工证仍在{branch}，{until} 后将剪卡销户。",
        "Your volunteer card still waits at {branch}; after {until} it is cut and closed.",
    ),
    "card.uncollected": Template(
        "{name} 的义工证逾期未领，请于 {until} 前到{branch}领取。",
        "The card of {name} was not collected; please come to {branch} by {until}.",
    ),
    "card.cut_closed": Template(
        "您的义工证逾期未领，已剪卡销户。服务记录不受影响。",
        "Your card was not collected and is cut and closed. Your service record is untouched.",
    ),
    "card.lost": Template(
        "您的义工证已挂失，在终端上不再有效。",
        "Your volunteer card is reported lost; terminals refuse it.",
    ),
    "card.expiring": Template(
        "您的义工证将于 {until} 到期，换证免费。",
        "Your volunteer card ends on {until}; the new one is free.",
    ),
    "hours.due": Template(
        "{day} 的服务缺少签退，请在 {until} 前补报。",
        "Your service of {day} lacks a tap-out; report it by {until}.",
    ),
}


def checked(kind: str, params: Mapping[str, str]) -> Template:
    """Return the template of a kind, given exactly the parameters that it names.

    Raises:
        Refused: there is no such kind, or a parameter is missing, unknown, long or unprintable.
    """
    template = TEMPLATES.get(kind)
    if template is None:
        raise Refused("unknown-message", "没有这种消息", f"no message of kind {kind!r}")
    if wrong := template.fields ^ params.keys():
        named = ", ".join(sorted(wrong))
        raise Refused("message-fields", f"{kind} 的参数不符：{named}", f"{kind}: check {named}")
    for name, value in params.items():
        if not 0 < len(value) <= VALUE_MAX or not value.isprintable():
            raise Refused(
                "message-value",
                f"{kind} 的参数 {name} 不合规",
                f"{kind}: {name} is not 1 to {VALUE_MAX} printable characters",
            )
    return template


def text(kind: str, params: Mapping[str, str]) -> str:
    """Write a message out.

    >>> text("card.lost", {})
    '【义卡】您的义工证已挂失，在终端上不再有效。 Your volunteer card is reported lost; terminals refuse it.'
    """  # noqa: E501 - the message is one line
    template = checked(kind, params)
    zh, en = template.zh.format_map(params), template.en.format_map(params)
    both = f"{SIGN}{zh} {en}"
    return both if len(both) <= SMS_MAX else f"{SIGN}{zh}"[:SMS_MAX]
