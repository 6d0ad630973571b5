# SPDX-License-Identifier: Apache-2.0
"""What the server found when it compared a closed period with what it stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from terminal.asking import Asker, number
from terminal.errors import BadAnswer

SETTLEMENT_PATH = "/settlements/{}"
SEQ_MAX = 2**32 - 1
COUNT_MAX = 2**32 - 1
MISSING_MAX = 1_000  # ranges; a longer list is asked for again when the first are filled

State = Literal["equal", "unequal", "incomplete"]
_STATES: dict[str, State] = {
    "equal": "equal",
    "unequal": "unequal",
    "incomplete": "incomplete",
}


@dataclass(frozen=True, slots=True)
class Settlement:
    """The server's totals of a period, and the ranges (first, last) of events it misses.

    `state` is `equal`, `unequal`, or `incomplete` while events are missing.
    """

    state: State
    n_in: int
    n_out: int
    n_rej: int
    missing: tuple[tuple[int, int], ...]

    @property
    def equal(self) -> bool:
        """Say whether both sides count the same."""
        return self.state == "equal"


def ask_settlement(asker: Asker, close_seq: int) -> Settlement:
    """Ask for the comparison of the period that the CLOSE event of this number ended.

    Raises:
        ServerError: No answer, a refusal (404: the CLOSE is not stored yet), or no sense in it.
    """
    answer = asker.get(SETTLEMENT_PATH.format(close_seq))
    state, missing = answer.get("state"), answer.get("missing", [])
    if type(state) is not str or state not in _STATES:
        raise BadAnswer("state")
    if type(missing) is not list or len(missing) > MISSING_MAX:
        raise BadAnswer("missing")
    return Settlement(
        state=_STATES[state],
        n_in=number(answer, "n_in", COUNT_MAX),
        n_out=number(answer, "n_out", COUNT_MAX),
        n_rej=number(answer, "n_rej", COUNT_MAX),
        missing=tuple(_range(item) for item in missing),
    )


def _range(item: object) -> tuple[int, int]:
    if type(item) is not list or len(item) != 2 or {type(end) for end in item} != {int}:
        raise BadAnswer("missing")
    first, last = item
    if not 1 <= first <= last <= SEQ_MAX:
        raise BadAnswer("missing")
    return first, last
