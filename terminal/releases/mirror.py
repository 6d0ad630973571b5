# SPDX-License-Identifier: Apache-2.0
"""Fetch files of the release repository, in pieces, never more than was announced.

Whatever carries the requests (HTTPS, a serial line to a gateway) needs no trust: each byte is
held against signed metadata.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from terminal.errors import BadAnswer, Refused
from terminal.releases.faults import Fault, UpdateRefused
from terminal.transport import Request, Transport

METADATA_PATH = "/releases/metadata/{}"
TARGET_PATH = "/releases/targets/{}?from={}"
# A server that drips bytes for longer is not delivering an update.
DOWNLOAD_S = 3600.0
NOT_FOUND = 404


class Mirror:
    """The repository as the server offers it."""

    def __init__(self, transport: Transport, clock: Callable[[], float] = time.monotonic) -> None:
        self._transport = transport
        self._clock = clock

    def metadata(self, name: str, limit: int) -> bytes | None:
        """Return a metadata file of at most `limit` bytes, or None if there is none.

        Raises:
            UpdateRefused: ENDLESS.
            ServerError: No answer, or a refusal other than 404.
        """
        return self._get(METADATA_PATH.format(name), name, limit)

    def target(self, name: str, length: int, have: int, take: Callable[[bytes], None]) -> None:
        """Hand the bytes of a target from `have` up to `length` to `take`, piece by piece.

        Raises:
            UpdateRefused: MISSING, or ENDLESS where there are more bytes or they take too long.
            ServerError: The line broke; what was taken can be continued.
        """
        end = self._clock() + DOWNLOAD_S
        while have < length:
            piece = self._get(TARGET_PATH.format(name, have), name, length - have)
            if not piece:
                raise UpdateRefused(Fault.MISSING, name)
            if self._clock() > end:
                raise UpdateRefused(Fault.ENDLESS, name)
            take(piece)
            have += len(piece)

    def _get(self, path: str, name: str, limit: int) -> bytes | None:
        try:
            body = self._transport.send(Request("GET", path))
        except Refused as exc:
            if exc.status == NOT_FOUND:
                return None
            raise
        except BadAnswer as exc:
            raise UpdateRefused(Fault.ENDLESS, name) from exc
        if len(body) > limit:
            raise UpdateRefused(Fault.ENDLESS, name)
        return body
