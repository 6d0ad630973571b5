# SPDX-License-Identifier: Apache-2.0
"""The bank itself: its books, what it does with orders, and the files it sends."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path

from hardware_mocks.partner import files, wrapping
from hardware_mocks.partner.files import Form, Row
from hardware_mocks.partner.wrapping import Wrapping

ASN_BASE = 6217000000000000000  # serials of this bank's cards


@dataclass
class Bank:
    """One partner with its folder as it sees it (`in`, `out`), keys, form and habits.

    `rejects` is the share of orders it cannot make; `day` the date on its files, YYYYMMDD.
    """

    code: str
    home: Path
    wrapping: Wrapping
    form: Form = field(default_factory=Form)
    day: str = "20261122"
    rejects: float = 0.0
    seed: int = 1
    test: bool = False
    sequence: int = 0
    orders: dict[str, Row] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)

    def take(self) -> int:
        """Take in new order files, check them, answer each; return how many orders came."""
        came = 0
        for note in sorted((self.home / "out").glob("YIKA_*_ORD_*.dat.manifest")):
            name = note.name.removesuffix(".manifest")
            if name in self.taken:
                continue
            wire = (self.home / "out" / name).read_bytes()
            self.wrapping.check(note.read_bytes(), name, wire)
            came += self._take_file(name, self.wrapping.unwrap(wire))
            self.taken.append(name)
        return came

    def _take_file(self, name: str, content: bytes) -> int:
        batch = name[-12:-4]
        try:
            found = files.read(content, self.form)
        except files.Wrong as wrong:
            self._answer(name, "RJCT", [], wrong.line)
            return 0
        bad = []
        for place, row in enumerate(found.rows, 2):
            if row["photo_ref"] != f"{row['number']}-{row['photo_sha256'][:12]}.jpg":
                bad.append((place, "R17", "photo_ref"))
                continue
            self.orders[row["order_no"]] = {**row, "batch": batch, "state": "taken"}
        self._answer(name, "PART" if bad else "ACCP", bad, 0, len(found.rows) - len(bad))
        return len(found.rows) - len(bad)

    def _answer(
        self, name: str, status: str, bad: list[tuple[int, str, str]], line: int, good: int = 0
    ) -> None:
        code = "F19" if status == "RJCT" else ""
        rows = [{"level": "F", "ref": str(line), "status": status, "code": code,
                 "accepted": str(good), "rejected": str(len(bad))}]  # fmt: skip
        rows += [
            {"level": "R", "ref": str(place), "status": "RJCT", "code": why, "field": what,
             "accepted": "0", "rejected": "1"}
            for place, why, what in bad
        ]  # fmt: skip
        number = int(name[-12:-4])
        self._send("ANS", rows, number, refers=number)

    def produce(self, only: list[str] | None = None) -> Path | None:
        """Report what was made and what could not be."""
        dice = random.Random(self.seed)  # noqa: S311 - a play, repeatable
        rows = []
        for number, order in self._in_state("taken", only):
            failed = dice.random() < self.rejects
            order["state"] = "failed" if failed else "made"
            order["asn"] = "" if failed else str(ASN_BASE + int(number)).zfill(20)
            rows.append({"batch": order["batch"], "order_no": number, "date": self.day,
                         "outcome": "RJ" if failed else "OK", "reason": "CHIP" if failed else "",
                         "asn": order["asn"]})  # fmt: skip
        return self._next("RES", rows)

    def audit(self, only: list[str] | None = None) -> Path | None:
        """Report that the cards made were audited."""
        rows = self._move("made", "audited", only)
        return self._next("AUD", [{**row, "outcome": "OK", "reason": ""} for row in rows])

    def arrive(self, only: list[str] | None = None) -> Path | None:
        """Report what came to its branch."""
        rows = self._move("audited", "arrived", only)
        return self._next(
            "ARR", [{**row, "branch": self.orders[row["order_no"]]["branch"]} for row in rows]
        )

    def collect(self, only: list[str] | None = None) -> Path | None:
        """Report what holders fetched, with a document."""
        rows = self._move("arrived", "collected", only)
        return self._next("COL", [
            {**row, "asn": self.orders[row["order_no"]]["asn"], "id_checked": "Y"} for row in rows
        ])  # fmt: skip

    def cut(self, only: list[str] | None = None) -> Path | None:
        """Report cards that were cut and accounts that were closed."""
        rows = self._move("arrived", "cut", only)
        return self._next("CUT", [{**row, "reason": "UNCL"} for row in rows])

    def lose(self, only: list[str], event: str = "LOST", channel: str = "HOTL") -> Path | None:
        """Report what holders told the hotline or a branch."""
        return self._next("LOS", [
            {"order_no": number, "event": event, "channel": channel, "branch": "",
             "date": self.day, "time": "093000"}
            for number in only
        ])  # fmt: skip

    def donate(self, month: str, purchases: dict[str, int]) -> Path | None:
        """Report a month of donations: ten fen a purchase."""
        return self._next("DON", [
            {"month": month, "number": number, "purchases": str(count), "refunds": "0",
             "amount_fen": str(10 * count)}
            for number, count in purchases.items()
        ])  # fmt: skip

    def summarise(self, month: str, purchases: dict[str, tuple[int, int]]) -> Path | None:
        """Report what purchases of a month came to."""
        return self._next("TXN", [
            {"month": month, "number": number, "purchases": str(count), "amount_fen": str(fen),
             "points": ""}
            for number, (count, fen) in purchases.items()
        ])  # fmt: skip

    def branches(self, listed: dict[str, str]) -> Path | None:
        """Report the branches."""
        return self._next("BRA", [
            {"branch": code, "name": name, "address": "", "from": self.day, "until": ""}
            for code, name in listed.items()
        ])  # fmt: skip

    def answers(self) -> dict[str, list[Row]]:
        """Give the platform's answers by the name of the answered file, every file checked."""
        found = {}
        for note in sorted((self.home / "out").glob("*.dat.manifest")):
            name = note.name.removesuffix(".manifest")
            if not name.startswith(("ACK_", "NAK_")):
                continue
            wire = (self.home / "out" / name).read_bytes()
            self.wrapping.check(note.read_bytes(), name, wire)
            found[name] = files.read(self.wrapping.unwrap(wire), self.form).rows
        return found

    def content(self, kind: str, rows: list[Row], number: int, refers: int = 0) -> bytes:
        """Write the content of a file, before it is wrapped."""
        header = {"partner": self.code, "kind": kind, "sequence": str(number), "date": self.day,
                  "refers": str(refers), "test": "T" if self.test else "P"}  # fmt: skip
        return files.write(header, rows, self.form)

    def save(self, path: Path) -> None:
        """Write the books to a file."""
        books = {"sequence": self.sequence, "orders": self.orders, "taken": self.taken}
        path.write_text(json.dumps(books, ensure_ascii=False), "utf-8")

    def load(self, path: Path) -> None:
        """Read the books back."""
        books = json.loads(path.read_text("utf-8"))
        self.sequence, self.orders = books["sequence"], books["orders"]
        self.taken = books["taken"]

    def _in_state(self, state: str, only: list[str] | None) -> list[tuple[str, Row]]:
        return [
            (number, order)
            for number, order in self.orders.items()
            if order["state"] == state and (only is None or number in only)
        ]

    def _move(self, state: str, to: str, only: list[str] | None) -> list[Row]:
        rows = []
        for number, order in self._in_state(state, only):
            order["state"] = to
            rows.append({"batch": order["batch"], "order_no": number, "date": self.day})
        return rows

    def _next(self, kind: str, rows: list[Row]) -> Path | None:
        if not rows:
            return None
        self.sequence += 1
        return self._send(kind, rows, self.sequence)

    def _send(self, kind: str, rows: list[Row], number: int, refers: int = 0) -> Path:
        name = f"YIKA_{self.code}_{kind}_{number:08d}.dat"
        wire = self.wrapping.wrap(self.content(kind, rows, number, refers))
        return wrapping.put(self.home / "in", name, wire, self.wrapping.manifest(name, wire))
