# SPDX-License-Identifier: Apache-2.0
"""What kinds of reader there are: how many slots, and whether they echo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of reader."""

    firmware: bytes
    slots: int
    echoes: bool


GEMPC_TWIN = Kind(b"GemTwin-V2.00-YIKA", 1, echoes=True)
GEMCORE_POS_PRO = Kind(b"GemCore-POS-Pro-YIKA", 5, echoes=False)
