# SPDX-License-Identifier: Apache-2.0
"""Write the sample files of the onboarding guide: `python -m hardware_mocks.partner.samples DIR`.

The same bytes every time; a test compares them with docs/bank-samples.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from hardware_mocks.partner.bank import Bank
from hardware_mocks.partner.files import Form, Row
from hardware_mocks.partner.wrapping import Ed25519Signer, Wrapping

CODE, DAY = "BANK-1", "20261122"
SEED = bytes(range(32))  # public: it signs nothing but samples
PHOTO = hashlib.sha256(b"a sample photo").hexdigest()
_EVENT = {"batch": "1", "order_no": "000000000011", "date": DAY}
RECORDS: dict[str, Row] = {
    "ORD": {"order_no": "000000000011", "number": "0000000014", "carrier": "D",
            "branch": "SZ-001", "reason": "FIRST", "photo_ref": f"0000000014-{PHOTO[:12]}.jpg",
            "photo_sha256": PHOTO, "name": "李\U00020bb7子", "document_kind": "passport",
            "document_no": "E00000001", "birth": "19900517", "mobile": "13800138000",
            "address": "深圳市福田区莲花路1号"},
    "ANS": {"level": "F", "ref": "0", "status": "ACCP", "accepted": "1", "rejected": "0"},
    "RES": {**_EVENT, "outcome": "OK", "asn": "06217000000000000011"},
    "AUD": {**_EVENT, "outcome": "OK"},
    "ARR": {**_EVENT, "branch": "SZ-001"},
    "COL": {**_EVENT, "asn": "06217000000000000011", "id_checked": "Y"},
    "CUT": {**_EVENT, "reason": "UNCL"},
    "LOS": {"order_no": "000000000011", "event": "LOST", "channel": "HOTL", "date": DAY,
            "time": "093000"},
    "DON": {"month": "202610", "number": "0000000014", "purchases": "3", "refunds": "0",
            "amount_fen": "30"},
    "TXN": {"month": "202610", "number": "0000000014", "purchases": "3", "amount_fen": "12345"},
    "BRA": {"branch": "SZ-001", "name": "福田支行", "from": "20260101"},
}  # fmt: skip


def samples() -> dict[str, bytes]:
    """Give every sample file by its name: all kinds, the results also as JSON lines."""
    found = {}
    wrapping = Wrapping(Ed25519Signer(SEED))
    for kind, row in RECORDS.items():
        bank = Bank(CODE, Path(), wrapping, day=DAY)
        name = f"YIKA_{CODE}_{kind}_00000001.dat"
        found[name] = bank.content(kind, [row], 1, refers=1 if kind == "ANS" else 0)
    name = f"YIKA_{CODE}_RES_00000001.dat"
    found[name + ".manifest"] = wrapping.manifest(name, found[name]) + b"\n"
    lines = Bank(CODE, Path(), wrapping, Form("jsonl"), day=DAY)
    found[name.replace(".dat", ".jsonl")] = lines.content("RES", [RECORDS["RES"]], 1)
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, data in samples().items():
        (folder / file_name).write_bytes(data)
