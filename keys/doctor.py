# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a key store, in words, and what to do about it.

``before`` looks at the file without a passphrase, ``refused`` explains why it did not open,
``inside`` looks at the keys. Nothing here changes anything.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from keys.algorithm import Algorithm
from keys.custody import KeyInfo, KeyState, KeyStore, findings
from keys.errors import (
    AuditBroken,
    HsmAbsent,
    HsmPinLocked,
    HsmPinWrong,
    KeysError,
    KeyStoreDamaged,
    KeyStoreLocked,
    KeyStoreThrottled,
)
from keys.hierarchy import row
from keys.host import HostUnknown, KeyStoreElsewhere
from keys.key_set import SET_USAGES

# A ceremony needs three diaries to agree: tell a quarter ahead.
NOTICE = timedelta(days=90)
_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Complaint:
    """State one thing that is wrong and what to do; a grave one fails the check."""

    name: str
    grave: bool
    zh: str
    en: str
    advice_zh: str
    advice_en: str

    def as_row(self) -> dict[str, object]:
        """Give the facts as JSON can hold them."""
        return {name: getattr(self, name) for name in self.__slots__}

    def lines(self) -> list[str]:
        """Write it for people."""
        mark = "✗" if self.grave else "!"
        return [f"{mark} {self.zh}  {self.en}", f"  → {self.advice_zh}  {self.advice_en}"]


def before(path: Path) -> list[Complaint]:
    """Look at the file of a store from outside: is it there, and who may read it?"""
    if not path.exists():
        return [
            Complaint(
                "absent", True, f"没有密钥库 {path}", f"no store at {path}",
                "检查路径，或从备份恢复", "check the path; restore a backup, or hold a ceremony",
            )
        ]  # fmt: skip
    found = []
    for file in (path, path.with_name(path.name + ".audit")):
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & _OPEN_TO_OTHERS:
            mode = f"{stat.S_IMODE(file.stat().st_mode):03o}"
            found.append(
                Complaint(
                    "permissions", True, f"{file} 权限 {mode} 过宽",
                    f"others may read or write {file} (mode {mode})",
                    f"chmod 600 {file}", "and ask who has read it meanwhile",
                )
            )  # fmt: skip
    folder = path.absolute().parent
    mode_bits = folder.stat().st_mode
    if mode_bits & _WRITABLE_BY_OTHERS and not mode_bits & stat.S_ISVTX:
        found.append(
            Complaint(
                "folder", True, f"目录 {folder} 他人可写",
                f"others may replace files in {folder}",
                f"chmod go-w {folder}", "an old store put back brings retired keys back",
            )
        )  # fmt: skip
    if path.with_name(f".{path.name}.ceremony").exists():
        found.append(
            Complaint(
                "unfinished", False, "有一次密钥仪式中断", "a ceremony was cut off while storing",
                "重新举行仪式", "hold it again; it removes the rest of the old one",
            )
        )  # fmt: skip
    return found


_REFUSALS: tuple[tuple[type[KeysError], str, str, str, str], ...] = (
    (KeyStoreThrottled, "throttled", "口令错误次数过多",
     "等待后再试，并查明是谁在试", "wait, and ask who has been trying"),
    (KeyStoreDamaged, "damaged", "密钥库损坏",
     "移开文件，从备份恢复", "move the file away and restore the backup"),
    (HsmAbsent, "hsm-absent", "找不到加密机",
     "检查连接、模块路径和令牌名称", "check cable, module path and token label"),
    (HsmPinWrong, "pin-wrong", "PIN 不对",
     "不要连续重试", "do not try again blindly: the token counts"),
    (HsmPinLocked, "pin-locked", "PIN 已锁",
     "由安全官重设 PIN", "the security officer sets a new PIN"),
    (KeyStoreElsewhere, "elsewhere", "密钥库绑定在另一台机器",
     "在原机打开；确要迁移：yika-keys restore --rebind", "or find out who copied it here"),
    (HostUnknown, "host-unknown", "本机没有机器标识",
     "systemd-machine-id-setup", "then bind the store, or open the bound one on its machine"),
    (KeyStoreLocked, "wrong-passphrase", "口令不对",
     "换两位保管人的分片再试；多次错误会等待", "try two other shares; look at caps lock"),
)  # fmt: skip


def refused(error: KeysError) -> Complaint:
    """Say why a store did not open and what to do."""
    for kind, name, zh, advice_zh, advice_en in _REFUSALS:
        if isinstance(error, kind):
            return Complaint(name, True, zh, str(error), advice_zh, advice_en)
    return Complaint(
        "refused", True, "打不开", str(error), "见错误信息", "see the message"
    )  # fmt: skip


def inside(store: KeyStore, today: date, *, production: bool) -> list[Complaint]:
    """Look at the keys: age, versions, the HSM's limits, log, backup; production asks for more."""
    infos = store.list()
    found = [
        *_of_findings(store, production=production),
        *_of_keys(infos, today),
        *_of_key_set(infos),
        *_of_log(store, infos),
        *(_of_host(store) if production else ()),
    ]
    return sorted(found, key=lambda complaint: not complaint.grave)


# What to do about what the store itself tells.
_ADVICE = {
    "test-key": ("生产库须重新举行仪式", "hold the ceremony in earnest, in a new store"),
    "retired": ("不必处理", "nothing to do; cards that carry it only are refused"),
    "sm-keys": ("国密套件另建文件密钥库", "keep the SM suite in a file store of its own"),
}


def _of_findings(store: KeyStore, *, production: bool) -> Iterable[Complaint]:
    for finding in findings(store):
        grave = production if finding.name == "test-key" else finding.grave
        advice = _ADVICE.get(finding.name, ("见文档", "see docs/key-ceremony.md"))
        yield Complaint(finding.name, grave, finding.text_zh, finding.text_en, *advice)


def _of_keys(infos: list[KeyInfo], today: date) -> Iterable[Complaint]:
    for info in infos:
        if info.state is KeyState.ACTIVE:
            yield from _of_age(info, today)
    for usage in sorted({info.usage for info in infos}, key=lambda usage: usage.value):
        if all(info.state is not KeyState.ACTIVE for info in infos if info.usage is usage):
            yield Complaint(
                "no-active", True, f"{usage.value} 没有可用版本",
                f"{usage.value} has no version for new cards",
                f"yika-keys rotate {usage.value}", "then issue with the new version",
            )  # fmt: skip


def _of_key_set(infos: list[KeyInfo]) -> Iterable[Complaint]:
    """Look whether the newest version is one that a card can carry: whole, and of one cipher."""
    held = [info for info in infos if info.usage in SET_USAGES]
    if {info.usage for info in held} != set(SET_USAGES):
        return  # not a store that issues cards
    newest = max(info.version for info in held)
    begun = [info for info in held if info.version == newest]
    if len(begun) < len(SET_USAGES):
        yield Complaint(
            "key-set", False, f"整组密钥第 {newest} 版不全，卡无法使用",
            f"version {newest} has {len(begun)} of {len(SET_USAGES)} keys of cards and PSAMs",
            "yika-keys key-set rotate", "completes it; no card carries half a version",
        )  # fmt: skip
    elif len({info.algorithm for info in begun}) > 1:
        yield Complaint(
            "key-set", False, f"整组密钥第 {newest} 版混用算法，卡无法使用",
            f"version {newest} of the keys of cards mixes ciphers",
            "yika-keys key-set rotate --algorithm", "makes the next version of one cipher",
        )  # fmt: skip


def _of_age(info: KeyInfo, today: date) -> Iterable[Complaint]:
    made, years = date.fromisoformat(info.created[:10]), row(info.usage).years
    end = made + timedelta(days=365 * years + years // 4)
    advice = (f"yika-keys rotate {info.usage.value}", "then retire this version")
    if end <= today:
        yield Complaint(
            "cryptoperiod", True, f"{info.name} 已超过使用期限 {end}",
            f"{info.name} is past its cryptoperiod ({years} years, until {end})", *advice,
        )  # fmt: skip
    elif end - NOTICE <= today:
        yield Complaint(
            "cryptoperiod-soon", False, f"{info.name} 的使用期限 {end} 将到",
            f"{info.name} ends its cryptoperiod on {end}", *advice,
        )  # fmt: skip


def _of_log(store: KeyStore, infos: list[KeyInfo]) -> Iterable[Complaint]:
    try:
        store.audit.verify()
    except AuditBroken as exc:
        yield Complaint(
            "audit", True, "审计记录被改动", str(exc),
            "封存现场，与仪式记录中的摘要比较", "touch nothing; compare with transcripts",
        )  # fmt: skip
        return
    saved = [str(line["time"]) for line in store.audit.entries() if line["purpose"] == "backup"]
    newest = max((info.created for info in infos), default="")
    # A token gives no backup to us; its maker's own leaves no line in this log.
    if store.backend == "file" and infos and (not saved or max(saved)[: len(newest)] < newest):
        yield Complaint(
            "backup", False, "最新密钥之后没有备份", "no backup since the newest key was made",
            "yika-keys backup", "and rehearse the restore",
        )  # fmt: skip


def _of_host(store: KeyStore) -> Iterable[Complaint]:
    if store.bound is False:
        yield Complaint(
            "unbound", False, "密钥库未绑定本机", "the store opens on any machine it is copied to",
            "yika-keys bind-host", "a guard against accidents; it stops no attacker",
        )  # fmt: skip


def first_aid(infos: list[KeyInfo]) -> str:
    """Say in one line what a healthy store holds.

    >>> first_aid([])
    '没有密钥 no keys'
    """
    if not infos:
        return "没有密钥 no keys"
    ciphers = sorted({info.algorithm.value for info in infos}, key=_cipher_order)
    return f"{len(infos)} 个密钥 keys: {', '.join(ciphers)}"


def _cipher_order(name: str) -> int:
    return [algorithm.value for algorithm in Algorithm].index(name)
