# SPDX-License-Identifier: Apache-2.0
"""File a checked upload under the terminal's lock: events, log, receipt, evidence, in one go."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from server import evidence
from server.db import insert_new
from server.errors import Problem
from server.evidence import Checkpoint
from server.ingest import affected, chain, policy, psam_order, ranges, settlement, storage
from server.ingest.chain import Place
from server.ingest.checks import Opened
from server.ingest.models import Batch, ChainState, RefusedBatch
from server.ingest.proofs import Weighed
from server.ingest.psam_order import PsamFinding
from server.ingest.ranges import Prefix
from server.ingest.verdicts import Proof, Verdict
from server.people import audit, queue
from server.phone_cards import proofs as phone_cards
from server.terminals import key_change, notices
from server.terminals import policy as terminal_policy
from server.terminals import services as terminals
from server.terminals.models import Psam, Terminal
from server.terminals.notices import Signer
from swipe import receipt as receipts
from swipe.kinds import ReceiptStatus
from swipe.receipt import Receipt

# Refused batches kept of one terminal; beyond this more of the same proves nothing.
REFUSED_MAX = 100


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
    """The answer to an upload: 200 with a receipt, or a problem; `stored` counts by verdict."""

    status: int
    body: bytes = b""
    problem: Problem | None = None
    replay: bool = False
    stored: Counter[Verdict] = field(default_factory=Counter)
    log_size: int | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """Who files: the signer of receipts and how far the server's clock may be off."""

    signer: Signer
    clock_uncertainty_ms: int


@dataclass(frozen=True, slots=True)
class Filing:
    """One upload in the hands of one unit of work that holds the terminal's lock."""

    session: Session
    desk: Desk
    terminal: Terminal
    upload: Upload
    opened: Opened
    weighed: Weighed

    def file(self, first_key: bytes) -> Answer:
        """Store what is new and answer; contradictions are kept as evidence and refused."""
        place = chain.place(self.session, self.opened, self.terminal.id, first_key)
        if len(place.forks):
            return self._refuse_fork(place)
        chain.keep_evidence(
            self.session, self.opened, place.resigned, chain.RESIGNED, self.upload.now_ms
        )
        return self._store(place)

    def _store(self, place: Place) -> Answer:
        session, opened = self.session, self.opened
        card_known = affected.known_cards(session, opened.events["card_asn"])
        state = self._chain_state()
        tokens = phone_cards.weigh(session, opened.events)
        verdict, findings = self._verdicts(place, (card_known, tokens), state.forked_from)
        rows = np.flatnonzero(place.fresh)
        ranges.save(session, self.terminal.id, place.near, place.run)
        leaves = [row.tobytes() for row in opened.event_hashes[rows]]
        checkpoint = evidence.append(session, leaves)
        batch = self._answer_with_receipt(state, checkpoint, place)
        added = storage.Stored(
            proof=self.weighed.bits + (Proof.TOKEN * tokens).astype(np.int16),
            verdict=verdict,
            batch_id=batch.id,
            received_ms=batch.received_ms,
            first_leaf=checkpoint.first_index,
        )
        storage.insert_events(session, opened, rows, added)
        phone_cards.note_uses(session, opened.events, tokens & place.fresh)
        key_change.note_changes(
            session, self.terminal.id, opened.events[rows], verdict[rows] == Verdict.SYSTEM
        )
        settlement.note(
            session, opened, place.fresh & (verdict == Verdict.SYSTEM), place.gaps,
            self.upload.now_ms,
        )  # fmt: skip
        counted = Counter(Verdict(value) for value in verdict[rows].tolist())
        self._watch(counted[Verdict.BAD_PROOF], findings)
        run = ranges.merge(place.near, place.run)
        boots = affected.boots_of(session, opened, place.fresh, run)
        queue.note_boots(session, self.terminal.id, boots)
        return Answer(200, batch.receipt, stored=counted, log_size=checkpoint.size)

    def _verdicts(
        self,
        place: Place,
        cards: tuple[NDArray[np.bool_], NDArray[np.bool_]],
        forked_from: int | None,
    ) -> tuple[NDArray[np.int16], list[PsamFinding]]:
        weighed, events = self.weighed, self.opened.events
        card_known, tokens = cards  # a token is its own proof, and uses no PSAM
        in_order, findings = psam_order.examine(self.session, self.opened, weighed, place)
        after_fork = np.zeros(len(events), dtype=np.bool_)
        if forked_from is not None:
            after_fork = events["seq"] >= forked_from
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

    def _chain_state(self) -> ChainState:
        """Return the terminal's row, made with its first upload under the terminal's lock."""
        state = self.session.get(ChainState, self.terminal.id)
        if state is None:
            state = ChainState(terminal_id=self.terminal.id)
            self.session.add(state)
            self.session.flush()
        return state

    def _answer_with_receipt(
        self, state: ChainState, checkpoint: Checkpoint, place: Place
    ) -> Batch:
        session, header = self.session, self.opened.header
        prefix = ranges.prefix(ranges.joined(place.stored, place.run))
        receipt = self._receipt(state.last_receipt, checkpoint, prefix)
        state.last_receipt = receipt.to_bytes()
        batch = Batch(
            terminal_id=self.terminal.id,
            batch_no=header.batch_no,
            sha256=self.upload.sha256,
            first_seq=header.first_seq,
            count=header.count,
            up_to_seq=receipt.up_to_seq,
            # Not before the last receipt, though the server's clock may have been set back.
            received_ms=receipt.srv_utc_ms,
            header=self.opened.raw_header,
            receipt=receipt.to_bytes(),
            anchor=receipt.anchor,
            answer=receipt.status,
            log_size=checkpoint.size,
        )
        session.add(batch)
        session.flush()
        return batch

    def _receipt(
        self, last_receipt: bytes | None, checkpoint: Checkpoint, prefix: Prefix
    ) -> Receipt:
        last = Receipt.from_bytes(last_receipt) if last_receipt else None
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
            status=ReceiptStatus.GAP if prefix.missing else ReceiptStatus.OK,
            flags=receipts.gap_length(prefix.missing),
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
            if widest > terminal_policy.PSAM_GAP_QUARANTINED:
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
        problem = Problem(
            409,
            "batch-number-reused",
            "此批次号已用于其他内容；记录可换一个批次号重新上传",
            "this batch number is known with other content; its events may come in another batch",
            batch_no=self.upload.batch_no,
        )
        return Answer(409, problem=problem)

    def _refuse_fork(self, place: Place) -> Answer:
        first = self.opened.header.first_seq + int(place.forks[0])
        now_ms = self.upload.now_ms
        chain.keep_evidence(self.session, self.opened, place.forks, chain.FORK, now_ms)
        state = self._chain_state()
        state.forked_from = min(first, state.forked_from or first)
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
