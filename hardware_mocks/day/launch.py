# SPDX-License-Identifier: Apache-2.0
"""Start the real terminal or the real server with the day clock instead of the machine's.

    python -m hardware_mocks.day.launch terminal CLOCK_FILE WALL_OFFSET_MS ARGUMENT…
    python -m hardware_mocks.day.launch server CLOCK_FILE CONFIG_FILE

The arguments are those of `yika-terminal`.

Only these launchers hand a clock to the programs; no configuration of theirs can.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hardware_mocks.clock import FileClock
from hardware_mocks.day.programs import end_with_parent


def terminal(clock_file: str, wall_offset_ms: str, *arguments: str) -> None:
    """Run `yika-terminal` on the day clock, its wall clock wrong by the offset."""
    from terminal.cli import main  # noqa: PLC0415 (the server's process has no use for it)

    main(arguments, clock=FileClock(Path(clock_file), wall_offset_ms=int(wall_offset_ms)))


def server(clock_file: str, config_file: str) -> None:
    """Serve as `yika-server run` does, on the day clock."""
    from server import config, serving, telemetry  # noqa: PLC0415 (nor a terminal for this)

    settings = config.load(Path(config_file))
    telemetry.configure_logging(settings.log.level, as_json=settings.log.json)
    serving.serve(settings, FileClock(Path(clock_file)))


if __name__ == "__main__":
    end_with_parent()
    if sys.argv[1] == "terminal":
        terminal(*sys.argv[2:])
    else:
        server(*sys.argv[2:])
