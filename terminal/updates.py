# SPDX-License-Identifier: Apache-2.0
"""Carry the server's updates of a card at its tap: bytes in, bytes out, nothing understood.

After a batch the terminal asks which of the cards in it have an update waiting; so it knows at the
next tap whom to ask to hold still. The tap comes first and is durable before a card is updated.
What goes to the card has the card's own MACs, made at the server over the card's fresh challenge:
this program could lose it, and change nothing.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from card.errors import CardError
from card.operation import Connection
from swipe import arrays
from swipe.batch import HEADER_SIZE
from swipe.kinds import SYSTEM_FROM
from terminal.asking import Asker
from terminal.chain import Chain
from terminal.errors import NotSaved, ServerError
from terminal.recover import write_recovered
from terminal.transport import Transport

_LOG = logging.getLogger(__name__)

WAITING_PATH = "/updates/waiting"
BEGIN_PATH = "/updates/cards/{}"
SESSION_PATH = "/updates/sessions/{}"
# The cards of one site for weeks; the oldest is forgotten first and asked for again.
REMEMBERED_MAX = 10_000
# An update takes about 25 commands; more is not one.
STEPS_MAX = 60
# Nobody holds a card still for longer, and the next volunteer waits.
CARRY_S = 8.0


class UpdateCarrier:
    """Know which cards have an update waiting, and carry it.

    `ask` is called from the uplink's thread, `wants` and `carry` from the one that owns the
    reader; the dictionary between them is changed one key at a time.
    """

    def __init__(
        self,
        chain: Chain,
        transport: Transport,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chain = chain
        self._asker = Asker(chain, transport)
        self._clock = clock
        self._waiting: OrderedDict[str, None] = OrderedDict()

    def ask(self, batch: bytes) -> None:
        """Ask which cards of a batch that has just been stored have an update waiting.

        A server that does not answer is asked again with the next batch.
        """
        events = arrays.view(batch[HEADER_SIZE:])
        taps = events[events["type"] < SYSTEM_FROM]
        cards = sorted({row.tobytes().hex() for row in taps["card_asn"]} - {"0" * 20})
        cards = [card for card in cards if card.isdecimal()]
        if not cards:
            return
        try:
            answer = self._asker.post(WAITING_PATH, {"cards": cards})
            found = set(answer["cards"])
        except (ServerError, KeyError, TypeError) as exc:
            _LOG.info("updates: %s", exc)
            return
        for card in cards:
            if card in found:
                self._waiting[card] = None
            else:
                self._waiting.pop(card, None)
        while len(self._waiting) > REMEMBERED_MAX:
            self._waiting.popitem(last=False)

    def wants(self, asn: bytes) -> bool:
        """Say whether a card has an update waiting."""
        return asn.hex() in self._waiting

    def carry(self, connection: Connection, asn: bytes) -> bool:
        """Carry the update of the card on the reader; say whether it was done.

        Whatever fails here is tried at a later tap; nothing of it is the volunteer's concern.
        """
        try:
            answer = self._asker.post(BEGIN_PATH.format(asn.hex()), {})
            told = self._exchange(connection, answer)
            if told is None:
                return False
            write_recovered(self._chain, asn, told.get("log", []))
            done = str(told["state"]) != "waiting"
        except NotSaved as exc:
            _LOG.error("%s", exc)  # the server finds the taps missing, and asks again
            return False
        except (ServerError, CardError, KeyError, TypeError, ValueError) as exc:
            _LOG.info("update of a card: %s", exc)
            return False
        if done:
            self._waiting.pop(asn.hex(), None)
        return done

    def _exchange(self, connection: Connection, answer: dict[str, Any]) -> dict[str, Any] | None:
        """Carry commands and answers; return the server's last word, None if it was not heard."""
        end = self._clock() + CARRY_S
        path = SESSION_PATH.format(answer["session"])
        for step in range(STEPS_MAX):
            if answer["command"] is None:
                _LOG.info("update of a card: %s", answer["text_en"])
                return answer
            if self._clock() > end:
                _LOG.info("update of a card: not done within %.0f s", CARRY_S)
                return None
            data, sw = connection.transmit(bytes.fromhex(answer["command"]))
            told = (data + sw.to_bytes(2)).hex()
            answer = self._asker.post(path, {"step": step, "answer": told})
        return None
