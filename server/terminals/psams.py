# SPDX-License-Identifier: Apache-2.0
"""PSAMs: ordered by one person or shown by a box, let in by another, set apart and back again."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.usage import DPK_INDEX_PSAM, DPK_INDEX_SOFT
from server import evidence
from server.errors import Problem, Refused
from server.people import audit
from server.terminals import policy
from server.terminals.models import Psam
from server.terminals.services import find_terminal

FIRST_SEQ = 1
# The table belongs to a feature above. It knows of events in months that were detached, too.
_STORED = sa.table(
    "stored_range", sa.column("terminal_id", sa.BigInteger), sa.column("last_seq", sa.BigInteger)
)


@dataclass(frozen=True, slots=True)
class NewPsam:
    """A PSAM to be put into a terminal, valid from one of its sequence numbers on."""

    number: bytes
    terminal_id: int
    hardware: bool
    dpk_idx: int
    from_seq: int = FIRST_SEQ


def propose_psam(session: Session, new: NewPsam, actor: str, now_ms: int) -> Psam:
    """Order a further PSAM for a terminal; it counts once another person approves.

    Raises:
        Refused: The terminal is out of service, or the PSAM is known and not free.
    """
    terminal = find_terminal(session, new.terminal_id)
    if terminal.state == "revoked":
        raise Refused(
            "terminal-revoked", "终端已停用", f"terminal {terminal.id} is revoked: it takes no PSAM"
        )
    known = session.get(Psam, new.number)
    if known is not None and not is_free(session, known):
        raise Refused(
            "psam-known",
            f"此 PSAM 已登记（{known.state}），属终端 {known.terminal_id}",
            f"PSAM {new.number.hex()} is enrolled already: {known.state}, of terminal "
            f"{known.terminal_id}",
        )
    check_psam(new.number, hardware=new.hardware, dpk_idx=new.dpk_idx)
    psam = _put_in(session, known, new, (actor, now_ms))
    audit.record(
        session, now_ms, actor, "psam.ordered", f"psam:{new.number.hex()}",
        terminal=new.terminal_id,
    )  # fmt: skip
    return psam


def approve_psam(session: Session, number: bytes, actor: str, now_ms: int) -> Psam:
    """Let a further PSAM in; the person must not be the one who ordered it."""
    psam = _locked(session, number)
    if psam is None or psam.state != "pending":
        raise Refused("not-pending", "没有待批准的 PSAM", f"no PSAM {number.hex()} is waiting")
    refuse_author(psam, actor)
    psam.state = "active"
    psam.approved_by = actor
    record = {
        "number": psam.number.hex(),
        "terminal": psam.terminal_id,
        "dpk_idx": psam.dpk_idx,
        "from_seq": psam.from_seq,
        "ordered_by": psam.created_by,
        "approved_by": actor,
    }
    evidence.append_record(session, now_ms, "psam", record)
    audit.record(session, now_ms, actor, "psam.approved", f"psam:{psam.number.hex()}")
    return psam


def release_psam(session: Session, number: bytes, reason: str, actor: str, now_ms: int) -> Psam:
    """Let a PSAM in again that was set apart, after somebody has looked at it.

    Raises:
        Refused: It is not set apart, or the person is the one who ordered it.
    """
    psam = _locked(session, number)
    if psam is None or psam.state != "quarantined":
        state = "unknown" if psam is None else psam.state
        raise Refused(
            "not-quarantined",
            "此 PSAM 没有被隔离",
            f"PSAM {number.hex()} is {state}, not set apart",
        )
    refuse_author(psam, actor)
    psam.state = "active"
    psam.gap_flags = 0
    subject = f"psam:{number.hex()}"
    record = {"number": number.hex(), "terminal": psam.terminal_id, "released_by": actor}
    evidence.append_record(session, now_ms, "psam-release", record)
    audit.record(session, now_ms, actor, "psam.released", subject, reason=reason)
    return psam


def take_shown(session: Session, new: NewPsam, by: tuple[str, int]) -> None:
    """Take the PSAM that an enrolling box shows: a new one waits, the terminal's own stays.

    `by` is who made the code it is shown with, and the time in milliseconds.

    Raises:
        Problem: 409 it is another terminal's, or was set apart or revoked.
    """
    psam = session.get(Psam, new.number)
    if psam is None or is_free(session, psam):
        _put_in(session, psam, new, by)
        return
    if psam.terminal_id != new.terminal_id:
        raise Problem(
            409,
            "already-enrolled",
            f"此 PSAM 已登记到终端 {psam.terminal_id}；请装上本机的 PSAM",
            f"this PSAM is enrolled to terminal {psam.terminal_id}: put this terminal's own in",
        )
    if psam.state == "pending" and find_terminal(session, psam.terminal_id).state == "pending":
        psam.from_seq = new.from_seq  # a first box begins with it, whatever was planned
    if psam.state not in {"active", "pending"}:
        raise Problem(
            409,
            "psam-set-apart",
            "此 PSAM 已停用或被隔离：请换一张 PSAM；被误隔离的可由管理员 psam release",
            "this PSAM is revoked or set apart: put another one in, or have staff let it in again "
            "by psam release",
        )


def refuse_author(psam: Psam, actor: str) -> None:
    """Refuse who ordered a PSAM as the one who lets it in."""
    if not policy.two_people(psam.created_by, actor):
        number = psam.number.hex()
        raise Refused(
            "same-person",
            f"PSAM {number} 由您申请，批准须另一人",
            f"ordering and approving take two different people: PSAM {number} was ordered by "
            f"{psam.created_by}",
        )


def is_free(session: Session, psam: Psam) -> bool:
    """Say whether a PSAM may be enrolled anew: it went with its terminal before it did anything."""
    if psam.state != "revoked":
        return False
    used = sa.select(sa.literal(1)).where(
        _STORED.c.terminal_id == psam.terminal_id, _STORED.c.last_seq >= psam.from_seq
    )
    return session.scalar(used.limit(1)) is None


def check_psam(number: bytes, *, hardware: bool, dpk_idx: int) -> None:
    """Refuse a PSAM whose key index does not fit its kind: 01 hardware, 82 software."""
    wanted = DPK_INDEX_PSAM if hardware else DPK_INDEX_SOFT
    kind = "hardware" if hardware else "software"
    if dpk_idx != wanted or number == bytes(6) or len(number) != 6:
        raise Refused(
            "psam-kind",
            "PSAM 号或密钥索引不对",
            f"a {kind} PSAM has a number and the key index {wanted:#x}",
        )


def _put_in(session: Session, psam: Psam | None, new: NewPsam, by: tuple[str, int]) -> Psam:
    """Make a PSAM wait for its approval; one that is free gets its terminal anew.

    That is a leaf of the public log: the one of its former enrolment holds no longer, whatever
    becomes of the new one.
    """
    author, now_ms = by
    if psam is not None:
        record = {"number": psam.number.hex(), "terminal": psam.terminal_id, "by": author}
        evidence.append_record(session, now_ms, "psam-freed", record)
    psam = psam or Psam(number=new.number)
    psam.terminal_id, psam.from_seq = new.terminal_id, new.from_seq
    psam.hardware, psam.dpk_idx = new.hardware, new.dpk_idx
    psam.state, psam.created_by, psam.approved_by = "pending", author, None
    session.add(psam)
    session.flush()
    return psam


def _locked(session: Session, number: bytes) -> Psam | None:
    """Return a PSAM as it is under its terminal's lock, which uploads hold too."""
    psam = session.get(Psam, number)
    if psam is not None:
        find_terminal(session, psam.terminal_id)
        session.refresh(psam)
    return psam
