# SPDX-License-Identifier: Apache-2.0
"""How far a card is, as anybody can see it: without keys, and without changing it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from card.commands import select_fid, select_name
from card.errors import BlankCard, LayoutError
from card.layouts import PublicData
from card.operation import Operation
from card.profile import ENABLED, STANDARD, Profile
from card.status_words import OK
from card.volunteer import public_data

NO_MASTER_FILE = (0x6A81, 0x6A82)
BLOCKED = (0x6A81, 0x9303)  # to SELECT of an application where the master file answers


class CardState(enum.Enum):
    """How far a card is: no master file, no filled application, not switched on yet, in use.

    A card of somebody else, or one whose application is blocked, looks STARTED too: it has a
    master file and does not let the application be selected. No key of it is known to us, and
    one wrong attempt ends the run.
    """

    BLANK = "blank"
    STARTED = "started"
    FILLED = "filled"
    ISSUED = "issued"


@dataclass(frozen=True, slots=True)
class Finding:
    """What anybody can see of a card's state, without keys; `blocked` on purpose or by bad MACs."""

    state: CardState
    public: PublicData | None = None
    blocked: bool = False


def inspect(profile: Profile = STANDARD) -> Operation[Finding]:
    """Look how far a card is, without keys and without changing it."""
    response = yield select_fid(profile.master_file.fid)
    if response.sw in NO_MASTER_FILE:
        return Finding(CardState.BLANK)
    response = yield select_name(profile.application.name)
    if response.sw != OK:
        return Finding(CardState.STARTED, blocked=response.sw in BLOCKED)
    try:
        public = public_data(response.data)
    except (BlankCard, LayoutError):
        return Finding(CardState.STARTED)
    issued = public.application_type == ENABLED
    return Finding(CardState.ISSUED if issued else CardState.FILLED, public)
