# SPDX-License-Identifier: Apache-2.0
"""The words of the display: Chinese and English, whom to ask, light, tone and code.

Every line fits 20 columns, every character is in GB 2312. Refusals share one low tone, "read
again" has another, and only a record that could not be saved sounds the siren.
"""

from __future__ import annotations

from dataclasses import dataclass

from terminal.modes.policy import Stage
from terminal.modes.sheet_policy import Slot
from terminal.policy import Mode, Say


@dataclass(frozen=True, slots=True)
class Sheet:
    """Four lines: what, what in English, advice, advice in English (16 columns, then the code)."""

    zh: str
    en: str
    advice_zh: str
    advice_en: str
    led: str
    tone: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class AcceptedWords:
    """The fixed parts of an accepted tap: title on the left of line 1, parting on line 4."""

    title: str
    parting: str
    led: str
    tone: str


MODE_WORDS = {
    Mode.AUTO: ("自动", "AUTO"),
    Mode.IN: ("签到", "IN"),
    Mode.OUT: ("签退", "OUT"),
    Mode.TRAINING: ("培训", "TRAINING"),
}

ACCEPTED_WORDS = {
    Say.IN: AcceptedWords("签到 IN", "离开请再刷 TAP TO GO", "g", "i"),
    Say.OUT: AcceptedWords("签退 OUT", "谢谢 THANK YOU", "G", "o"),
    Say.SWITCHED: AcceptedWords("切换 SWITCH", "离开请再刷 TAP TO GO", "g", "i"),
    Say.RECORDED: AcceptedWords("已记 RECORDED", "离开请再刷 TAP TO GO", "g", "i"),
    Say.GUARDED: AcceptedWords("已签到 IN", "监护已记 GUARDIAN OK", "g", "d"),
    Say.TRAINING: AcceptedWords("培训 TRAINING", "不计时长 NOT COUNTED", "a", "i"),
    Say.GUARDIAN: AcceptedWords("监护 GUARDIAN", "请孩子刷卡 CHILD TAP", "g", "i"),
}

SHEETS = {
    Say.HOTLISTED: Sheet(
        "此卡已挂失", "CARD REPORTED LOST", "已记录 请找站长", "SEE THE LEADER", "r", "x", "E01"
    ),
    Say.EXPIRED: Sheet(
        "此卡已过期", "CARD EXPIRED", "已记录 请找站长", "SEE THE LEADER", "r", "x", "E02"
    ),
    Say.FOREIGN: Sheet(
        "不是本系统的义工证", "NOT OUR CARD", "请刷义工证", "USE YOUR CARD", "r", "x", "E03"
    ),
    Say.MINOR_ALONE: Sheet(
        "已记录",
        "GUARDIAN NEEDED",
        "按4后请监护人刷卡",
        "KEY 4, THEN TAP",
        "a",
        "i",
        "E05",
    ),
    Say.NO_GUARDIAN: Sheet(
        "须成年监护人刷卡",
        "ADULT'S CARD PLEASE",
        "孩子随后再刷",
        "CHILD TAPS AFTER",
        "a",
        "a",
        "E35",
    ),
    Say.NO_ACTIVITY: Sheet(
        "现在没有活动", "NO ACTIVITY NOW", "请找站长", "SEE THE LEADER", "r", "x", "E06"
    ),
    Say.NOT_YET_VALID: Sheet(
        "此卡尚未生效", "CARD NOT VALID YET", "请找站长", "SEE THE LEADER", "r", "x", "E07"
    ),
    Say.CARD_BLOCKED: Sheet(
        "此卡已停用", "CARD BLOCKED", "请到服务台换卡", "GO TO THE DESK", "r", "x", "E08"
    ),
    Say.PSAM_FAILED: Sheet(
        "终端密钥模块故障",
        "KEY MODULE FAILED",
        "已记录 请找站长",
        "SEE THE LEADER",
        "r",
        "x",
        "E09",
    ),
    Say.NO_OPEN_SERVICE: Sheet(
        "服务未开始", "SERVICE NOT OPEN", "请站长按1开始", "LEADER: PRESS 1", "r", "x", "E10"
    ),
    Say.NOT_GENUINE: Sheet(
        "卡未通过验证", "CARD NOT GENUINE", "请找站长", "SEE THE LEADER", "r", "x", "E11"
    ),
    Say.TO_CHECK: Sheet(
        "已记录 待核验", "RECORDED, TO CHECK", "请找站长", "SEE THE LEADER", "a", "a", "E34"
    ),
    Say.BLANK: Sheet(
        "空白卡 尚未制卡", "BLANK CARD", "请到服务台制卡", "GO TO THE DESK", "r", "x", "E12"
    ),
    Say.MUTE: Sheet(
        "卡没有应答", "CARD DOES NOT ANSWER", "请重刷或换卡", "TRY AGAIN", "R", "a", "E13"
    ),
    Say.CARD_FAULT: Sheet(
        "卡出错", "CARD ERROR", "请重刷 不行找服务台", "OR SEE THE DESK", "R", "a", "E14"
    ),
    Say.WORN_OUT: Sheet(
        "卡的次数已用完", "CARD IS USED UP", "请到服务台换卡", "GO TO THE DESK", "r", "x", "E15"
    ),
    Say.AGAIN: Sheet(
        "没读到 再刷一次", "NOT READ - AGAIN", "请勿提前移开", "HOLD IT LONGER", "R", "a", "E16"
    ),
    Say.NOT_SAVED: Sheet(
        "未保存", "NOT SAVED", "存储故障 请找站长", "SEE THE LEADER", "R", "s", "E20"
    ),
    Say.NO_READER: Sheet(
        "读卡器未连接", "NO CARD READER", "请检查连线", "CHECK THE CABLE", "r", "n", "E21"
    ),
    Say.NO_SERVICE: Sheet(
        "读卡服务未运行", "READER SERVICE DOWN", "自动重试 请稍候", "RETRYING", "r", "n", "E22"
    ),
    Say.NO_OPERATOR: Sheet(
        "请操作员先签到", "NO OPERATOR YET", "已记录 请找站长", "SEE THE LEADER", "r", "x", "E17"
    ),
    Say.SIGN_ON_FIRST: Sheet(
        "请先签到操作员", "SIGN ON FIRST", "按7刷操作员卡", "KEY 7, THEN CARD", "a", "a", "E18"
    ),
    Say.WRONG_PIN: Sheet("密码错误", "WRONG PIN", "再按7重试", "KEY 7, TRY AGAIN", "a", "a", "E19"),
    Say.PIN_LOCKED: Sheet(
        "密码已锁定", "PIN LOCKED", "15分钟后再试", "WAIT 15 MINUTES", "r", "x", "E23"
    ),
    Say.NO_PIN: Sheet(
        "此卡未设密码", "NO PIN SET", "请找管理员", "ASK THE OFFICE", "a", "a", "E24"
    ),
    Say.NO_SUCH_CODE: Sheet(
        "没有此活动代码", "NO SUCH CODE", "请查活动表", "SEE THE LIST", "a", "a", "E25"
    ),
    Say.BAD_ENTRY: Sheet("输入有误", "BAD ENTRY", "请重新输入", "TYPE IT AGAIN", "a", "a", "E26"),
    Say.NO_PRINTER: Sheet("打印机不可用", "NO PRINTER", "刷卡照常", "TAPS GO ON", "a", "a", "E27"),
    Say.CODE_FOREIGN: Sheet(
        "不是本系统的二维码", "NOT OUR CODE", "请打开电子义工证", "OPEN YOUR PAGE", "r", "x", "E31"
    ),
    Say.CODE_STALE: Sheet(
        "二维码已过期", "CODE EXPIRED", "请刷新手机页面", "RELOAD THE PAGE", "R", "a", "E32"
    ),
    Say.CODE_USED: Sheet(
        "二维码已用过", "CODE ALREADY USED", "请刷新手机页面", "RELOAD THE PAGE", "r", "x", "E33"
    ),
    Say.EXPORT_FAILED: Sheet(
        "导出失败", "EXPORT FAILED", "请检查U盘", "CHECK THE STICK", "a", "a", "E28"
    ),
    Say.NO_CODE_HERE: Sheet(
        "活动已固定", "ACTIVITY IS FIXED", "无需输入代码", "NO CODE NEEDED", "a", "a"
    ),
    Say.ACTIVITY_CHOSEN: Sheet("已选活动", "ACTIVITY CHOSEN", "", "", "w", "k"),
    Say.SIGNED_ON: Sheet("操作员已签到", "OPERATOR SIGNED ON", "", "", "g", "k"),
    Say.SIGNED_OFF: Sheet("操作员已签退", "SIGNED OFF", "谢谢", "THANK YOU", "w", "k"),
    Say.SHEET_SAVED: Sheet("已补录", "SHEET RECORDED", "待审核", "AWAITS APPROVAL", "g", "k"),
    Say.SHEET_TWICE: Sheet(
        "刚才已补录", "ENTERED ALREADY", "同一张单不重复", "NOT TWICE", "a", "d"
    ),
    Say.SHEET_PRACTISED: Sheet(
        "培训 TRAINING", "SHEET NOT RECORDED", "练习完成 未补录", "PRACTICE ONLY", "a", "k"
    ),
    Say.LEFT: Sheet("已退出", "LEFT", "", "", "w", "k"),
    Say.GROUP_CLOSED: Sheet("监护组已结束", "GROUP CLOSED", "", "", "w", "k"),
    Say.PRINTED: Sheet("已送打印", "PRINTING", "", "", "w", "k"),
    Say.EXPORTING: Sheet("正在导出到U盘", "EXPORTING", "照常刷卡", "TAPS GO ON", "w", "k"),
    Say.EXPORTED: Sheet(
        "已导出到U盘", "EXPORTED TO USB", "请取出U盘", "REMOVE THE STICK", "g", "k"
    ),
    Say.VOLUME: Sheet("音量已设", "VOLUME SET", "", "", "w", "i"),
    Say.ASK_OFFICE: Sheet(
        "停用须由管理员办理", "RETIRED BY OFFICE", "请联系管理员", "ASK THE OFFICE", "a", "a"
    ),
    Say.VOIDED: Sheet("已撤销", "UNDONE", "请重新刷卡", "TAP AGAIN", "a", "d"),
    Say.NOTHING_TO_VOID: Sheet(
        "没有可撤销的刷卡", "NOTHING TO UNDO", "刷卡后10秒内可撤销", "WITHIN 10 S ONLY", "a", "a"
    ),
    Say.NOT_LAST: Sheet(
        "只能撤销最近一张卡", "LAST CARD ONLY", "未撤销 有误请找站长", "NOT UNDONE", "a", "a"
    ),
    Say.RESTARTED: Sheet(
        "重启后不能撤销", "NOT AFTER A RESTART", "未撤销 有误请找站长", "NOT UNDONE", "a", "a"
    ),
    Say.GUARDIAN_KEY: Sheet("请监护人刷卡", "GUARDIAN, TAP NOW", "", "", "b", "n"),
    Say.SETTLING: Sheet("正在结算上传", "SETTLING", "请勿断电", "KEEP POWER ON", "b", "n"),
}

# The last two lines of a duplicate: where key 2 would undo the tap it repeats, and elsewhere.
UNDO_ADVICE = ("撤销请按2 (10秒内)", "UNDO: KEY 2 IN 10 S")
NO_UNDO_ADVICE = ("不用再刷", "NO NEED TO TAP AGAIN")

RED, GREEN, ENDING = "红键退出 RED=EXIT", "绿键确认 GREEN=OK", "红键结束 RED=END"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a stage asks for: in Chinese, in English, and which key ends it.

    `{}` stands for what was typed, or for a count; the third line is for the stage's own.
    """

    zh: str
    en: str
    third: str
    last: str
    led: str = "b"


# Every stage but service, whose screen is the idle one, and sheet, which has its slots below.
PROMPTS = {
    Stage.SWITCH: Prompt("切换活动 请刷卡", "SWITCH - TAP CARD", "", RED),
    Stage.QUERY: Prompt("查询 请放卡", "QUERY - SHOW CARD", "不计刷卡 NOT A TAP", RED),
    Stage.GUARDIAN: Prompt("请监护人刷卡", "GUARDIAN, TAP NOW", "", RED),
    Stage.GROUP: Prompt(
        "请孩子逐个刷卡", "CHILDREN, TAP NOW", "已刷 TAPPED {}", "红键结束 RED=END"
    ),
    Stage.CODE: Prompt("输入活动代码", "ACTIVITY CODE", "{}", GREEN),
    Stage.SIGN_ON: Prompt("请放操作员卡", "OPERATOR CARD PLEASE", "", RED),
    Stage.PIN: Prompt("请输入密码", "ENTER THE PIN", "{}", GREEN),
    Stage.MENU: Prompt("1结算 2培训 3留言", "4状态 5音量 6导出", "7打印 8签退 9停用", "0=ENGLISH"),
    Stage.SETTLED: Prompt("结算 {}", "SETTLEMENT", "", ""),
    Stage.STATUS: Prompt("状态 STATUS", "", "", ""),
    Stage.MESSAGES: Prompt("没有留言", "NO MESSAGES", "", RED),
    Stage.VOLUME: Prompt("音量 1安静 2正常", "VOLUME 1 QUIET 2 ON", "", RED),
    Stage.RETIRE: Prompt("停用本终端?", "RETIRE TERMINAL?", "绿键说明 GREEN=HOW", RED),
}
MENU_ENGLISH = ("1SETTLE 2TRAIN 3MSG", "4STATUS 5VOL 6EXPORT", "7PRINT 8OFF 9RETIRE", "0=中文")

SLOTS = {
    Slot.CARD: Prompt("补录1/6 放卡或卡号", "CARD OR ITS NUMBER", "{}", GREEN),
    Slot.DATE: Prompt("补录2/6 月日四位", "DATE MMDD, OK=TODAY", "{}", GREEN),
    Slot.START: Prompt("补录3/6 开始时分", "START HHMM", "{}", GREEN),
    Slot.END: Prompt("补录4/6 结束时分", "END HHMM", "{}", GREEN),
    Slot.PLANNED: Prompt("补录5/6 计划分钟", "PLANNED MINUTES", "{}", GREEN),
    Slot.NUMBER: Prompt("补录6/6 单号", "SHEET NUMBER", "{}", GREEN),
    Slot.CHECK: Prompt("补录 核对后按绿键", "CHECK, THEN GREEN", "", ""),
}

# What stands on every slot of a sheet that is typed for practice.
PRACTICE = "培训 TRAINING"

# The server's comparison, and before it there is one.
VERDICTS = {
    "equal": ("平", "EQUAL"),
    "unequal": ("不平", "UNEQUAL"),
    "incomplete": ("待传", "WAITING"),
    "": ("待传", "WAITING"),
}

# The parts of the self-test, and what is said of each.
PARTS = {
    "journal": ("流水", "JOURNAL"),
    "reader": ("读卡器", "READER"),
    "psam": ("密钥模块", "KEY MODULE"),
    "clock": ("时钟", "CLOCK"),
    "display": ("显示屏", "DISPLAY"),
    "printer": ("打印机", "PRINTER"),
    "network": ("网络", "NETWORK"),
}

# What the idle screen says in turn with the site's name: Chinese|English.
WARNINGS = {
    "full": "流水已满 {}%|JOURNAL {}% FULL",
    "clock": "时钟待校 请联网|CLOCK NOT SURE YET",
    "unsent": "已7天未上传 请联网|UNSENT FOR 7 DAYS",
}
