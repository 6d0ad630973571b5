# SPDX-License-Identifier: Apache-2.0
"""The folder of card images and the reader slots they are put into."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardware_mocks.cardos import faults
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.errors import ImageDamaged
from hardware_mocks.cardos.iso.card import IsoCard
from hardware_mocks.cardos.latency import PROFILES, really_wait
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.state import NotAnImage, kind_of
from hardware_mocks.cardos.tear import Moment, Tear
from hardware_mocks.vpcd import Plug

CARD_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
SLOT = re.compile(r"(?P<name>[a-z0-9][a-z0-9-]{0,40})=(?P<port>\d{1,5})(?P<antenna>:contactless)?")
SUFFIX = ".card"

# pcscd opens its ports within 40 ms of its start and looks at each reader every 0.4 s; a card that
# follows a torn one waits for three such looks, on a busy machine for much longer ones.
INSERT_TIMEOUT_S = 15.0

DEBIT = 0x54
TEARS = {
    "before-debit": Tear(ins=DEBIT),
    "debit-lost": Tear(ins=DEBIT, moment=Moment.BEFORE_ANSWER),
    "in-debit": Tear(ins=DEBIT, moment=Moment.HALF_WRITTEN),
    "now": Tear(),
}


Chip = VirtualCard | VirtualPsam | IsoCard
KINDS: dict[str, Callable[..., Chip]] = {
    "card": VirtualCard,
    "iso": IsoCard,
    "psam": lambda path, **_: VirtualPsam(path),
}


class HostRefuses(Exception):
    """A request cannot be met; the text names the cause and is sent to the client."""


@dataclass(slots=True)
class Slot:
    """One reader slot: its vpcd port, its kind of contact, and the card in it."""

    name: str
    port: int
    contactless: bool
    card: str | None = None
    plug: Plug | None = None
    left: Plug | None = None  # the card before, whose departure pcscd may not know yet
    chip: Chip | None = None

    @classmethod
    def parse(cls, text: str) -> Slot:
        """Read `name=port` or `name=port:contactless`.

        >>> Slot.parse("pos-a=35965:contactless").contactless
        True
        """
        match = SLOT.fullmatch(text)
        if match is None:
            message = f"{text}: not a slot; write NAME=PORT or NAME=PORT:contactless"
            raise ValueError(message)
        return cls(match["name"], int(match["port"]), match["antenna"] is not None)


class CardHost:
    """The folder of card images and the slots they are put into."""

    def __init__(self, folder: Path, slots: list[Slot]) -> None:
        self._folder = folder
        self._slots = {slot.name: slot for slot in slots}
        # Held while slots change hands, never while a reader is waited for.
        self._lock = threading.RLock()
        self._actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "blank": self._blank,
            "insert": self._insert,
            "remove": self._remove,
            "tear": self._tear,
            "fault": self._fault,
            "pace": self._pace,
            "list": self._list,
        }

    def handle(self, line: bytes) -> dict[str, Any]:
        """Run one request line and return its answer."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                message = "a request is a JSON object"
                raise HostRefuses(message)
            action = self._actions.get(str(request.get("do")))
            if action is None:
                message = (
                    f"unknown request {request.get('do')!r}; known: {', '.join(self._actions)}"
                )
                raise HostRefuses(message)
            return {"ok": True, **action(request)}
        except (HostRefuses, ImageDamaged, ValueError) as exc:
            return {"ok": False, "error": str(exc)}

    def close(self) -> None:
        """Take every card out."""
        for slot in self._slots.values():
            self._abandon(slot)

    def _slot(self, request: dict[str, Any]) -> Slot:
        slot = self._slots.get(str(request.get("slot")))
        if slot is None:
            message = f"no slot {request.get('slot')!r}; there are: {', '.join(self._slots)}"
            raise HostRefuses(message)
        return slot

    def _path(self, request: dict[str, Any]) -> Path:
        name = str(request.get("card"))
        if not CARD_NAME.fullmatch(name):
            message = f"{name!r} is no card name; use a-z, 0-9 and -"
            raise HostRefuses(message)
        return self._folder / (name + SUFFIX)

    def _blank(self, request: dict[str, Any]) -> dict[str, Any]:
        path = self._path(request)
        if path.exists():
            message = f"there is a card {path.stem} already"
            raise HostRefuses(message)
        kind = request.get("kind", "card")
        if kind not in KINDS:
            message = f"unknown kind {kind!r}; known: {', '.join(KINDS)}"
            raise HostRefuses(message)
        KINDS[kind](path).power_off()
        return {}

    def _insert(self, request: dict[str, Any]) -> dict[str, Any]:
        """Put a card on a reader; returns when the reader has looked at it."""
        slot, path = self._slot(request), self._path(request)
        with self._lock:
            plug = self._occupy(slot, path)
        if not plug.wait_seen(INSERT_TIMEOUT_S):
            self._abandon(slot)
            message = f"nobody looks at port {slot.port}; is pcscd running with this reader?"
            raise HostRefuses(message)
        return {}

    def _occupy(self, slot: Slot, path: Path) -> Plug:
        if slot.card:
            message = f"slot {slot.name} holds {slot.card}"
            raise HostRefuses(message)
        if not path.exists():
            message = f"no card {path.stem}; make one with blank"
            raise HostRefuses(message)
        for other in self._slots.values():
            if other.card == path.stem:
                message = f"{path.stem} is in slot {other.name}"
                raise HostRefuses(message)
        chip = open_chip(path, contactless=slot.contactless)
        plug = Plug(chip, slot.port, lambda plug: self._gone(slot, plug), after=slot.left)
        slot.card, slot.chip, slot.plug = path.stem, chip, plug
        plug.insert()
        return plug

    def _gone(self, slot: Slot, plug: Plug) -> None:
        """Note that a planned tear has pulled the card off."""
        with self._lock:
            if slot.plug is plug:
                slot.left = plug
                slot.card = slot.chip = slot.plug = None

    def _empty(self, slot: Slot) -> str | None:
        """Take the card out of a slot; the image is at rest when this returns."""
        with self._lock:
            card, plug = slot.card, slot.plug
        if plug:
            plug.remove()
            self._gone(slot, plug)
        return card

    def _abandon(self, slot: Slot) -> None:
        for plug in (slot.plug, slot.left):
            if plug:
                plug.abandon()
        slot.card = slot.chip = slot.plug = slot.left = None

    def _remove(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"card": self._empty(self._slot(request))}

    def _tear(self, request: dict[str, Any]) -> dict[str, Any]:
        slot = self._slot(request)
        plan = TEARS.get(str(request.get("when")))
        if plan is None:
            message = f"unknown moment {request.get('when')!r}; known: {', '.join(TEARS)}"
            raise HostRefuses(message)
        _chip_in(slot).tear(plan)
        return {}

    def _fault(self, request: dict[str, Any]) -> dict[str, Any]:
        """Plan one fault; "fault" is its object, nothing drops the plan."""
        chip = _chip_in(self._slot(request))
        wanted = request.get("fault")
        if wanted is None:
            chip.plan()
        elif isinstance(wanted, dict):
            chip.plan(faults.parse(wanted))
        else:
            message = "a fault is a JSON object"
            raise HostRefuses(message)
        return {}

    def _pace(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make the card take the time of a real one, sleeping; no profile: none."""
        chip = _chip_in(self._slot(request))
        name = request.get("profile")
        if name is not None and name not in PROFILES:
            message = f"unknown profile {name!r}; known: {', '.join(PROFILES)}"
            raise HostRefuses(message)
        chip.pace(PROFILES[name] if name else None, really_wait)
        return {}

    def _list(self, _request: dict[str, Any]) -> dict[str, Any]:
        slots = {
            slot.name: {"port": slot.port, "contactless": slot.contactless, "card": slot.card}
            for slot in self._slots.values()
        }
        return {"slots": slots, "cards": sorted(p.stem for p in self._folder.glob("*" + SUFFIX))}


def _chip_in(slot: Slot) -> Chip:
    if slot.chip is None:
        message = f"slot {slot.name} is empty"
        raise HostRefuses(message)
    return slot.chip


def open_chip(path: Path, *, contactless: bool) -> Chip:
    """Open a card image as what it is: a PSAM, or a card with contacts or antenna.

    Raises:
        ImageDamaged: the file is no card image.
    """
    try:
        kind = kind_of(path.read_bytes())
        if kind not in KINDS:
            message = f"of an unknown kind {kind!r}"
            raise NotAnImage(message)
    except NotAnImage as exc:
        raise ImageDamaged(path, str(exc)) from exc
    chip = KINDS[kind](path, contactless=contactless)
    chip.power_off()
    return chip
