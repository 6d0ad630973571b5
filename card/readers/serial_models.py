# SPDX-License-Identifier: Apache-2.0
"""Serial CCID readers with the framing of the GemPC Twin, and how they differ from it.

To add one, add a row. Source of the rows: `ccid_serial.c` of the free CCID driver, which speaks
to all of them. Not tried on metal.
"""

from __future__ import annotations

from dataclasses import dataclass

from card.errors import NoReader

CLOCK_HZ = 4_000_000
DEFAULT_RATE_MAX = 344_086


@dataclass(frozen=True, slots=True)
class Model:
    """One kind of reader.

    Attributes:
        name: What `model=` says.
        slots: Number of slots; 0 takes the card, the others take SAMs.
        echoes: It sends every command back before it answers.
        firmware: Escape command that asks for the firmware; says that a reader is there at all.
        notices: Escape command that makes it report card movements; empty if it has none.
        rate_max: Fastest line to a card in slot 0, bits per second.
        sam_rate_max: The same for the other slots.
        clock_hz: Clock it gives the card.
        negotiates: It does protocol parameters and PPS itself.
    """

    name: str
    slots: int = 1
    echoes: bool = False
    firmware: bytes = b"\x02"
    notices: bytes = b"\x01\x01\x01"
    rate_max: int = DEFAULT_RATE_MAX
    sam_rate_max: int = DEFAULT_RATE_MAX
    clock_hz: int = CLOCK_HZ
    negotiates: bool = False

    def rate_limit(self, slot: int) -> int:
        """Return the fastest line to a card in a slot."""
        return self.sam_rate_max if slot else self.rate_max


MODELS = {
    model.name: model
    for model in (
        Model("gempc-twin", echoes=True),
        Model("gempc-pinpad", echoes=True, rate_max=500_000),
        Model("gemcore-pos-pro", slots=5, rate_max=500_000, sam_rate_max=125_000),
        Model("gemcore-sim-pro", slots=2, rate_max=500_000, sam_rate_max=125_000),
        Model("sec1210-ur2", 2, False, b"\x06", b"", 826_000, 826_000, 4_800_000, True),
        Model("sec1210-urt", 1, False, b"\x06", b"", 826_000, 826_000, 4_800_000, True),
    )
}


def model_named(name: str) -> Model:
    """Return a model.

    Raises:
        NoReader: There is none of this name; the detail lists those there are.
    """
    if name not in MODELS:
        raise NoReader(f"model {name}; known: {', '.join(MODELS)}")
    return MODELS[name]
