# SPDX-License-Identifier: Apache-2.0
"""Rules about the fleet: what of a terminal's status is an alarm, and how urgent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

MINUTE_S = 60
DAY_S = 86_400
# A terminal tells how it does every quarter of an hour; four missed ones are silence.
SILENT_AFTER_S = 4 * 900
# Two thirds of a journal's promise of a week off line.
UNSENT_OLD_S = 5 * DAY_S
DISK_FULL_PERCENT = 80
DISK_DAYS_MIN = 7
HOT_C = 75.0  # boards of this class slow down at 80 °C


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that somebody must look at; `code` is stable, the words are for people.

    They stand on a page that site leaders read: commands are for `ingest alarms` to name.
    """

    code: str
    zh: str
    en: str
    urgent: bool


_ALARMS = {
    "silent": Alarm("silent", "没有消息", "silent", urgent=True),
    "old-unsent": Alarm("old-unsent", "有积压未上传", "records wait for too long", urgent=True),
    "reader": Alarm("reader", "读卡器故障", "no card reader", urgent=True),
    "psam": Alarm("psam", "PSAM 故障", "the PSAM failed", urgent=True),
    "psam-apart": Alarm(
        "psam-apart",
        "PSAM 已被隔离，刷卡不计时，请管理员处理",
        "PSAM set apart, taps do not count: tell the office",
        urgent=True,
    ),
    "ended": Alarm(
        "ended", "本机已自行停用，请停用或更换", "ended: revoke or replace it", urgent=True
    ),
    "journal": Alarm("journal", "流水异常", "trouble with the journal", urgent=True),
    "rolled-back": Alarm(
        "rolled-back", "流水曾丢失末尾", "the journal had lost its end", urgent=True
    ),
    "disk": Alarm("disk", "磁盘将满", "the disk is filling up", urgent=True),
    "hot": Alarm("hot", "温度过高", "too hot", urgent=False),
    "clock": Alarm("clock", "时钟未知", "the clock is unknown", urgent=False),
    "printer": Alarm("printer", "打印机缺纸或离线", "printer without paper, or off", urgent=False),
    "update": Alarm("update", "更新失败已退回", "an update failed and was undone", urgent=False),
    "old-version": Alarm("old-version", "版本过旧", "an old version", urgent=False),
    "receipts": Alarm("receipts", "有回执未到本机", "receipts that never came to it", urgent=False),
}


def alarms(
    status: dict[str, Any] | None, heard_ms: int | None, now_ms: int, known: Collection[str] = ()
) -> list[Alarm]:
    """Return what is wrong with a terminal by its last status; urgent things first.

    One that never told a status is judged by its uploads alone, elsewhere. `known` are codes of
    what the server knows by itself.

    >>> [alarm.code for alarm in alarms({"reader": "missing", "clock": "unknown"}, 0, 0)]
    ['reader', 'clock']
    """
    found = [*known, *(code for code, holds in _conditions(status or {}) if holds)]
    silent = heard_ms is not None and now_ms - heard_ms > SILENT_AFTER_S * 1000
    if silent and "ended" not in known:
        found.insert(0, "silent")
    return sorted((_ALARMS[code] for code in found), key=lambda alarm: not alarm.urgent)


def _conditions(status: dict[str, Any]) -> list[tuple[str, bool]]:
    disk, days = status.get("disk_used_percent"), status.get("disk_days_left")
    temperature = status.get("temperature_c")
    return [
        ("old-unsent", (status.get("oldest_unsent_s") or 0) > UNSENT_OLD_S),
        ("reader", status.get("reader") in ("missing", "no-service")),
        ("psam", status.get("psam") in ("missing", "failed")),
        ("journal", status.get("journal") not in (None, "clean")),
        ("rolled-back", status.get("rolled_back_s") is not None),
        (
            "disk",
            (disk is not None and disk >= DISK_FULL_PERCENT)
            or (days is not None and days < DISK_DAYS_MIN),
        ),
        ("hot", temperature is not None and temperature >= HOT_C),
        ("clock", status.get("clock") == "unknown"),
        ("printer", status.get("printer") in ("paper-out", "offline", "cover-open", "fault")),
        ("update", bool(status.get("update_failed"))),
        ("old-version", bool(status.get("below_floor"))),
        ("receipts", bool(status.get("receipts_unseen"))),
    ]
