# SPDX-License-Identifier: Apache-2.0
"""Card operations without I/O: generators that yield commands and receive answers.

An operation is a generator. It yields a command APDU, is sent the response, and returns a typed
result. Whoever drives it decides where the bytes go: `run` sends them over a connection, a server
can send them through a relay, a test can answer from a table.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Protocol, TypeAlias, TypeVar

from card.apdu import CommandApdu, ResponseApdu
from card.errors import ProtocolFault, status_error
from card.status_words import OK

T = TypeVar("T")

Operation: TypeAlias = Generator[CommandApdu, ResponseApdu, T]
Observer: TypeAlias = Callable[[CommandApdu, ResponseApdu], None]

COMMANDS_MAX = 1_000  # a whole personalisation takes about a hundred; beyond this it is a loop


class Connection(Protocol):
    """The one seam between this SDK and any reader, relay or virtual card."""

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send a command, return response data and status word.

        Raises:
            CardRemoved: The card left.
            MuteCard: The card does not answer.
            ReaderError: The reader or its service failed.
        """
        ...


class Outside(Protocol):
    """What an operation takes from outside besides answers, so that it can be stored.

    A generator made afresh and fed the same answers takes the same way only if random bytes and
    the answers of other devices come through here (`card.stored`).
    """

    def once(self, ask: Callable[[], bytes], /) -> bytes:
        """Return what `ask` returns, or what it returned at this place before."""
        ...

    def random(self, size: int, /) -> bytes:
        """Return random bytes."""
        ...


class Live:
    """The outside of an operation that nobody stores."""

    def once(self, ask: Callable[[], bytes], /) -> bytes:
        """Ask."""
        return ask()

    def random(self, size: int, /) -> bytes:
        """Return random bytes of the operating system."""
        return os.urandom(size)


LIVE = Live()


def run(operation: Operation[T], connection: Connection, observer: Observer | None = None) -> T:
    """Drive an operation at a connection and return its result.

    Args:
        operation: The operation, not yet started.
        connection: Where its commands go.
        observer: Told of each command and its answer, for traces and counts.

    Raises:
        CardError: Whatever the operation or the connection raises.
    """
    try:
        command = next(operation)
        for _ in range(COMMANDS_MAX):
            response = ResponseApdu(*connection.transmit(command.to_bytes()))
            if observer is not None:
                observer(command, response)
            command = operation.send(response)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        operation.close()
    raise ProtocolFault(f"more than {COMMANDS_MAX} commands")


def exchange(command: CommandApdu, accept: tuple[int, ...] = (OK,)) -> Operation[ResponseApdu]:
    """Send one command; anything but an accepted status word is an error.

    Raises:
        StatusError: Of the class that tells most about the status word.
    """
    response = yield command
    if response.sw not in accept:
        raise status_error(response.sw, command.ins)
    return response


def fetch(command: CommandApdu, size: int) -> Operation[bytes]:
    """Send one command whose answer has a fixed size and return the data.

    Raises:
        StatusError: The card refused.
        ProtocolFault: The answer has another size.
    """
    response = yield command
    if response.sw != OK:
        raise status_error(response.sw, command.ins)
    if len(response.data) != size:
        raise ProtocolFault(f"{len(response.data)} bytes where {size} are due")
    return response.data
