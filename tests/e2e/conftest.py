# SPDX-License-Identifier: Apache-2.0
"""The order of the files: three workers shall end at about the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

# A worker with a file of one test is given the next file at once, to wait behind it: so the two
# long days come first, something short follows each, and the pages go to whoever is free.
ORDER = (
    "test_demo_day.py", "test_demo_day_token.py", "pages/test_desk.py",
    "pages/test_passkeys.py", "test_demo_day_stopped.py", "pages/test_pages.py",
)  # fmt: skip
PLACES = {Path(__file__).parent / name: place for place, name in enumerate(ORDER)}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort what is in this folder by file; whatever else was collected comes before."""
    items.sort(key=lambda item: PLACES.get(item.path, -1))
