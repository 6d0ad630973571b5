# SPDX-License-Identifier: Apache-2.0
"""The purchase SAM as the terminal sees it, and one in software.

A PSAM has masters by key version, each 3DES or SM4; the card says which version and algorithm it
carries, and a version serves only cards of its algorithm.

A software PSAM has its own purchase key index and its own master key, so a stolen terminal never
holds the key of the hardware PSAMs. Its transaction number is durable before it is given out and
never goes back; what it cannot do is notice that its whole directory was copied and put back.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from keys import purse
from keys.algorithm import Algorithm
from keys.audit import utc_now
from keys.counter import DurableCounter
from keys.envelope import DEFAULT_COST, Envelope, KdfCost
from keys.errors import (
    KeyStoreDamaged,
    KeyStoreExists,
    Mac2Rejected,
    NoTransaction,
    PsamBlocked,
    PsamError,
    UnknownKey,
    UnsupportedAlgorithm,
)
from keys.files import write_private
from keys.tries import counted_try
from keys.usage import KeyUsage
from keys.verify import same

__all__ = [
    "Mac2Rejected",
    "NoTransaction",
    "Psam",
    "PsamBlocked",
    "PsamError",
    "PurchaseGrant",
    "PurchaseRequest",
    "SoftwarePsam",
    "UnknownKey",
]

PSAM_MAGIC = b"YIKAPSAM"
SOFT_KEY_INDEX = 2
# Ten wrong MAC2 in a row are not an accident; a card makes none.
MAC2_ERRORS_MAX = 10


@dataclass(frozen=True, slots=True)
class PurchaseRequest:
    """Carry what a PSAM needs to answer ``80 70``."""

    rand: bytes
    card_ctr: int
    amount: int
    kind: int
    date: bytes
    time: bytes
    key_version: int
    algorithm: int
    diversifier: bytes


@dataclass(frozen=True, slots=True)
class PurchaseGrant:
    """Carry what the PSAM answered: its transaction number and MAC1."""

    psam_seq: int
    mac1: bytes


@dataclass(frozen=True, slots=True)
class PsamMaster:
    """Carry one version of the purchase master key into a software PSAM."""

    algorithm: Algorithm
    key: bytes

    def __repr__(self) -> str:
        return f"PsamMaster({self.algorithm.value})"


class Psam(Protocol):
    """Begin and finish a purchase; the number steps on every beginning."""

    number: bytes
    key_index: int
    hardware: bool

    def init_purchase(self, request: PurchaseRequest) -> PurchaseGrant:
        """Step the transaction number durably and compute MAC1."""

    def credit_purchase(self, mac2: bytes) -> None:
        """Check the card's MAC2; raise ``Mac2Rejected`` or ``PsamBlocked``."""


class SoftwarePsam:
    """A PSAM in a file: purchase master key index 2, transaction number beside it."""

    key_index = SOFT_KEY_INDEX
    hardware = False

    def __init__(
        self, number: bytes, masters: dict[int, PsamMaster], counter: DurableCounter
    ) -> None:
        self.number = number
        self._masters = masters
        self._counter = counter
        self._expected_mac2: bytes | None = None

    def __repr__(self) -> str:
        return f"SoftwarePsam(number={self.number.hex()}, last={self.last_seq})"

    @property
    def last_seq(self) -> int:
        """Give the last transaction number given out (0 = none yet)."""
        return self._counter.value

    @classmethod
    def open(
        cls, path: Path | str, passphrase: str, now: Callable[[], datetime] = utc_now
    ) -> SoftwarePsam:
        """Open the file that ``KeyStore.export_software_psam`` wrote; wrong tries are bounded."""
        blob = Path(path).read_bytes()
        with counted_try(Path(path), now):
            _, plain = Envelope.open(PSAM_MAGIC, passphrase, blob, str(path))
        try:
            content = json.loads(plain)
            number = bytes.fromhex(content["number"])
            masters = {int(v): _read_master(entry) for v, entry in content["masters"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise KeyStoreDamaged(str(path), "content not understood") from exc
        return cls(number, masters, DurableCounter.open(counter_path(path)))

    def init_purchase(self, request: PurchaseRequest) -> PurchaseGrant:
        """Step the number, sync it, and only then answer with MAC1."""
        if self._counter.errors >= MAC2_ERRORS_MAX:
            raise PsamBlocked(f"{MAC2_ERRORS_MAX} wrong MAC2 in a row")
        master = self._master(request)
        self._expected_mac2 = None
        seq = self._counter.step()
        suite = master.algorithm
        card_key = purse.diversify(master.key, request.diversifier, algorithm=suite)
        session = purse.session_key(card_key, request.rand, request.card_ctr, seq, algorithm=suite)
        fields = (request.amount, request.kind, self.number, request.date, request.time)
        mac1 = purse.mac1(session, *fields, algorithm=suite)
        self._expected_mac2 = purse.mac2(session, request.amount, algorithm=suite)
        return PurchaseGrant(seq, mac1)

    def _master(self, request: PurchaseRequest) -> PsamMaster:
        """Give the master of the card's key version, whose algorithm must be the card's."""
        master = self._masters.get(request.key_version)
        try:
            suite = Algorithm.from_card_id(request.algorithm)
        except UnsupportedAlgorithm as exc:
            raise UnknownKey(KeyUsage.PURCHASE_SOFT.value, request.key_version) from exc
        if master is None or master.algorithm is not suite:
            raise UnknownKey(KeyUsage.PURCHASE_SOFT.value, request.key_version)
        return master

    def credit_purchase(self, mac2: bytes) -> None:
        """Check MAC2 of the purchase just begun, once."""
        expected, self._expected_mac2 = self._expected_mac2, None
        if expected is None:
            raise NoTransaction
        if same(expected, mac2):
            self._counter.forgive()
            return
        errors = self._counter.blame()
        if errors >= MAC2_ERRORS_MAX:
            raise PsamBlocked(f"{MAC2_ERRORS_MAX} wrong MAC2 in a row")
        raise Mac2Rejected(MAC2_ERRORS_MAX - errors)

    def close(self) -> None:
        """Close the counter's file."""
        self._counter.close()


def counter_path(path: Path | str) -> Path:
    """Give the name of the counter that belongs to a PSAM file."""
    return Path(f"{path}.counter")


def create_software_psam(
    path: Path | str,
    number: bytes,
    masters: dict[int, PsamMaster],
    passphrase: str,
    cost: KdfCost = DEFAULT_COST,
) -> None:
    """Write a new software PSAM: its key file and a counter at zero.

    The counter comes first: a key file without its counter would not open, a counter without its
    key file harms nobody.
    """
    content = {
        "number": number.hex(),
        "masters": {
            str(version): {"algorithm": master.algorithm.value, "key": master.key.hex()}
            for version, master in masters.items()
        },
    }
    if Path(path).exists():  # before the counter: a lost counter must not begin again at zero
        raise KeyStoreExists(str(path))
    envelope = Envelope.create(PSAM_MAGIC, passphrase, cost)
    try:
        DurableCounter.create(counter_path(path))
        write_private(Path(path), envelope.seal(json.dumps(content).encode()), replace=False)
    except FileExistsError as exc:
        raise KeyStoreExists(str(path)) from exc


def _read_master(entry: str | dict[str, str]) -> PsamMaster:
    """Read one master; files of the first release hold 3DES keys as plain text."""
    if isinstance(entry, str):
        return PsamMaster(Algorithm.TDES, bytes.fromhex(entry))
    return PsamMaster(Algorithm(entry["algorithm"]), bytes.fromhex(entry["key"]))
