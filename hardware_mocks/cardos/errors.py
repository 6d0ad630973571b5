# SPDX-License-Identifier: Apache-2.0
"""What can go wrong inside and around a virtual card.

```
CardFault
├── Refused(sw)              the command ends with a status word other than 9000
├── CardGone                 the card left the reader: nothing answers any more
├── CardMute(seconds)        the card has power but says nothing
└── ImageDamaged(path)       a card image on disk cannot be read
```
"""

from __future__ import annotations

from pathlib import Path


class CardFault(Exception):
    """Base of everything a virtual card raises."""


class Refused(CardFault):
    """A command handler ends with this status word and no data."""

    def __init__(self, sw: int) -> None:
        super().__init__(f"refused with {sw:04X}")
        self.sw = sw


class CardGone(CardFault):
    """The card has no power or has left the reader; power it on to speak to it again."""


class CardMute(CardFault):
    """The card has power and gives no answer; a reset brings it back."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer for {seconds} s")
        self.seconds = seconds


class ImageDamaged(CardFault):
    """A card image does not have the form it was written in; `reason` says what differs."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: damaged card image: {reason}")
        self.path = path
        self.reason = reason
