# SPDX-License-Identifier: Apache-2.0
"""One power-on of a plain card: where it stands, what was proven, and its durable image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hardware_mocks.cardos import sw
from hardware_mocks.cardos.errors import Refused
from hardware_mocks.cardos.iso.state import ALWAYS, IsoImage, Node
from hardware_mocks.cardos.store import Memory


@dataclass
class Session:
    """What every command of a plain card is given."""

    memory: Memory[IsoImage]
    random: Callable[[int], bytes]
    path: list[Node] = field(default_factory=list)
    ef: Node | None = None
    proven: set[int] = field(default_factory=set)
    challenge: bytes | None = None

    def __post_init__(self) -> None:
        self.path = [self.memory.image.mf]

    @property
    def image(self) -> IsoImage:
        """The durable state."""
        return self.memory.image

    @property
    def df(self) -> Node:
        """The current directory."""
        return self.path[-1]

    def enter(self, path: list[Node]) -> None:
        """Make the last directory of a path the current one; what was proven stays proven."""
        self.path, self.ef = path, None

    def require(self, right: int) -> None:
        """Refuse with 6982 unless the PIN or key that a right names was proven."""
        if right != ALWAYS and right not in self.proven:
            raise Refused(sw.ACCESS_DENIED)

    def file(self, sfi: int) -> Node:
        """Find a file by its short identifier, 0 for the current one, and make it current."""
        if sfi:
            found = [n for n in self.df.children.values() if not n.directory and n.sfi == sfi]
            if not found:
                raise Refused(sw.FILE_NOT_FOUND)
            self.ef = found[0]
        if self.ef is None:
            raise Refused(sw.NO_CURRENT_EF)
        return self.ef
