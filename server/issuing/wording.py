# SPDX-License-Identifier: Apache-2.0
"""What the codes of results, states, events and due dates are called in both languages."""

from __future__ import annotations

from dataclasses import dataclass

APPLIED, REPEATED = "applied", "repeated"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an event: a stable code, and one sentence in each language.

    `state` is that of the order afterwards, "" when there is no such order.
    """

    code: str
    zh: str
    en: str
    state: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether the event holds: now, or because it was applied before."""
        return self.code in (APPLIED, REPEATED)


CODES: dict[str, tuple[str, str]] = {
    APPLIED: ("已处理", "applied"),
    REPEATED: ("此前已处理", "applied before"),
    "unknown-order": ("没有这个制卡单", "there is no such order"),
    "foreign-partner": ("不是该合作方的制卡单", "the order belongs to another partner"),
    "unknown-event": ("没有这种事件", "there is no such event"),
    "wrong-source": ("此事件不能由该来源提出", "this event cannot come from there"),
    "not-following": ("状态不能这样变化", "this does not follow from the state of the order"),
    "future-dated": ("发生时间晚于现在", "it is dated in the future"),
    "card-serial": ("卡序列号须为 20 位数字", "a card serial has 20 digits"),
    "asn-taken": ("卡序列号已被使用", "the card serial is taken"),
    "no-vest": ("此单没有马甲", "no vest goes with this order"),
    "replacement-ordered": ("已在补办新卡", "a replacement is ordered already"),
}

STATE_NAMES: dict[str, tuple[str, str]] = {
    "ordered": ("待制卡", "to order"),
    "exported": ("制卡中", "being made"),
    "correction": ("退回待更正", "to correct"),
    "produced": ("已制成", "made"),
    "audited": ("已审核", "audited"),
    "arrived": ("已到网点", "at the branch"),
    "announced": ("已通知领取", "holder told"),
    "collected": ("已领取", "collected"),
    "active": ("使用中", "active"),
    "suspended": ("已暂停", "suspended"),
    "lost": ("已挂失", "lost"),
    "damaged": ("已损坏", "damaged"),
    "expired": ("已到期", "expired"),
    "replaced": ("已换卡", "replaced"),
    "cut_closed": ("已剪卡销户", "cut and closed"),
    "cancelled": ("已取消", "cancelled"),
}
EVENT_NAMES: dict[str, tuple[str, str]] = {
    "ordered": ("申请制卡", "ordered"),
    "exported": ("导出制卡", "exported"),
    "withdrawn": ("撤回制卡文件", "file withdrawn"),
    "rejected": ("银行退回", "rejected"),
    "corrected": ("已更正", "corrected"),
    "produced": ("制成", "made"),
    "audited": ("审核通过", "audited"),
    "arrived": ("到达网点", "arrived"),
    "announced": ("通知领取", "holder told"),
    "collected": ("领取", "collected"),
    "activated": ("启用", "activated"),
    "suspended": ("暂停", "suspended"),
    "resumed": ("恢复", "resumed"),
    "lost": ("挂失", "reported lost"),
    "found": ("解挂", "found"),
    "damaged": ("报损", "reported damaged"),
    "expired": ("到期", "expired"),
    "replaced": ("被新卡替换", "replaced"),
    "cut_closed": ("剪卡销户", "cut and closed"),
    "cancelled": ("取消", "cancelled"),
    "deregistered": ("注销义工", "deregistered"),
    "reissue_requested": ("申请补办", "reissue asked for"),
}
DUE_NAMES: dict[str, tuple[str, str]] = {
    "make_overdue": ("制卡超期", "not made in time"),
    "notice_overdue": ("通知超期", "holder not told in time"),
    "reminder_60": ("还剩 60 天", "60 days left"),
    "reminder_30": ("还剩 30 天", "30 days left"),
    "reminder_7": ("还剩 7 天", "7 days left"),
    "call": ("电话通知", "to be telephoned"),
    "branch_overdue": ("逾期未领", "not collected in time"),
    "cut_told": ("告知剪卡销户", "told of cut and close"),
    "expiring": ("即将到期", "expires soon"),
}


def result(code: str, state: str = "") -> Result:
    """Return the result of a code.

    >>> result("repeated", "arrived").en
    'applied before'
    """
    zh, en = CODES[code]
    return Result(code, zh, en, state)
