#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clock a volunteer in or out with a card on one reader and a PSAM in another.

    python -m examples.tap_card in "pcsc:Yika POS A 00 00" "pcsc:Yika POS A 00 01" 101

101 is the activity. The proof that is printed can be checked by whoever holds the issuer's keys.
A terminal does more: it keeps a journal between the steps, so that no tap that beeped is lost.
"""

from __future__ import annotations

import hashlib
import sys
import time

from card.errors import CardError
from card.psam import PsamCard
from card.readers import CardConnection, open_reader
from card.tap import TapRequest
from card.volunteer import VolunteerCard
from keys.psam import PsamError

WAIT_S = 10.0
CHINA = 32  # quarter hours


def connect(name: str) -> CardConnection:
    """Wait for a card in a reader and power it."""
    reader = open_reader(name)
    reader.wait_card(WAIT_S)
    return reader.connect()


def main(direction: str, card_reader: str, psam_reader: str, activity: str) -> int:
    """Do one tap; return the exit status."""
    try:
        psam = PsamCard(connect(psam_reader))
        card = VolunteerCard(connect(card_reader))
        now = int(time.time())
        # What the tap is about: the card signs these eight bytes with CG2.
        h8 = hashlib.sha256(f"{direction} {activity} {now}".encode()).digest()[:8]
        request = TapRequest(psam, now, CHINA, int(activity), h8)
        answer = card.clock_in(request) if direction == "in" else card.clock_out(request)
    except (CardError, PsamError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"刷卡成功 tapped {direction}: card {card.identity().asn.hex()}")
    print(f"PSAM {psam.number.hex()} no. {answer.psam_seq}, card no. {answer.init.card_ctr}")
    print(f"TAC {answer.proof.tac.hex()}  MAC2 {answer.proof.mac2.hex()}  CG2 {answer.cg2.hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))
