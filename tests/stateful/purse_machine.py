# SPDX-License-Identifier: Apache-2.0
"""Rules that are commands: each goes to a virtual card and to the reference, which must agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hardware_mocks.cardos.errors import CardGone
from hardware_mocks.cardos.tear import Moment, Tear
from hardware_mocks.cards import named, wallet
from hardware_mocks.cards.cashier import TERMINAL, WHEN, Cashier, Result
from keys.algorithm import Algorithm
from tests.stateful.reference import BALANCE_MAX, BOOK, OK, UNWRITTEN, Reference

FIDS = st.sampled_from((wallet.PASSBOOK, wallet.PURSE))
FUNDS = 1_000
AMOUNTS = st.one_of(
    st.integers(0, 60), st.integers(0, 60), st.integers(0, 2 * FUNDS), st.just(0xFFFFFFFF)
)
LIMITS = st.one_of(st.integers(0, 300), st.just(0xFFFFFF))
PINS = st.sampled_from((wallet.PIN, bytes.fromhex("1122"), bytes.fromhex("99887766")))
WRONG = bytes(16)
RECORDS = st.binary(min_size=14, max_size=14).map(lambda body: bytes.fromhex("AA0E") + body)
KINDS = {(1, 1): 5, (1, 2): 6, (2, 1): 4}


class PurseMachine(RuleBasedStateMachine):
    """One purse card, its holder, a cashier and two kinds of thieves."""

    executed: ClassVar[int] = 0

    @initialize(sm4=st.booleans())
    def take_a_card(self, sm4: bool) -> None:
        """Begin with a purse card of either algorithm."""
        algorithm = Algorithm.SM4 if sm4 else Algorithm.TDES
        card = named.card("wallet-sm4" if sm4 else "wallet", contactless=True)
        self.cashier = Cashier(card, algorithm)
        self.model = Reference(wallet.PIN, wallet.RECORD)
        self.cashier.select()
        self.verify_right()
        for fid in (wallet.PASSBOOK, wallet.PURSE):
            self.load(fid, FUNDS)

    def agree(self, found: int, due: int) -> None:
        """Compare status words and count the rule."""
        PurseMachine.executed += 1
        assert found == due, f"card {found:04X}, reference {due:04X}"

    @rule(fid=FIDS, amount=AMOUNTS)
    def load(self, fid: int, amount: int) -> None:
        """Load."""
        self.agree(self.cashier.load(amount, fid).sw, self.model.load(fid, amount))

    @rule(way=st.sampled_from(sorted(KINDS)), amount=AMOUNTS)
    def purchase(self, way: tuple[int, int], amount: int) -> None:
        """Pay by purchase or in cash."""
        p1, fid = way
        found = self.cashier.purchase(amount, fid, p1=p1).sw
        self.agree(found, self.model.purchase(fid, KINDS[way], amount))

    @rule(amount=st.integers(0, 50), record=RECORDS)
    def composite(self, amount: int, record: bytes) -> None:
        """Pay and leave a record."""
        found = self.cashier.purchase(amount, p1=0x03, record=record).sw
        self.agree(found, self.model.purchase(wallet.PURSE, 9, amount, record))

    @rule(amount=AMOUNTS, edge=st.one_of(st.none(), st.integers(0, 1)))
    def unload(self, amount: int, edge: int | None) -> None:
        """Give value back; at the edge of what is the holder's own, or anything."""
        own = max(self.model.balance[BOOK] - self.model.limit, 0)
        amount = amount if edge is None else min(own + edge, BALANCE_MAX)
        self.agree(self.cashier.unload(amount).sw, self.model.unload(amount))

    @rule(limit=LIMITS)
    def set_limit(self, limit: int) -> None:
        """Change the limit."""
        self.agree(self.cashier.set_limit(limit).sw, self.model.set_limit(limit))

    @rule(kind=st.sampled_from((1, 2, 3, 4, 5, 6, 7, 9)), back=st.integers(0, 1))
    def prove(self, kind: int, back: int) -> None:
        """Ask for a proof: of the latest transaction, or of another."""
        fid = wallet.PURSE if kind in (2, 6, 9) else wallet.PASSBOOK
        latest = self.model.proof[fid]
        sequence = max((latest[1] if latest else 0) - back, 0)
        self.agree(self.cashier.prove(kind, sequence)[1], self.model.prove(fid, kind, sequence))

    @rule(pin=PINS)
    def verify(self, pin: bytes) -> None:
        """Enter a PIN, right or wrong."""
        self.agree(self.cashier.verify_pin(pin), self.model.verify(pin))

    @rule()
    def verify_right(self) -> None:
        """Enter the right PIN."""
        self.agree(self.cashier.verify_pin(self.model.pin), self.model.verify(self.model.pin))

    @rule(old=PINS, new=PINS)
    def change_pin(self, old: bytes, new: bytes) -> None:
        """Change the PIN."""
        self.agree(self.cashier.change_pin(old, new), self.model.change_pin(old, new))

    @rule(new=PINS, luck=st.integers(0, 3))
    def reload_pin(self, new: bytes, luck: int) -> None:
        """Set the PIN under the reload key, or under another key."""
        key = wallet.RELOADING if luck else WRONG
        due = self.model.guarded("reload", new, right=bool(luck))
        self.agree(self.cashier.reload_pin(new, key), due)

    @rule(new=PINS, luck=st.integers(0, 3))
    def unblock_pin(self, new: bytes, luck: int) -> None:
        """Set the PIN under the unblocking key, or under another key."""
        key = wallet.UNBLOCKING if luck else WRONG
        due = self.model.guarded("unblock", new, right=bool(luck))
        self.agree(self.cashier.unblock_pin(new, key), due)

    @rule(luck=st.integers(0, 3))
    def authenticate(self, luck: int) -> None:
        """Prove the control key, or fail to."""
        key = wallet.CONTROL if luck else WRONG
        self.agree(self.cashier.authenticate(key), self.model.authenticate(right=bool(luck)))

    @rule(note=st.binary(min_size=2, max_size=2))
    def write_note(self, note: bytes) -> None:
        """Write the file that wants a proof."""
        found = self.cashier.send(bytes.fromhex("00D6960002") + note)[1]
        self.agree(found, self.model.write_note(note))

    @rule(number=st.one_of(st.integers(1, 11), st.just(11)))
    def read_log(self, number: int) -> None:
        """Read the log and compare it byte by byte."""
        data, found = self.cashier.send(bytes((0x00, 0xB2, number, 0xC4, 0x17)))
        self.agree(found, self.model.read_log(number))
        if found == OK:
            sequence, limit, amount, kind = self.model.log[number - 1]
            head = sequence.to_bytes(2, "big") + limit.to_bytes(3, "big")
            assert data == head + amount.to_bytes(4, "big") + bytes((kind,)) + TERMINAL + WHEN

    @rule(power=st.booleans(), enter=st.booleans())
    def select(self, power: bool, enter: bool) -> None:
        """Select the application, perhaps after a loss of power, perhaps entering the PIN."""
        if power:
            self.cashier.chip.reset()
        self.agree(self.cashier.select(), self.model.select())
        if enter:
            self.verify_right()

    @precondition(lambda self: not self.model.ended)
    @rule(moment=st.sampled_from(Moment), amount=st.integers(0, 99), fid=FIDS, paying=st.booleans())
    def torn(self, moment: Moment, amount: int, fid: int, paying: bool) -> None:
        """Pull the card off in the middle of a load or a purchase."""
        self.verify_right()
        self.cashier.chip.tear(Tear(write=0, moment=moment))
        attempt: Callable[[], Result]
        if paying:
            attempt = lambda: self.cashier.purchase(amount, fid)  # noqa: E731
            work = lambda: self.model.purchase(fid, KINDS[1, fid], amount)  # noqa: E731
        else:
            attempt = lambda: self.cashier.load(amount, fid)  # noqa: E731
            work = lambda: self.model.load(fid, amount)  # noqa: E731
        try:
            found = attempt().sw
        except CardGone:
            self.cashier.chip.power_on()
            committed = moment in (Moment.RENAMED, Moment.BEFORE_ANSWER)
            self.model.torn(work, committed=committed)
            self.agree(self.cashier.select(), self.model.select())
        else:
            self.agree(found, work())
        self.cashier.chip.tear(None)

    @invariant()
    def same_state(self) -> None:
        """Whatever anybody may read is what the reference says."""
        if self.model.ended:
            return
        for fid in (BOOK, wallet.PURSE):
            assert self.cashier.balance(fid) == self.model.balance[fid]
        assert self.cashier.send(bytes.fromhex("00B2AAC800"))[0] == self.model.record
        note = self.cashier.send(bytes.fromhex("00B0960002"))
        assert note == ((self.model.note, OK) if self.model.note else (b"\xff\xff", UNWRITTEN))
