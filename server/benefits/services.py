# SPDX-License-Identifier: Apache-2.0
"""What other features use of benefits, in one place."""

from __future__ import annotations

from server.benefits import personal_data
from server.benefits.donations import Booked, Fault, book_donations, month_total_fen
from server.benefits.policy import DonationRow

__all__ = ["Booked", "DonationRow", "Fault", "book_donations", "month_total_fen", "personal_data"]
