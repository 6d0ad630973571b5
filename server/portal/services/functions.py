# SPDX-License-Identifier: Apache-2.0
"""A volunteer's own choice of the card's functions, one by one."""

from __future__ import annotations

from dataclasses import dataclass

from server.db import Database
from server.issuing import consents
from server.issuing.consents import Choice
from server.issuing.models import FUNCTIONS
from server.portal.names import Name

ABOUT = {
    "finance": Name("金融：借记、贷记、电子现金", "finance: debit, credit, electronic cash"),
    "health": Name("医疗：健康卡", "health card"),
    "transit": Name("交通：公交、地铁", "transit: bus and metro"),
    "travel": Name("旅游：景点优惠", "travel: discounts at sights"),
    "social": Name("社交：关注与动态", "social: following, news"),
    "offers": Name("优惠与关爱活动", "offers and care campaigns"),
}


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """One function and whether it is on."""

    name: str
    about: Name
    on: bool


def read_functions(database: Database, volunteer_id: int) -> list[FunctionRow]:
    """Read what a volunteer has turned on."""
    with database.reading() as session:
        chosen = consents.consents(session, volunteer_id)
    return [FunctionRow(name, ABOUT[name], chosen[name]) for name in FUNCTIONS]


@dataclass(frozen=True, slots=True)
class Wish:
    """One function to be turned on or off."""

    function: str
    granted: bool


def choose(database: Database, volunteer_id: int, wish: Wish, actor: str, now_ms: int) -> None:
    """Turn one function on or off.

    Raises:
        Refused: there is no such function, or the volunteer has left.
    """
    with database.writing() as session:
        choice = Choice(wish.function, wish.granted, "online")
        consents.set_consent(session, volunteer_id, choice, actor, now_ms)
