# SPDX-License-Identifier: Apache-2.0
"""Tones and lights as steps in time, for a buzzer and three lamps of the box itself.

IN is high, OUT falls from high to low, "read again" is twice low, a refusal one long low tone, and
the siren alternates: the four cannot be taken for each other, also not over a wall.
"""

from __future__ import annotations

from types import MappingProxyType

from terminal.screen import Led, Tone

# (hertz, milliseconds); 0 Hz is silence.
Steps = tuple[tuple[int, int], ...]
TONES: MappingProxyType[Tone, Steps] = MappingProxyType(
    {
        Tone.IN: ((1760, 140),),
        Tone.OUT: ((1760, 110), (0, 30), (880, 170)),
        Tone.DUPLICATE: ((440, 90),),
        Tone.AGAIN: ((392, 120), (0, 80), (392, 120)),
        Tone.REFUSED: ((262, 700),),
        Tone.SIREN: ((990, 250), (660, 250)) * 4,
        Tone.TICK: ((2200, 8), (0, 112)),
        Tone.KEY: ((2200, 12),),
        Tone.NONE: (),
    }
)
REPEATED = frozenset({Tone.TICK})  # until the next tone

# (red, green, blue), and how long each state lasts in milliseconds; 0 is for good.
Colour = tuple[bool, bool, bool]
DARK: Colour = (False, False, False)
_WHITE, _BLUE = (True, True, True), (False, False, True)
_GREEN, _AMBER, _RED = (False, True, False), (True, True, False), (True, False, False)
LIGHTS: MappingProxyType[Led, tuple[tuple[Colour, int], ...]] = MappingProxyType(
    {
        Led.WHITE: ((_WHITE, 0),),
        Led.BLUE: ((_BLUE, 0),),
        Led.GREEN: ((_GREEN, 0),),
        Led.GREEN_TWICE: ((_GREEN, 200), (DARK, 120), (_GREEN, 0)),
        Led.AMBER: ((_AMBER, 0),),
        Led.RED: ((_RED, 0),),
        Led.RED_BLINK: ((_RED, 250), (DARK, 250)),
    }
)
