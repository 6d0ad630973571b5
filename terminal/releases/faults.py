# SPDX-License-Identifier: Apache-2.0
"""Why an update is not taken: one fault each, with what it means and what to do."""

from __future__ import annotations

import enum

from terminal.errors import TerminalError


class Fault(enum.Enum):
    """Name why an update is refused, in Chinese and English."""

    NO_TRUST = ("还没有信任的发布根", "no release root is trusted yet")
    NO_TIME = ("还没有签名时间，无法判断期限", "no signed time yet, so no expiry can be judged")
    SIGNATURE = ("签名不足或不对", "signatures are missing or wrong")
    ROLLBACK = ("版本比已见过的旧", "older than what was seen before")
    EXPIRED = ("发布信息已过期", "the metadata has expired")
    MIXED = ("各部分不属于同一次发布", "the parts are not of one release")
    ENDLESS = ("数据超过允许的长度或时间", "more data, or longer, than allowed")
    BROKEN = ("内容无法识别", "the content cannot be read")
    MISSING = ("仓库里没有这个文件", "the repository does not have this file")
    ARCHIVE = ("安装包里有不该有的内容", "the archive holds what it must not")
    NO_ROOM = ("磁盘空间不够", "not enough room on the disk")
    UNHEALTHY = (
        "新版本自检不通过，旧版本继续运行",
        "the new version failed its check; the old one runs on",
    )
    NOTHING = ("没有更新的版本", "there is nothing newer")
    FAILED_BEFORE = ("此版本在本机失败过", "this release failed on this box before")
    NO_WAY_BACK = ("没有可以退回的版本", "there is no version to go back to")
    BUSY = ("另一次更新正在进行", "another update is under way")


_ADVICE = {
    Fault.NO_TRUST: (
        "请运行 yika-terminal update trust FILE",
        "run yika-terminal update trust FILE",
    ),
    Fault.NO_TIME: ("请先运行 yika-terminal sync", "run yika-terminal sync first"),
    Fault.EXPIRED: (
        "请发布方续期；旧版本照常使用",
        "ask the publisher to refresh; the old version goes on",
    ),
    Fault.NO_ROOM: ("请清理磁盘", "free some space"),
    Fault.FAILED_BEFORE: ("用 --retry 再试", "try once more with --retry"),
    Fault.NOTHING: ("无需操作", "nothing to do"),
    Fault.BUSY: ("请稍候再试", "try again later"),
}
_ADVICE_OTHER = ("旧版本照常使用；请报告发布方", "the old version goes on; tell the publisher")


class UpdateRefused(TerminalError):
    """Report an update that was not taken; the version in use goes on.

    Attributes:
        fault: Why.
        part: Which file or step.
    """

    short = "更新不可信 请报告|UPDATE NOT TRUSTED"

    def __init__(self, fault: Fault, part: str) -> None:
        self.fault = fault
        self.part = part
        super().__init__(fault, part)

    @property
    def advice(self) -> tuple[str, str]:  # type: ignore[override]
        """Say what to do about this fault."""
        return _ADVICE.get(self.fault, _ADVICE_OTHER)

    def __str__(self) -> str:
        zh, en = self.fault.value
        return f"{self.part}: {zh} · {en}"
