# SPDX-License-Identifier: Apache-2.0
"""The records of docs/bank-formats.md, typed again: name, bytes, and N for digits."""

from __future__ import annotations

HEADER = (("family", 8, ""), ("version", 2, "N"), ("partner", 12, ""), ("kind", 3, ""),
          ("sequence", 8, "N"), ("date", 8, "N"), ("test", 1, ""), ("refers", 8, "N"))  # fmt: skip
TRAILER = (("count", 8, "N"), ("control_key", 18, "N"), ("control_fen", 18, "N"),
           ("sha256", 64, ""))  # fmt: skip
DETAIL = {
    "ORD": (("order_no", 12, "N"), ("number", 10, "N"), ("carrier", 1, ""), ("branch", 12, ""),
            ("reason", 8, ""), ("photo_ref", 40, ""), ("photo_sha256", 64, ""), ("name", 60, ""),
            ("document_kind", 20, ""), ("document_no", 24, ""), ("birth", 8, "N"), ("sex", 1, ""),
            ("mobile", 20, ""), ("address", 160, "")),
    "ANS": (("level", 1, ""), ("ref", 10, "N"), ("status", 4, ""), ("code", 3, ""),
            ("field", 32, ""), ("expected", 40, ""), ("found", 40, ""), ("accepted", 10, "N"),
            ("rejected", 10, "N")),
    "RES": (("batch", 8, "N"), ("order_no", 12, "N"), ("outcome", 2, ""), ("reason", 4, ""),
            ("asn", 20, "N"), ("date", 8, "N")),
    "AUD": (("batch", 8, "N"), ("order_no", 12, "N"), ("outcome", 2, ""), ("reason", 4, ""),
            ("date", 8, "N")),
    "ARR": (("batch", 8, "N"), ("order_no", 12, "N"), ("branch", 12, ""), ("date", 8, "N")),
    "COL": (("batch", 8, "N"), ("order_no", 12, "N"), ("asn", 20, "N"), ("id_checked", 1, ""),
            ("date", 8, "N")),
    "CUT": (("batch", 8, "N"), ("order_no", 12, "N"), ("reason", 4, ""), ("date", 8, "N")),
    "LOS": (("order_no", 12, "N"), ("event", 4, ""), ("channel", 4, ""), ("branch", 12, ""),
            ("date", 8, "N"), ("time", 6, "N")),
    "DON": (("month", 6, "N"), ("number", 10, "N"), ("purchases", 8, "N"), ("refunds", 8, "N"),
            ("amount_fen", 12, "N")),
    "TXN": (("month", 6, "N"), ("number", 10, "N"), ("purchases", 8, "N"), ("amount_fen", 14, "N"),
            ("points", 10, "N")),
    "BRA": (("branch", 12, ""), ("name", 80, ""), ("address", 160, ""), ("from", 8, "N"),
            ("until", 8, "N")),
}  # fmt: skip
SUMMED = {"DON": ("number", "amount_fen"), "TXN": ("number", "amount_fen"), "ANS": ("ref", None),
          "BRA": (None, None)}  # fmt: skip
SHORTEST = 112


def width(fields: tuple[tuple[str, int, str], ...]) -> int:
    """Give the bytes of a record."""
    return max(SHORTEST, 9 + sum(size for _, size, _ in fields))


def only(kind: str, names: tuple[str, ...]) -> tuple[tuple[str, int, str], ...]:
    """Give the record of a partner that was promised fewer fields."""
    return tuple(field for field in DETAIL[kind] if field[0] in names)
