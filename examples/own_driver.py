#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A driver for another card operating system: what differs is written, the rest inherited.

    python -m examples.own_driver

An application that needs more than a driver can do is refused before anything is sent.
"""

from __future__ import annotations

from card.apdu import LE_MAX, CommandApdu
from card.drivers import Capability, require
from card.drivers.iso7816 import Iso7816
from card.errors import CapabilityMissing
from card.operation import Operation, exchange, run
from card.status_words import Text
from hardware_mocks.cards import named, wallet
from hardware_mocks.cards.connection import connect


class Quiet(Iso7816):
    """Cards whose SELECT wants P2 00 and announces no length, and which have no PIN."""

    name = "quiet"
    label = Text("示例卡", "the example's card")
    capabilities = frozenset({Capability.BINARY_FILES, Capability.RECORD_FILES})

    def select(self, name: bytes) -> Operation[bytes]:
        """Select an application the way these cards want it."""
        return (yield from exchange(CommandApdu(0x00, 0xA4, 0x04, 0x00, name, LE_MAX))).data


def main() -> None:
    """Use the driver, and see what it is refused for."""
    driver = Quiet()
    card = connect(named.card("wallet"))
    fci = run(driver.select(wallet.NAME), card)
    face = run(driver.read_binary(0x15, 0, 30), card)
    assert face == wallet.FACE
    assert face in fci
    try:
        require("义工证 volunteer", driver.name, driver.capabilities)
    except CapabilityMissing as error:
        print(error)


if __name__ == "__main__":
    main()
