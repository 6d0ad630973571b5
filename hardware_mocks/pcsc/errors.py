# SPDX-License-Identifier: Apache-2.0
"""Why virtual readers cannot be started; every text ends with what to type next.

```
PcscError
├── NotInstalled(missing)           pcscd, vpcd or unshare are not there
├── NeedsRoot                       not started by root
├── NamespacesNotPermitted(reason)  this machine does not allow a network namespace
├── SystemPcscdRuns(command)        a pcscd of the system holds the socket
├── SystemPcscdMissing              asked for the system's pcscd, but none answers
├── ReadersMissing(missing, commands)  the system's pcscd lacks our readers
└── StackFailed(reason, log)        it started and failed
```
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PACKAGES = "pcscd vsmartcard-vpcd util-linux"


class PcscError(Exception):
    """Base of everything that keeps the virtual readers from running."""


class NotInstalled(PcscError):
    """A program or the reader driver is missing."""

    def __init__(self, missing: str) -> None:
        super().__init__(
            f"没有安装 {missing} / {missing} is not installed. Type: "
            f"sudo apt-get install -y --no-install-recommends {PACKAGES}"
        )
        self.missing = missing


class NeedsRoot(PcscError):
    """Private network and /run/pcscd need root."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}\n请用 sudo 再运行一次 / start the same command with sudo.")


class NamespacesNotPermitted(PcscError):
    """The kernel or a container refuses a network namespace."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"本机不允许网络命名空间 / this machine permits no network namespace ({reason}), and "
            "without one the virtual readers would be open to the network. Run on a machine or "
            "container with CAP_SYS_ADMIN, or use the system's pcscd: --system-pcscd"
        )
        self.reason = reason


class SystemPcscdRuns(PcscError):
    """There can be only one pcscd; ours does not push the system's aside."""

    def __init__(self, command: str) -> None:
        super().__init__(
            "系统的 pcscd 正在运行 / a pcscd of the system is running. "
            f"Type: {command}  (or use it: --system-pcscd)"
        )
        self.command = command


class SystemPcscdMissing(PcscError):
    """The system's pcscd was asked for and does not answer."""

    def __init__(self) -> None:
        super().__init__(
            "系统的 pcscd 没有运行 / no pcscd of the system answers. "
            "Type: sudo systemctl start pcscd.socket  (without systemd: sudo pcscd)"
        )


class ReadersMissing(PcscError):
    """The system's pcscd runs without the virtual readers."""

    def __init__(self, missing: Sequence[str], commands: Sequence[str]) -> None:
        super().__init__(
            "系统的 pcscd 缺少读卡器 / the system's pcscd has no reader "
            f"{', '.join(missing)}. Type:\n" + "\n".join(f"    {command}" for command in commands)
        )
        self.missing = tuple(missing)
        self.commands = tuple(commands)


class StackFailed(PcscError):
    """pcscd or the card host ended or did not come up in time."""

    def __init__(self, reason: str, log: Path) -> None:
        super().__init__(f"虚拟读卡器没有启动 / virtual readers did not start: {reason}. See {log}")
        self.reason = reason
        self.log = log
