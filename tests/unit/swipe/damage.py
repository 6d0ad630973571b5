# SPDX-License-Identifier: Apache-2.0
"""Ways to check a file in memory and to damage it."""

from __future__ import annotations

import io

from swipe.findings import FindingKind, Report
from swipe.verify import Pins, verify_stream

FRAME_SIZE = 8 + 1 + 224
BODY_AT = 9


def check(blob: bytes, **pins: bytes) -> Report:
    """Check the bytes of a file."""
    return verify_stream(io.BytesIO(blob), "test", Pins(**pins))


def fault_kinds(blob: bytes, **pins: bytes) -> set[FindingKind]:
    """Give the families of faults in the bytes of a file."""
    return set(check(blob, **pins).faults)


def flip(raw: bytes, at: int, bit: int = 0) -> bytes:
    """Flip one bit."""
    return raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]
