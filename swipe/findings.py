# SPDX-License-Identifier: Apache-2.0
"""What the offline verifier can find, in words for people, and the report that counts it.

Four families are told apart: linkage broken, content altered, signature bad, counter gap. Each
finding has a cause of its own, which fixes its family and its text.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# A report is read by people. One damaged archive must not make gigabytes of it; everything is
# counted, the first ones are kept.
FINDINGS_KEPT = 1000


class FindingKind(enum.Enum):
    """Name the family of a finding; the last two are remarks, not faults."""

    LINKAGE_BROKEN = "linkage-broken"
    CONTENT_ALTERED = "content-altered"
    SIGNATURE_BAD = "signature-bad"
    COUNTER_GAP = "counter-gap"
    FORK = "fork"
    TOTALS_WRONG = "totals-wrong"
    FORM_BAD = "form-bad"
    BATCH_BAD = "batch-bad"
    RECEIPT_BAD = "receipt-bad"
    FRAME_DAMAGED = "frame-damaged"
    KEY_MISMATCH = "key-mismatch"
    PSAM_ORDER = "psam-order"
    NOT_CHECKED = "not-checked"


REMARKS = frozenset({FindingKind.PSAM_ORDER, FindingKind.NOT_CHECKED})
_K = FindingKind


class Cause(enum.Enum):
    """Say what exactly is wrong: family, Chinese text, English text."""

    GENESIS = (
        _K.LINKAGE_BROKEN,
        "第一条记录不属于本终端和本密钥",
        "the first record does not begin the chain of this terminal and key",
    )
    LINK = (
        _K.LINKAGE_BROKEN,
        "与前一条记录脱链",
        "it does not follow from the record before it",
    )
    ORDER = (
        _K.LINKAGE_BROKEN,
        "顺序被调换：排在 {after} 号之后",
        "out of order: it stands after record {after}",
    )
    REPEATED = (
        _K.LINKAGE_BROKEN,
        "同一条记录出现两次",
        "the same record stands twice",
    )
    INSERTED = (
        _K.LINKAGE_BROKEN,
        "插入的记录：不属于这条链，也没有本终端的签名",
        "inserted: no link of this chain and not signed by this terminal",
    )
    FOREIGN = (
        _K.LINKAGE_BROKEN,
        "插入的记录：属于终端 {terminal:016x}",
        "inserted: it belongs to terminal {terminal:016x}",
    )
    ALTERED = (
        _K.CONTENT_ALTERED,
        "内容被改动：与写入时不同",
        "altered: it is not what was written",
    )
    ALTERED_AT = (
        _K.CONTENT_ALTERED,
        "内容被改动：字段 {field}（第 {byte} 字节第 {bit} 位）",
        "altered: field {field} (byte {byte}, bit {bit})",
    )
    SIGNATURE = (
        _K.SIGNATURE_BAD,
        "签名不符",
        "the signature is not this terminal's over this content",
    )
    SIGNATURE_AT = (
        _K.SIGNATURE_BAD,
        "签名本身被改动（第 {byte} 字节第 {bit} 位）",
        "the signature itself was changed (byte {byte}, bit {bit})",
    )
    MISSING = (
        _K.COUNTER_GAP,
        "缺少 {first} 至 {last} 号记录",
        "records {first} to {last} are missing",
    )
    FORK = (
        _K.FORK,
        "同一序号有两份不同的已签名记录",
        "two different signed records have this number",
    )
    TOTALS = (
        _K.TOTALS_WRONG,
        "累计数 {name} 为 {found}，应为 {expected}",
        "total {name} is {found}, should be {expected}",
    )
    CLOSE_TOTALS = (
        _K.TOTALS_WRONG,
        "结算数 {name} 为 {found}，重算为 {expected}",
        "settlement total {name} is {found}, recounted {expected}",
    )
    FORM = (
        _K.FORM_BAD,
        "字段 {field} 的值不合规范",
        "field {field} has a value the format does not allow",
    )
    PAYLOAD = (_K.FORM_BAD, "附加数据有误：{detail}", "payload: {detail}")
    BATCH_SIGNATURE = (
        _K.BATCH_BAD,
        "批次 {batch} 的头部签名不符",
        "batch {batch}: the header's signature is wrong",
    )
    BATCH_FIELDS = (
        _K.BATCH_BAD,
        "批次 {batch} 的头部与记录不符：{fields}",
        "batch {batch}: header and records differ in {fields}",
    )
    RECEIPT_SIGNATURE = (
        _K.RECEIPT_BAD,
        "回执（批次 {batch}）签名不符",
        "receipt of batch {batch}: the signature is not the server's",
    )
    RECEIPT_TERMINAL = (
        _K.RECEIPT_BAD,
        "回执属于终端 {terminal:016x}",
        "receipt: it belongs to terminal {terminal:016x}",
    )
    RECEIPT_CHAIN = (
        _K.RECEIPT_BAD,
        "回执（批次 {batch}）与前一张脱链",
        "receipt of batch {batch}: it does not follow from the one before",
    )
    RECEIPT_TIME = (
        _K.RECEIPT_BAD,
        "回执（批次 {batch}）时间倒退",
        "receipt of batch {batch}: its time or its run goes back",
    )
    RECEIPT_HEAD = (
        _K.RECEIPT_BAD,
        "回执（批次 {batch}）所指的记录不在文件中",
        "receipt of batch {batch}: the record it names is not in the file",
    )
    HOLE = (
        _K.FRAME_DAMAGED,
        "文件损坏：{length} 字节无法识别（{detail}）",
        "damaged: {length} bytes are no frame ({detail})",
    )
    FRAME_HEAD = (
        _K.FRAME_DAMAGED,
        "帧头损坏，内容完好",
        "the frame's head is damaged, its content is not",
    )
    INTENT = (
        _K.FRAME_DAMAGED,
        "意向记录损坏",
        "an intent is not what was written",
    )
    FILE_HEAD = (
        _K.FRAME_DAMAGED,
        "文件头损坏{repair}",
        "the file's header is damaged{repair}",
    )
    KEY_DIFFERS = (
        _K.KEY_MISMATCH,
        "文件所带公钥与指定公钥不同",
        "the file names another public key than the one given",
    )
    PSAM_SEQ = (
        _K.PSAM_ORDER,
        "PSAM 交易序号由 {before} 到 {found}",
        "the PSAM's transaction number goes from {before} to {found}",
    )
    NO_SERVER_KEY = (
        _K.NOT_CHECKED,
        "未给出服务器公钥，{count} 张回执只核对了链接",
        "no server key given: {count} receipts checked for their links only",
    )

    @property
    def kind(self) -> FindingKind:
        """Give the family."""
        return self.value[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """State one thing found: what, at which record, at which byte of the file."""

    cause: Cause
    offset: int
    seq: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> FindingKind:
        """Give the family."""
        return self.cause.kind

    @property
    def is_fault(self) -> bool:
        """Say whether it spoils the verdict."""
        return self.kind not in REMARKS

    @property
    def zh(self) -> str:
        """Give the Chinese text."""
        return str(self.cause.value[1]).format(**self.facts)

    @property
    def en(self) -> str:
        """Give the English text."""
        return str(self.cause.value[2]).format(**self.facts)

    def as_json(self) -> dict[str, Any]:
        """Give the finding for a machine."""
        return {
            "kind": self.kind.value,
            "cause": self.cause.name.lower(),
            "fault": self.is_fault,
            "seq": self.seq,
            "offset": self.offset,
            "zh": self.zh,
            "en": self.en,
        }


@dataclass
class Report:
    """Collect what was found in one file, and count what was read."""

    name: str = ""
    terminal_id: int | None = None
    events: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    intents: int = 0
    receipts: int = 0
    batches: int = 0
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[FindingKind] = field(default_factory=Counter)

    def add(
        self, cause: Cause, offset: int, seq: int | None = None, **facts: int | str | None
    ) -> None:
        """Count a finding, and keep it while there is room."""
        self.counts[cause.kind] += 1
        if len(self.findings) < FINDINGS_KEPT:
            self.findings.append(Finding(cause, offset, seq, facts))

    @property
    def clean(self) -> bool:
        """Say whether there is no fault."""
        return not self.faults

    @property
    def faults(self) -> dict[FindingKind, int]:
        """Count the faults by family, in the order of the families."""
        return {
            kind: self.counts[kind]
            for kind in FindingKind
            if self.counts[kind] and kind not in REMARKS
        }

    @property
    def line(self) -> str:
        """Answer in one line."""
        read = f"{self.events} events"
        if self.first_seq is not None:
            read += f" {self.first_seq}–{self.last_seq}"
        read += f", {self.batches} batches, {self.receipts} receipts"
        if self.clean:
            remarks = sum(self.counts.values())
            more = f", {remarks} remarks" if remarks else ""
            return f"完好 CLEAN {self.name}: {read}{more}"
        faults = ", ".join(f"{kind.value} ×{count}" for kind, count in self.faults.items())
        return f"有误 FAULTY {self.name}: {faults} ({read})"

    def as_json(self) -> dict[str, Any]:
        """Give the report for a machine."""
        return {
            "file": self.name,
            "verdict": "clean" if self.clean else "faulty",
            "terminal_id": self.terminal_id,
            "events": self.events,
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "batches": self.batches,
            "receipts": self.receipts,
            "intents": self.intents,
            "faults": {kind.value: count for kind, count in self.faults.items()},
            "findings": [finding.as_json() for finding in self.findings],
            "findings_left_out": sum(self.counts.values()) - len(self.findings),
        }
