# SPDX-License-Identifier: Apache-2.0
"""What the doctor expects of each part, and the next step where it is not so."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Words:
    """Expectation and next step, each Chinese and English."""

    expected: tuple[str, str]
    next_step: tuple[str, str]


_DEVICE = Words(
    ("设备文件存在且可读写", "the device is there and can be used"),
    (
        "检查线缆；确认用户属于 dialout 组；路径见 /dev/yika",
        "check the cable; the user must be in group dialout; stable names are in /dev/yika",
    ),
)
_WORDS = MappingProxyType(
    {
        "config": Words(
            ("配置文件可读且无未知项", "the configuration is read, without unknown keys"),
            ("改正所指的一行", "correct the line that is named"),
        ),
        "reader": Words(
            ("读卡器在线", "the reader answers"),
            (
                "检查线缆和 pcscd；名称见 yika-card readers",
                "check the cable and pcscd; yika-card readers prints the names",
            ),
        ),
        "psam": Words(
            ("PSAM 可用", "the PSAM can be used"),
            (
                "重新插入 PSAM，或核对 [reader] psam 与口令",
                "seat the PSAM again, or check [reader] psam and the passphrase",
            ),
        ),
        "identity": Words(
            ("终端已入网，密钥仅自己可读", "enrolled, its key readable by itself alone"),
            ("运行 yika-terminal provision", "run yika-terminal provision"),
        ),
        "journal": Words(
            ("流水完整", "the journal is whole"),
            (
                "重启程序即自动修复；仍不行则保留原件并请管理员",
                "start the program, it repairs; if it stays so keep the file and call staff",
            ),
        ),
        "disk": Words(
            ("可写，空闲 ≥64 MB，占用 <80%", "writable, 64 MB free, less than 80 % used"),
            ("上传后清理，或换更大的卡", "upload and clean up, or use a larger card"),
        ),
        "notices": Words(
            ("有效的配置和黑名单", "a valid configuration and hotlist"),
            ("联网后运行 yika-terminal sync", "run yika-terminal sync with a network"),
        ),
        "server": Words(
            ("服务器有应答", "the server answers"),
            (
                "检查网络和 [server] url；断网时照常刷卡",
                "check the network and [server] url; taps go on without it",
            ),
        ),
        "pin": Words(
            ("与入网时的服务器密钥相同", "the server key pinned at enrolment"),
            (
                "不要继续入网；请管理员核对服务器",
                "go no further; let staff compare the server's key",
            ),
        ),
        "clock": Words(
            ("不早于服务器最后签名的时间", "not earlier than the last signed time"),
            ("联网运行 yika-terminal sync", "run yika-terminal sync with a network"),
        ),
        "update": Words(
            ("当前版本完整", "the version that runs is whole"),
            ("运行 yika-terminal update rollback", "run yika-terminal update rollback"),
        ),
    }
)


def words(part: str) -> Words:
    """Return the words of a part; the serial devices share theirs.

    >>> words("printer") == words("gps")
    True
    """
    return _WORDS.get(part, _DEVICE)
