# SPDX-License-Identifier: Apache-2.0
"""Try a release before it is switched to: its own self-test, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# The slowest boxes need ten seconds to start Python; a self-test that hangs has failed.
PROBE_S = 120.0
ANSWER_MAX = 4_096


def probe(slot: Path, config: Path | None, environ: Mapping[str, str] = os.environ) -> str:
    """Run `yika-terminal self-test` of a slot; return "" if it passed, else what was wrong."""
    line = [sys.executable, "-P", "-m", "terminal"]
    line += [] if config is None else ["--config", str(config)]
    line += ["self-test", "--json"]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            line,
            env={**environ, "PYTHONPATH": str(slot), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_S,
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_S:.0f} s"
    if done.returncode:
        tail = done.stderr.decode(errors="replace").strip().splitlines()
        return tail[-1][:200] if tail else f"exit status {done.returncode}"
    return _complaint(done.stdout[:ANSWER_MAX], slot)


def _complaint(answer: bytes, slot: Path) -> str:
    """Hold the answer against what was asked: the right code must have run."""
    try:
        document = json.loads(answer)
        ran_in, passed = Path(document["code"]), document["passed"] is True
    except (ValueError, TypeError, KeyError):
        return "the self-test gave no answer"
    if not ran_in.is_relative_to(slot):
        return f"other code ran: {ran_in}"
    return "" if passed else "the self-test failed"
