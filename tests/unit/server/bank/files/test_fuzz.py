# SPDX-License-Identifier: Apache-2.0
"""Two thousand broken files: each is read or refused by name, never anything else."""

from __future__ import annotations

from tests.stateful.bank_fuzz import search

FILES = 2_000


def test_broken_files_are_refused_in_the_documented_family() -> None:
    """No file of the family, however broken, raises anything but a refusal with its reason."""
    found = search(seed=20261122, count=FILES)

    assert found.findings == []
    assert found.refused > FILES // 2
    assert len(found.codes) >= 12
