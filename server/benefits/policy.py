# SPDX-License-Identifier: Apache-2.0
"""Amounts of insurance and donation, in fen; pure.

100 000 yuan for accidental death or disability, up to 5 000 yuan of medical cost above 100 yuan an
occurrence; ten fen for every purchase.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FEN = 100
DEATH, DISABILITY, MEDICAL = KINDS = ("death", "disability", "medical")
DEATH_FEN = DISABILITY_FEN = 100_000 * FEN
MEDICAL_MAX_FEN = 5_000 * FEN
DEDUCTIBLE_FEN = 100 * FEN  # of every single occurrence
DONATION_FEN = 10  # of every single purchase, whatever it cost


def pays_fen(kind: str, cost_fen: int) -> int:
    """Return what one occurrence pays, in fen; `cost_fen` counts for medical cost only.

    >>> [pays_fen(MEDICAL, fen) for fen in (8_000, 10_000, 10_001, 510_000, 900_000)]
    [0, 0, 1, 500000, 500000]
    """
    if kind == DEATH:
        return DEATH_FEN
    if kind == DISABILITY:
        return DISABILITY_FEN
    if kind != MEDICAL or cost_fen < 0:
        message = f"no cover for {kind} of {cost_fen} fen"
        raise ValueError(message)
    return min(max(cost_fen - DEDUCTIBLE_FEN, 0), MEDICAL_MAX_FEN)


@dataclass(frozen=True, slots=True)
class DonationRow:
    """One volunteer's purchases of a month, and how many purchases were taken back in it."""

    number: str
    purchases: int
    refunds: int = 0
    amount_fen: int = 0


def donation_fen(purchases: int, refunds: int = 0) -> int:
    """Return what is donated for a month: a purchase taken back takes its ten fen back.

    A refund counts in the month in which it is made, also for a purchase of a month before; a
    month may so come out below zero.

    >>> donation_fen(12), donation_fen(3, 1), donation_fen(0, 2)
    (120, 20, -20)
    """
    return DONATION_FEN * (purchases - refunds)


def total_fen(rows: Iterable[DonationRow]) -> int:
    """Return the control total of a donation file."""
    return sum(row.amount_fen for row in rows)
