# SPDX-License-Identifier: Apache-2.0
"""A process of fifty threads that move minutes at random until somebody kills it: `URL SEED FILE`.

What was answered is written to the file as "uid number", a line a transfer, after the answer.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from server.db import Database
from server.errors import Refused
from server.people.models import Volunteer
from server.timebank import orders
from server.timebank.orders import Order

THREADS = 50
VOLUNTEERS = 6
assert Volunteer.__table__ is not None, "transfers refer to its table"
FIRST_MINUTES = 600
HOUR_MS = 3_600_000
DOWN_PAUSE_S = 0.05


class Mover:
    """One thread: random orders, some of them given twice."""

    def __init__(self, database: Database, seed: int, file: int) -> None:
        self.database = database
        self.random = random.Random(seed)
        self.name = f"{seed}"
        self.file = file
        self.made = 0
        self.known: list[int] = []

    def run(self) -> None:
        """Go on for ever; a database that is away is waited for."""
        while True:
            self.made += 1
            uid = f"storm:{self.name}:{self.made}"
            seed = self.random.getrandbits(32)
            for _ in range(self.random.choice((1, 1, 2))):
                self.order(uid, seed)

    def order(self, uid: str, seed: int) -> None:
        """Give one order until it is answered or refused; write the answer down."""
        while True:
            try:
                number = orders.settle(self.database, lambda s: self.one(s, uid, seed))
            except Refused:
                return
            except (DBAPIError, PoolTimeout):
                time.sleep(DOWN_PAUSE_S)
                continue
            self.known.append(number)
            os.write(self.file, f"{uid} {number}\n".encode())
            return

    def one(self, session: Session, uid: str, seed: int) -> int:
        """Make the one transfer that this uid stands for."""
        chosen = random.Random(seed)
        giver, taker = chosen.sample(range(1, VOLUNTEERS + 1), 2)
        order = Order(uid, giver, chosen.randint(1, 90), taker)
        now_ms = time.time_ns() // 1_000_000
        target = self.known[chosen.randrange(len(self.known))] if self.known else 0
        kind = chosen.choice(("gift", "gift", "award", "redeem", "hold", "post", "void", "reverse"))
        if kind == "hold":
            return orders.hold(session, order, now_ms + HOUR_MS, now_ms, "storm")
        if kind == "post":
            return orders.post(session, uid, target, order, now_ms, "storm")
        if kind == "void":
            return orders.release(session, uid, target, now_ms, "storm")
        if kind == "reverse":
            return orders.reverse(session, uid, target, now_ms, "storm")
        return orders.transfer(session, kind, order, now_ms, "storm")


def main() -> None:
    """Start the threads and wait to be killed."""
    url, seed, path = sys.argv[1:]
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    database = Database(url)
    for number in range(THREADS):
        mover = Mover(database, int(seed) * THREADS + number, file)
        threading.Thread(target=mover.run, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
