# SPDX-License-Identifier: Apache-2.0
"""What the server says of one stored event: the evidence it found and its word on it."""

from __future__ import annotations

import enum


class Proof(enum.IntFlag):
    """What was proven of one event."""

    SIGNATURE = 1
    TAC = 2
    MAC2 = 4
    CG2 = 8
    HARDWARE = 16
    TOKEN = 32  # a phone token that this server had signed, seen whole


class Verdict(enum.IntEnum):
    """The server's word on one stored event."""

    OK = 0
    BAD_PROOF = 1
    BAD_SIGNATURE = 2
    FORKED = 3
    UNKNOWN_CARD = 4
    UNKNOWN_PSAM = 5
    PSAM_ORDER = 6
    SYSTEM = 7
    MALFORMED = 8
