# SPDX-License-Identifier: Apache-2.0
"""The virtual PSAM: a terminal's security module that makes MAC1 and counts every purchase.

Files: in the MF 0015 (serial 10, version, kind, 2 reserved) and 0016 (6-byte terminal number);
in DF01 the control key 39/00 and the purchase keys. It is issued when its control key is
replaced; before, 0015 and 0016 may be written. MAC2 is compared inside and never given out.
Algorithm byte 04 makes a key, control or purchase, one of SM4.

>>> psam = VirtualPsam()
>>> psam.transmit(bytes.fromhex("00B0960006")).hex()
'0000000000009000'
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from hardware_mocks.cardos import crypto, messaging, state, sw
from hardware_mocks.cardos.algorithms import algorithm_by_id
from hardware_mocks.cardos.apdu import Command
from hardware_mocks.cardos.atr import PSAM_HISTORICAL, contact_atr
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.security import CHALLENGE_LENGTHS
from hardware_mocks.cardos.shell import Answer, ChipCard
from hardware_mocks.cardos.state import Key
from hardware_mocks.cardos.store import Hook, Memory

MF_FID, DF01_FID = 0x3F00, 0xDF01
SERIAL_SFI, TERMINAL_SFI = 0x15, 0x16
SERIAL_LENGTH, TERMINAL_LENGTH = 14, 6

CONTROL = 0x39
PURCHASE_ONE_LEVEL = 0x22  # key usage: one level of diversification, purchase
BLANK_CONTROL_KEY = b"\xff" * 16
CONTROL_TRIES = 0x33
KEY_RECORD = 19  # usage, version, algorithm, key 16

REQUEST_LENGTH = 28  # random 4, counter 2, amount 4, kind, date 4, time 3, version, alg, factor 8
GRANT_LENGTH = 8
COUNTER_MAX = 0xFFFFFFFF
# So many wrong MAC2 in a row and the module is worthless to a guesser.
MAC2_TRIES = 10


@dataclass(slots=True)
class PurchaseKey:
    """One master key for purchases; a card names it by version and algorithm."""

    number: int
    version: int
    algorithm: int
    value: bytes = field(repr=False)


@dataclass(slots=True)
class PsamImage:
    """Everything a PSAM keeps without power."""

    serial: bytes = bytes(SERIAL_LENGTH)
    terminal: bytes = bytes(TERMINAL_LENGTH)
    issued: bool = False
    counter: int = 0
    mac2_wrong: int = 0
    control: bytes = field(default=BLANK_CONTROL_KEY, repr=False)
    control_algorithm: int = 0
    control_tries: int = CONTROL_TRIES
    keys: list[PurchaseKey] = field(default_factory=list)


def dump(image: PsamImage) -> bytes:
    """Return the written form of a PSAM."""
    return state.seal({"kind": "psam", **asdict(image)})


def load(written: bytes) -> PsamImage:
    """Rebuild a PSAM from its written form.

    Raises:
        NotAnImage: the bytes were not written by `dump`.

    >>> load(dump(PsamImage())) == PsamImage()
    True
    """
    content = state.unseal(written)
    if content.pop("kind", None) != "psam":
        reason = "a card, not a PSAM"
        raise state.NotAnImage(reason)
    for name in ("serial", "terminal", "control"):
        content[name] = bytes.fromhex(content[name])
    keys = [PurchaseKey(**{**k, "value": bytes.fromhex(k["value"])}) for k in content.pop("keys")]
    return PsamImage(**content, keys=keys)


class PsamOs:
    """The engine of the PSAM."""

    def __init__(self, memory: Memory[PsamImage], random: Callable[[int], bytes]) -> None:
        self._memory = memory
        self._random = random
        self._in_df01 = False
        self._challenge: bytes | None = None
        self._expected_mac2: bytes | None = None
        self._handlers: dict[tuple[int, int], Callable[[Command], Answer]] = {
            (0x00, 0xA4): self._select,
            (0x00, 0xB0): self._read,
            (0x00, 0xD6): self._update,
            (0x00, 0x84): self._get_challenge,
            (0x84, 0xD4): self._write_key,
            (0x80, 0x70): self._init_purchase,
            (0x80, 0x72): self._credit_purchase,
        }

    @property
    def _image(self) -> PsamImage:
        return self._memory.image

    def reset(self) -> None:
        """Come up in the MF with the state that was committed last."""
        self._memory.reload()
        self._in_df01 = False
        self._challenge = None
        self._expected_mac2 = None

    def watch_writes(self, hook: Hook) -> None:
        """Call the hook at every step of every commit."""
        self._memory.hook = hook

    def execute(self, command: Command) -> Answer:
        """Run one command; a challenge is good for the command after it only."""
        challenge, self._challenge = self._challenge, None
        handler = self._handlers.get((command.cla, command.ins))
        if handler is None:
            known = any(ins == command.ins for _, ins in self._handlers)
            raise Refused(sw.UNKNOWN_CLA if known else sw.UNKNOWN_INS)
        if handler == self._write_key:
            return self._write_key(command, challenge)
        return handler(command)

    def _select(self, command: Command) -> Answer:
        if command.p1 or command.p2:
            raise Refused(sw.WRONG_P1P2)
        fid = int.from_bytes(command.body(2), "big")
        if fid not in (MF_FID, DF01_FID):
            raise Refused(sw.FILE_NOT_FOUND)
        self._in_df01 = fid == DF01_FID
        self._expected_mac2 = None
        return Answer()

    def _file(self, command: Command) -> tuple[str, bytes]:
        """Find the file that P1 names by short identifier; the files stand in the MF."""
        names = {0x80 | SERIAL_SFI: "serial", 0x80 | TERMINAL_SFI: "terminal"}
        name = names.get(command.p1)
        if name is None or self._in_df01:
            raise Refused(sw.FILE_NOT_FOUND)
        return name, getattr(self._image, name)

    def _read(self, command: Command) -> Answer:
        if command.data is not None:
            raise Refused(sw.WRONG_LENGTH)
        _, body = self._file(command)
        rest = body[command.p2 :]
        if not rest:
            raise Refused(sw.WRONG_OFFSET)
        wanted = command.le or len(rest)
        if wanted > len(rest):
            raise Refused(sw.WRONG_LE | len(rest))
        return Answer(rest[:wanted])

    def _update(self, command: Command) -> Answer:
        name, body = self._file(command)
        if self._image.issued:
            raise Refused(sw.ACCESS_DENIED)
        data, offset = command.body(), command.p2
        if offset + len(data) > len(body):
            raise Refused(sw.WRONG_OFFSET)
        setattr(self._image, name, body[:offset] + data + body[offset + len(data) :])
        self._memory.commit()
        return Answer()

    def _get_challenge(self, command: Command) -> Answer:
        if command.p1 or command.p2:
            raise Refused(sw.WRONG_P1P2)
        if command.data is not None or command.le not in CHALLENGE_LENGTHS:
            raise Refused(sw.WRONG_LENGTH)
        self._challenge = self._random(command.le)
        return Answer(self._challenge)

    def _write_key(self, command: Command, challenge: bytes | None = None) -> Answer:
        """Load or replace a key, encrypted and MACed under the control key."""
        if not self._in_df01:
            raise Refused(sw.FILE_NOT_FOUND)
        image = self._image
        control = Key(
            CONTROL, 0, 0, 0, 0, 0, image.control_tries, image.control, image.control_algorithm
        )
        messaging.usable(control)
        content = messaging.checked(command, control, messaging.required(challenge))
        wrong = content is None
        changed = control.spend_try() >= 0 if wrong else control.restore_tries()
        if changed:
            image.control_tries = control.fourth
            self._memory.commit()
        if content is None:
            raise Refused(sw.SM_WRONG)
        record = messaging.decrypted(control, content)
        if len(record) != KEY_RECORD:
            raise Refused(sw.WRONG_LENGTH)
        self._take_key(command, record)
        self._memory.commit()
        return Answer()

    def _take_key(self, command: Command, record: bytes) -> None:
        usage, version, algorithm = record[:3]
        key = PurchaseKey(command.p2, version, algorithm, record[3:])
        image = self._image
        if command.p1 == CONTROL and command.p2 == 0:
            if usage != CONTROL:
                raise Refused(sw.WRONG_DATA)
            image.control, image.control_tries = key.value, CONTROL_TRIES
            image.control_algorithm = algorithm
            image.issued = True
        elif command.p1 == 0x01:
            if usage != PURCHASE_ONE_LEVEL:
                raise Refused(sw.WRONG_DATA)
            image.keys = [k for k in image.keys if k.number != key.number] + [replace(key)]
        else:
            raise Refused(sw.WRONG_P1P2)

    def _init_purchase(self, command: Command) -> Answer:
        """INIT SAM FOR PURCHASE: step the counter durably, then answer number and MAC1."""
        self._expected_mac2 = None
        self._require_purchase(command)
        data = command.body(REQUEST_LENGTH)
        if command.le not in (None, 0, GRANT_LENGTH):
            raise Refused(sw.WRONG_LENGTH)
        random, card_counter, rest = data[:4], data[4:6], data[6:]
        amount, kind, when = rest[:4], rest[4:5], rest[5:12]
        version, algorithm, factor = rest[12], rest[13], rest[14:]
        image = self._image
        key = next(
            (k for k in image.keys if (k.version, k.algorithm) == (version, algorithm)), None
        )
        if key is None:
            raise Refused(sw.UNKNOWN_KEY_INDEX)
        if image.counter == COUNTER_MAX:
            raise Refused(sw.COUNTER_EXHAUSTED)
        image.counter += 1
        self._memory.commit()
        computing = algorithm_by_id(key.algorithm)
        block = random + card_counter + image.counter.to_bytes(4, "big")[2:]
        session_key = computing.session_key(computing.diversify(key.value, factor), block)
        self._expected_mac2 = computing.purse_mac(session_key, amount)
        mac1 = computing.purse_mac(session_key, amount + kind + image.terminal + when)
        return Answer(image.counter.to_bytes(4, "big") + mac1)

    def _credit_purchase(self, command: Command) -> Answer:
        """CREDIT SAM FOR PURCHASE: compare MAC2; ten wrong ones in a row block for good."""
        expected, self._expected_mac2 = self._expected_mac2, None
        self._require_purchase(command)
        mac2 = command.body(crypto.MAC_LENGTH)
        if expected is None:
            raise Refused(sw.WRONG_STATE)
        image = self._image
        if not crypto.same(mac2, expected):
            image.mac2_wrong += 1
            self._memory.commit()
            raise Refused(sw.MAC_INVALID)
        if image.mac2_wrong:
            image.mac2_wrong = 0
            self._memory.commit()
        return Answer()

    def _require_purchase(self, command: Command) -> None:
        if self._image.mac2_wrong >= MAC2_TRIES:
            raise Refused(sw.KEY_BLOCKED)
        if command.p1 or command.p2:
            raise Refused(sw.WRONG_P1P2)
        if not self._in_df01:
            raise Refused(sw.CONDITIONS)


class VirtualPsam(ChipCard):
    """A PSAM in software; blank where `path` does not hold one yet, in RAM without a path."""

    def __init__(
        self, path: Path | None = None, *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.memory = Memory(path, blank=PsamImage, dump=dump, load=load)
        super().__init__(
            PsamOs(self.memory, random), contact_atr(PSAM_HISTORICAL), contactless=False
        )
