# SPDX-License-Identifier: Apache-2.0
"""A journal of a key that this box has lost: kept under another name, never deleted.

Only the lost key could sign batches of it, so nothing of it can be uploaded any more. Each of its
events is signed all the same, and proves what it says to whoever reads the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from terminal.errors import JournalForeign, JournalMissing, TerminalError
from terminal.files import JOURNAL, KEPT_JOURNAL
from terminal.journal import look_at
from terminal.passport import Passport, changed_keys
from terminal.policy import PRESENCE
from terminal.state import State
from terminal.storage import Disk

# A box loses its key once or twice in its life; names beyond this are looked for in vain.
KEPT_MAX = 99


@dataclass(frozen=True, slots=True)
class Former:
    """A journal that was set aside: its events that no receipt covers, and the taps among them.

    Both are None where the file cannot be read.
    """

    name: str
    unsent: int | None
    taps: int | None


def own_state(disk: Disk, passport: Passport, public_key: bytes) -> State | None:
    """Return what the journal on the disk says if it is of this terminal's key, None if not."""
    try:
        header, state, _ = look_at(disk)
    except JournalForeign:  # whose it is cannot even be read
        return None
    keys = {header.public_key, *state.public_keys, *changed_keys(disk)}
    ours = header.terminal_id == passport.terminal_id and public_key in keys
    return state if ours else None


def is_foreign(disk: Disk, public_key: bytes) -> bool:
    """Say whether the journal on the disk can be read and names other keys than this one only."""
    try:
        header, state, _ = look_at(disk)
    except JournalForeign:
        return False
    return public_key not in {header.public_key, *state.public_keys, *changed_keys(disk)}


def later_keys(disk: Disk, public_key: bytes) -> tuple[str, ...]:
    """Return the box's public keys after its first one, the one in force last.

    `terminal.json` has them; where it is lost, the journal names those it was told of.
    """
    known = changed_keys(disk)
    if not known:
        try:
            known = tuple(look_at(disk)[1].public_keys[1:])
        except (JournalForeign, JournalMissing):
            known = ()
    return tuple(key.hex() for key in known) if public_key in known else ()


def set_aside(disk: Disk) -> None:
    """Give the journal of a former key a name of its own, durably."""
    taken = kept_names(disk)
    disk.rename(JOURNAL, KEPT_JOURNAL.format(len(taken) + 1))


def kept_names(disk: Disk) -> list[str]:
    """Return the names of the journals that were set aside, the oldest first."""
    names = []
    for number in range(1, KEPT_MAX + 1):
        name = KEPT_JOURNAL.format(number)
        if disk.read(name, 1) is None:
            break
        names.append(name)
    return names


def kept(disk: Disk) -> list[Former]:
    """Return the journals that were set aside, with what is in them."""
    found = []
    for name in kept_names(disk):
        try:
            state = look_at(disk, name)[1]
            found.append(Former(name, state.unsent, _taps(state)))
        except (TerminalError, OSError):
            found.append(Former(name, None, None))
    return found


def _taps(state: State) -> int:
    """Return how many of the events that no receipt covers somebody made with a card."""
    return sum(kind in PRESENCE for kind in state.kinds[state.covered :])
