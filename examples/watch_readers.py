#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""List readers, then tell cards as they come and go, through unplugging and service restarts.

    python -m examples.watch_readers       # until Ctrl-C
    python -m examples.watch_readers 2     # until two cards were put on

Events come from `watch_cards`, an iterator with a thread of its own; close it to end it.
"""

from __future__ import annotations

import sys

from card.errors import CardError
from card.readers import list_readers, watch_cards
from card.readers.events import CardInserted


def main(count: int | None) -> int:
    """Print events; return the exit status."""
    try:
        for name in list_readers():
            print(f"读卡器 reader {name}", flush=True)
        with watch_cards() as events:
            for event in events:
                print(event, flush=True)
                if isinstance(event, CardInserted) and count is not None:
                    count -= 1
                    if count == 0:
                        return 0
    except CardError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("再见 bye")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else None))
