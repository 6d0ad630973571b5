# SPDX-License-Identifier: Apache-2.0
"""Give a volunteer an electronic card and, again and again, a token that shows it.

A token is signed by the server's identity, lives for two minutes and counts once. The page asks
for the next one before the last has ended, so that whoever looks at it always holds a fresh one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.identity import Identity
from server.errors import Refused
from server.people import services as people
from server.people.models import Card, Volunteer
from server.phone_cards.models import PhoneCard, TokenIssued, TokenUse
from swipe.phone_token import LIFE_DEFAULT_S, MINOR, PhoneToken, seen_digest, token_code

# An electronic card has no keys of its own; no chip card has this key version.
NO_KEYS = 0
# A page open on some devices asks once a minute; more at once is a program that collects codes.
ALIVE_MAX = 12
# Terminals upload after weeks at the latest; what nobody used by then nobody will.
KEEP_UNUSED_S = 400 * 86_400


@dataclass(frozen=True, slots=True)
class Signer:
    """The server's signing identity and the number terminals know it by."""

    identity: Identity
    key_id: int


@dataclass(frozen=True, slots=True)
class Code:
    """What the page shows: the text of the QR code, and when it ends."""

    text: str
    token: PhoneToken


def issue_code(session: Session, signer: Signer, volunteer_id: int, now_ms: int) -> Code:
    """Sign the next token of a volunteer's electronic card, giving them one if they have none.

    Raises:
        Refused: the electronic card is blocked, or too many of its tokens are alive.
    """
    volunteer = session.get_one(Volunteer, volunteer_id)
    card = _card_of(session, volunteer, now_ms)
    if card.state != "active":
        raise Refused(
            "phone-card-blocked",
            "您的电子义工证已停用，请到服务台恢复",
            f"the electronic card is {card.state}; ask the service desk",
        )
    now_s = now_ms // 1000
    _check_rate(session, card, now_s)
    _forget_unused(session, card, now_s)
    minor = volunteer.minor_until_ms is not None and now_ms < volunteer.minor_until_ms
    token = PhoneToken(
        asn=bytes.fromhex(card.asn),
        token_id=secrets.token_bytes(8),
        issued_s=now_s,
        life_s=LIFE_DEFAULT_S,
        key_id=signer.key_id,
        flags=MINOR if minor else 0,
    )
    raw = token.to_bytes(signer.identity)
    session.add(
        TokenIssued(
            token_id=token.token_id.hex(),
            card_id=card.id,
            key_id=signer.key_id,
            issued_s=token.issued_s,
            life_s=token.life_s,
            flags=token.flags,
            seen=seen_digest(raw),
        )
    )
    session.flush()
    return Code(token_code(raw), token)


def _card_of(session: Session, volunteer: Volunteer, now_ms: int) -> Card:
    """Return the newest electronic card of a volunteer; a replaced one is followed by a new one."""
    found = session.scalar(
        sa.select(Card)
        .join(PhoneCard, PhoneCard.card_id == Card.id)
        .where(PhoneCard.volunteer_id == volunteer.id, Card.state != "replaced")
        .order_by(Card.id.desc())
        .limit(1)
    )
    if found is not None:
        return found
    asn = people.next_card_serial(session)
    actor = f"volunteer:{volunteer.number}"
    card = people.register_card(session, volunteer.number, asn, NO_KEYS, actor, now_ms)
    session.add(PhoneCard(card_id=card.id, volunteer_id=volunteer.id))
    session.flush()
    return card


def _check_rate(session: Session, card: Card, now_s: int) -> None:
    alive = sa.select(sa.func.count()).where(
        TokenIssued.card_id == card.id, TokenIssued.issued_s + TokenIssued.life_s >= now_s
    )
    if (session.scalar(alive) or 0) >= ALIVE_MAX:
        raise Refused(
            "too-many-codes",
            "二维码刷新过于频繁，请等一分钟再试",
            "too many codes were asked for; wait a minute and try again",
        )


def _forget_unused(session: Session, card: Card, now_s: int) -> None:
    used = sa.select(TokenUse.token_id)
    session.execute(
        sa.delete(TokenIssued).where(
            TokenIssued.card_id == card.id,
            TokenIssued.issued_s < now_s - KEEP_UNUSED_S,
            TokenIssued.token_id.not_in(used),
        ),
        execution_options={"synchronize_session": False},
    )
