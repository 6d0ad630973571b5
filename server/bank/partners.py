# SPDX-License-Identifier: Apache-2.0
"""Partners: take in a declaration, hold our own keys towards each, find who is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from keys.file_box import BoxKey
from keys.file_pgp import PgpHome
from keys.identity import Identity, Suite
from keys.usage import KeyUsage
from server.bank.files import declaration
from server.bank.files.declaration import Declaration, DeclarationError
from server.bank.models import BankPartner
from server.errors import Refused
from server.people import audit, services

PLACE = "yika/bank-key/1/"


@dataclass(frozen=True)
class Partner:
    """A partner with its declaration read."""

    row: BankPartner
    declared: Declaration

    @property
    def code(self) -> str:
        """Give the partner's code."""
        return self.row.code


def declare(
    session: Session, store: KeyStore, text: str, actor: str, now_ms: int
) -> tuple[Partner, bool]:
    """Take in a declaration, new or changed; return the partner, and whether it is new.

    A new partner gets keys of our own: one to sign with, one to open what it encrypts. A change of
    suite or scheme makes them anew.

    Raises:
        Refused: the declaration has faults (all are named), or no staff user acts.
    """
    services.require_staff(session, actor)
    try:
        declared = declaration.load(text)
    except DeclarationError as error:
        listed = "; ".join(error.faults)
        raise Refused("declaration", f"声明有误：{listed}", f"declaration: {listed}") from error
    row = session.scalar(sa.select(BankPartner).where(BankPartner.code == declared.code))
    before = declaration.load(row.declaration) if row else None
    if row is None:
        row = BankPartner(code=declared.code, state="active", created_by=actor, created_ms=now_ms)
        session.add(row)
    if before is None or before.suite != declared.suite:
        row.sign_public, row.sign_sealed = _signing_key(store, declared)
    if before is None or before.encryption != declared.encryption:
        row.open_public, row.open_sealed = _opening_key(store, declared)
    row.declaration, row.changed_ms = text, now_ms
    session.flush()
    audit.record(
        session, now_ms, actor, "partner.declared", f"partner:{row.code}",
        suite=declared.suite, encryption=declared.encryption, kinds=list(declared.kinds),
        whitelist=list(declared.whitelist),
    )  # fmt: skip
    return Partner(row, declared), before is None


def get(session: Session, code: str) -> Partner:
    """Return a partner; raise `Refused` for an unknown one."""
    row = session.scalar(sa.select(BankPartner).where(BankPartner.code == code))
    if row is None:
        raise Refused("unknown-partner", f"没有合作银行 {code}", f"no bank partner {code}")
    return Partner(row, declaration.load(row.declaration))


def listed(session: Session) -> list[Partner]:
    """Return all partners by code."""
    rows = session.scalars(sa.select(BankPartner).order_by(BankPartner.code))
    return [Partner(row, declaration.load(row.declaration)) for row in rows]


def set_state(session: Session, code: str, state: str, actor: str, now_ms: int) -> None:
    """Switch a partner off, or on again; one that is off gets nothing and is not listened to."""
    services.require_staff(session, actor)
    partner = get(session, code)
    partner.row.state, partner.row.changed_ms = state, now_ms
    audit.record(session, now_ms, actor, "partner.state", f"partner:{code}", state=state)


@dataclass(frozen=True, slots=True)
class Access:
    """How a partner comes in: its SSH public key, and the name of its service account."""

    ssh_key: str | None = None
    account: str | None = None


def set_access(session: Session, code: str, access: Access, actor: str, now_ms: int) -> None:
    """Note how a partner comes in; what is None stays as it was."""
    services.require_staff(session, actor)
    row = get(session, code).row
    row.ssh_key = access.ssh_key or row.ssh_key
    row.account = access.account or row.account
    row.changed_ms = now_ms
    audit.record(
        session, now_ms, actor, "partner.access", f"partner:{code}",
        ssh=bool(row.ssh_key), account=row.account,
    )  # fmt: skip


def place(code: str, purpose: str) -> bytes:
    """Name what a sealed key is for: `sign` or `open`."""
    return f"{PLACE}{code}/{purpose}".encode()


def seal(store: KeyStore, code: str, purpose: str, secret: bytes) -> bytes:
    """Seal a key of ours under the store's key for the server's own identities."""
    return store.seal(KeyUsage.SERVER_IDENTITY, secret, place(code, purpose))


def unseal(store: KeyStore, code: str, purpose: str, sealed: bytes) -> bytes:
    """Open one; raise `BadSeal` when it was changed or is another's."""
    return store.open_sealed(KeyUsage.SERVER_IDENTITY, sealed, place(code, purpose))


def _signing_key(store: KeyStore, declared: Declaration) -> tuple[str, bytes]:
    if declared.suite == "pgp":
        return _pgp_pair(store, declared.code, "sign")
    identity = Identity.generate(Suite.SM2 if declared.suite == "sm2" else Suite.ED25519)
    sealed = identity.sealed_by(lambda pem: seal(store, declared.code, "sign", pem))
    return identity.public_key.hex(), sealed


def _opening_key(store: KeyStore, declared: Declaration) -> tuple[str | None, bytes | None]:
    if declared.encryption == "none":
        return None, None
    if declared.encryption == "pgp":
        return _pgp_pair(store, declared.code, "open")
    box = BoxKey.generate()
    sealed = box.sealed_by(lambda secret: seal(store, declared.code, "open", secret))
    return box.public_key.hex(), sealed


def _pgp_pair(store: KeyStore, code: str, purpose: str) -> tuple[str, bytes]:
    with PgpHome.opened() as home:
        fingerprint = home.make(f"Yika {purpose} towards {code}")
        return home.public(fingerprint), seal(store, code, purpose, home.secret(fingerprint))
