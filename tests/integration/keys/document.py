# SPDX-License-Identifier: Apache-2.0
"""Hold a rehearsal at a pseudo-terminal and put it into ``docs/key-ceremony.md``.

Usage: .venv/bin/python -m tests.integration.keys.document
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.integration.keys.pty_room import PtyRoom, hold_typed, session

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "key-ceremony.md"
COMMAND = (
    "ceremony", "--store", "issuer.keys", "--transcript", "minutes.json",
    "--machine", "keyroom-1", "--rehearsal",
)  # fmt: skip
_BLOCK = re.compile(r"(<!-- (\w+) -->\n```\w*\n)(.*?)(\n```)", re.DOTALL)


def rehearse(folder: Path) -> tuple[PtyRoom, list[str]]:
    """Hold the rehearsal of the document and give its terminal and the shares."""
    room = PtyRoom(COMMAND, folder)
    shares = hold_typed(room)
    if room.close():
        raise AssertionError(room.screen)
    return room, shares


def blocks(text: str) -> dict[str, str]:
    """Give the recorded blocks of the document by name."""
    return {found[2]: found[3] for found in _BLOCK.finditer(text)}


def normal(text: str) -> str:
    """Leave out what differs from one ceremony to the next: times, hashes, keys, the system."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"(keyroom-1).*", r"\1", text)
    return re.sub(r"[0-9a-f]{64,}", "HEX", text).strip()


def main() -> None:
    """Write the document anew."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        room, _ = rehearse(folder)
        verified = subprocess.run(
            [sys.executable, "-m", "keys.cli", "transcript", "verify", "minutes.json"],
            cwd=folder,
            env={"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
            check=True,
            capture_output=True,
            encoding="utf-8",
        ).stdout
        minutes = (folder / "minutes.json").read_text(encoding="utf-8")
    made = {"session": session(room.screen), "transcript": minutes, "verified": verified}
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(
        _BLOCK.sub(lambda found: found[1] + made[found[2]].strip() + found[4], text),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
