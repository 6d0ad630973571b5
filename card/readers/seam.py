# SPDX-License-Identifier: Apache-2.0
"""The seam that every reader fills: what a reader and a powered card can do."""

from __future__ import annotations

from typing import Protocol


class CardConnection(Protocol):
    """A powered card: whole commands in, whole answers out (61xx and 6Cxx are done)."""

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        ...

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send a command, return response data and status word."""
        ...

    def close(self) -> None:
        """Let go of the card and reset it, so that nothing proved stays proved."""
        ...


class Reader(Protocol):
    """A reader that may come and go, and with it the service behind it.

    One reader object belongs to one thread.
    """

    @property
    def name(self) -> str:
        """The name it was opened with, scheme included."""
        ...

    def wait_card(self, timeout_s: float) -> bool:
        """Wait until a card is there; False if none came in time.

        Raises:
            NoService: The service is still away at the end of the time.
            NoReader: The reader is still away at the end of the time.
        """
        ...

    def wait_removed(self, timeout_s: float) -> bool:
        """Wait until the card last waited for has left; False if it is still there.

        Raises:
            ReaderError: Reader or service went away: whether the card lies there nobody knows.
        """
        ...

    def connect(self) -> CardConnection:
        """Power the card and take it for this program alone.

        Raises:
            NoCard, MuteCard, ReaderBusy, NoReader, NoService, NoPermission: As they say.
            ProtocolFault: The answer to reset breaks its rules.
        """
        ...

    def close(self) -> None:
        """Give back what the reader holds of the service."""
        ...
