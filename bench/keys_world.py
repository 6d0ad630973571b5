# SPDX-License-Identifier: Apache-2.0
"""What the key benchmark works on: known masters, cards, taps; and clocks that share fairly."""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keys import purse
from keys.algorithm import Algorithm
from keys.material import KeyMaterial
from keys.proof import Bytes2d, ProofInputs
from keys.store import FileKeyStore
from keys.usage import DPK_INDEX_PSAM, KeyUsage
from tests.factories import CHEAP, PASSPHRASE

TAPS_PER_CARD = 2
VERSIONS = {Algorithm.TDES: 1, Algorithm.SM4: 2}
USAGES = (KeyUsage.TAC, KeyUsage.PURCHASE_PSAM, KeyUsage.PRESENCE)


@dataclass(frozen=True)
class KeyWorld:
    """A store, the same masters in the clear for the one-by-one side, and a source of bytes."""

    store: FileKeyStore
    masters: dict[tuple[KeyUsage, Algorithm], bytes]
    rng: random.Random

    def rows(self, count: int, width: int) -> Bytes2d:
        """Give rows of random bytes."""
        return np.frombuffer(self.rng.randbytes(count * width), dtype=np.uint8).reshape(-1, width)

    def taps(self, count: int, algorithm: Algorithm) -> ProofInputs:
        """Give the inputs of taps by cards that each tapped twice."""
        cards = self.rows(-(-count // TAPS_PER_CARD), 8)
        return ProofInputs(
            asn8=np.tile(cards, (TAPS_PER_CARD, 1))[:count],
            key_ver=np.full(count, VERSIONS[algorithm], dtype=np.uint8),
            dpk_idx=np.full(count, DPK_INDEX_PSAM, dtype=np.uint8),
            rand=self.rows(count, 4),
            ctr=np.arange(count, dtype=np.uint16),
            psam_seq=np.arange(count, dtype=np.uint32),
            psam_no=self.rows(count, 6),
            date=self.rows(count, 4),
            time=self.rows(count, 3),
            h8=self.rows(count, 8),
        )

    def one_by_one(self, taps: ProofInputs, algorithm: Algorithm) -> list[tuple[bytes, ...]]:
        """Compute TAC, MAC2 and CG2 of each tap by the single formulas, each with its contexts."""
        dtk, dpk, cgk = (self.masters[usage, algorithm] for usage in USAGES)
        proofs = []
        for row in range(len(taps)):
            asn8 = taps.asn8[row].tobytes()
            tac = purse.tac(
                purse.diversify(dtk, asn8, algorithm=algorithm),
                0,
                purse.CAPP_PURCHASE,
                taps.psam_no[row].tobytes(),
                int(taps.psam_seq[row]),
                taps.date[row].tobytes(),
                taps.time[row].tobytes(),
                algorithm=algorithm,
            )
            session = purse.session_key(
                purse.diversify(dpk, asn8, algorithm=algorithm),
                taps.rand[row].tobytes(),
                int(taps.ctr[row]),
                int(taps.psam_seq[row]),
                algorithm=algorithm,
            )
            key = purse.diversify(cgk, asn8, algorithm=algorithm)
            cg2 = purse.cg2(key, taps.h8[row].tobytes(), algorithm=algorithm)
            proofs.append((tac, purse.mac2(session, 0, algorithm=algorithm), cg2))
        return proofs


def make_world(folder: Path) -> KeyWorld:
    """Make a store with a 3DES and an SM4 version of the keys of a tap."""
    rng = random.Random("bench keys")
    store = FileKeyStore.create(folder / "issuer.keys", PASSPHRASE, CHEAP)
    masters = {}
    for algorithm, version in VERSIONS.items():
        for usage in USAGES:
            masters[usage, algorithm] = rng.randbytes(16)
            store.import_key(usage, version, KeyMaterial(masters[usage, algorithm]), algorithm)
    return KeyWorld(store, masters, rng)


def processor_s(action: Callable[[], object], passes: int = 3) -> float:
    """Give the least processor seconds of this process that an action takes."""
    taken = []
    for _ in range(passes):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return min(taken)


def side_by_side(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Let the sides take turns and give the best rate of each, so that a busy moment hits all."""
    best = dict.fromkeys(sides, 0.0)
    for _ in range(rounds):
        for name, rate in sides.items():
            best[name] = max(best[name], rate())
    return best


def all_processors_s() -> tuple[float, list[float]]:
    """Give the processor seconds so far of this process, and of each of its workers."""
    tick = os.sysconf("SC_CLK_TCK")
    workers = []
    for child in multiprocessing.active_children():
        stat = Path(f"/proc/{child.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        user, system = stat.split()[11:13]
        workers.append((int(user) + int(system)) / tick)
    return time.process_time(), workers


def openssl_speed(name: str, seconds: int) -> tuple[float, float]:
    """Give what ``openssl speed`` signs and verifies a processor second with one core."""
    command = ["openssl", "speed", "-mr", "-seconds", str(seconds), name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    line = next(row for row in done.stdout.splitlines() if row.startswith("+F"))
    sign, verify = line.split(":")[-2:]
    return float(sign), float(verify)
