# SPDX-License-Identifier: Apache-2.0
"""The proof of one tap: CG2, INITIALIZE, PSAM, INTENT, UPDATE CAPP, DEBIT, PSAM, event.

The first byte of DEBIT does not leave before the INTENT is durable. Whatever fails, the INTENT is
closed: by the event, by the same event marked torn when the card may have committed, or by ABANDON
when it cannot have. After DEBIT has left there is one such failure: the card's own word that MAC1
is wrong, in answer to DEBIT itself and not to GET RESPONSE.
"""

from __future__ import annotations

from collections.abc import Mapping

from card.commands import CAPP_PURCHASE
from card.errors import CardError, MacRejected, ProtocolFault, StatusError
from card.layouts import Composite
from card.operation import Connection, run
from card.tap import AMOUNT, CappInit, DebitAnswer, debit, initialize, presence, update_cache
from keys.errors import KeysError
from keys.psam import Mac2Rejected, Psam, PsamBlocked, PurchaseGrant, PurchaseRequest
from swipe.event import ANSWER_LAYOUT, CORE_SIZE, PAYLOAD_SIZE, Event, core_digest
from swipe.frames import FrameKind
from swipe.kinds import EventType, OutageKind, Result, TamperKind
from terminal.desk import Desk
from terminal.policy import Say
from terminal.recover import close_open_intent
from terminal.timing import Stopwatch

# What a PSAM can fail with, in hardware or software; OSError is a counter that cannot be written.
_PSAM_FAILED = (KeysError, CardError, OSError)
_NO_MAC = bytes(4)


class Unproven(Exception):
    """A tap that was begun and is not accepted.

    Attributes:
        say: What to answer.
        torn: The torn event, if the card may have committed.
        refused: Whether the caller records a refusal, besides the torn event if there is one.
        code: The card's status word, for people.
    """

    def __init__(
        self, say: Say, torn: Event | None = None, *, refused: bool = False, code: str = ""
    ) -> None:
        self.say = say
        self.torn = torn
        self.refused = refused
        self.code = code
        super().__init__(say)


class Transaction:
    """One purchase of amount 0 between card, PSAM and journal."""

    def __init__(self, desk: Desk, connection: Connection, watch: Stopwatch) -> None:
        self._desk = desk
        self._chain = desk.chain
        self._connection = connection
        self._watch = watch
        self._psam: Psam = watch.psam(desk.psam)

    def prove(self, draft: Event) -> Event:
        """Turn the core of a tap into its signed, durable event.

        Raises:
            Unproven: The tap is not accepted; the INTENT is closed.
            CardError: The card failed before it could commit; the INTENT, if any, is closed.
            NotSaved: Nothing may be shown as accepted; an INTENT may be open.
        """
        cg2 = run(presence(core_digest(draft, self._chain.identity.suite)), self._connection)
        self._watch.phase("presence")
        init = run(initialize(self._psam.key_index, self._psam.number), self._connection)
        if init.balance != AMOUNT:
            raise ProtocolFault("the purse is not empty")
        self._watch.phase("initialize")
        moment = draft.bcd()
        grant = self._grant(draft, init, moment)
        answer = {
            "card_ctr": init.card_ctr,
            "card_rand": init.rand,
            "psam_seq": grant.psam_seq,
            "tac": _NO_MAC,
            "mac2": _NO_MAC,
            "cg2": cg2,
            "card_acc": draft.card_acc,
            "key_ver": init.key_version,
            "result": Result.TORN,
        }
        self._chain.journal.add((FrameKind.INTENT, _with_answer(draft, answer)))
        self._watch.phase("intent")
        self._update(draft, init, grant)
        proof = self._debit(draft, grant, moment)
        self._check(draft, grant, proof)
        answer |= {"tac": proof.tac, "mac2": proof.mac2, "result": Result.OK}
        event = self._chain.sign_answer(draft, answer, _with_answer(draft, answer))
        self._watch.phase("sign")
        self._chain.put(event)
        self._watch.phase("journal")
        return event

    def _grant(self, draft: Event, init: CappInit, moment: tuple[bytes, bytes]) -> PurchaseGrant:
        """Ask the PSAM for its number and MAC1; the card is still untouched."""
        date, time = moment
        request = PurchaseRequest(
            rand=init.rand,
            card_ctr=init.card_ctr,
            amount=AMOUNT,
            kind=CAPP_PURCHASE,
            date=date,
            time=time,
            key_version=init.key_version,
            algorithm=init.algorithm,
            diversifier=draft.card_asn[2:],
        )
        try:
            grant = self._psam.init_purchase(request)
        except _PSAM_FAILED as exc:
            self._desk.outage_began(OutageKind.PSAM, draft.utc_s)
            raise Unproven(Say.PSAM_FAILED, refused=True) from exc
        self._desk.outage_ended(OutageKind.PSAM, draft.utc_s)
        self._note_hole(grant.psam_seq)
        self._watch.phase("psam")
        return grant

    def _note_hole(self, psam_seq: int) -> None:
        """Report a PSAM whose number is not the next one: taps made elsewhere, or undone here."""
        hole = self._desk.psam_hole(psam_seq)
        if hole is not None:
            expected, found = hole
            self._desk.note_later(
                EventType.TAMPER, kind=TamperKind.PSAM_HOLE, expected=expected, found=found
            )

    def _update(self, draft: Event, init: CappInit, grant: PurchaseGrant) -> None:
        record = Composite(
            kind=draft.type,
            tz_q=draft.tz_q,
            psam_no=draft.psam_no,
            psam_seq=grant.psam_seq,
            card_rand=init.rand,
            card_ctr=init.card_ctr,
            utc_s=draft.utc_s,
            activity=draft.activity,
        )
        try:
            run(update_cache(record), self._connection)
        except CardError:
            self._abandon(draft)
            raise
        self._watch.phase("update")

    def _debit(
        self, draft: Event, grant: PurchaseGrant, moment: tuple[bytes, bytes]
    ) -> DebitAnswer:
        try:
            answer = run(debit(grant.psam_seq, *moment, grant.mac1), self._connection)
        except MacRejected as exc:
            self._abandon(draft)
            raise Unproven(Say.PSAM_FAILED, refused=True) from exc
        except StatusError as exc:
            torn = close_open_intent(self._chain)
            raise Unproven(Say.CARD_FAULT, torn, code=f"{exc.sw:04X}") from exc
        except CardError as exc:
            raise Unproven(Say.AGAIN, close_open_intent(self._chain)) from exc
        self._watch.phase("debit")
        return answer

    def _check(self, draft: Event, grant: PurchaseGrant, answer: DebitAnswer) -> None:
        """Let the PSAM check MAC2; if it cannot, the server does so later.

        A wrong one may be a counterfeit's or a garbled answer of a card that has committed: the tap
        is refused, and stays torn so that a genuine card can still bring its proof.
        """
        try:
            self._psam.credit_purchase(answer.mac2)
        except (Mac2Rejected, PsamBlocked) as exc:
            torn = close_open_intent(self._chain)
            self._desk.doubted = (draft.card_asn, grant.psam_seq)
            raise Unproven(Say.NOT_GENUINE, torn, refused=True) from exc
        except _PSAM_FAILED:
            self._desk.outage_began(OutageKind.PSAM, draft.utc_s)
        self._watch.phase("check")

    def _abandon(self, draft: Event) -> None:
        """Close the INTENT of a tap that the card cannot have committed; its number is free."""
        body = draft.seq.to_bytes(4)
        self._chain.journal.add((FrameKind.ABANDON, body), durable=False)


def _with_answer(draft: Event, answer: Mapping[str, object]) -> bytes:
    """Return the 160 bytes of a tap: its core and link with the card's answer in between.

    The core was under CG2 already, so it is taken as the bytes it was, not coded once more.
    """
    raw = draft.signed_bytes
    return raw[:CORE_SIZE] + ANSWER_LAYOUT.pack(answer) + raw[CORE_SIZE + PAYLOAD_SIZE :]
