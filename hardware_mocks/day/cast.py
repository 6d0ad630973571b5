# SPDX-License-Identifier: Apache-2.0
"""Who takes part and where: people, terminals, activities."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from hardware_mocks.day.document import Row, instant_ms


@dataclass(frozen=True, slots=True)
class Person:
    """One volunteer who gets a card; `who` is the short name the page uses."""

    who: str
    name: str
    pinyin: str
    born: dt.date
    guardian: str | None

    @property
    def slot_card(self) -> str:
        """Return the name of this person's card in the card host."""
        return self.who.lower()


@dataclass(frozen=True, slots=True)
class Post:
    """One terminal at its site."""

    letter: str
    site: int
    name_zh: str
    name_en: str
    hardware_psam: bool


@dataclass(frozen=True, slots=True)
class Activity:
    """A planned service at a site."""

    code: str
    site: int
    name_zh: str
    name_en: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody and everything that is there before the day begins."""

    people: tuple[Person, ...]
    posts: tuple[Post, ...]
    activities: tuple[Activity, ...]


def read_cast(tables: dict[str, list[Row]]) -> Cast:
    """Build the cast from the page's tables."""
    return Cast(
        people=tuple(_person(row) for row in tables["The cast"]),
        posts=tuple(_post(row) for row in tables["The terminals"]),
        activities=tuple(_activity(row) for row in tables["The activities"]),
    )


def _person(row: Row) -> Person:
    born = dt.date.fromisoformat(row["born"])
    return Person(row["who"], row["姓名"], row["name"], born, row["guardian"] or None)


def _post(row: Row) -> Post:
    hardware = {"hardware": True, "software": False}[row["PSAM"]]
    return Post(row["terminal"], int(row["site"]), row["服务点"], row["place"], hardware)


def _activity(row: Row) -> Activity:
    start_ms, end_ms = instant_ms(row["from"]), instant_ms(row["to"])
    return Activity(row["code"], int(row["site"]), row["活动"], row["activity"], start_ms, end_ms)
