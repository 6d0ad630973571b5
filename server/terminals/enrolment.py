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
from keys.usage import DPK_INDEX_PSAM, DPK_INDEX_SOFT
from keys.verify import verify
from server import evidence
from server.errors import Problem, Refused
from server.people import audit, sequences
from server.terminals import pairing, policy
from server.terminals.models import EnrolToken, Psam, Terminal, TerminalKey
from server.terminals.services import CONFIG, find_site, find_terminal, keys_of
from swipe.requests import ENROL_CONTEXT, enrol_message

FIRST_SEQ = 1


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


@dataclass(frozen=True, slots=True)
class NewPsam:
    """A PSAM to be put into a terminal, valid from one of its sequence numbers on."""

    number: bytes
    terminal_id: int
    hardware: bool
    dpk_idx: int
    from_seq: int = FIRST_SEQ


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
    """Return a fresh pairing code for a terminal; codes that were not used yet end here."""
    unused = sa.delete(EnrolToken).where(
        EnrolToken.terminal_id == terminal_id, EnrolToken.used_ms.is_(None)
    )
    session.execute(unused)
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
    """Return a fresh pairing code for a terminal that has not shown a key yet."""
    terminal = find_terminal(session, terminal_id)
    if terminal.state != "pending" or keys_of(session, terminal_id):
        raise Refused(
            "enrolled-already",
            "终端已入网；更换坏机请用 fleet replace",
            "the terminal has enrolled; to replace a dead box use fleet replace",
        )
    token = new_token(session, terminal_id, now_ms)
    audit.record(session, now_ms, actor, "terminal.code", f"terminal:{terminal_id}")
    return token


def state_of(terminal: Terminal, key: TerminalKey) -> str:
    """Return how a box stands: one whose key nobody has approved yet is pending."""
    return terminal.state if key.valid_from_ms is not None else "pending"


def replaces(session: Session, key: TerminalKey) -> bool:
    """Say whether a box came in the place of another: the terminal had a key before this one."""
    return keys_of(session, key.terminal_id)[0].id != key.id


def enrol(session: Session, shown: Enrolment, now_ms: int) -> tuple[Terminal, TerminalKey]:
    """Take the key and PSAM number a terminal shows with its pairing code.

    The same code with the same key gets the same answer again, so a lost answer costs nothing.

    Raises:
        Problem: 401 unknown or expired code, or the request is not signed with the key it shows;
            409 code used, or key or PSAM known elsewhere.
    """
    _check_possession(shown)
    token = session.get(EnrolToken, _token_hash(shown.token), with_for_update=True)
    if token is None or (token.used_ms is None and token.expires_ms < now_ms):
        raise Problem(
            401,
            "token-unknown",
            "入网口令不存在或已过期，请管理员重新发放",
            "the enrolment token is unknown or has expired; ask staff for a new one",
        )
    terminal = find_terminal(session, token.terminal_id)
    if token.used_ms is not None:
        return terminal, _same_again(session, terminal, shown)
    known = _known_psam(session, shown, terminal)
    token.used_ms = now_ms
    terminal.last_contact_ms = now_ms
    key = TerminalKey(
        terminal_id=terminal.id,
        public_key=shown.public_key,
        suite=int(Suite.of(shown.public_key)),
    )
    session.add(key)
    if not known:
        session.add(
            Psam(
                number=shown.psam_no,
                terminal_id=terminal.id,
                dpk_idx=shown.dpk_idx,
                hardware=shown.hardware,
                from_seq=FIRST_SEQ,
                state="pending",
                created_by=terminal.created_by,
            )
        )
    session.flush()
    audit.record(
        session, now_ms, f"terminal:{terminal.id}", "terminal.enrolled", f"terminal:{terminal.id}",
        key_id=key.id, public_key=shown.public_key.hex(), psam=shown.psam_no.hex(),
    )  # fmt: skip
    return terminal, key


def approve(session: Session, terminal_id: int, actor: str, now_ms: int) -> Terminal:
    """Let an enrolled terminal in; the person must not be the one who ordered it."""
    terminal = find_terminal(session, terminal_id)
    _refuse_same_person(terminal.created_by, actor)
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
    terminal.state = "active"
    terminal.approved_by = actor
    for key in keys:
        key.valid_from_ms = key.valid_from_ms or now_ms
        _log_key(session, terminal, key, actor, now_ms)
    waiting = sa.select(Psam).where(Psam.terminal_id == terminal_id, Psam.state == "pending")
    for psam in session.scalars(waiting):
        _activate(session, psam, actor, now_ms)
    audit.record(session, now_ms, actor, "terminal.approved", f"terminal:{terminal_id}")
    return terminal


def propose_psam(session: Session, new: NewPsam, actor: str, now_ms: int) -> Psam:
    """Order a further PSAM for a terminal; it counts once another person approves."""
    find_terminal(session, new.terminal_id)
    if session.get(Psam, new.number) is not None:
        raise Refused(
            "psam-known", "此 PSAM 已登记", f"PSAM {new.number.hex()} is enrolled already"
        )
    check_psam(new.number, hardware=new.hardware, dpk_idx=new.dpk_idx)
    psam = Psam(
        number=new.number,
        terminal_id=new.terminal_id,
        dpk_idx=new.dpk_idx,
        hardware=new.hardware,
        from_seq=new.from_seq,
        state="pending",
        created_by=actor,
    )
    session.add(psam)
    audit.record(
        session, now_ms, actor, "psam.ordered", f"psam:{new.number.hex()}",
        terminal=new.terminal_id,
    )  # fmt: skip
    return psam


def approve_psam(session: Session, number: bytes, actor: str, now_ms: int) -> Psam:
    """Let a further PSAM in; the person must not be the one who ordered it."""
    psam = session.get(Psam, number, with_for_update=True)
    if psam is None or psam.state != "pending":
        raise Refused("not-pending", "没有待批准的 PSAM", f"no PSAM {number.hex()} is waiting")
    _refuse_same_person(psam.created_by, actor)
    _activate(session, psam, actor, now_ms)
    return psam


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


def _activate(session: Session, psam: Psam, actor: str, now_ms: int) -> None:
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


def _log_key(
    session: Session, terminal: Terminal, key: TerminalKey, actor: str, now_ms: int
) -> None:
    record = {
        "terminal": terminal.id,
        "key_id": key.id,
        "public_key": key.public_key.hex(),
        "suite": key.suite,
        "ordered_by": terminal.created_by,
        "approved_by": actor,
    }
    evidence.append_record(session, now_ms, "terminal-key", record)


def _refuse_same_person(maker: str, checker: str) -> None:
    if not policy.two_people(maker, checker):
        raise Refused(
            "same-person",
            "申请人和批准人须为两人",
            "ordering and approving take two different people",
        )


def _same_again(session: Session, terminal: Terminal, shown: Enrolment) -> TerminalKey:
    for key in keys_of(session, terminal.id):
        if key.public_key == shown.public_key:
            return key
    raise Problem(
        409,
        "token-used",
        "入网口令已被另一台设备使用",
        "the enrolment token was used by another device",
    )


def _known_psam(session: Session, shown: Enrolment, terminal: Terminal) -> bool:
    """Say whether the PSAM is this terminal's already: one that moved into a new box.

    Raises:
        Problem: 409 the key is known, of another suite than before, or the PSAM is another's, or
            set apart.
    """
    statement = sa.select(TerminalKey.id).where(TerminalKey.public_key == shown.public_key)
    psam = session.get(Psam, shown.psam_no)
    moved = psam is not None and psam.terminal_id == terminal.id
    if session.scalar(statement) is not None or (psam is not None and not moved):
        raise Problem(
            409,
            "already-enrolled",
            "此密钥或 PSAM 已登记到另一台终端",
            "this key or PSAM is enrolled to another terminal",
        )
    if psam is not None and psam.state not in {"active", "pending"}:
        raise Problem(
            409,
            "psam-set-apart",
            "此 PSAM 已停用或被隔离，请换一张 PSAM",
            "this PSAM is revoked or set apart; put another one in",
        )
    earlier = keys_of(session, terminal.id)
    if earlier and earlier[0].suite != int(Suite.of(shown.public_key)):
        raise Problem(409, "other-suite", "新旧密钥须为同一算法", "both keys must be of one suite")
    return moved


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
