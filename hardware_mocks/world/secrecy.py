# SPDX-License-Identifier: Apache-2.0
"""Listen to everything the programs log, and look for what may not stand there (I13)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from hardware_mocks.world.faults import demand
from hardware_mocks.world.stock import stock

LINES_MAX = 5_000  # of one history; more is a fault of its own

_HEARD: list[str] = []


class _Ear(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line, with its exception."""
        text = record.getMessage()
        if record.exc_info:
            text += str(record.exc_info[1])
        _HEARD.append(text)


def note(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep one line of the server's log and print nothing (a structlog processor)."""
    shown = dict(event)
    if shown.get("exc_info"):
        shown["exception"] = repr(sys.exc_info()[1])
    _HEARD.append(repr(shown))
    raise structlog.DropEvent


_EAR = _Ear()


@contextmanager
def listening() -> Iterator[list[str]]:
    """Give the lines that are logged while the block runs."""
    root = logging.getLogger()
    _HEARD.clear()
    if _EAR not in root.handlers:
        root.addHandler(_EAR)
    try:
        yield _HEARD
    finally:
        root.removeHandler(_EAR)


def check(heard: list[str]) -> None:
    """No key of any chip stands in what was logged."""
    demand(len(heard) <= LINES_MAX, "I13", f"{len(heard)} lines in one history")
    text = "\n".join(heard).lower()
    demand(not any(secret in text for secret in stock().secrets), "I13", "a key in a log")
