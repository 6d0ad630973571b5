# SPDX-License-Identifier: Apache-2.0
"""Start the release that is to run: what the systemd unit calls, in place of the program.

It belongs to the base installation and is never updated; it knows the slots and nothing else.
`python -m terminal.releases.launcher run` becomes the program of the active slot.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from terminal.releases.slots import BASE, SLOT_VARIABLE, choose

FOLDER_VARIABLE = "YIKA_UPDATE_DIR"
FOLDER = "/var/lib/yika-releases"
PROGRAM = "run"  # what a trial is of; the nightly look for updates starts the same code


def command(
    folder: Path, arguments: Sequence[str], environ: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the environment of the release to start."""
    slot = choose(folder, counts=list(arguments[:1]) == [PROGRAM])
    fresh = {**environ, SLOT_VARIABLE: BASE if slot is None else slot.name}
    if slot is not None:
        fresh["PYTHONPATH"] = str(slot)
    return [sys.executable, "-P", "-m", "terminal", *arguments], fresh


def main() -> None:
    """Become the program; this process is replaced, so that systemd watches the right one."""
    folder = Path(os.environ.get(FOLDER_VARIABLE, FOLDER))
    line, environ = command(folder, sys.argv[1:], os.environ)
    os.execve(line[0], line, environ)  # noqa: S606 - our own interpreter and module


if __name__ == "__main__":
    main()
