# SPDX-License-Identifier: Apache-2.0
"""The menu's export to a memory stick, a batch a turn: cards are answered in between."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from pathlib import Path

from terminal.errors import NotSaved, StickProblem
from terminal.policy import Say
from terminal.station import Station
from terminal.stick import Written, stick_steps

_LOG = logging.getLogger(__name__)


class StickJob:
    """At most one export under way."""

    def __init__(self, station: Station, find: Callable[[], Path | None]) -> None:
        self._station = station
        self._find = find
        self._steps: Generator[int, None, Written] | None = None

    def begin(self) -> Say:
        """Look for the stick and begin; an export that is under way just goes on."""
        if self._steps is None:
            try:
                stick = self._find()
            except OSError as exc:  # pulled while it was looked for
                _LOG.warning("%s", exc)
                stick = None
            if stick is None:
                return Say.EXPORT_FAILED
            self._steps = stick_steps(self._station.chain, self._station.uplink, stick)
        return Say.EXPORTING

    def turn(self) -> Say | None:
        """Write one batch; return what to say once it is over."""
        if self._steps is None:
            return None
        try:
            next(self._steps)
        except StopIteration:
            self._steps = None
            return Say.EXPORTED
        except (NotSaved, StickProblem) as exc:
            _LOG.warning("%s", exc)
            self._steps = None
            return Say.EXPORT_FAILED
        except Exception:  # noqa: BLE001 - no stick's fault may end clocking
            _LOG.exception("stick")
            self._steps = None
            return Say.EXPORT_FAILED
        return None
