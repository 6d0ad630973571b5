# SPDX-License-Identifier: Apache-2.0
"""The far end of a serial cable: a pty that can be spoken into, listened to, and pulled out.

The near end belongs to the mock, the far end's path is what a program opens as its device. A
symbolic link stands for the device, so that a cable pulled and put back has the same name.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

READ_BYTES = 4096
POLL_S = 0.05  # how soon the listening thread notices that it shall end


class SerialEnd:
    """One end of a cable; what arrives goes to `received`, in a thread of its own."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self._near = -1
        self._far = -1
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.plug()

    @property
    def device(self) -> str:
        """Return the path a program opens."""
        return str(self.link)

    def plug(self) -> None:
        """Put the cable in."""
        with self._lock:
            self._near, self._far = pty.openpty()
            tty.setraw(self._far)  # no echo: bytes arrive as they were sent
            os.set_blocking(self._near, False)
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(os.ttyname(self._far))

    def pull(self) -> None:
        """Pull the cable out: the device is gone, whoever holds it gets an error."""
        with self._lock:
            self.link.unlink(missing_ok=True)
            for handle in (self._near, self._far):
                if handle >= 0:
                    os.close(handle)
            self._near = self._far = -1

    def send(self, data: bytes) -> None:
        """Speak; what a pulled cable or a listener with a full buffer does not take is lost."""
        with self._lock, contextlib.suppress(BlockingIOError):
            if self._near >= 0:
                os.write(self._near, data)

    def received(self, data: bytes) -> None:
        """Take what arrived; a device overrides this."""

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Listen in a thread until the block is left."""
        thread = threading.Thread(target=self._listen, name=f"mock {self.link.name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
            self.pull()

    def _listen(self) -> None:
        while not self._ended.is_set():
            data = self._take()
            if data:
                self.received(data)

    def _take(self) -> bytes:
        with self._lock:
            near = self._near
        if near < 0:
            self._ended.wait(POLL_S)
            return b""
        try:
            if not select.select([near], [], [], POLL_S)[0]:
                return b""
            with self._lock:
                return os.read(near, READ_BYTES) if self._near == near else b""
        except (OSError, ValueError):  # pulled in between
            return b""
