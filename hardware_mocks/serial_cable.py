# SPDX-License-Identifier: Apache-2.0
"""A serial cable between two programs: each opens a device, and what one writes the other reads.

The cable can spoil what goes over it, by a seed: flipped bits, lost, doubled and swapped bytes,
pieces missing in the middle. It can be pulled out and put back; the devices keep their names.
"""

from __future__ import annotations

import contextlib
import os
import pty
import random
import select
import threading
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

READ_BYTES = 1024
POLL_S = 0.02
ENDS = ("terminal", "gateway")


@dataclass(frozen=True, slots=True)
class Noise:
    """How often a byte is spoilt in each way, from 0 to 1; and how often a read loses its end."""

    flip: float = 0.0
    lose: float = 0.0
    double: float = 0.0
    swap: float = 0.0
    cut: float = 0.0


QUIET = Noise()


class SerialCable:
    """Two ends of one cable; `device` names what a program opens."""

    def __init__(self, folder: Path, noise: Noise = QUIET, seed: int = 1) -> None:
        self._links = {name: folder / f"tty-{name}" for name in ENDS}
        self._noise = noise
        self._rng = random.Random(seed)  # noqa: S311 - noise, made again by its seed
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._pairs: dict[str, tuple[int, int]] = {}
        self.carried = 0
        self.plug()

    def device(self, name: str) -> str:
        """Return the path of an end: `terminal` or `gateway`."""
        return str(self._links[name])

    def plug(self) -> None:
        """Put the cable in."""
        with self._lock:
            for name, link in self._links.items():
                near, far = pty.openpty()
                tty.setraw(far)
                os.set_blocking(near, False)
                self._pairs[name] = (near, far)
                link.unlink(missing_ok=True)
                link.symlink_to(os.ttyname(far))

    def pull(self) -> None:
        """Pull the cable out: whoever holds a device gets an error."""
        with self._lock:
            for link in self._links.values():
                link.unlink(missing_ok=True)
            for pair in self._pairs.values():
                for handle in pair:
                    os.close(handle)
            self._pairs.clear()

    @contextlib.contextmanager
    def running(self) -> Iterator[SerialCable]:
        """Carry bytes until the block is left."""
        thread = threading.Thread(target=self._carry, name="serial cable", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()
            self.pull()

    def _carry(self) -> None:
        while not self._ended.is_set():
            with self._lock:
                ready = self._turn()
            if not ready:
                self._ended.wait(POLL_S / 10)

    def _turn(self) -> bool:
        """Carry what there is in both directions; the lock is held."""
        if not self._pairs:
            return False
        near = {pair[0]: name for name, pair in self._pairs.items()}
        ready = select.select(list(near), [], [], POLL_S / 10)[0]
        for handle in ready:
            with contextlib.suppress(OSError):  # nobody has the device open, or it is full
                data = self._spoilt(os.read(handle, READ_BYTES))
                other = ENDS[1 - ENDS.index(near[handle])]
                os.write(self._pairs[other][0], data)
                self.carried += len(data)
        return bool(ready)

    def _spoilt(self, data: bytes) -> bytes:
        noise, rng = self._noise, self._rng
        if noise == QUIET:
            return data
        if rng.random() < noise.cut:
            data = data[: rng.randrange(len(data) + 1)]
        out = bytearray()
        for byte in data:
            if rng.random() < noise.lose:
                continue
            spoilt = byte ^ 1 << rng.randrange(8) if rng.random() < noise.flip else byte
            out += bytes([spoilt]) * (2 if rng.random() < noise.double else 1)
            if len(out) > 1 and rng.random() < noise.swap:
                out[-1], out[-2] = out[-2], out[-1]
        return bytes(out)
