# SPDX-License-Identifier: Apache-2.0
"""What tokens prove in events: that the terminal held this very token, and which use is first.

The server that signed a token keeps a digest of it, signature included; an event that carries the
digest was made by somebody who held the token. All of it is a function of token and event, so the
order in which events arrive changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from keys.verify import same
from server.db import insert_new, one_of
from server.people.models import Card
from server.phone_cards.models import TokenIssued, TokenUse
from swipe.arrays import EventArray, Mask, rows
from swipe.event import CORE_SIZE, PAYLOAD_SIZE
from swipe.kinds import PROVEN_TYPES, CardKind, CgType, EventType, Flag, Result
from swipe.phone_token import SEEN_LAYOUT

# As a terminal allows: the two clocks differ a little.
SKEW_S = 5
TAP_TYPES = PROVEN_TYPES - {EventType.TORN_RESOLVED}


def weigh(session: Session, events: EventArray) -> Mask:
    """Say of each event (n) whether it carries a token of ours, right in every field."""
    good = np.zeros(len(events), dtype=np.bool_)
    candidates = _candidates(events)
    if not len(candidates):
        return good
    payloads = {int(row): _payload(events, int(row)) for row in candidates}
    wanted = {payload["token_id"].hex() for payload in payloads.values()}
    found = session.execute(
        sa.select(TokenIssued, Card.asn)
        .join(Card, Card.id == TokenIssued.card_id)
        .where(one_of(session, TokenIssued.token_id, sorted(wanted)))
    )
    issued = {token.token_id: (token, bytes.fromhex(asn)) for token, asn in found}
    for row, payload in payloads.items():
        known = issued.get(payload["token_id"].hex())
        if known is not None:
            good[row] = _fits(events[row], payload, *known)
    return good


def note_uses(session: Session, events: EventArray, tokens: Mask) -> None:
    """Keep where the tokens of new events were seen; the same event again changes nothing."""
    for row in np.flatnonzero(tokens).tolist():
        event = events[row]
        insert_new(
            session,
            TokenUse,
            terminal_id=int(event["terminal_id"]),
            seq=int(event["seq"]),
            token_id=_payload(events, row)["token_id"].hex(),
            card_asn=event["card_asn"].tobytes().hex(),
            utc_ms=1000 * int(event["utc_s"]) + int(event["utc_ms"]),
        )


def later_uses(session: Session, asns: Collection[str]) -> set[tuple[int, int]]:
    """Return (terminal, seq) of every event whose token another event had used before.

    `asns` are serials in hex.
    The earliest by claimed time counts, then the lower terminal and number: whoever learns of the
    uses in whatever order finds the same one.
    """
    found = session.execute(
        sa.select(TokenUse.token_id, TokenUse.terminal_id, TokenUse.seq)
        .where(one_of(session, TokenUse.card_asn, sorted(asns)))
        .order_by(TokenUse.utc_ms, TokenUse.terminal_id, TokenUse.seq)
    )
    first: set[str] = set()
    later: set[tuple[int, int]] = set()
    for token_id, terminal_id, seq in found:
        if token_id in first:
            later.add((terminal_id, seq))
        first.add(token_id)
    return later


def _candidates(events: EventArray) -> NDArray[np.intp]:
    """Find the taps that say they are of a token, and say nothing else."""
    return np.flatnonzero(
        (events["card_kind"] == CardKind.TOKEN)
        & (events["cg_type"] == CgType.TOKEN)
        & np.isin(events["type"], [int(kind) for kind in TAP_TYPES])
        & (events["dpk_idx"] == 0)
        & ~events["psam_no"].any(axis=1)
        & (events["result"] == Result.OK)
    )


def _payload(events: EventArray, row: int) -> dict[str, Any]:
    raw = rows(events[row : row + 1])[0].tobytes()
    return SEEN_LAYOUT.unpack(raw[CORE_SIZE : CORE_SIZE + PAYLOAD_SIZE])


def _fits(event: Any, payload: dict[str, Any], token: TokenIssued, asn: bytes) -> bool:
    silent = not any(payload["no_card_ctr"] + payload["no_psam_seq"] + payload["reserved"])
    stated = (payload["issued_s"], payload["life_s"], payload["flags"])
    return (
        silent
        and stated == (token.issued_s, token.life_s, token.flags)
        and event["card_asn"].tobytes() == asn
        and same(payload["seen"], token.seen)
        and _alive(event, token)
    )


def _alive(event: Any, token: TokenIssued) -> bool:
    """Say whether the claimed instant, with its uncertainty, lies in the token's life."""
    if int(event["flags"]) & Flag.CLOCK_UNKNOWN:
        return True
    slack_s = -(-int(event["unc_ms"]) // 1000) + SKEW_S
    claimed_s = int(event["utc_s"])
    return token.issued_s - slack_s <= claimed_s <= token.issued_s + token.life_s + slack_s
