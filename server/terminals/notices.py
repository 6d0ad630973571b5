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
from swipe.notices import Config as ConfigBody
from swipe.notices import Hotlist

# The first two of the ten bytes of a serial are the issuer's prefix; cards are told by the rest.
SERIAL_FROM = 2


@dataclass(frozen=True, slots=True)
class Signer:
    """The server's signing identity and the number terminals know it by."""

    identity: Identity
    key_id: int


def versions(session: Session, terminal: Terminal) -> tuple[int, int]:
    """Return the versions of hotlist and configuration as everything stands now."""
    listing = sa.select(Sequence.value).where(Sequence.name == sequences.CARD_LISTING)
    site = sa.select(Site.config_version).where(Site.id == terminal.site_id)
    found = session.execute(sa.select(listing.scalar_subquery(), site.scalar_subquery())).one()
    return int(found[0]), max(int(found[1]), terminal.config_version)


def hotlist(session: Session, signer: Signer, now_ms: int) -> bytes:
    """Return the current signed hotlist."""
    version = sequences.current_value(session, sequences.CARD_LISTING)
    issue = session.get(HotlistIssue, version)
    if issue is None:
        asns = session.scalars(sa.select(Card.asn).where(Card.state.in_(LISTED_STATES)))
        serials = tuple(sorted(bytes.fromhex(asn)[SERIAL_FROM:] for asn in asns))
        body = Hotlist(version, now_ms, serials, signer.key_id).to_bytes(signer.identity)
        insert_new(session, HotlistIssue, version=version, built_ms=now_ms, body=body)
        issue = session.get_one(HotlistIssue, version)
    return issue.body


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
