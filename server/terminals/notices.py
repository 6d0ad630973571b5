# SPDX-License-Identifier: Apache-2.0
"""Signed notices to terminals: the hotlist and each terminal's configuration.

A version is a counter that steps in the unit of work that changes the content, so receipts can
name it at once; the body is built and signed when a terminal first asks for that version.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.identity import Identity
from server.db import insert_new
from server.people import sequences
from server.people.models import Card, Sequence
from server.people.services import LISTED_STATES
from server.terminals import policy, site_content
from server.terminals.models import ConfigNotice, HotlistIssue, Site, Terminal
from server.terminals.services import CONFIG
from swipe.errors import BadSignature
from swipe.hotlist import CardSet, HotlistBitmap
from swipe.notices import Config as ConfigBody

# Hotlists that a terminal may hold and get a change of; who holds an older one gets everything.
ISSUES_KEPT = 100
# Written once: to build a statement costs more than to run it.
_VERSIONS = sa.select(
    sa.select(Sequence.value).where(Sequence.name == sequences.CARD_LISTING).scalar_subquery(),
    sa.select(Site.config_version).where(Site.id == sa.bindparam("site")).scalar_subquery(),
)


@dataclass(frozen=True, slots=True)
class Signer:
    """The server's signing identity and the number terminals know it by."""

    identity: Identity
    key_id: int


def versions(session: Session, terminal: Terminal) -> tuple[int, int]:
    """Return the versions of hotlist and configuration as everything stands now."""
    found = session.execute(_VERSIONS, {"site": terminal.site_id}).one()
    return int(found[0]), max(int(found[1]), terminal.config_version)


def hotlist(session: Session, signer: Signer, now_ms: int, held: int = 0) -> bytes:
    """Return the current signed hotlist, for a terminal that holds the version `held` (0: none).

    It is what changed since then if that version is still known here, and everything otherwise.
    One past half its life is made anew.
    """
    version = sequences.current_value(session, sequences.CARD_LISTING)
    issue = session.get(HotlistIssue, version)
    if issue is not None and policy.wants_renewal(issue.built_ms, now_ms):
        version = sequences.next_value(session, sequences.CARD_LISTING)
        issue = None
    if issue is None:
        body = _build_hotlist(session, signer, version, now_ms)
        insert_new(session, HotlistIssue, version=version, built_ms=now_ms, body=body)
        _forget_old_issues(session)
        issue = session.get_one(HotlistIssue, version)
    older = session.get(HotlistIssue, held) if held else None
    return issue.body if older is None else _change(signer, older.body, issue.body)


def _build_hotlist(session: Session, signer: Signer, version: int, now_ms: int) -> bytes:
    asns = session.scalars(sa.select(Card.asn).where(Card.state.in_(LISTED_STATES)))
    listed = HotlistBitmap(
        version,
        now_ms,
        CardSet.of(bytes.fromhex(asn) for asn in asns),
        now_ms + policy.NOTICE_LIFETIME_MS,
        signer.key_id,
    )
    return listed.signed(signer.identity).to_bytes()


def _change(signer: Signer, older: bytes, newest: bytes) -> bytes:
    """Return the shorter way to the newest list; one signed by a former key is no way."""
    public_key = signer.identity.public_key
    try:
        held = HotlistBitmap.from_bytes(older, public_key)
    except BadSignature:
        return newest
    change = HotlistBitmap.from_bytes(newest, public_key).since(held)
    return min(change, newest, key=len)


def _forget_old_issues(session: Session) -> None:
    kept = sa.select(HotlistIssue.version).order_by(HotlistIssue.version.desc())
    oldest = session.scalars(kept.offset(ISSUES_KEPT).limit(1)).first()
    if oldest is not None:
        session.execute(sa.delete(HotlistIssue).where(HotlistIssue.version <= oldest))


def config_notice(session: Session, signer: Signer, terminal: Terminal, now_ms: int) -> bytes:
    """Return a terminal's current signed configuration; one past half its life is made anew."""
    _, version = versions(session, terminal)
    notice = session.get(ConfigNotice, (terminal.id, version))
    if notice is not None and policy.wants_renewal(notice.built_ms, now_ms):
        terminal.config_version = version = sequences.next_value(session, CONFIG)
        notice = None
    if notice is None:
        content = site_content.content(session, terminal, version, now_ms)
        body = ConfigBody(version, content, terminal.id, now_ms, signer.key_id)
        signed = body.to_bytes(signer.identity)
        insert_new(
            session, ConfigNotice,
            terminal_id=terminal.id, version=version, built_ms=now_ms, body=signed,
        )  # fmt: skip
        notice = session.get_one(ConfigNotice, (terminal.id, version))
    return notice.body
