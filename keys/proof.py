# SPDX-License-Identifier: Apache-2.0
"""What the proofs of many taps are computed from: arrays, no keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes2d = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ProofInputs:
    """Carry the inputs of TAC, MAC2 and CG2 of n taps, one row each.

    ``asn8`` is the last 8 bytes of the card's serial, ``dpk_idx`` 1 for a hardware and 0x82 for a
    software PSAM, ``ctr`` the card counter before the tap, ``date`` and ``time`` BCD.
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

    def __len__(self) -> int:
        return len(self.key_ver)


@dataclass(frozen=True, slots=True)
class Proofs:
    """Carry TAC (n, 4), MAC2 (n, 4) and CG2 (n, 8), and which of them could be computed.

    A row whose key the store does not have is zero and not ``known``.
    """

    tac: Bytes2d
    mac2: Bytes2d
    cg2: Bytes2d
    tac_known: NDArray[np.bool_]
    mac2_known: NDArray[np.bool_]
    cg2_known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ProofVerdicts:
    """Say of each tap which proofs are right."""

    tac: NDArray[np.bool_]
    mac2: NDArray[np.bool_]
    cg2: NDArray[np.bool_]
