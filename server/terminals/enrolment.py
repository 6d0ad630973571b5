# SPDX-License-Identifier: Apache-2.0
"""Enrolling terminals and PSAMs: one person orders, the device shows its key, another approves.

Both halves are in the audit trail, and every approval is a leaf of the public log.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.errors import BadPublicKey
from keys.suite import Suite
from keys.verify import verify
from server import evidence
from server.errors import Problem, Refused
from server.people import audit, sequences
from server.terminals import pairing, policy, psams
from server.terminals.models import EnrolToken, Psam, Terminal, TerminalKey
from server.terminals.psams import NewPsam
from server.terminals.services import CONFIG, find_site, find_terminal, keys_of
from server.terminals.shown import ENROLLED, LETTER, last_code, shown_with
from swipe.requests import ENROL_CONTEXT, enrol_message

# The table belongs to a feature above. It knows of events in months that were detached, too.
_STORED = sa.table("stored_range", sa.column("terminal_id", sa.BigInteger))


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a terminal shows when it enrols; its new key signs the whole of it."""

    token: str
    public_key: bytes
    psam_no: bytes
    hardware: bool
    dpk_idx: int
    signature: bytes = b""

    @property
    def message(self) -> bytes:
        """Return what the signature is over."""
        return enrol_message(self.token, self.psam_no, self.dpk_idx)


def add_terminal(
    session: Session, name: str, site_id: int, actor: str, now_ms: int
) -> tuple[Terminal, str]:
    """Order a terminal; return it and the one-time pairing code, shown only now."""
    find_site(session, site_id)
    if session.scalar(sa.select(Terminal.id).where(Terminal.name == name)) is not None:
        raise Refused("name-taken", "终端名已被使用", f"there is a terminal {name} already")
    terminal = Terminal(
        name=name,
        site_id=site_id,
        state="pending",
        created_by=actor,
        config_version=sequences.next_value(session, CONFIG),
        created_ms=now_ms,
    )
    session.add(terminal)
    session.flush()
    token = new_token(session, terminal.id, now_ms)
    audit.record(session, now_ms, actor, "terminal.ordered", f"terminal:{terminal.id}", name=name)
    return terminal, token


def new_token(session: Session, terminal_id: int, now_ms: int) -> str:
    """Return a fresh pairing code for a terminal.

    Codes that were not used yet end here, and so do keys that were shown and not approved, with
    the PSAMs that waited with them: the box that the new code is for shows its own.
    """
    withdraw(session, terminal_id)
    token = pairing.new_code()
    session.add(
        EnrolToken(
            hash=_token_hash(token),
            terminal_id=terminal_id,
            expires_ms=now_ms + policy.TOKEN_LIFETIME_MS,
        )
    )
    return token


def code_again(session: Session, terminal_id: int, actor: str, now_ms: int) -> str:
    """Return a fresh pairing code: for a box that nobody has approved, or to tell one again.

    Who asks for it is one of those who may not approve what is shown with it. The box of a
    terminal in service gets with it what it was told at its enrolment, if it still has its key;
    another box does not get in with it.
    """
    terminal = find_terminal(session, terminal_id)
    if terminal.state == "revoked":
        raise Refused(
            "terminal-revoked",
            "终端已停用；请用 terminal add 登记新终端",
            "the terminal is revoked: order a new one with terminal add",
        )
    if terminal.state != "pending" and _replacement_waits(session, terminal_id):
        raise Refused(
            "replacement-waits",
            "此终端正在更换坏机；新机的入网单请再用 fleet replace 打印",
            "a new box is under way: fleet replace prints another letter for it",
        )
    token = new_token(session, terminal_id, now_ms)
    audit.record(session, now_ms, actor, LETTER, f"terminal:{terminal_id}")
    return token


def state_of(terminal: Terminal, key: TerminalKey) -> str:
    """Return how a box stands: one whose key nobody has approved yet is pending."""
    return terminal.state if key.valid_from_ms is not None else "pending"


def replaces(session: Session, key: TerminalKey) -> bool:
    """Say whether a box goes on behind events that the server holds, and may not begin with 1.

    So does one that came in the place of another; and one that enrols again though its terminal
    has uploaded: without its journal it would number events twice.
    """
    if keys_of(session, key.terminal_id)[0].id != key.id:
        return True
    begun = sa.select(sa.literal(1)).where(_STORED.c.terminal_id == key.terminal_id).limit(1)
    return session.scalar(begun) is not None


def enrol(session: Session, shown: Enrolment, now_ms: int) -> tuple[Terminal, TerminalKey]:
    """Take the key and PSAM number a terminal shows with its pairing code.

    The same code with the same key gets the same answer again, so a lost answer costs nothing. A
    key in force is told again what it was told, and nothing changes.

    Raises:
        Problem: 401 unknown or expired code, or the request is not signed with the key it shows;
            409 code used, or key or PSAM known elsewhere.
    """
    _check_possession(shown)
    token, terminal = _found(session, shown.token, now_ms)
    mine = next((key for key in keys_of(session, terminal.id) if _is_shown(key, shown)), None)
    if mine is not None and mine.valid_from_ms is not None:
        return terminal, _told_again(session, token, mine, shown)
    if token.used_ms is None:
        return terminal, _first_shown(session, (token, terminal), shown, now_ms)
    if mine is None:
        raise Problem(
            409,
            "token-used",
            "入网口令已被另一台设备使用，或已打印新的入网单；请用最新的入网单",
            "the code was used by another device, or a newer letter was printed: use the newest",
        )
    if shown_with(session, mine).psam_no != shown.psam_no:
        drop_waiting_psam(session, mine)
        _take_psam(session, terminal, shown, now_ms)
        _tell(session, mine, shown, now_ms)
    return terminal, mine


def approve(session: Session, terminal_id: int, actor: str, now_ms: int) -> Terminal:
    """Let an enrolled terminal in; the person must not have ordered it, its code or its PSAM."""
    terminal = find_terminal(session, terminal_id)
    refuse_author(terminal.created_by, actor)
    if terminal.state != "pending":
        raise Refused(
            "not-pending", "终端不在待批准状态", f"terminal {terminal_id} is {terminal.state}"
        )
    keys = keys_of(session, terminal_id)
    if not keys:
        raise Refused(
            "not-enrolled",
            "终端还没有用口令入网，请先在终端上运行 provision",
            "the terminal has not shown its key yet: run provision on it first",
        )
    let_in(session, keys[-1], terminal.created_by, (actor, now_ms), psams.FIRST_SEQ)
    terminal.state = "active"
    terminal.approved_by = actor
    audit.record(session, now_ms, actor, "terminal.approved", f"terminal:{terminal_id}")
    return terminal


def let_in(
    session: Session, key: TerminalKey, ordered_by: str, by: tuple[str, int], from_seq: int
) -> None:
    """Let a key in and the PSAM that was shown with it, if that waits: both, or neither.

    `by` is who approves and when, in milliseconds; the PSAM may prove events from `from_seq` on.

    Raises:
        Refused: The person made the code that the key was shown with, or ordered the PSAM.
    """
    actor, now_ms = by
    found = shown_with(session, key)
    refuse_author(ordered_by, actor)
    refuse_author(found.code_by or ordered_by, actor)
    psam = _waiting_psam(session, key)
    if psam is not None:
        psams.refuse_author(psam, actor)
    key.valid_from_ms = now_ms
    record = {
        "terminal": key.terminal_id,
        "key_id": key.id,
        "public_key": key.public_key.hex(),
        "suite": key.suite,
        "ordered_by": ordered_by,
        "approved_by": actor,
    }
    evidence.append_record(session, now_ms, "terminal-key", record)
    if psam is not None:
        psam.from_seq = from_seq
        psams.approve_psam(session, psam.number, actor, now_ms)


def refuse_author(maker: str, checker: str) -> None:
    """Refuse one person on both sides of an approval."""
    if not policy.two_people(maker, checker):
        raise Refused(
            "same-person",
            "申请人和批准人须为两人：登记终端、打印入网单的人不能批准",
            "ordering and approving take two different people: who ordered it, or printed the "
            "letter it came with, does not approve it",
        )


def withdraw(session: Session, terminal_id: int) -> None:
    """End what waits at a terminal: unused codes, keys not approved, the PSAMs shown with them."""
    unused = sa.delete(EnrolToken).where(
        EnrolToken.terminal_id == terminal_id, EnrolToken.used_ms.is_(None)
    )
    session.execute(unused)
    for key in keys_of(session, terminal_id):
        if key.valid_from_ms is None:
            drop_waiting_psam(session, key)
            session.delete(key)
    session.flush()


def drop_waiting_psam(session: Session, key: TerminalKey) -> None:
    """Forget the PSAM that was shown with a key, unless somebody has let it in."""
    psam = _waiting_psam(session, key)
    if psam is not None:
        session.delete(psam)
        session.flush()


def _waiting_psam(session: Session, key: TerminalKey) -> Psam | None:
    """Return the PSAM that was shown with a key, if nobody has let it in yet."""
    number = shown_with(session, key).psam_no
    psam = None if number is None else session.get(Psam, number)
    if psam is None or psam.state != "pending" or psam.terminal_id != key.terminal_id:
        return None
    return psam


def _found(session: Session, code: str, now_ms: int) -> tuple[EnrolToken, Terminal]:
    """Return a code's row and its terminal, both locked, the terminal first as everywhere."""
    token = session.get(EnrolToken, _token_hash(code))
    terminal = None if token is None else find_terminal(session, token.terminal_id)
    token = session.get(EnrolToken, _token_hash(code), with_for_update=True)
    if token is None or terminal is None or (token.used_ms is None and token.expires_ms < now_ms):
        raise Problem(
            401,
            "token-unknown",
            "入网口令不存在或已过期，请管理员重新发放",
            "the enrolment token is unknown or has expired; ask staff for a new one",
        )
    return token, terminal


def _first_shown(
    session: Session, paired: tuple[EnrolToken, Terminal], shown: Enrolment, now_ms: int
) -> TerminalKey:
    token, terminal = paired
    _check_new_key(session, terminal, shown)
    _take_psam(session, terminal, shown, now_ms)
    key = TerminalKey(
        terminal_id=terminal.id,
        public_key=shown.public_key,
        suite=int(Suite.of(shown.public_key)),
    )
    session.add(key)
    session.flush()
    token.used_ms = terminal.last_contact_ms = now_ms
    _tell(session, key, shown, now_ms)
    return key


def _told_again(
    session: Session, token: EnrolToken, key: TerminalKey, shown: Enrolment
) -> TerminalKey:
    """Return an approved key that is shown once more; a code that was not used stays unused.

    Raises:
        Problem: 409 the key has ended and the code is new; or the box has another PSAM than before.
    """
    ended = key.revoked_ms is not None or key.until_seq is not None
    if ended and token.used_ms is None:
        raise Problem(
            409,
            "key-ended",
            "此机的密钥已终止；请先将数据目录中的 identity.pem 改名（流水不要删除），"
            "再用 fleet replace 的新入网单运行 provision",
            "this box's key has ended: rename identity.pem in its data folder (never delete the "
            "journal), then run provision with a new letter of fleet replace",
        )
    psam = session.get(Psam, shown.psam_no)
    own = psam is not None and psam.terminal_id == key.terminal_id and psam.state != "pending"
    if not ended and not own:
        raise Problem(
            409,
            "another-psam",
            "此机已批准，现在装的是另一张 PSAM：请 psam add，另一人 psam approve，或装回原来的",
            "the box was approved and has another PSAM now: psam add, then psam approve by another "
            "person; or put the former one back",
        )
    return key


def _check_new_key(session: Session, terminal: Terminal, shown: Enrolment) -> None:
    """Refuse a new key that is known, of another suite than before, or comes with a wrong code."""
    last = last_code(session, terminal.id)
    if terminal.state == "revoked" or (
        terminal.state != "pending" and last is not None and last.action == LETTER
    ):
        raise Problem(
            409,
            "code-tells-again",
            "此入网单只供已入网的原机重新取得登记资料；新机请用 fleet replace 的入网单",
            "this letter only tells the box that is enrolled again who it is; a new box takes one "
            "of fleet replace",
        )
    statement = sa.select(TerminalKey).where(TerminalKey.public_key == shown.public_key)
    known = session.scalars(statement).one_or_none()
    if known is not None:
        raise Problem(
            409,
            "already-enrolled",
            f"此机的密钥已登记到终端 {known.terminal_id}；要改作他用，请先上传或导出，"
            "再将 identity.pem 改名后重新运行 provision，旧流水会另存",
            f"this box's key is terminal {known.terminal_id}'s; to use the box elsewhere upload or "
            "export first, rename identity.pem and run provision: the old journal is kept",
        )
    earlier = keys_of(session, terminal.id)
    if earlier and earlier[0].suite != int(Suite.of(shown.public_key)):
        raise Problem(409, "other-suite", "新旧密钥须为同一算法", "both keys must be of one suite")


def _take_psam(session: Session, terminal: Terminal, shown: Enrolment, now_ms: int) -> None:
    last = last_code(session, terminal.id)
    author = last.actor if last else terminal.created_by
    new = NewPsam(shown.psam_no, terminal.id, shown.hardware, shown.dpk_idx)
    psams.take_shown(session, new, (author, now_ms))


def _tell(session: Session, key: TerminalKey, shown: Enrolment, now_ms: int) -> None:
    subject = f"terminal:{key.terminal_id}"
    audit.record(
        session, now_ms, subject, ENROLLED, subject,
        key_id=key.id, public_key=key.public_key.hex(), psam=shown.psam_no.hex(),
    )  # fmt: skip


def _is_shown(key: TerminalKey, shown: Enrolment) -> bool:
    return key.public_key == shown.public_key


def _replacement_waits(session: Session, terminal_id: int) -> bool:
    """Say whether a box that replaces another was ordered and has not been let in yet."""
    if any(key.valid_from_ms is None for key in keys_of(session, terminal_id)):
        return True
    last = last_code(session, terminal_id)
    unused = sa.select(EnrolToken.hash).where(
        EnrolToken.terminal_id == terminal_id, EnrolToken.used_ms.is_(None)
    )
    ordered = last is not None and last.action == "replacement.ordered"
    return ordered and session.scalar(unused.limit(1)) is not None


def _check_possession(shown: Enrolment) -> None:
    """Refuse a key whose private half the sender did not use: it may be somebody else's."""
    try:
        signed = verify(shown.public_key, shown.signature, ENROL_CONTEXT, shown.message)
    except BadPublicKey:
        signed = False
    if not signed:
        raise Problem(
            401,
            "enrolment-signature",
            "入网请求的签名与所示公钥不符",
            "the request is not signed with the key that it shows",
        )


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(pairing.normalised(token).encode()).digest()
