# SPDX-License-Identifier: Apache-2.0
"""The vectors of the rules, told again: as written, in another order, with copies among them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.server.reconciliation.histories import DAY_MS, Story
from tests.vectors import load

Vector = dict[str, Any]
# One vector per case, either side of every boundary, what a deployment sets for itself.
VECTORS: list[Vector] = (
    load("reconciliation") + load("reconciliation_edges") + load("reconciliation_policy")
)


def of_rule(rule: int) -> pytest.MarkDecorator:
    """Run a test with every vector of one rule."""
    own = [vector for vector in VECTORS if vector["rule"] == rule]
    if not own:
        message = f"tests/vectors/reconciliation*.json: no vector of rule {rule}"
        raise LookupError(message)
    return pytest.mark.parametrize("vector", own, ids=[vector["name"] for vector in own])


def written(vector: Vector) -> Vector:
    """Return what the vector says must come out."""
    return {
        "intervals": vector["expect"]["intervals"],
        "exceptions": sorted(vector["expect"]["exceptions"], key=repr),
    }


def told(vector: Vector, engine: str = "plain") -> Any:
    """Return what comes out of a history as written."""
    return Story(vector).by_kernel(engine)


def told_in_order(vector: Vector, seed: int) -> Any:
    """Return what comes out if events and decisions lie in another order."""
    story = Story(vector)
    shuffle = random.Random(seed)
    taps = list(range(len(story.history.taps)))
    decided = list(range(len(story.history.corrections)))
    shuffle.shuffle(taps)
    shuffle.shuffle(decided)
    story.history = replace(
        story.history,
        taps=story.history.taps[np.array(taps, dtype=np.intp)],
        corrections=story.history.corrections[np.array(decided, dtype=np.intp)],
    )
    return story.by_kernel()


def told_twice(vector: Vector) -> Any:
    """Return what comes out if every event arrives once more a day later."""
    story = Story(vector)
    history = story.history
    later = history.batches.copy()
    later["id"] += int(history.batches["id"].max(initial=0)) + 1
    later["received_ms"] += DAY_MS
    later["receipt_ms"] += DAY_MS
    copies = history.taps.copy()
    copies["batch"] += len(history.batches)
    story.history = replace(
        history,
        taps=np.concatenate((copies, history.taps)),
        batches=np.concatenate((history.batches, later)),
    )
    return story.by_kernel()
