#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Issue a blank card on a reader: show the plan, write it, read it back.

    YIKA_KEYS_PASSPHRASE=… python -m examples.issue_card keys.yika "pcsc:Yika Desk 00 00"

Run again after a cut, it goes on where it stopped; on a finished card it writes nothing.
"""

from __future__ import annotations

import datetime as dt
import os
import sys

from card.card_keys import CardKeys
from card.errors import CardError
from card.operation import run
from card.personalise import CardData, personalise, plan
from card.readers import open_reader
from keys.errors import KeysError
from keys.store import FileKeyStore

WAIT_S = 10.0
DATA = CardData(
    asn=bytes.fromhex("00000000000000000017"),
    valid_from=dt.date(2026, 11, 1),
    valid_to=dt.date(2031, 10, 31),
    masked_name="王**",
    name="王小明",
    volunteer_number="1000000004",
)


def main(store_path: str, reader_name: str) -> int:
    """Issue one card; return the exit status."""
    try:
        store = FileKeyStore.open(store_path, os.environ["YIKA_KEYS_PASSPHRASE"])
        keys = CardKeys.from_store(store.for_new_cards(), DATA.asn, DATA.key_version)
        for line in plan(DATA, keys).show():
            print(f"{line.step_en:42} {line.apdu}")
        reader = open_reader(reader_name)
        reader.wait_card(WAIT_S)
        connection = reader.connect()
        try:
            done = run(personalise(DATA, keys), connection)
        finally:
            connection.close()
    except (CardError, KeysError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"已发卡 issued {done.asn.hex()}: {done.writes} writes, found {done.found.value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
