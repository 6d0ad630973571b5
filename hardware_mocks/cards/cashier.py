# SPDX-License-Identifier: Apache-2.0
"""The other side of a purse card: load, purchase, unload, limit and PIN, as raw commands.

It computes with the package `keys`, which shares nothing with the card, and checks every MAC the
card gives. A refusal is returned as a status word, not raised.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hardware_mocks.cardos.shell import ChipCard
from hardware_mocks.cards import wallet
from keys import purse
from keys.algorithm import Algorithm

TERMINAL = bytes.fromhex("001122334455")
WHEN = bytes.fromhex("20261121090000")
ONLINE = 0x8000
PURCHASE_KINDS = {(0x01, 0x01): 0x05, (0x01, 0x02): 0x06, (0x02, 0x01): 0x04, (0x03, 0x02): 0x09}
_OK = 0x9000


@dataclass(frozen=True, slots=True)
class Result:
    """What a transaction left: the last status word, and the proof of a finished one."""

    sw: int
    sequence: int = -1
    proof: bytes = b""

    @property
    def done(self) -> bool:
        """Whether the card has committed it."""
        return self.sw == _OK


@dataclass
class Cashier:
    """Speaks to one purse card.

    Args:
        chip: The card, with its purse application selected by `select`.
        algorithm: What its keys are.
    """

    chip: ChipCard
    algorithm: Algorithm = Algorithm.TDES
    sent: list[bytes] = field(default_factory=list)

    def send(self, apdu: bytes) -> tuple[bytes, int]:
        """Send one command, follow 61xx and 6Cxx, return data and status word."""
        data, sw = self._once(apdu)
        if sw >> 8 == 0x6C:
            data, sw = self._once(apdu[:4] + bytes((sw & 0xFF,)))
        if sw >> 8 == 0x61:
            data, sw = self._once(bytes((0x00, 0xC0, 0x00, 0x00, sw & 0xFF)))
        return data, sw

    def _once(self, apdu: bytes) -> tuple[bytes, int]:
        self.sent.append(apdu)
        answer = self.chip.transmit(apdu)
        return answer[:-2], int.from_bytes(answer[-2:], "big")

    def select(self) -> int:
        """Select the purse application."""
        return self.send(wallet.SELECT)[1]

    def balance(self, fid: int = wallet.PURSE) -> int:
        """Return the balance of passbook (1) or purse (2)."""
        data, _ = self.send(bytes((0x80, 0x5C, 0x00, fid, 0x04)))
        return int.from_bytes(data, "big")

    def challenge(self) -> bytes:
        """Fetch four random bytes."""
        return self.send(bytes.fromhex("0084000004"))[0]

    def protected(self, key: bytes, header: bytes, data: bytes = b"") -> tuple[bytes, int]:
        """Send a command whose data carry a MAC."""
        iv = self.challenge().ljust(self.algorithm.block_bytes, b"\x00")
        signed = header + bytes((len(data) + 4,)) + data
        mac = purse.secure_mac(key, signed, iv, algorithm=self.algorithm)[:4]
        return self.send(signed + mac)

    def _initialize(self, p1: int, fid: int, amount: bytes) -> tuple[bytes, int]:
        body = b"\x01" + amount + TERMINAL
        return self.send(bytes((0x80, 0x50, p1, fid, len(body))) + body)

    def _session(self, key: bytes, random: bytes, counter: bytes, other: int) -> bytes:
        block = random + counter + other.to_bytes(2, "big")
        return purse.process_key(key, block, algorithm=self.algorithm)

    def _mac(self, session: bytes, data: bytes) -> bytes:
        return purse.mac4(session, data, algorithm=self.algorithm)

    def _tac(self, data: bytes) -> bytes:
        key = purse.tac_key(wallet.INTERNAL, algorithm=self.algorithm)
        return self._mac(key, data)

    def load(self, amount: int, fid: int = wallet.PURSE) -> Result:
        """Load passbook or purse."""
        value = amount.to_bytes(4, "big")
        init, sw = self._initialize(0x00, fid, value)
        if sw != _OK:
            return Result(sw)
        balance, counter, random = init[:4], init[4:6], init[8:12]
        session = self._session(wallet.LOAD, random, counter, ONLINE)
        signed = value + bytes((fid,)) + TERMINAL
        assert init[12:16] == self._mac(session, balance + signed)
        answer, sw = self.send(
            bytes.fromhex("805200000B") + WHEN + self._mac(session, signed + WHEN)
        )
        if sw != _OK:
            return Result(sw)
        after = (int.from_bytes(balance, "big") + amount).to_bytes(4, "big")
        assert answer == self._tac(after + counter + signed + WHEN)
        return Result(sw, int.from_bytes(counter, "big"), answer)

    def purchase(
        self, amount: int, fid: int = wallet.PURSE, p1: int = 0x01, record: bytes = b""
    ) -> Result:
        """Pay: purchase (P1 = 01), cash (02), or composite purchase with a record (03)."""
        value = amount.to_bytes(4, "big")
        init, sw = self._initialize(p1, fid, value)
        if sw != _OK:
            return Result(sw)
        if record:
            sw = self.send(bytes((0x80, 0xDC, record[0], 0xC8, len(record))) + record)[1]
            if sw != _OK:
                return Result(sw)
        counter, random, number = init[4:6], init[11:15], (7).to_bytes(4, "big")
        session = self._session(wallet.PURCHASE, random, counter, 7)
        signed = value + bytes((PURCHASE_KINDS[p1, fid],)) + TERMINAL
        mac1 = self._mac(session, signed + WHEN)
        answer, sw = self.send(bytes.fromhex("805401000F") + number + WHEN + mac1)
        if sw != _OK:
            return Result(sw)
        assert answer == self._tac(signed + number + WHEN) + self._mac(session, value)
        return Result(sw, int.from_bytes(counter, "big"), answer)

    def unload(self, amount: int) -> Result:
        """Give value of the passbook back."""
        value = amount.to_bytes(4, "big")
        init, sw = self._initialize(0x05, wallet.PASSBOOK, value)
        if sw != _OK:
            return Result(sw)
        balance, counter, random = init[:4], init[4:6], init[8:12]
        session = self._session(wallet.UNLOAD, random, counter, ONLINE)
        signed = value + b"\x03" + TERMINAL
        assert init[12:16] == self._mac(session, balance + signed)
        command = bytes.fromhex("805403000B") + WHEN + self._mac(session, signed + WHEN)
        answer, sw = self.send(command)
        if sw != _OK:
            return Result(sw)
        after = (int.from_bytes(balance, "big") - amount).to_bytes(4, "big")
        assert answer == self._mac(session, after + counter + signed + WHEN)
        return Result(sw, int.from_bytes(counter, "big"), answer)

    def set_limit(self, limit: int) -> Result:
        """Set the overdraft limit of the passbook."""
        init, sw = self._initialize(0x04, wallet.PASSBOOK, b"")
        if sw != _OK:
            return Result(sw)
        balance, counter, old, random = init[:4], init[4:6], init[6:9], init[11:15]
        session = self._session(wallet.LIMIT, random, counter, ONLINE)
        assert init[15:19] == self._mac(session, balance + old + b"\x07" + TERMINAL)
        new = limit.to_bytes(3, "big")
        signed = new + b"\x07" + TERMINAL + WHEN
        answer, sw = self.send(
            bytes.fromhex("805800000E") + new + WHEN + self._mac(session, signed)
        )
        if sw != _OK:
            return Result(sw)
        after = int.from_bytes(balance, "big") - int.from_bytes(old, "big") + limit
        assert answer == self._tac(after.to_bytes(4, "big") + counter + signed)
        return Result(sw, int.from_bytes(counter, "big"), answer)

    def prove(self, kind: int, sequence: int) -> tuple[bytes, int]:
        """Fetch the proof of the latest transaction again."""
        return self.send(bytes((0x80, 0x5A, 0x00, kind, 0x02)) + sequence.to_bytes(2, "big"))

    def verify_pin(self, pin: bytes = wallet.PIN) -> int:
        """Enter the PIN."""
        return self.send(bytes((0x00, 0x20, 0x00, 0x00, len(pin))) + pin)[1]

    def change_pin(self, old: bytes, new: bytes) -> int:
        """Change the PIN by who knows it."""
        body = old + b"\xff" + new
        return self.send(bytes((0x80, 0x5E, 0x01, 0x00, len(body))) + body)[1]

    def reload_pin(self, new: bytes, key: bytes = wallet.RELOADING) -> int:
        """Set the PIN under the reload key."""
        folded = purse.tac_key(key, algorithm=self.algorithm)
        body = new + self._mac(folded, new)
        return self.send(bytes((0x80, 0x5E, 0x00, 0x00, len(body))) + body)[1]

    def unblock_pin(self, new: bytes, key: bytes = wallet.UNBLOCKING) -> int:
        """Set the PIN under the unblocking key, encrypted."""
        sealed = purse.wrap_ecb(key, new, algorithm=self.algorithm)
        return self.protected(key, bytes.fromhex("84240000"), sealed)[1]

    def authenticate(self, key: bytes = wallet.CONTROL, number: int = 0x00) -> int:
        """Prove an external authentication key."""
        answer = purse.cryptogram(key, self.challenge(), algorithm=self.algorithm)
        return self.send(bytes((0x00, 0x82, 0x00, number, 0x08)) + answer)[1]
