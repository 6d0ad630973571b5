# SPDX-License-Identifier: Apache-2.0
"""The OPEN event: in which mode, by whom and for which activity taps are taken from now on."""

from __future__ import annotations

from swipe.event import Event
from swipe.kinds import EventType
from terminal.chain import Chain
from terminal.policy import Mode


def open_period(
    chain: Chain,
    *,
    mode: Mode | None = None,
    operator: bytes | None = None,
    activity: int | None = None,
    durable: bool = True,
) -> Event:
    """Open the service, or say what changes in it; what is not named stays as it is.

    Raises:
        NotSaved: Nothing was opened.
    """
    state = chain.journal.state
    return chain.record(
        EventType.OPEN,
        {"activity": state.activity if activity is None else activity},
        durable=durable,
        operator_asn=(state.operator if operator is None else operator) or bytes(10),
        mode=state.mode if mode is None else mode,
        cfg_ver=chain.around.cfg_ver,
    )
