# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a reader or its service."""

from __future__ import annotations

from card.errors.status import CardError
from card.status_words import Text


class ReaderError(CardError):
    """The reader or its service failed; `detail` is the driver's own word."""

    meaning = Text("读卡器出错", "the reader failed")
    advice = Text("请检查读卡器并运行 yika-card doctor", "check it and run yika-card doctor")

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"{super().__str__()} [{self.detail}]" if self.detail else super().__str__()


class NoDriver(ReaderError):
    """The library that talks to readers is not installed."""

    meaning = Text("未安装读卡程序库 pyscard", "the library pyscard is not installed")
    advice = Text("请执行 pip install 'yika[card]'", "run: pip install 'yika[card]'")


class NoService(ReaderError):
    """The PC/SC service does not run."""

    meaning = Text("PC/SC 服务（pcscd）没有运行", "the PC/SC service (pcscd) is not running")
    advice = Text("请执行 systemctl start pcscd 或 pcscd -f", "systemctl start pcscd, or pcscd -f")


class NoPermission(ReaderError):
    """This user may not use the PC/SC service."""

    meaning = Text("没有使用读卡器的权限", "this user may not use readers")
    advice = Text("请换用户，或请管理员放行 pcscd", "use another user or ask the administrator")


class NoReader(ReaderError):
    """No such reader, or none at all."""

    meaning = Text("没有找到读卡器", "no reader found")
    advice = Text(
        "请插好读卡器并安装驱动（apt install libccid）",
        "plug the reader in and install its driver (apt install libccid)",
    )


class ReaderBusy(ReaderError):
    """Another program holds the card exclusively."""

    meaning = Text("读卡器被其他程序占用", "another program is using the card")
    advice = Text("请关闭其他程序后重试", "close the other program and try again")


class NoCard(ReaderError):
    """No card lies on the reader."""

    meaning = Text("读卡器上没有卡片", "no card on the reader")
    advice = Text("请放卡", "put a card on the reader")


class AnswerLost(ReaderError):
    """A command went out and its answer was lost; whether the card ran it is not known."""

    meaning = Text("应答丢失，卡片可能已执行", "the answer was lost; the card may have done it")
    advice = Text("请重新放卡，并检查读卡器连线", "put the card back; check the reader's cable")
