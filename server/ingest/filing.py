# SPDX-License-Identifier: Apache-2.0
"""File a checked upload under the terminal's lock: events, log, receipt, evidence, in one go."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server import evidence
from server.db import insert_new
from server.errors import Problem
from server.evidence import Checkpoint
from server.ingest import (
    affected,
    chain,
    endings,
    policy,
    psam_order,
    ranges,
    settlement,
    storage,
    whereabouts,
)
from server.ingest.chain import Place
from server.ingest.checks import Opened
from server.ingest.enrolled import STAMPS
from server.ingest.models import Batch, ChainState, RefusedBatch
from server.ingest.proofs import Stamp, Weighed
from server.ingest.psam_order import PsamFinding
from server.ingest.verdicts import Proof, Verdict
from server.ingest.whereabouts import ANY_TIME, BESIDE, Arrived
from server.people import audit, queue
from server.phone_cards import proofs as phone_cards
from server.terminals import key_change, notices
from server.terminals import policy as terminal_policy
from server.terminals import services as terminals
from server.terminals.models import Psam, Terminal, TerminalKey
from server.terminals.notices import Signer
from swipe import receipt as receipts
from swipe.kinds import ReceiptStatus
from swipe.receipt import Receipt

# Refused batches kept of one terminal; beyond this more of the same proves nothing.
REFUSED_MAX = 100
# Written once: to build a statement costs more than to run it.
_NEAR = whereabouts.ARRIVALS.subquery("near")
_KEYS = STAMPS.subquery("keys")
_STANDING = (
    sa.select(
        TerminalKey.revoked_ms,
        _KEYS.c.ended,
        _KEYS.c.ends,
        _KEYS.c.let_in,
        _KEYS.c.serving,
        _KEYS.c.apart,
        Batch.sha256,
        Batch.receipt,
        ChainState.terminal_id.label("begun"),
        ChainState.last_receipt,
        ChainState.forked_from,
        _NEAR.c.from_ms,
        _NEAR.c.until_ms,
    )
    .select_from(TerminalKey)
    .join(_NEAR, sa.true())
    .join(_KEYS, sa.true())
    .outerjoin(
        Batch,
        sa.and_(
            Batch.terminal_id == sa.bindparam("terminal"),
            Batch.batch_no == sa.bindparam("number"),
        ),
    )
    .outerjoin(ChainState, ChainState.terminal_id == sa.bindparam("terminal"))
    .where(TerminalKey.id == sa.bindparam("key"))
)
_NEW_BATCH = sa.insert(Batch).returning(Batch.id)


@dataclass(frozen=True)
class Upload:
    """One upload as it came; `unsent` is what the terminal says it still holds."""

    terminal_id: int
    batch_no: int
    body: bytes
    now_ms: int
    unsent: int | None = None

    @cached_property
    def sha256(self) -> bytes:
        """Return the hash that identifies a batch, byte for byte."""
        return hashlib.sha256(self.body).digest()


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an upload: 200 with a receipt, or a problem; `stored` counts by verdict.

    `left_out` are the numbers of a replaced box that are the new box's by now: not stored.
    """

    status: int
    body: bytes = b""
    problem: Problem | None = None
    replay: bool = False
    stored: Counter[Verdict] = field(default_factory=Counter)
    log_size: int | None = None
    left_out: range = range(0)


@dataclass(frozen=True, slots=True)
class Desk:
    """Who files: the signer of receipts and how far the server's clock may be off."""

    signer: Signer
    clock_uncertainty_ms: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a terminal stands, read under its lock.

    Attributes:
        key_revoked: Whether the key of the upload's header is revoked.
        stamp: Whether keys or PSAMs have changed since they were read, as of `Enrolled`.
        known: Hash and receipt of the batch that has this number already.
        begun: Whether the terminal has uploaded before.
        last_receipt: The receipt it was given last.
        forked_from: The first event of which there are two contents.
        arrived: When those arrived whose numbers are the upload's own or close beside.
    """

    key_revoked: bool
    stamp: Stamp
    known: tuple[bytes, bytes] | None
    begun: bool
    last_receipt: bytes | None
    forked_from: int | None
    arrived: Arrived


def standing(session: Session, upload: Upload, opened: Opened) -> Standing | None:
    """Read how a terminal stands; None when the header's key is not there any more."""
    near = whereabouts.span(opened.first_seq - BESIDE, opened.last_seq + BESIDE)
    key_id = opened.header.key_id
    asked = {"terminal": upload.terminal_id, "number": opened.kept_number, "key": key_id}
    row = session.connection().execute(_STANDING, asked | near).first()
    if row is None:
        return None
    return Standing(
        key_revoked=row.revoked_ms is not None,
        stamp=(row.ended, int(row.ends), row.let_in, row.serving, row.apart),
        known=None if row.sha256 is None else (bytes(row.sha256), bytes(row.receipt)),
        begun=row.begun is not None,
        last_receipt=row.last_receipt,
        forked_from=row.forked_from,
        arrived=ANY_TIME if row.from_ms is None else Arrived(row.from_ms, row.until_ms),
    )


@dataclass(frozen=True, slots=True)
class Filing:
    """One upload in the hands of one unit of work that holds the terminal's lock."""

    session: Session
    desk: Desk
    terminal: Terminal
    upload: Upload
    opened: Opened
    weighed: Weighed
    standing: Standing

    def file(self, first_key: bytes) -> Answer:
        """Store what is new and answer; contradictions are kept as evidence and refused."""
        place = chain.place(self.session, self.opened, first_key, self.standing.arrived)
        if len(place.forks):
            return self._refuse_fork(place)
        chain.keep_evidence(
            self.session, self.opened, place.resigned, chain.RESIGNED, self.upload.now_ms
        )
        return self._store(place)

    def _store(self, place: Place) -> Answer:
        session, opened = self.session, self.opened
        card_known = affected.known_cards(session, opened.events["card_asn"])
        tokens = phone_cards.weigh(session, opened.events)
        verdict, findings = self._verdicts(place, (card_known, tokens))
        rows = np.flatnonzero(place.fresh)
        ranges.save(session, self.terminal.id, place.near, place.run)
        leaves = [row.tobytes() for row in opened.event_hashes[rows]]
        checkpoint = evidence.append(session, leaves)
        receipt = self._receipt(checkpoint, place)
        added = storage.Stored(
            proof=self.weighed.bits + (Proof.TOKEN * tokens).astype(np.int16),
            verdict=verdict,
            batch_id=self._answer_with(receipt),
            # Not before the last receipt, though the server's clock may have been set back.
            received_ms=receipt.srv_utc_ms,
            first_leaf=checkpoint.first_index,
        )
        storage.insert_events(session, opened, rows, added)
        phone_cards.note_uses(session, opened.events, tokens & place.fresh)
        said, system = opened.events[rows], verdict[rows] == Verdict.SYSTEM
        key_change.note_changes(session, self.terminal.id, said, system)
        endings.note(session, self.terminal.id, said, system, self.upload.now_ms)
        settlement.note(
            session, opened, place.fresh & (verdict == Verdict.SYSTEM), place.gaps,
            self.upload.now_ms,
        )  # fmt: skip
        counted = Counter(Verdict(value) for value in verdict[rows].tolist())
        self._watch(counted[Verdict.BAD_PROOF], findings)
        run = ranges.merge(place.near, place.run)
        boots = affected.boots_of(session, opened, place.fresh, run)
        queue.note_boots(session, self.terminal.id, boots)
        return Answer(
            200, receipt.to_bytes(), stored=counted, log_size=checkpoint.size,
            left_out=opened.left_out,
        )  # fmt: skip

    def _verdicts(
        self,
        place: Place,
        cards: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    ) -> tuple[NDArray[np.int16], list[PsamFinding]]:
        weighed, events = self.weighed, self.opened.events
        card_known, tokens = cards  # a token is its own proof, and uses no PSAM
        in_order, findings = psam_order.examine(self.session, self.opened, weighed, place)
        after_fork = np.zeros(len(events), dtype=np.bool_)
        if self.standing.forked_from is not None:
            after_fork = events["seq"] >= self.standing.forked_from
        found = policy.Findings(
            well_formed=weighed.well_formed,
            signed=weighed.signed,
            after_fork=after_fork,
            proven=weighed.proven,
            card_known=card_known,
            sound=weighed.sound | tokens,
            psam_known=weighed.psam_known | tokens,
            in_order=in_order,
        )
        return policy.verdicts(found), findings

    def _answer_with(self, receipt: Receipt) -> int:
        """Keep an accepted batch with its receipt; return the batch's row number."""
        header, raw = self.opened.header, receipt.to_bytes()
        self._keep_state(last_receipt=raw)
        batch = {
            "terminal_id": self.terminal.id,
            "batch_no": self.opened.kept_number,
            "sha256": self.upload.sha256,
            "first_seq": header.first_seq,
            "count": header.count,
            "up_to_seq": receipt.up_to_seq,
            "received_ms": receipt.srv_utc_ms,
            "header": self.opened.raw_header,
            "receipt": raw,
            "anchor": receipt.anchor,
            "answer": receipt.status,
            "log_size": receipt.log_size,
        }
        return int(self.session.connection().execute(_NEW_BATCH, batch).scalar_one())

    def _keep_state(self, **values: Any) -> None:
        """Change the terminal's row, made with its first upload under the terminal's lock."""
        mine = ChainState.terminal_id == self.terminal.id
        if self.standing.begun:
            change: sa.Update | sa.Insert = sa.update(ChainState).where(mine)
        else:
            change = sa.insert(ChainState).values(terminal_id=self.terminal.id)
        self.session.connection().execute(change.values(values))

    def _receipt(self, checkpoint: Checkpoint, place: Place) -> Receipt:
        held, end = ranges.joined(place.stored, place.run), self.opened.box_end
        # A replaced box hears of its own events only: those behind its end are another's.
        prefix = ranges.prefix(held if end is None else ranges.up_to(held, end))
        missing = prefix.missing or len(self.opened.left_out)
        raw = self.standing.last_receipt
        last = Receipt.from_bytes(raw) if raw else None
        hot_ver, cfg_ver = notices.versions(self.session, self.terminal)
        receipt = Receipt(
            terminal_id=self.terminal.id,
            batch_no=self.opened.header.batch_no,
            up_to_seq=prefix.up_to,
            head=self.opened.header.head,
            log_size=checkpoint.size,
            log_root=checkpoint.root,
            # Two uploads of one terminal may have been timed in one order and filed in the other.
            srv_utc_ms=max(self.upload.now_ms, last.srv_utc_ms if last else 0),
            srv_unc_ms=self.desk.clock_uncertainty_ms,
            key_id=self.desk.signer.key_id,
            status=ReceiptStatus.GAP if missing else ReceiptStatus.OK,
            flags=receipts.gap_length(missing),
            hot_ver=hot_ver,
            cfg_ver=cfg_ver,
            prev_receipt=last.anchor if last else receipts.NO_RECEIPT,
        )
        return receipts.sign(receipt, self.desk.signer.identity)

    def _watch(self, bad_proofs: int, findings: list[PsamFinding]) -> None:
        """Set terminals and PSAMs apart whose numbers or proofs are no accident any more."""
        self.terminal.bad_proofs += bad_proofs
        if bad_proofs and self.terminal.bad_proofs >= terminal_policy.BAD_PROOFS_MAX:
            self._quarantine("bad-proofs")
        for finding in findings:
            flagged = int((finding.skipped > terminal_policy.PSAM_GAP_FLAGGED).sum())
            if not flagged:
                continue
            psam = self.session.get_one(Psam, finding.number)
            psam.gap_flags += flagged
            widest = int(finding.skipped.max())
            action = "psam.gap-flagged"
            # Of its way from a dead box into the next one nobody can know how many taps it made.
            alarming = finding.skipped[~finding.moved]
            if alarming.max(initial=0) > terminal_policy.PSAM_GAP_QUARANTINED:
                psam.state = "quarantined"
                action = "psam.quarantined"
            subject = f"psam:{finding.number.hex()}"
            now_ms = self.upload.now_ms
            audit.record(self.session, now_ms, audit.SYSTEM_ACTOR, action, subject, skipped=widest)

    def _quarantine(self, reason: str) -> None:
        terminals.quarantine(
            self.session, self.terminal, reason, audit.SYSTEM_ACTOR, self.upload.now_ms
        )

    def refuse_reused(self) -> Answer:
        """Keep a second content of a known batch number as evidence and refuse it."""
        self.keep_body()
        problem = Problem(
            409,
            "batch-number-reused",
            "此批次号已用于其他内容；记录可换一个批次号重新上传",
            "this batch number is known with other content; its events may come in another batch",
            batch_no=self.upload.batch_no,
        )
        return Answer(409, problem=problem)

    def keep_body(self) -> None:
        """Keep the upload as it came: as evidence, where its events are not all stored."""
        kept = self.session.scalar(
            sa.select(sa.func.count())
            .select_from(RefusedBatch)
            .where(RefusedBatch.terminal_id == self.terminal.id)
        )
        if (kept or 0) < REFUSED_MAX:
            insert_new(
                self.session,
                RefusedBatch,
                terminal_id=self.terminal.id,
                sha256=self.upload.sha256,
                batch_no=self.upload.batch_no,
                received_ms=self.upload.now_ms,
                body=self.upload.body,
            )

    def _refuse_fork(self, place: Place) -> Answer:
        first = self.opened.first_seq + int(place.forks[0])
        now_ms = self.upload.now_ms
        if self.opened.box_end is not None:
            return self._refuse_old_box(place, first)
        chain.keep_evidence(self.session, self.opened, place.forks, chain.FORK, now_ms)
        self._keep_state(forked_from=min(first, self.standing.forked_from or first))
        self._quarantine(f"fork at {first}")
        problem = Problem(
            422,
            "fork",
            "同一序号出现两种内容（终端数据被恢复到旧状态？），已留证并隔离终端，请联系管理员",
            "one sequence number has two contents (was the terminal rolled back?); kept as "
            "evidence, the terminal is set apart, ask staff",
            seq=first,
        )
        return Answer(422, problem=problem)

    def _refuse_old_box(self, place: Place, first: int) -> Answer:
        """Keep what a replaced box contradicts: who has its key, or its disk, ends no other box."""
        now_ms = self.upload.now_ms
        if chain.keep_evidence(self.session, self.opened, place.forks, chain.OLD_BOX, now_ms):
            # What would have filled a hole is in no other place: the batch is refused as a whole.
            self.keep_body()
            subject, key_id = f"terminal:{self.terminal.id}", self.opened.header.key_id
            audit.record(
                self.session, now_ms, audit.SYSTEM_ACTOR, "terminal.old-box-fork", subject,
                batch_no=self.upload.batch_no, key_id=key_id, seq=first,
            )  # fmt: skip
        problem = Problem(
            422,
            "old-box-fork",
            f"被更换的旧机在 {first} 号给出另一内容，本批未入库，已留证；现用新机不受影响。"
            "请保留旧盘，查明旧机或其密钥在谁手中",
            f"the replaced box has another content for event {first}: nothing of this batch is "
            "stored, it is kept as evidence, the box in service is not touched; keep the old disk "
            "and find out who has the old box or its key",
            seq=first,
        )
        return Answer(422, problem=problem)
