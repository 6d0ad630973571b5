# SPDX-License-Identifier: Apache-2.0
"""Take one upload: check it, store what is new, answer with a signed receipt.

What costs time (signatures, card proofs) is done outside any unit of work; then one unit of work
under the terminal's row lock stores events, log leaves, receipt and ranges, or nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from keys.sm2 import fast_library
from server.db import Database
from server.errors import Problem
from server.ingest import checks, enrolled, filing, proofs
from server.ingest.checks import Opened
from server.ingest.filing import Answer, Desk, Filing, Upload
from server.ingest.models import Batch
from server.ingest.proofs import Enrolled, Weighed
from server.people import audit
from server.terminals.models import Terminal
from server.terminals.notices import Signer
from server.terminals.services import note_contact
from swipe.kinds import BatchFlag

__all__ = ["Answer", "Intake", "Upload", "accept_batch"]

# serialization_failure, deadlock_detected: the same again may well succeed.
LOST_A_RACE = ("40001", "40P01")
TRIES = 3
# Written once: to build a statement costs more than to run it.
_KNOWN = sa.select(Batch.sha256, Batch.receipt).where(
    Batch.terminal_id == sa.bindparam("terminal"), Batch.batch_no == sa.bindparam("number")
)


@dataclass(frozen=True, slots=True)
class Intake:
    """What taking uploads needs: database, issuer keys, the signer of receipts."""

    database: Database
    store: KeyStore
    signer: Signer
    clock_uncertainty_ms: int = 50


def accept_batch(intake: Intake, upload: Upload) -> Answer:
    """Take one upload.

    Every answer of the upload protocol comes back as an `Answer`. Trouble with the database is
    raised: nothing of the upload is stored then, and the terminal keeps what it has.
    """
    try:
        checks.check_limits(upload.body)
        for _ in range(TRIES):
            answer = _weigh_and_file(intake, upload)
            if answer is not None:
                return answer
        raise checks.key_unknown()
    except Problem as problem:
        return Answer(problem.status, problem=problem)


def _weigh_and_file(intake: Intake, upload: Upload) -> Answer | None:
    """Take an upload; None if the terminal's keys or PSAMs changed while it was weighed."""
    with intake.database.reading() as session:
        known = _known(session, upload)
        if known is not None and known.sha256 == upload.sha256:
            return Answer(200, known.receipt, replay=True)
        header, events = checks.cut(upload.body)
        found = enrolled.load(session, upload.terminal_id, events)
    checks.check_sm2(events, found.keys, fast=fast_library() is not None)
    checks.check_signature(header, found)
    addressed = (upload.terminal_id, upload.batch_no)
    whole = checks.check_content(header, events, addressed, found.suite)
    opened = whole.of_box(found.lasts)
    weighed = proofs.weigh(intake.store, opened.events, found)
    return _filed(intake, upload, opened, weighed, found)


def _filed(
    intake: Intake, upload: Upload, opened: Opened, weighed: Weighed, found: Enrolled
) -> Answer | None:
    """File in one unit of work; one that lost against another is tried again."""
    for left in reversed(range(TRIES)):
        try:
            with intake.database.writing() as session:
                return _file(session, intake, upload, opened, weighed, found)
        except sa.exc.OperationalError as error:
            if not left or getattr(error.orig, "sqlstate", None) not in LOST_A_RACE:
                raise
    raise AssertionError


def _known(session: Session, upload: Upload) -> sa.Row[bytes, bytes] | None:
    """Return hash and receipt of the batch that has this number already."""
    batch = {"terminal": upload.terminal_id, "number": upload.batch_no}
    return session.connection().execute(_KNOWN, batch).first()


def _file(
    session: Session,
    intake: Intake,
    upload: Upload,
    opened: Opened,
    weighed: Weighed,
    found: Enrolled,
) -> Answer | None:
    terminal = session.get(Terminal, upload.terminal_id, with_for_update=True)
    # The same upload, a revocation, the end of a key or a PSAM set apart may have come meanwhile.
    standing = filing.standing(session, upload, opened)
    if terminal is None or standing is None:
        raise checks.key_unknown()
    if standing.known is not None and standing.known[0] == upload.sha256:
        return Answer(200, standing.known[1], replay=True, left_out=opened.left_out)
    if standing.key_revoked and terminal.state != enrolled.REVOKED:
        raise checks.key_unknown()
    if standing.stamp != found.stamp:
        return None
    if terminal.state == enrolled.REVOKED:
        action, subject = "terminal.late-upload", f"terminal:{terminal.id}"
        batch_no, count = upload.batch_no, opened.header.count
        audit.record(
            session, upload.now_ms, audit.SYSTEM_ACTOR, action, subject,
            batch_no=batch_no, events=count,
        )  # fmt: skip
    if opened.box_end is None:
        note_contact(terminal, upload.now_ms, _unsent(upload, opened))
    desk = Desk(intake.signer, intake.clock_uncertainty_ms)
    work = Filing(session, desk, terminal, upload, opened, weighed, standing)
    if standing.known is not None:
        return work.refuse_reused()
    answer = work.file(found.first_key)
    if opened.box_end is not None and answer.problem is None:
        _tell_replaced(session, upload, opened, answer)
        if opened.left_out:
            work.keep_body()
    return answer


def _tell_replaced(session: Session, upload: Upload, opened: Opened, answer: Answer) -> None:
    """Write down what came of a box that was replaced: what is new, and what is not its own."""
    audit.record(
        session, upload.now_ms, audit.SYSTEM_ACTOR, "terminal.old-box-upload",
        f"terminal:{upload.terminal_id}", batch_no=upload.batch_no, key_id=opened.header.key_id,
        stored=sum(answer.stored.values()), up_to=opened.box_end,
        left_out=[answer.left_out.start, answer.left_out.stop - 1] if answer.left_out else [],
    )  # fmt: skip


def _unsent(upload: Upload, opened: Opened) -> int | None:
    """Return how many events the terminal still holds, None when it did not say."""
    if not opened.header.flags & BatchFlag.MORE:
        return 0
    return upload.unsent
