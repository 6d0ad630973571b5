# SPDX-License-Identifier: Apache-2.0
"""Histories written down in a few words, and results read back the same way.

The form is that of tests/vectors/reconciliation.json; docs/spec/reconciliation.md describes it.
Clock times are those of China (UTC+8) on 1 May 2026; "+1 08:30" is the day after.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from server.reconciliation import arrays
from server.reconciliation.arrays import History, Result
from server.reconciliation.parameters import DEFAULT_POLICY, SCOPED
from server.reconciliation.policy import reconcile_arrays
from server.reconciliation.sphere import point_m
from swipe.kinds import EventType
from tests.unit.server.reconciliation.reference_person import reconcile

MIDNIGHT_MS = 1_777_564_800_000  # 2026-05-01T00:00:00+08:00
DAY_MS = 86_400_000
NOW = "+3 00:00"
DECISIONS = {"approve": 1, "reject": 2, "close": 3}
GRADES = {"A": 1, "B": 2, "C": 3}
SYSTEM_FROM = 16


def instant(text: str | None) -> int:
    """Return milliseconds UTC of "[+days ]HH:MM[:SS[.mmm]]", 0 for None."""
    if text is None:
        return 0
    days, _, clock = text.rpartition(" ")
    hours, minutes, *rest = clock.split(":")
    seconds = float(rest[0]) if rest else 0.0
    whole = (int(hours) * 60 + int(minutes)) * 60_000 + round(seconds * 1000)
    return MIDNIGHT_MS + int(days or 0) * DAY_MS + whole


def written(millis: int) -> str | None:
    """Write an instant as `instant` reads it; milliseconds only where there are some."""
    if not millis:
        return None
    days, rest = divmod(millis - MIDNIGHT_MS, DAY_MS)
    minutes, ms = divmod(rest, 60_000)
    text = f"{minutes // 60:02}:{minutes % 60:02}"
    if ms:
        text += f":{ms / 1000:06.3f}".rstrip("0").rstrip(".") if ms % 1000 else f":{ms // 1000:02}"
    return f"{days:+} {text}" if days else text


class Story:
    """One vector as arrays, with the names of its terminals, cards and people."""

    def __init__(self, vector: dict[str, Any]) -> None:
        self.now = instant(vector.get("now", NOW))
        self.terminals = {"T1": {}, "T2": {"site": 2}, **vector.get("terminals", {})}
        self.people = vector.get("people", {"p": {}})
        self.cards = vector.get("cards", {"a": {"person": next(iter(self.people))}})
        self.activities = vector.get("activities", {})
        self.sites = vector.get("sites", {})
        self.parameters = vector.get("parameters", [])
        self.moments = moments(vector["taps"])
        self.history = History(
            taps=self.taps(vector["taps"]),
            persons=self.person_rows(),
            cards=self.card_rows(),
            terminals=self.terminal_rows(),
            batches=self.batch_rows(),
            activities=self.activity_rows(),
            corrections=self.correction_rows(vector.get("corrections", [])),
            sites=self.site_rows(),
            parameters=self.parameter_rows(),
        )

    def taps(self, given: list[dict[str, Any]]) -> Any:
        rows = np.zeros(len(given), arrays.TAP_DTYPE)
        seqs: dict[str, int] = {}
        counters: dict[str, int] = {}
        for row, tap in zip(rows, given, strict=True):
            name = tap.get("terminal", "T1")
            seqs[name] = tap.get("seq", seqs.get(name, 0) + 1)
            fill_tap(row, tap)
            kind = EventType[tap["kind"]]
            card = tap.get("card", "a")
            system = kind >= SYSTEM_FROM
            row["terminal"] = list(self.terminals).index(name)
            row["seq"] = seqs[name]
            row["batch"] = self.moments.index(received(tap))
            row["anchor"] = self.moments.index(receipt(tap)) if receipt(tap) else -1
            row["site"] = tap.get("site", self.terminals[name].get("site", 1))
            row["tz_q"] = tap.get("tz_q", 32)
            row["psam"] = list(self.terminals).index(tap.get("psam", name))
            row["ref"] = tap.get("ref", seqs[name])
            if "from" in tap:
                row["psam"], row["ref"] = (instant(tap[key]) // 1000 for key in ("from", "until"))
            row["activity"] = self.activity(tap.get("activity"))
            nobody = card is None or (system and kind != EventType.MANUAL)
            row["card"] = -1 if nobody else list(self.cards).index(card)
            if kind == EventType.MANUAL:
                row["card_ctr"] = tap.get("planned", 0)
            if kind in (EventType.VOID_LAST, EventType.REJECTED) or system:
                continue
            row["card_ctr"] = tap.get("ctr", counters.get(card, 0))
            counters[card] = int(row["card_ctr"]) + 1
        return rows

    def activity(self, name: str | None) -> int:
        return -1 if name is None else list(self.activities).index(name)

    def person_rows(self) -> Any:
        rows = np.zeros(len(self.people), arrays.PERSON_DTYPE)
        for number, (row, person) in enumerate(zip(rows, self.people.values(), strict=True)):
            guardian = person.get("guardian")
            row["id"] = number + 1
            row["minor_until_ms"] = instant(person.get("minor_until"))
            row["guardian"] = -1 if guardian is None else list(self.people).index(guardian)
            row["derive"] = person.get("derive", 1)
        return rows

    def card_rows(self) -> Any:
        rows = np.zeros(len(self.cards), arrays.CARD_DTYPE)
        for number, (row, card) in enumerate(zip(rows, self.cards.values(), strict=True)):
            row["id"] = number + 1
            row["revoked_ms"] = instant(card.get("revoked"))
            row["person"] = list(self.people).index(card["person"])
        return rows

    def terminal_rows(self) -> Any:
        rows = np.zeros(len(self.terminals), arrays.TERMINAL_DTYPE)
        for number, (row, item) in enumerate(zip(rows, self.terminals.values(), strict=True)):
            row["id"] = number + 1
            row["fork_ms"] = instant(item.get("fork_at"))
            row["fork_seq"] = item.get("fork_seq", 0)
            row["gap_seq"] = item.get("gap_seq", 0)
            row["revoked_ms"] = instant(item.get("revoked"))
        return rows

    def batch_rows(self) -> Any:
        """Return one upload per moment: what arrived then, and a receipt signed then."""
        rows = np.zeros(len(self.moments), arrays.BATCH_DTYPE)
        rows["id"] = np.arange(len(self.moments)) + 1
        rows["received_ms"] = rows["receipt_ms"] = self.moments
        return rows

    def activity_rows(self) -> Any:
        rows = np.zeros(len(self.activities), arrays.ACTIVITY_DTYPE)
        for number, (row, item) in enumerate(zip(rows, self.activities.values(), strict=True)):
            row["id"] = number + 1
            row["start_ms"] = instant(item["start"])
            row["end_ms"] = instant(item["end"])
            row["site"], row["family"] = item.get("site", 0), item.get("family", 0)
        return rows

    def site_rows(self) -> Any:
        rows = np.zeros(len(self.sites), arrays.SITE_DTYPE)
        for row, (number, item) in zip(rows, self.sites.items(), strict=True):
            row["id"], row["region"] = int(number), item.get("region", 0)
            if "at" in item:
                place = point_m(*(round(degrees * 10_000_000) for degrees in item["at"]))
                row["x_m"], row["y_m"], row["z_m"] = place
                row["located"] = 1
        return rows

    def parameter_rows(self) -> Any:
        rows = np.zeros(len(self.parameters), arrays.PARAMETER_DTYPE)
        for number, (row, item) in enumerate(zip(rows, self.parameters, strict=True)):
            row["id"] = number + 1
            row["from_ms"] = instant(item.get("begins", "-30 00:00"))
            row["activity"] = self.activity(item.get("activity")) + 1
            row["site"], row["region"] = item.get("site", 0), item.get("region", 0)
            for name in SCOPED:
                row[name] = item.get(name, -1)
        return rows

    def correction_rows(self, given: list[dict[str, Any]]) -> Any:
        rows = np.zeros(len(given), arrays.CORRECTION_DTYPE)
        for number, (row, item) in enumerate(zip(rows, given, strict=True)):
            terminal, _, seq = item.get("tap", "").partition("/")
            row["id"] = number + 1
            row["at_ms"] = instant(item.get("at", "+2 00:00"))
            row["person"] = list(self.people).index(item.get("person", next(iter(self.people))))
            row["rule"] = item.get("rule", 0)
            row["terminal"] = list(self.terminals).index(terminal) if terminal else -1
            row["seq"] = int(seq or 0)
            row["start_ms"] = instant(item.get("start"))
            row["end_ms"] = instant(item.get("end"))
            row["minutes"] = item.get(
                "minutes", (int(row["end_ms"]) - int(row["start_ms"])) // 60_000
            )
            row["activity"] = self.activity(item.get("activity"))
            row["grade"] = GRADES[item.get("grade", "C")]
            row["decision"] = DECISIONS[item.get("decision", "approve")]
            row["tz_q"] = 32
        return rows

    def tap_name(self, row: int) -> str | None:
        if row < 0:
            return None
        tap = self.history.taps[row]
        return f"{list(self.terminals)[tap['terminal']]}/{tap['seq']}"

    def read(self, intervals: list[dict[str, Any]], exceptions: list[dict[str, Any]]) -> Any:
        """Return results in the words of the vectors, sorted."""
        several = len(self.people) > 1
        shown = []
        for item in intervals:
            line = [
                self.tap_name(item["in_row"]),
                self.tap_name(item["out_row"]),
                written(item["start_ms"]),
                written(item["end_ms"]),
                item["minutes"],
                item["grade"],
                item["state"],
                item["rules"],
            ]
            if item["parameters"]:
                line.append({"parameters": list(item["parameters"])})
            shown.append(line + [list(self.people)[item["person"]]] * several)
        queue = []
        for item in exceptions:
            line = [
                item["rule"],
                self.tap_name(item["row"]),
                self.tap_name(item["other"]),
                item["state"],
                *(written(edge) for edge in item["proposal"]),
            ]
            queue.append(line + [list(self.people)[item["person"]]] * several)
        return {"intervals": shown, "exceptions": sorted(queue, key=repr)}

    def by_kernel(self, engine: str = "plain") -> Any:
        """Return what the kernel says."""
        result = reconcile_arrays(self.history, self.now, engine=engine)
        return self.read(*as_records(result))

    def by_reference(self) -> Any:
        """Return what the plain objects say."""
        return self.read(*reconcile(self.history, self.now, DEFAULT_POLICY))


def received(tap: dict[str, Any]) -> int:
    """Return when the upload with this tap arrived: by default five seconds later."""
    return instant(tap["received"]) if "received" in tap else instant(tap["at"]) + 5_000


def receipt(tap: dict[str, Any]) -> int:
    """Return when the receipt was made that the tap names: by default ten minutes before."""
    return instant(tap["receipt"]) if "receipt" in tap else instant(tap["at"]) - 600_000


def moments(taps: list[dict[str, Any]]) -> list[int]:
    """Return all moments at which something arrived or a receipt was made."""
    return sorted({moment(tap) for tap in taps for moment in (received, receipt)} - {0})


def fill_tap(row: Any, tap: dict[str, Any]) -> None:
    """Set what depends on the tap alone: times, proof, result."""
    kind = EventType[tap["kind"]]
    silent = (EventType.VOID_LAST, EventType.REJECTED, EventType.RECOVERED)
    proven = kind in silent or kind >= SYSTEM_FROM
    row["type"] = kind
    row["boot"] = tap.get("boot", 1)
    row["up_ms"] = instant(tap.get("up", tap["at"])) - MIDNIGHT_MS
    row["utc_ms"] = instant(tap.get("claim", tap["at"]))
    row["unc_ms"] = tap.get("unc_ms", 1000)
    row["flags"] = tap.get("flags", 0)
    row["result"] = {"TORN_RESOLVED": 2, "REJECTED": 3}.get(tap["kind"], int(tap.get("torn", 0)))
    row["proof"] = tap.get("proof", 1 if proven else 25 if tap.get("torn") else 31)
    if kind == EventType.TORN_RESOLVED and "proof" not in tap:
        row["proof"] = 23
    row["verdict"] = tap.get("verdict", 7 if proven else 0)
    row["hint"] = EventType[tap["hint"]] if "hint" in tap else tap.get("part", 0)


def as_records(result: Result) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return intervals and exceptions in the form of the reference."""
    intervals = []
    for item in arrays.records(result.intervals):
        item["parameters"] = result.sets[item["parameters"]]
        item["rules"] = [rule for rule in range(1, 63) if item["rules"] >> rule & 1]
        item["grade"] = arrays.GRADE_NAMES[item["grade"]]
        item["state"] = arrays.STATE_NAMES[item["state"]]
        intervals.append(item)
    exceptions = []
    for item in arrays.records(result.exceptions):
        exceptions.append(
            {
                "person": item["person"],
                "rule": item["rule"],
                "row": item["row"],
                "other": item["other_row"],
                "proposal": (item["start_ms"], item["end_ms"]),
                "state": arrays.DECISION_NAMES[item["state"]],
            }
        )
    return intervals, exceptions
