# SPDX-License-Identifier: Apache-2.0
"""Errors of the terminal: facts in attributes, the text derived, in words a site leader knows.

TerminalError
├── ConfigError             a key, value or file of the configuration
├── NotProvisioned          the terminal has no identity yet
├── IdentityLost            the terminal's key is gone or damaged
├── SuccessionLost          what a replacement goes on behind is gone or damaged
├── AlreadyRunning          another process holds the data folder
├── JournalError
│   ├── NotSaved            the storage refused a record: red, siren, no beep
│   ├── JournalMissing      the file is gone
│   │   └── ProvisionUnfinished     it was never put in its place
│   └── JournalForeign      the file belongs to another terminal
│       └── FormerJournal       to this one, but to a key that it has no more
├── ServerError
│   ├── Unreachable         no answer
│   ├── Untrusted           an answer of somebody else: not the pinned key
│   ├── Refused             an answer other than 200
│   │   ├── EnrolmentRefused    to a box that showed its pairing code
│   │   └── SuccessionRefused   to a box that asked where to go on behind another
│   └── BadAnswer           200, but not what was asked for
├── ServerUnknown           a server with another key than the letter says
├── ReceiptRefused          a receipt that proves nothing to this terminal
└── NoticeRefused           a hotlist or configuration that must not be taken
"""

from __future__ import annotations


class TerminalError(Exception):
    """Base of all errors; `advice` is (Chinese, English), `short` is two lines for the display."""

    advice = ("请联系管理员", "call the administrator")
    short = "故障 请联系管理员|FAULT: CALL OFFICE"
    exit_status = 1  # of the command that met it

    def diagnostics(self) -> str:
        """Say what happened and what the person at the terminal can do, in both languages."""
        return f"{self}; {self.advice[0]} · {self.advice[1]}"


class ConfigError(TerminalError):
    """Report a configuration that cannot be used."""

    advice = ("请改正配置文件", "correct the configuration file")

    def __init__(self, where: str, detail: str) -> None:
        self.where = where
        self.detail = detail
        super().__init__(where, detail)

    def __str__(self) -> str:
        return f"{self.where}: {self.detail}"


class NotProvisioned(TerminalError):
    """Report a data folder without an identity."""

    advice = ("请先运行 yika-terminal provision", "run `yika-terminal provision` first")

    def __init__(self, data_dir: str) -> None:
        self.data_dir = data_dir
        super().__init__(data_dir)

    def __str__(self) -> str:
        return f"{self.data_dir}: 终端尚未入网 · this terminal is not enrolled"


class IdentityLost(TerminalError):
    """Report a box whose private key is gone or damaged: nobody else has it."""

    advice = (
        (
            "请恢复 identity.pem 的备份；没有备份则把坏文件改名（不要删除），请管理员运行 "
            "yika-server fleet replace，再用新配对码运行 yika-terminal provision"
        ),
        (
            "restore identity.pem from a backup; without one rename what is there (never delete "
            "it), have staff order a replacement (`yika-server fleet replace`), and run "
            "`yika-terminal provision` with its code"
        ),
    )
    short = "密钥丢失 请报告|TERMINAL KEY LOST"

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)

    def __str__(self) -> str:
        return f"{self.path}: 终端密钥丢失或损坏 · the terminal's key is gone or damaged"


class SuccessionLost(TerminalError):
    """Report a new box that cannot read what the box before it left to it."""

    advice = (
        "请再运行一次 yika-terminal provision，会重新领取",
        "run `yika-terminal provision` once more: it is fetched again",
    )
    short = "请重新领取接续数据|PROVISION ONCE MORE"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)

    def __str__(self) -> str:
        return f"{self.name}: 接续数据无法读取 · what this box goes on behind cannot be read"


class AlreadyRunning(TerminalError):
    """Report that another process writes this journal: one writer only."""

    advice = ("请先停止终端程序，或按 9 结算", "stop that program first, or press 9 to settle")

    def __init__(self, data_dir: str) -> None:
        self.data_dir = data_dir
        super().__init__(data_dir)

    def __str__(self) -> str:
        return f"{self.data_dir}: 终端程序正在运行 · the terminal program is running"


class JournalError(TerminalError):
    """Base of what the journal can report."""


class NotSaved(JournalError):
    """Report that a record is not durable; nothing may be shown as accepted."""

    short = "未保存 请报告|NOT SAVED"
    advice = ("请清理磁盘或更换存储卡", "free some space or replace the storage card")

    def __init__(self, cause: str, *, unknown_end: bool = False) -> None:
        self.cause = cause
        self.unknown_end = unknown_end  # what the file now ends with must be read again
        super().__init__(cause)

    def __str__(self) -> str:
        return f"未保存 · not saved ({self.cause})"


class JournalMissing(JournalError):
    """Report a journal that is not where it was made."""

    advice = ("请恢复备份，不要新建", "restore it from a copy; never begin a new one")

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)

    def __str__(self) -> str:
        return f"{self.path}: 流水文件不见了 · the journal is gone"


class ProvisionUnfinished(JournalMissing):
    """Report a journal that never got its name: a cut came first, or an approval is waited for."""

    advice = (
        "请再运行一次 yika-terminal provision（更换机须先批准）",
        "run `yika-terminal provision` once more (a replacement: after its approval)",
    )
    short = "入网未完成|PROVISION ONCE MORE"

    def __str__(self) -> str:
        return f"{self.path}: 入网尚未完成 · provisioning did not come to its end"


class JournalForeign(JournalError):
    """Report a journal that was not written by this terminal."""

    advice = ("请恢复本终端的流水文件", "put back the journal of this terminal")

    def __init__(self, path: str, detail: str) -> None:
        self.path = path
        self.detail = detail
        super().__init__(path, detail)

    def __str__(self) -> str:
        return f"{self.path}: 流水不属于本终端 · not this terminal's journal ({self.detail})"


class FormerJournal(JournalForeign):
    """Report a journal of this terminal whose key this box has no more."""

    advice = (
        (
            "更换获批后请再运行一次 yika-terminal provision；尚未申请则请管理员运行 "
            "yika-server fleet replace"
        ),
        (
            "once the replacement is approved run `yika-terminal provision` once more; if none was "
            "ordered have staff do it (`yika-server fleet replace`)"
        ),
    )

    def __str__(self) -> str:
        return f"{self.path}: 流水属于以前的密钥 · this journal is of a former key ({self.detail})"


class StickProblem(TerminalError):
    """Report a memory stick that is full, read-only, damaged, or holds nothing for us."""

    short = "U盘有问题|USB STICK FAULT"
    advice = ("请检查U盘，再试一次", "check the stick and try again")

    def __init__(self, where: str, cause: str) -> None:
        self.where = where
        self.cause = cause
        super().__init__(where, cause)

    def __str__(self) -> str:
        return f"{self.where}: U盘有问题 · the memory stick: {self.cause}"


class ServerError(TerminalError):
    """Base of what an exchange with the server can meet."""

    short = "服务器回答异常|BAD SERVER ANSWER"


class Unreachable(ServerError):
    """Report that the server gave no answer; taps go on, the upload comes later.

    Attributes:
        cause: What the network said.
        sent: Whether the request may have reached the server; not if there was no connection.
    """

    short = ""  # the display says off line already, and taps go on
    advice = ("照常刷卡，稍后自动补传", "keep tapping, the upload is repeated by itself")

    def __init__(self, cause: str, *, sent: bool = True) -> None:
        self.cause = cause
        self.sent = sent
        super().__init__(cause)

    def __str__(self) -> str:
        return f"连不上服务器 · the server does not answer ({self.cause})"


class Untrusted(ServerError):
    """Report that who answers at the server's address is not the server that is pinned.

    Attributes:
        cause: What was wrong.
        shown: The pin of the key that was shown, empty if none was.
    """

    short = "服务器身份不符|NOT THE SAME SERVER"
    advice = ("请核对网址与证书指纹", "check the address and the server's pin")

    def __init__(self, cause: str, shown: str = "") -> None:
        self.cause = cause
        self.shown = shown
        super().__init__(cause, shown)

    def __str__(self) -> str:
        shown = f": {self.shown}" if self.shown else ""
        return f"服务器身份不符 · this is not the pinned server ({self.cause}{shown})"


# What each refusal means at the site: status → (Chinese, English, advice in both, on the display).
_REFUSALS = {
    401: (
        "终端未获准",
        "this terminal is not admitted",
        "请管理员核准",
        "have it approved",
        "NOT ADMITTED",
    ),
    403: (
        "终端未获准",
        "this terminal is not admitted",
        "请管理员核准",
        "have it approved",
        "NOT ADMITTED",
    ),
    404: (
        "服务器没有此终端",
        "the server does not know this",
        "请检查网址",
        "check the address",
        "TERMINAL UNKNOWN",
    ),
    409: (
        "批次号已用过",
        "this batch number was used",
        "将换号重传",
        "a new number is taken",
        "BATCH NUMBER USED",
    ),
    413: (
        "批次太大",
        "the batch is too large",
        "将分批重传",
        "it is sent in parts",
        "BATCH TOO LARGE",
    ),
    422: (
        "批次未通过检查",
        "the batch failed its checks",
        "请管理员查看",
        "have it looked at",
        "BATCH FAILED CHECKS",
    ),
    429: (
        "请求太多",
        "too many requests",
        "稍后自动重试",
        "repeated by itself",
        "TOO MANY REQUESTS",
    ),
    503: ("服务器忙", "the server is busy", "稍后自动重试", "repeated by itself", "SERVER BUSY"),
}
_REFUSAL_OTHER = (
    "服务器出错", "the server failed", "稍后自动重试", "repeated by itself", "SERVER FAILED",
)  # fmt: skip


class Refused(ServerError):
    """Report an answer that is no success: its status, title and the wait it asks for."""

    def __init__(self, status: int, title: str = "", retry_after_s: float | None = None) -> None:
        self.status = status
        words = _REFUSALS.get(status, _REFUSAL_OTHER)
        self.short = f"{words[0]}|{words[4]}"
        self.title = title
        self.retry_after_s = retry_after_s
        super().__init__(status, title)

    def __str__(self) -> str:
        zh, en, advice_zh, advice_en, _ = _REFUSALS.get(self.status, _REFUSAL_OTHER)
        title = f": {self.title}" if self.title else ""
        return f"{zh} · {en} ({self.status}{title}); {advice_zh} · {advice_en}"

    def diagnostics(self) -> str:
        """Give the text: the advice depends on the status and is in it already."""
        return str(self)


# What a refusal means to a box that shows its pairing code.
_ENROLMENTS = {
    401: (
        "配对码不对、已过期或已换新",
        "the pairing code is unknown, expired or replaced",
        "请核对入网单，或请管理员重发",
        "compare it with the letter, or have a new letter printed",
    ),
    409: (
        "配对码已用过，或密钥、PSAM 属于别的终端，或 PSAM 已停用",
        "the code was used, or key or PSAM belong to another terminal, or the PSAM is set apart",
        (
            "请管理员查看 yika-server terminal list；换了 PSAM 须 psam add 并由另一人批准；"
            "本机密钥已终止则先将 identity.pem 改名（不要删除）；已终止或已丢失均须运行 "
            "yika-server fleet replace"
        ),
        (
            "have staff look at yika-server terminal list; another PSAM takes `psam add` and, by "
            "somebody else, `psam approve`; if this box's key has ended rename identity.pem first "
            "(never delete it); for one that has ended or is lost they run `yika-server fleet "
            "replace`"
        ),
    ),
}


class EnrolmentRefused(Refused):
    """Report that the server does not take this box with this code."""

    def __str__(self) -> str:
        if self.status not in _ENROLMENTS:
            return super().__str__()
        zh, en, advice_zh, advice_en = _ENROLMENTS[self.status]
        return f"{zh} · {en} ({self.status}: {self.title}); {advice_zh} · {advice_en}"


# What a refusal means to a box that asks where to go on behind the one it replaces.
_SUCCESSIONS = {
    404: (
        "服务器上没有本机的更换记录，不能接续",
        "the server knows of no box that this one replaces",
        "请将 identity.pem 改名，用 yika-server fleet replace 的入网单重新入网",
        "rename identity.pem and enrol with a letter of `yika-server fleet replace`",
    ),
    409: (
        "服务器已有接续点以后的记录，本机不能再从那里接续",
        "the server holds later records than those this box would go on behind",
        "请管理员再运行一次 yika-server fleet replace，并先导出本机数据",
        "export what this box holds, and have staff run `yika-server fleet replace` once more",
    ),
}


class SuccessionRefused(Refused):
    """Report that the server does not say where this box goes on."""

    def __str__(self) -> str:
        if self.status not in _SUCCESSIONS:
            return super().__str__()
        zh, en, advice_zh, advice_en = _SUCCESSIONS[self.status]
        return f"{zh} · {en} ({self.status}: {self.title}); {advice_zh} · {advice_en}"


class BadAnswer(ServerError):
    """Report an answer of the right status and the wrong content."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)

    def __str__(self) -> str:
        return f"服务器的回答无法识别 · the server's answer is not understood ({self.detail})"


class ServerUnknown(TerminalError):
    """Report a server whose signing key is not the one on the letter."""

    advice = ("不要继续；请管理员核对入网单与服务器", "stop; let staff compare letter and server")
    short = "服务器密钥不符|WRONG SERVER KEY"

    def __init__(self, shown: str) -> None:
        self.shown = shown
        super().__init__(shown)

    def __str__(self) -> str:
        return f"服务器密钥与入网单不符 · not the server key of the letter ({self.shown[:16]}…)"


class ReceiptRefused(TerminalError):
    """Report a receipt that lets the terminal advance by nothing."""

    short = "回执不可信 请报告|RECEIPT NOT TRUSTED"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"回执不可信 · the receipt is not trusted ({self.reason})"


class NoticeRefused(TerminalError):
    """Report a hotlist or configuration that is not taken into use."""

    short = "通知不可信 请报告|NOTICE NOT TRUSTED"

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        self.reason = reason
        super().__init__(kind, reason)

    def __str__(self) -> str:
        return f"{self.kind}: 通知不可信 · the notice is not trusted ({self.reason})"
