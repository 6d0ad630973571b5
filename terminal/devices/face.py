# SPDX-License-Identifier: Apache-2.0
"""A place for a face check: an installed package offers one by name, and none refuses everybody.

A plug-in is an entry point of the group `yika.face_check` whose object, called without arguments,
gives a `terminal.devices.protocols.FaceCheck`. It may be slow or break: what it raises is a
refusal, and no tap waits for it unless the caller asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points

from terminal.devices.absent import NoFaceCheck
from terminal.devices.protocols import DeviceState, FaceCheck, FaceVerdict
from terminal.errors import ConfigError

GROUP = "yika.face_check"
# What foreign code fails with; the interpreter's own ends (memory, interrupts) stay what they are.
FAILURES = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
_LOG = logging.getLogger(__name__)


class Guarded:
    """A plug-in whose every failure is a refusal."""

    def __init__(self, name: str, inner: FaceCheck) -> None:
        self._name = name
        self._inner = inner
        self._broken = False

    @property
    def state(self) -> DeviceState:
        """Say what the plug-in says, or that it failed."""
        return DeviceState.FAULT if self._broken else self._inner.state

    def check(self, asn: bytes) -> FaceVerdict:
        """Ask the plug-in; anything but one of the verdicts is a refusal."""
        try:
            verdict = self._inner.check(asn)
            self._broken = not isinstance(verdict, FaceVerdict)
        except FAILURES:
            _LOG.exception("face check %s", self._name)
            self._broken = True
            return FaceVerdict.REFUSED
        return FaceVerdict.REFUSED if self._broken else verdict

    def close(self) -> None:
        """Let go of the plug-in."""
        self._inner.close()


def installed() -> dict[str, Callable[[], FaceCheck]]:
    """Return the face checks that packages offer, by name, not loaded yet."""
    return {point.name: partial(_make, point) for point in entry_points(group=GROUP)}


def open_face_check(
    name: str, offered: Mapping[str, Callable[[], FaceCheck]] | None = None
) -> FaceCheck:
    """Return the configured face check, or the one that refuses.

    Raises:
        ConfigError: no installed package offers this name, or it cannot be loaded.
    """
    if name == "none":
        return NoFaceCheck()
    known = installed() if offered is None else offered
    if name not in known:
        listed = ", ".join(sorted(known)) or "none installed"
        raise ConfigError("[face] plugin", f"no face check named {name} ({listed})")
    try:
        return Guarded(name, known[name]())
    except (*FAILURES, ImportError) as exc:
        raise ConfigError("[face] plugin", f"{name} cannot be loaded: {exc!r}") from exc


def _make(point: EntryPoint) -> FaceCheck:
    made: FaceCheck = point.load()()
    return made
