# SPDX-License-Identifier: Apache-2.0
"""What the proofs of many taps are computed from: arrays, no keys."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Bytes2d = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ProofInputs:
    """Carry the inputs of TAC, MAC2 and CG2 of n taps, one row each.

    ``asn8`` is the last 8 bytes of the card's serial, ``dpk_idx`` 1 for a hardware and 0x82 for a
    software PSAM, ``ctr`` the card counter before the tap, ``date`` and ``time`` BCD. ``cg_type``
    is the cipher that the event names for CG2 (1 3DES, 2 SM4); without it the master's is taken.
    """

    asn8: Bytes2d
    key_ver: NDArray[np.uint8]
    dpk_idx: NDArray[np.uint8]
    rand: Bytes2d
    ctr: NDArray[np.integer]
    psam_seq: NDArray[np.integer]
    psam_no: Bytes2d
    date: Bytes2d
    time: Bytes2d
    h8: Bytes2d
    cg_type: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.key_ver)

    def take(self, rows: NDArray[np.intp]) -> ProofInputs:
        """Give the inputs of some taps, in this order."""
        named = None if self.cg_type is None else self.cg_type[rows]
        columns = {
            field.name: getattr(self, field.name)[rows]
            for field in fields(self)
            if field.name != "cg_type"
        }
        return ProofInputs(**columns, cg_type=named)


@dataclass(frozen=True, slots=True)
class Proofs:
    """Carry TAC (n, 4), MAC2 (n, 4) and CG2 (n, 8), and which of them could be computed.

    A row whose key the store does not have is zero and not ``known``.
    """

    tac: Bytes2d
    mac2: Bytes2d
    cg2: Bytes2d
    tac_known: Mask
    mac2_known: Mask
    cg2_known: Mask

    @classmethod
    def empty(cls, count: int) -> Proofs:
        """Give the proofs of taps of which nothing is known yet."""
        tac, mac2, cg2 = (np.zeros((count, size), dtype=np.uint8) for size in (4, 4, 8))
        known = [np.zeros(count, dtype=np.bool_) for _ in range(3)]
        return cls(tac, mac2, cg2, *known)

    def put(self, rows: NDArray[np.intp], part: Proofs) -> None:
        """Write the proofs of some taps in place."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(part, field.name)


@dataclass(frozen=True, slots=True)
class ProofVerdicts:
    """Say of each tap which proofs are right."""

    tac: Mask
    mac2: Mask
    cg2: Mask
