# SPDX-License-Identifier: Apache-2.0
"""Ask the server what a volunteer has: minutes of today and in all, level, coins.

Somebody stands at the terminal while it asks, so the transport given here should give up soon.
What comes back is shown and decides nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from terminal.asking import Asker, number, text
from terminal.chain import Chain
from terminal.errors import ServerError
from terminal.transport import Transport

_LOG = logging.getLogger(__name__)

SUMMARY_PATH = "/cards/{}/summary"
DAY_MIN = 24 * 60
MINUTES_MAX = 100 * 366 * DAY_MIN  # a hundred years without a pause
LEVEL_MAX = 9
COINS_MAX = 32  # characters
STATES = frozenset({"active", "lost", "blocked", "replaced", "revoked", "unknown"})


@dataclass(frozen=True, slots=True)
class Summary:
    """What the server knows of a card's holder.

    Minutes are whole; `coins` is text with its decimal point; `state` is the card's at the server.
    """

    today_min: int
    total_min: int
    level: int
    coins: str
    state: str


def ask(transport: Transport, chain: Chain, asn: bytes) -> Summary | None:
    """Return what the server says of a card, by its serial of 10 bytes; None without an answer.

    A serial that no server gave out is not asked for.
    """
    if not asn.hex().isdecimal():
        return None
    try:
        answer = Asker(chain, transport).get(SUMMARY_PATH.format(asn.hex()))
        state = text(answer, "state", 16)
        return Summary(
            today_min=number(answer, "today_min", DAY_MIN),
            total_min=number(answer, "total_min", MINUTES_MAX),
            level=number(answer, "level", LEVEL_MAX),
            coins=text(answer, "coins", COINS_MAX),
            state=state if state in STATES else "unknown",
        )
    except ServerError as exc:
        _LOG.info("inquiry: %s", exc)
        return None
