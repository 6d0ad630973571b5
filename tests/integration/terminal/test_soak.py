# SPDX-License-Identifier: Apache-2.0
"""A few seconds of the soak: the rig works, and its limits hold from the start."""

from __future__ import annotations

from bench.soak import RSS_MAX_MB, run


def test_a_short_soak_holds_every_limit() -> None:
    """Taps go on against a server, with flat memory and handles and no number without an event."""
    lines = list(run(hours=4 / 3600, per_second=20, every_s=0.25))

    decided = [line for line in lines if "ok" in line]
    assert [line for line in decided if not line["ok"]] == []
    assert len(decided) == 6
    looks = [line for line in lines if "rss_mb" in line]
    assert all(0 < float(str(line["rss_mb"])) <= RSS_MAX_MB for line in looks)
