# SPDX-License-Identifier: Apache-2.0
"""A virtual chip as a connection of the card SDK, without any reader."""

from __future__ import annotations

from card.errors import CardRemoved, MuteCard
from card.operation import Connection
from card.protocol import ByteConnection, T0Connection
from hardware_mocks.cardos.errors import CardGone, CardMute
from hardware_mocks.cardos.shell import ChipCard


def connect(chip: ChipCard, *, strip_le: bool = True) -> Connection:
    """Power a chip and connect to it; a torn one is removed, a silent one is mute.

    Args:
        chip: The card.
        strip_le: As T=0 demands; False over T=1 and contactless.
    """
    chip.power_on()

    def send(apdu: bytes) -> bytes:
        try:
            return chip.transmit(apdu)
        except CardGone as exc:
            raise CardRemoved from exc
        except CardMute as exc:
            raise MuteCard from exc

    return T0Connection(ByteConnection(send), strip_le=strip_le)
