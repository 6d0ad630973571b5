# SPDX-License-Identifier: Apache-2.0
"""A purse card in a hundred lines: what it must answer, without one byte of cryptography.

Written from the specification alone (JR/T 0025, FMCOS 2.0 user manual chapters 5, 7 and 8) and
sharing nothing with the card. Every method returns the status word that is due.
"""

from __future__ import annotations

from collections.abc import Callable

OK, WANTS_PROOF, KEY_BLOCKED, NO_CONDITIONS = 0x9000, 0x6982, 0x6983, 0x6985
NO_FUNDS, NO_PROOF, WRONG_MAC, WRONG_SM, ENDED = 0x9401, 0x9406, 0x9302, 0x6988, 0x9303
NO_RECORD, UNWRITTEN = 0x6A83, 0x6281
BOOK, PURSE = 1, 2
PIN_STATE, CONTROL_STATE = 0x1, 0xF
TRIES = 3
LOG_RECORDS = 10
BALANCE_MAX = 0xFFFFFFFF


class Reference:
    """The state of one purse card as anybody can reason about it."""

    def __init__(self, pin: bytes, record: bytes) -> None:
        self.pin, self.record, self.note = pin, record, b""
        self.register = 0
        self.tries = dict.fromkeys(("pin", "control", "unblock", "reload"), TRIES)
        self.ended = False
        self.balance = {BOOK: 0, PURSE: 0}
        self.online = {BOOK: 0, PURSE: 0}
        self.offline = {BOOK: 0, PURSE: 0}
        self.limit = 0
        self.log: list[tuple[int, int, int, int]] = []  # sequence, limit, amount, kind
        self.proof: dict[int, tuple[int, int] | None] = {BOOK: None, PURSE: None}

    def select(self) -> int:
        """Power on or select: nobody has proven anything any more."""
        self.register = 0
        return ENDED if self.ended else OK

    def _may(self, *, proven: bool) -> int:
        if self.ended:
            return ENDED
        return OK if self.register >= (1 if proven else 0) else WANTS_PROOF

    def _online(self, fid: int, kind: int, amount: int, change: int) -> int:
        self._note(self.online[fid], fid, kind, amount)
        self.balance[fid] += change
        self.online[fid] += 1
        return OK

    def _note(self, sequence: int, fid: int, kind: int, amount: int) -> None:
        limit = self.limit if fid == BOOK else 0
        self.log = [(sequence, limit, amount, kind), *self.log][:LOG_RECORDS]
        self.proof[fid] = (kind, sequence)

    def load(self, fid: int, amount: int) -> int:
        """Load passbook or purse."""
        sw = self._may(proven=True)
        if sw == OK and self.balance[fid] + amount > BALANCE_MAX:
            return NO_CONDITIONS
        return self._online(fid, fid, amount, amount) if sw == OK else sw

    def purchase(self, fid: int, kind: int, amount: int, record: bytes = b"") -> int:
        """Pay, by purchase, in cash or with a record."""
        sw = self._may(proven=False)
        if sw == OK and amount > self.balance[fid]:
            return NO_FUNDS
        if sw == OK:
            self._note(self.offline[fid], fid, kind, amount)
            self.balance[fid] -= amount
            self.offline[fid] += 1
            self.record = record or self.record
        return sw

    def unload(self, amount: int) -> int:
        """Give back what is the holder's own."""
        sw = self._may(proven=True)
        if sw == OK and amount > self.balance[BOOK] - self.limit:
            return NO_FUNDS
        return self._online(BOOK, 3, amount, -amount) if sw == OK else sw

    def set_limit(self, limit: int) -> int:
        """Change the overdraft limit, not below what is overdrawn."""
        sw = self._may(proven=True)
        if sw != OK:
            return sw
        change = limit - self.limit
        if not 0 <= self.balance[BOOK] + change <= BALANCE_MAX:
            return NO_CONDITIONS
        self.limit = limit
        return self._online(BOOK, 7, limit, change)

    def prove(self, fid: int, kind: int, sequence: int) -> int:
        """Prove the latest transaction and no other."""
        sw = self._may(proven=False)
        return sw if sw != OK else OK if self.proof[fid] == (kind, sequence) else NO_PROOF

    def _count(self, name: str, *, right: bool) -> int:
        if self.ended:
            return ENDED
        if self.tries[name] == 0:
            return KEY_BLOCKED
        self.tries[name] = TRIES if right else self.tries[name] - 1
        return OK if right else 0x63C0 | self.tries[name]

    def verify(self, pin: bytes) -> int:
        """Enter a PIN."""
        return self._enter(self._count("pin", right=pin == self.pin), PIN_STATE)

    def authenticate(self, *, right: bool) -> int:
        """Prove the control key."""
        return self._enter(self._count("control", right=right), CONTROL_STATE)

    def _enter(self, sw: int, state: int) -> int:
        self.register = state if sw == OK else self.register
        return sw

    def change_pin(self, old: bytes, new: bytes) -> int:
        """Change the PIN by who knows it."""
        return self._take(self._count("pin", right=old == self.pin), new)

    def _take(self, sw: int, new: bytes) -> int:
        if sw == OK:
            self.pin, self.tries["pin"] = new, TRIES
        return sw

    def guarded(self, name: str, new: bytes, *, right: bool) -> int:
        """Reload or unblock the PIN; the last wrong try ends the application."""
        sw = self._count(name, right=right)
        if sw & 0xFFF0 == 0x63C0:
            self.ended = self.tries[name] == 0
            return ENDED if self.ended else WRONG_MAC if name == "reload" else WRONG_SM
        return self._take(sw, new)

    def write_note(self, note: bytes) -> int:
        """Write the file that anybody with a proof may write."""
        sw = self._may(proven=True)
        self.note = note if sw == OK else self.note
        return sw

    def read_log(self, number: int) -> int:
        """Read one log record, after a proof."""
        sw = self._may(proven=True)
        return NO_RECORD if sw == OK and number > len(self.log) else sw

    def torn(self, work: Callable[[], int], *, committed: bool) -> None:
        """Take part of a transaction that was cut: all of it or nothing; power was lost."""
        if committed:
            work()
        self.register = 0
