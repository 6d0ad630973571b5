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
    20: ("与本人另一段时间重叠", "overlaps another service of the same person"),
    27: ("终端时钟无法确认，暂不计时", "the terminal's clock is not confirmed yet; held"),
    28: ("卡计数有缺口，之前的刷卡尚未到达", "the card counted a tap that has not arrived"),
    29: ("两次不同的有效刷卡用了同一计数：疑似复制卡", "two valid taps with one counter: a clone"),
    30: ("卡的证明不正确，不计时", "the card's proof is wrong; not credited"),
    31: ("终端签名不正确；卡证明有效", "the terminal's signature is wrong, the card's proof right"),
    32: ("没有卡的证明", "no proof of a card"),
    33: ("挂失卡刷卡：照记不计", "a reported-lost card: recorded, not credited"),
    34: ("卡已挂失，终端当时不知道", "the card was revoked; the terminal did not know yet"),
    36: ("闪卡未补全", "a torn tap that nothing completed"),
    38: ("超过最长班次，按上限计", "longer than the longest shift; capped"),
    43: ("第二张卡", "a second card of the same person"),
    52: ("未满十四岁，没有监护人确认", "under fourteen without a guardian's word"),
    53: ("卡计数与时间的先后矛盾", "the card's counter and the time disagree"),
    54: ("PSAM 交易序号不对", "the PSAM's numbers do not rise"),
    59: ("卡已过期", "the card has expired"),
}
OTHER = ("需要核实", "needs a look")


def detail(rule: int) -> tuple[str, str]:
    """Return the words of a rule's entries, Chinese and English.

    >>> detail(10)
    ('有签退，没有签到', 'a tap-out without a tap-in')
    """
    return DETAILS.get(rule, OTHER)
