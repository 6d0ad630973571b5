# SPDX-License-Identifier: Apache-2.0
"""Published test vectors, each with its source, and a way to read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def load(name: str) -> list[dict[str, Any]]:
    """Read the vectors of a file by its name without ending."""
    vectors: list[dict[str, Any]] = content(name)["vectors"]
    return vectors


def content(name: str) -> dict[str, Any]:
    """Read a whole file by its name without ending."""
    whole: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return whole
