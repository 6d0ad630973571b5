# SPDX-License-Identifier: Apache-2.0
"""Engines on other machines: a feature above this one says how everybody is derived there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from server.errors import Refused
from server.reconciliation.services import Summary

SHARDS_DEFAULT = 64


@dataclass(frozen=True)
class Elsewhere:
    """Where to derive: the cluster's master, the archive, and a folder for what lies between."""

    master: str
    archive: Path
    work: Path
    shards: int = SHARDS_DEFAULT
    settings: Mapping[str, str] = field(default_factory=dict)


Runner = Callable[[Session, Elsewhere, int], Summary]
_ENGINES: dict[str, Runner] = {}


def register(name: str, runner: Runner) -> None:
    """Say how everybody is derived by an engine of that name."""
    _ENGINES[name] = runner


def derive(name: str, session: Session, asked: Elsewhere, now_ms: int) -> Summary:
    """Derive everybody there, inside a unit of work.

    Raises:
        Refused: there is no such engine, or it cannot run.
    """
    if name not in _ENGINES:
        raise Refused("no-engine", f"没有 {name} 引擎", f"no engine {name}")
    return _ENGINES[name](session, asked, now_ms)
