# SPDX-License-Identifier: Apache-2.0
"""One tap: presence, a composite purchase of amount 0, and the proof of a torn one.

Card commands of a normal tap, six as this SDK issues them: SELECT, READ RECORD of 0019, INTERNAL
AUTHENTICATE, INITIALIZE FOR CAPP PURCHASE, UPDATE CAPP DATA CACHE, DEBIT FOR CAPP PURCHASE. What
goes to the PSAM, GET RESPONSE and wrong-length repeats is counted on its own.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from card.apdu import CommandApdu
from card.bcd import bcd_datetime
from card.commands import (
    CAPP_INIT_BYTES,
    CAPP_PURCHASE,
    DEBIT_ANSWER_BYTES,
    debit_capp,
    get_transaction_prove,
    initialize_capp,
    internal_authenticate,
    update_capp,
)
from card.errors import LayoutError, ProofUnavailable, ProtocolFault
from card.files import VOLUNTEER
from card.layouts import Composite
from card.operation import LIVE, Connection, Operation, Outside, exchange, fetch, run
from keys.algorithm import Algorithm
from keys.errors import UnsupportedAlgorithm
from keys.psam import Psam, PurchaseRequest
from keys.usage import CARD_KEYS, KeyUsage

AMOUNT = 0  # time is kept by the server's ledger; the purse only counts taps
H8_BYTES = 8
PSAM_NO_BYTES = 6
_SEQ_BYTES = 4
_COMPOSITE_SFI = VOLUNTEER.file(0x0019).sfi
_PRESENCE_KEY = CARD_KEYS[KeyUsage.PRESENCE].key_id


@dataclass(frozen=True, slots=True)
class CappInit:
    """What INITIALIZE answers: counter and random of the purchase about to begin.

    `card_ctr` is the value before the increment; `key_version` and `algorithm` are those of the
    purchase key, for the PSAM.
    """

    balance: int
    card_ctr: int
    key_version: int
    algorithm: int
    rand: bytes

    @property
    def cg_type(self) -> int:
        """Return the kind of cryptogram a card of this algorithm gives, as an event carries it.

        Raises:
            ProtocolFault: The card names an algorithm that nobody knows.
        """
        try:
            return Algorithm.from_card_id(self.algorithm).cg_type
        except UnsupportedAlgorithm as exc:
            raise ProtocolFault(f"algorithm {self.algorithm:02X}") from exc


@dataclass(frozen=True, slots=True)
class DebitAnswer:
    """The card's proof of a purchase: TAC for the server, MAC2 for the PSAM."""

    tac: bytes
    mac2: bytes


def presence(h8: bytes) -> Operation[bytes]:
    """Ask for CG2: eight bytes that bind `h8` to this card (INTERNAL AUTHENTICATE).

    Args:
        h8: The first eight bytes of the hash of what the tap is about.
    """
    if len(h8) != H8_BYTES:
        raise LayoutError("h8", f"{len(h8)} bytes")
    return (yield from fetch(internal_authenticate(_PRESENCE_KEY, h8), H8_BYTES))


def initialize(key_index: int, psam_no: bytes) -> Operation[CappInit]:
    """Begin a composite purchase of amount 0.

    Args:
        key_index: Purchase key: 1 for hardware PSAMs, 2 for software PSAMs.
        psam_no: Terminal number of the PSAM, 6 bytes.

    Raises:
        KeyNotFound: The card has no such purchase key.
        CounterExhausted: The card has counted to its end and must be replaced.
    """
    if len(psam_no) != PSAM_NO_BYTES:
        raise LayoutError("psam_no", f"{len(psam_no)} bytes")
    data = yield from fetch(_initialize(key_index, psam_no), CAPP_INIT_BYTES)
    return CappInit(
        balance=int.from_bytes(data[0:4], "big"),
        card_ctr=int.from_bytes(data[4:6], "big"),
        key_version=data[9],
        algorithm=data[10],
        rand=data[11:15],
    )


@functools.lru_cache(maxsize=4)  # a terminal has one PSAM, and says the same at every tap
def _initialize(key_index: int, psam_no: bytes) -> CommandApdu:
    return initialize_capp(key_index, AMOUNT, psam_no)


def update_cache(composite: Composite) -> Operation[None]:
    """Hand the card the composite record that DEBIT will commit with the counter."""
    yield from exchange(update_capp(_COMPOSITE_SFI, composite.to_bytes()))


def debit(psam_seq: int, date: bytes, time: bytes, mac1: bytes) -> Operation[DebitAnswer]:
    """Commit the purchase: counter, log record and composite record at once.

    Args:
        psam_seq: The PSAM's transaction number.
        date: YYYYMMDD packed, the event's own second.
        time: hhmmss packed.
        mac1: The PSAM's MAC1.

    Raises:
        MacRejected: MAC1 is wrong; nothing was committed.
    """
    data = yield from fetch(debit_capp(psam_seq, date, time, mac1), DEBIT_ANSWER_BYTES)
    return DebitAnswer(tac=data[:4], mac2=data[4:])


def prove(card_ctr: int) -> Operation[DebitAnswer | None]:
    """Fetch the proof of the card's latest purchase again (GET TRANSACTION PROVE).

    Args:
        card_ctr: Its counter before the increment.

    Returns:
        The proof, or None: that purchase did not happen, or is not the latest.
    """
    try:
        data = yield from fetch(get_transaction_prove(card_ctr), DEBIT_ANSWER_BYTES)
    except ProofUnavailable:
        return None
    return DebitAnswer(tac=data[4:], mac2=data[:4])


@dataclass(frozen=True, slots=True)
class TapRequest:
    """One tap as a caller of the facade asks for it.

    Attributes:
        psam: The PSAM, in hardware or software.
        utc_s: The second of the tap, UTC; the card is told exactly this second.
        tz_q: Zone in quarter hours.
        activity: What the volunteer does.
        h8: What the tap is bound to; eight bytes of a hash the caller chooses.
    """

    psam: Psam
    utc_s: int
    tz_q: int
    activity: int
    h8: bytes


@dataclass(frozen=True, slots=True)
class TapAnswer:
    """Everything a verifier needs to recompute the proof of one tap."""

    cg2: bytes
    init: CappInit
    psam_seq: int
    proof: DebitAnswer


def tapping(
    diversifier: bytes, kind: int, request: TapRequest, outside: Outside = LIVE
) -> Operation[TapAnswer]:
    """Do one whole tap at a card whose application is selected.

    A terminal does the steps itself, because its journal must be durable between them; this is
    the short way for programs without a journal.

    Args:
        diversifier: The last 8 bytes of the card's serial.
        kind: Event type for the composite record.
        request: PSAM, moment and purpose.
        outside: Through which the PSAM is asked, so that the tap can be stored and resumed.

    Raises:
        Mac2Rejected: The PSAM did not accept the card's MAC2.
        CardError: The card refused or left; fetch the proof at the next tap (`prove`).
    """
    psam = request.psam
    date, time = bcd_datetime(request.utc_s, request.tz_q)
    cg2 = yield from presence(request.h8)
    init = yield from initialize(psam.key_index, psam.number)
    if init.balance != 0:
        raise ProtocolFault("the purse is not empty")
    purchase = PurchaseRequest(
        rand=init.rand,
        card_ctr=init.card_ctr,
        amount=AMOUNT,
        kind=CAPP_PURCHASE,
        date=date,
        time=time,
        key_version=init.key_version,
        algorithm=init.algorithm,
        diversifier=diversifier,
    )

    def grant() -> bytes:
        granted = psam.init_purchase(purchase)
        return granted.psam_seq.to_bytes(_SEQ_BYTES, "big") + granted.mac1

    granted = outside.once(grant)
    psam_seq, mac1 = int.from_bytes(granted[:_SEQ_BYTES], "big"), granted[_SEQ_BYTES:]
    record = Composite(
        kind=kind,
        tz_q=request.tz_q,
        psam_no=psam.number,
        psam_seq=psam_seq,
        card_rand=init.rand,
        card_ctr=init.card_ctr,
        utc_s=request.utc_s,
        activity=request.activity,
    )
    yield from update_cache(record)
    proof = yield from debit(psam_seq, date, time, mac1)

    def credit() -> bytes:
        psam.credit_purchase(proof.mac2)
        return b""

    outside.once(credit)
    return TapAnswer(cg2, init, psam_seq, proof)


def tap(connection: Connection, diversifier: bytes, kind: int, request: TapRequest) -> TapAnswer:
    """Do one whole tap at a connection whose application is selected: `tapping`, driven."""
    return run(tapping(diversifier, kind, request), connection)
