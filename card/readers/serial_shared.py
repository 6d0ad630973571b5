# SPDX-License-Identifier: Apache-2.0
"""One open line for all slots of a serial reader in this process.

A reader with a slot for the card and others for SAMs is one device; each slot is a `Reader` of its
own. The first of them opens the line, the last closes it. A line that went away is forgotten at
once, so that the next use opens the device that came back.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field

from card.errors import NoReader, ReaderBusy
from card.readers.serial_ccid import Patience, SerialCcid
from card.readers.serial_line import SerialLine
from card.readers.serial_models import Model
from card.readers.serial_name import SerialName


@dataclass(slots=True)
class Shared:
    """An open reader, how many use it, and which slots have their card taken."""

    ccid: SerialCcid
    key: str
    users: int = 0
    taken: set[int] = field(default_factory=set)


_lock = threading.Lock()
_open: dict[str, Shared] = {}


def acquire(name: SerialName, patience: Patience | None = None) -> Shared:
    """Open a reader, or share the line that is open already; pair each call with `release`.

    Raises:
        NoReader: No such device, or nothing answers there as this model does.
        ReaderBusy, NoPermission, NoDriver: As they say.
    """
    key = os.path.realpath(name.device)
    with _lock:
        shared = _open.get(key)
        if shared is None or shared.ccid.broken:
            ccid = SerialCcid(SerialLine(key, name.baud), name.model, patience)
            shared = _open[key] = Shared(ccid, key)
        _check_same(shared.ccid.model, name)
        shared.users += 1
        return shared


def release(shared: Shared) -> None:
    """Give a reader back; the last user closes the line."""
    with _lock:
        shared.users -= 1
        if shared.users == 0 or shared.ccid.broken:
            shared.ccid.close()
            if _open.get(shared.key) is shared:
                del _open[shared.key]


def take_slot(shared: Shared, slot: int) -> None:
    """Take the card of a slot for one connection.

    Raises:
        ReaderBusy: Another connection of this program has it.
    """
    with _lock:
        if slot in shared.taken:
            raise ReaderBusy(f"{shared.key} slot {slot}")
        shared.taken.add(slot)


def give_slot(shared: Shared, slot: int) -> None:
    """Let the next connection have the card of a slot."""
    with _lock:
        shared.taken.discard(slot)


def _check_same(model: Model, name: SerialName) -> None:
    if model is not name.model:
        raise NoReader(f"{name.device} is open as model {model.name}, not {name.model.name}")
