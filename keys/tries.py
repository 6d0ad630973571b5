# SPDX-License-Identifier: Apache-2.0
"""Count wrong passphrases beside the file they should open, and make guessing slow.

After ``TRIES_FREE`` wrong ones in a row only one try a minute is made. Every try is counted before
the passphrase is stretched, so killing the program wins none, and a right one clears the count.
Whoever copies the file guesses elsewhere; against that stands the cost of argon2id alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from keys.errors import KeyStoreLocked, KeyStoreThrottled
from keys.files import PRIVATE_MODE

TRIES_FREE = 5
WAIT_S = 60
_STATE = struct.Struct(">IQ")  # wrong tries in a row, and when the last was made (POSIX seconds)


# Where nothing may be written, nothing is counted: the file can be copied from there anyway.
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def counted_try(path: Path, now: Callable[[], datetime]) -> Iterator[None]:
    """Count one try to open ``path``; ``KeyStoreLocked`` inside means it was wrong.

    Raises:
        KeyStoreThrottled: too many were wrong, and the last not long enough ago.
    """
    tries = path.with_name(path.name + ".tries")
    seconds = int(now().timestamp())
    try:
        before = _begin(tries, str(path), seconds)
    except OSError as exc:
        if exc.errno not in _UNWRITABLE:
            raise
        yield
        return
    try:
        yield
    except KeyStoreLocked:
        raise
    except BaseException:  # not the passphrase's fault
        if before:
            tries.write_bytes(before)
        else:
            tries.unlink(missing_ok=True)
        raise
    tries.unlink(missing_ok=True)


def _begin(tries: Path, name: str, seconds: int) -> bytes:
    """Count the try about to be made; give the state before it."""
    handle = os.open(tries, os.O_RDWR | os.O_CREAT, PRIVATE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        state = os.pread(handle, _STATE.size, 0)
        count, last = _STATE.unpack(state) if len(state) == _STATE.size else (0, 0)
        elapsed = seconds - last
        if count >= TRIES_FREE and not elapsed >= WAIT_S:
            if elapsed < 0:  # the clock was set back: the minute begins again
                os.pwrite(handle, _STATE.pack(count, seconds), 0)
            raise KeyStoreThrottled(name, WAIT_S - max(elapsed, 0))
        os.pwrite(handle, _STATE.pack(count + 1, seconds), 0)
        return state
    finally:
        os.close(handle)
