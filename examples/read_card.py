#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Show whose card lies on a reader, whether it is valid today, and whether a service is open.

    python -m examples.read_card                      # the first reader
    python -m examples.read_card "pcsc:Yika Desk 00 00"

Nothing is written, and no key is needed.
"""

from __future__ import annotations

import datetime as dt
import sys

from card.errors import CardError
from card.readers import list_readers, open_reader
from card.volunteer import VolunteerCard

WAIT_S = 10.0


def main(name: str | None) -> int:
    """Read one card; return the exit status."""
    try:
        reader = open_reader(name or list_readers()[0])
        print(f"请放卡 / put a card on {reader.name}")
        if not reader.wait_card(WAIT_S):
            print("没有卡 / no card", file=sys.stderr)
            return 1
        connection = reader.connect()
        try:
            card = VolunteerCard(connection)
            face = card.identity()
            service = card.open_service()
        finally:
            connection.close()
    except (CardError, IndexError) as error:
        print(error, file=sys.stderr)
        return 1
    today = dt.datetime.now().astimezone().date()
    print(f"卡号 card      {face.asn.hex()}")
    print(f"姓名 name      {face.masked_name}")
    print(f"有效期 valid   {face.valid_from} – {face.valid_to}: {card.validity(today).value}")
    if service is None:
        print("没有进行中的服务 / no open service")
    else:
        since = dt.datetime.fromtimestamp(service.utc_s).astimezone()
        print(f"已签到 clocked in {since:%Y-%m-%d %H:%M}, activity {service.activity}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
