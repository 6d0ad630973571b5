# SPDX-License-Identifier: Apache-2.0
"""Does a card do what a tap needs? One zero-amount composite purchase, with every effect checked.

It needs the card's keys, so it is a tool of the issuer, for a sample of a new card type. It counts
one transaction, leaves one log record under terminal number 0, writes the composite record back as
it was, and replaces the proof of the latest tap.
"""

from __future__ import annotations

from dataclasses import dataclass

from card.attempts import AttemptGuard
from card.bcd import bcd_datetime
from card.card_keys import CardKeys
from card.commands import CAPP_PURCHASE
from card.drivers import FMCOS
from card.drivers.capabilities import Capability
from card.operation import Operation
from card.status_words import Text
from card.tap import AMOUNT, DebitAnswer, debit, initialize, presence, prove, update_cache
from card.volunteer import DeskKeys, read_composite, read_log, select
from keys.usage import CARD_KEYS, KeyUsage

# What each finding means, for people.
FINDINGS: dict[str, Text] = {
    "presence": Text("在场认证 CG2", "presence, CG2"),
    "tac": Text("交易验证码 TAC", "TAC"),
    "mac2": Text("MAC2", "MAC2"),
    "counter": Text("交易序号加一", "the counter steps by one"),
    "record": Text("复合应用记录回读一致", "the composite record reads back"),
    "prove": Text("交易认证按加一前的序号", "PROVE by the counter before the step"),
    "prove_after": Text("交易认证按加一后的序号", "PROVE by the counter after the step"),
    "log_before": Text("0018 记录加一前的序号", "0018 bears the counter before the step"),
    "log_after": Text("0018 记录加一后的序号", "0018 bears the counter after the step"),
}

PROBE_PSAM_NO = bytes(6)  # no PSAM has number 0
PROBE_PSAM_SEQ = 1
PROBE_H8 = bytes.fromhex("5052 4F42 4500 0001")
_KEY_INDEX = CARD_KEYS[KeyUsage.PURCHASE_SOFT].key_id


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a card was seen to do.

    Attributes:
        presence: INTERNAL AUTHENTICATE answers with the CG2 of the presence key.
        tac: The TAC is the one of the TAC key.
        mac2: MAC2 is the one of the purchase.
        counter: The counter stepped by one.
        record: The composite record reads back as it was handed over.
        prove: PROVE returns the same proof for the counter before the step.
        prove_after: PROVE returns it for the counter after the step (some manuals say so).
        log_before: The newest log record bears the counter before the step.
        log_after: It bears the counter after the step (seen on a real card).
    """

    presence: bool
    tac: bool
    mac2: bool
    counter: bool
    record: bool
    prove: bool
    prove_after: bool
    log_before: bool
    log_after: bool

    @property
    def prove_wants(self) -> str | None:
        """Return which counter PROVE wants, the one before the step or after; None for neither."""
        if self.prove:
            return "before"
        return "after" if self.prove_after else None

    @property
    def log_bears(self) -> str | None:
        """Return which counter the log bears, before the step or after; None without a record."""
        if self.log_before:
            return "before"
        return "after" if self.log_after else None

    @property
    def found(self) -> frozenset[Capability]:
        """Return what the card can do: all of its dialect but what was seen to fail."""
        purchase = (self.tac, self.mac2, self.counter, self.record, self.log_bears is not None)
        failed = {
            Capability.INTERNAL_AUTHENTICATE: not self.presence,
            Capability.COMPOSITE_PURCHASE: not all(purchase),
            Capability.TRANSACTION_PROOF: not self.prove,
        }
        return FMCOS.capabilities - {capability for capability, bad in failed.items() if bad}

    @property
    def fit(self) -> bool:
        """Whether the card can carry taps: proofs verify, it counts, keeps records and proves."""
        needed = (self.presence, self.tac, self.mac2, self.counter, self.record, self.prove)
        return all(needed) and (self.log_before or self.log_after)


def probe(keys: CardKeys, utc_s: int, tz_q: int, guard: AttemptGuard) -> Operation[Capabilities]:
    """Do one zero-amount composite purchase and check every effect of it.

    Args:
        keys: The card's keys.
        utc_s: The second the card is told, UTC.
        tz_q: Zone in quarter hours.
        guard: Where attempts left of the desk key are remembered.

    Raises:
        CardError: The card refuses a step altogether.
    """
    face = yield from select()
    composite = yield from read_composite()
    cg2 = yield from presence(PROBE_H8)
    init = yield from initialize(_KEY_INDEX, PROBE_PSAM_NO)
    purchase = keys[KeyUsage.PURCHASE_SOFT]
    session = purchase.session(init.rand, init.card_ctr, PROBE_PSAM_SEQ)
    date, time = bcd_datetime(utc_s, tz_q)
    yield from update_cache(composite)
    mac1 = session.mac1(AMOUNT, CAPP_PURCHASE, PROBE_PSAM_NO, date, time)
    answer = yield from debit(PROBE_PSAM_SEQ, date, time, mac1)
    desk = DeskKeys(keys[KeyUsage.DESK_READ], keys[KeyUsage.MAINTENANCE], face.asn.hex().upper())
    found = yield from _found(desk, init.card_ctr, answer, guard)
    tac = keys[KeyUsage.TAC].tac4(PROBE_PSAM_NO, PROBE_PSAM_SEQ, date, time)
    return Capabilities(
        presence=cg2 == keys[KeyUsage.PRESENCE].cg2(PROBE_H8),
        tac=answer.tac == tac,
        mac2=answer.mac2 == session.mac2(AMOUNT),
        counter=found.counter == init.card_ctr + 1,
        record=(yield from read_composite()) == composite,
        prove=found.prove_before == answer,
        prove_after=found.prove_after == answer,
        log_before=found.log == init.card_ctr,
        log_after=found.log == init.card_ctr + 1,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    counter: int
    prove_before: DebitAnswer | None
    prove_after: DebitAnswer | None
    log: int | None


def _found(
    desk: DeskKeys, card_ctr: int, answer: DebitAnswer, guard: AttemptGuard
) -> Operation[_Found]:
    """Read what the purchase left behind."""
    before = yield from prove(card_ctr)
    after = None if before == answer else (yield from prove(card_ctr + 1))
    counter = (yield from initialize(_KEY_INDEX, PROBE_PSAM_NO)).card_ctr
    log = yield from read_log(desk, guard, limit=1)
    newest = log[0].card_ctr if log and log[0].psam_no == PROBE_PSAM_NO else None
    return _Found(counter, before, after, newest)
