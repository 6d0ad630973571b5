#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The witness of witness.py, for a log that cannot reach it: fetch, prove, cosign, print.

    python witness_watch.py witness.key state.db LOGKEY URL    # e.g. once a minute, by a timer

The proof of consistency is made from the log's own tiles (C2SP tlog-tiles). Status 1 when the log
contradicts what it said before, or cannot be read; then nothing is signed.
"""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

from witness import BODY_MAX, TIMEOUT_S, Refused, Witness, pair, read_checkpoint


def proof_from_tiles(old: int, size: int, fetch: Callable[[str], bytes]) -> list[bytes]:
    """Make the consistency proof from the log's tiles (RFC 6962, 2.1.2)."""

    def node(level: int, index: int) -> bytes:
        up, inside = divmod(level, 8)
        number, at = divmod(index << inside, 256)
        width = min(256, (size >> 8 * up) - number * 256)
        path, high = f"{number % 1000:03d}", number // 1000
        while high:
            path, high = f"x{high % 1000:03d}/{path}", high // 1000
        tile = fetch(f"tile/{up}/{path}" + (f".p/{width}" if width < 256 else ""))
        row = [tile[32 * i : 32 * i + 32] for i in range(at, at + (1 << inside))]
        while len(row) > 1:
            row = [pair(*row[i : i + 2]) for i in range(0, len(row), 2)]
        return row[0]

    def span(low: int, high: int) -> bytes:
        if (high - low) & (high - low - 1) == 0:
            level = (high - low).bit_length() - 1
            return node(level, low >> level)
        middle = low + (1 << ((high - low - 1).bit_length() - 1))
        return pair(span(low, middle), span(middle, high))

    proof: list[bytes] = []
    low, high, whole = 0, size, True
    while old and high != old:
        middle = low + (1 << ((high - low - 1).bit_length() - 1))
        if old <= middle:
            proof, high = [span(middle, high), *proof], middle
        else:
            proof, low, whole = [span(low, middle), *proof], middle, False
    return proof if whole else [span(low, high), *proof]


def watch(witness: Witness, url: str) -> str:
    """Fetch the newest checkpoint and what proves it; give the cosignature."""

    def fetch(path: str) -> bytes:
        if not url.startswith(("http://", "https://")):
            raise ValueError("expected http:// or https://")
        address = f"{url.rstrip('/')}/{path}"
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return answer.read(BODY_MAX)

    note = fetch("checkpoint").decode()
    _, origin, size, _ = read_checkpoint(note, witness.logs)
    old = witness.seen(origin)[0]
    if size < old:
        raise Refused(409, f"the log shrank from {old} to {size} leaves\n")
    return witness.consider(note, old, proof_from_tiles(old, size, fetch))


def main(arguments: list[str]) -> int:
    """Look once."""
    if len(arguments) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    key, state, log_key, url = arguments
    try:
        print(watch(Witness(Path(key), Path(state), [log_key]), url), end="")
    except (Refused, OSError, ValueError) as exc:
        print(f"witness: {url}: {exc}; nothing was signed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
