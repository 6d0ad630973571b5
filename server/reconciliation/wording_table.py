# SPDX-License-Identifier: Apache-2.0
"""What an entry of the exception queue says, rule by rule, in Chinese and English."""

from __future__ import annotations

DETAILS: dict[int, tuple[str, str]] = {
    3: ("终端同一序号出现两份内容，已隔离", "the terminal signed one number twice; quarantined"),
    10: ("有签退，没有签到", "a tap-out without a tap-in"),
    11: ("签退之后又签退，仅作旁证", "one more tap-out after the tap-out: evidence only"),
    12: (
        "忘记签退，活动已结束；批准后才计时",
        "no tap-out by the planned end; counts once approved",
    ),
    13: ("没有签退，也没有计划时间", "no tap-out and no planned end"),
    19: ("在两个不同类活动的地点签到签退", "in and out at two sites of different kinds"),
    20: ("与本人另一段时间重叠", "overlaps another service of the same person"),
    21: ("两地之间不可能这样快到达", "nobody gets from one place to the other so fast"),
    27: ("终端时钟无法确认，暂不计时", "the terminal's clock is not confirmed yet; held"),
    28: ("卡计数有缺口，之前的刷卡尚未到达", "the card counted a tap that has not arrived"),
    29: ("两次不同的有效刷卡用了同一计数：疑似复制卡", "two valid taps with one counter: a clone"),
    30: ("卡的证明不正确，不计时", "the card's proof is wrong; not credited"),
    31: ("终端签名不正确；卡证明有效", "the terminal's signature is wrong, the card's proof right"),
    32: ("没有卡的证明", "no proof of a card"),
    33: ("挂失卡刷卡：照记不计", "a reported-lost card: recorded, not credited"),
    34: ("卡已挂失，终端当时不知道", "the card was revoked; the terminal did not know yet"),
    36: ("闪卡未补全", "a torn tap that nothing completed"),
    37: ("来自卡内日志的刷卡，原终端已失", "a tap from the card's log; its terminal is lost"),
    38: ("超过最长班次，按上限计", "longer than the longest shift; capped"),
    42: ("手工录入的时间，须批准", "time entered by hand; counts once approved"),
    43: ("第二张卡", "a second card of the same person"),
    52: ("未满十四岁，没有监护人确认", "under fourteen without a guardian's word"),
    53: ("卡计数与时间的先后矛盾", "the card's counter and the time disagree"),
    54: ("PSAM 交易序号不对", "the PSAM's numbers do not rise"),
    57: ("终端注销之后才收到", "arrived after its terminal was revoked"),
    59: ("卡已过期", "the card has expired"),
}
# What a rule means in an explanation, where the queue has no words for it.
MEANINGS: dict[int, tuple[str, str]] = {
    1: ("签到与签退成对", "a tap-in and a tap-out"),
    2: ("同一记录只计一次", "the same record counts once"),
    4: ("终端有记录未到，最高 B 级", "records of the terminal are missing: B at most"),
    5: ("一分钟内重复刷卡", "a double tap within a minute"),
    6: ("一分钟内另一终端签退，不计", "out again at once elsewhere: no interval"),
    7: ("不足最短时间，不计", "shorter than the least time: not credited"),
    8: ("签到之后又签到", "another tap-in after the tap-in"),
    9: ("上次没有签退", "the tap-out of the time before is missing"),
    14: ("按申请计入，C 级", "credited on request, grade C"),
    15: ("签退后来到达，取代推定结束", "the tap-out arrived later and replaced the end"),
    17: ("跨零点，归入签到那天", "across midnight: of the day of the tap-in"),
    22: ("转换活动", "a switch of activities"),
    24: ("时钟在误差内校正", "the clock was corrected within its uncertainty"),
    25: ("时钟跳变，以运行时间为准", "the clock had jumped; running time decided"),
    26: ("时钟未知，由回执界定", "the clock was unknown; receipts bound it"),
    35: ("闪卡，后来取回证明", "a torn tap whose proof was fetched later"),
    39: ("按规定扣除休息", "the break was taken off"),
    40: ("按计划时间或取整计算", "planned hours or rounding applied"),
    41: ("经更正", "corrected by a leader"),
    45: ("负责人代刷", "tapped by the leader"),
    50: ("在场不足规定比例", "present for too small a part of the plan"),
    51: ("手机码签到", "by phone"),
    55: ("时间界限过宽，最高 B 级", "time is bounded too widely: B at most"),
    56: ("同一次刷卡的两份记录", "two records of one tap"),
}
OTHER = ("需要核实", "needs a look")


def detail(rule: int) -> tuple[str, str]:
    """Return the words of a rule's entries, Chinese and English.

    >>> detail(10)
    ('有签退，没有签到', 'a tap-out without a tap-in')
    """
    return DETAILS.get(rule, OTHER)


def meaning(rule: int) -> tuple[str, str]:
    """Return what a rule means in an explanation, Chinese and English.

    >>> meaning(17)
    ('跨零点，归入签到那天', 'across midnight: of the day of the tap-in')
    """
    return MEANINGS.get(rule) or DETAILS.get(rule, OTHER)
