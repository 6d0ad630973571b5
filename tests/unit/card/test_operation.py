# SPDX-License-Identifier: Apache-2.0
"""Operations: driven from outside, closed after themselves, bounded."""

from __future__ import annotations

import subprocess
import sys

import pytest

from card.apdu import CommandApdu, ResponseApdu
from card.commands import get_challenge
from card.errors import CardRemoved, ProtocolFault, SecurityNotSatisfied
from card.operation import COMMANDS_MAX, Operation, exchange, fetch, run
from tests.contracts.connection_cards import Script


def test_an_operation_runs_without_any_connection() -> None:
    """A generator can be driven by hand: command out, answer in, result at the end."""
    operation = fetch(get_challenge(), 4)

    command = next(operation)
    with pytest.raises(StopIteration) as stop:
        operation.send(ResponseApdu(b"\x01\x02\x03\x04", 0x9000))

    assert command.to_bytes().hex() == "0084000004"
    assert stop.value.value == b"\x01\x02\x03\x04"


def test_run_tells_the_observer_every_exchange() -> None:
    """An observer sees each command with its answer, in order."""
    seen: list[tuple[str, int]] = []

    run(
        exchange(get_challenge()),
        Script("01020304 9000"),
        lambda command, response: seen.append((command.header.hex(), response.sw)),
    )

    assert seen == [("00840000", 0x9000)]


def test_an_unexpected_status_word_is_an_error() -> None:
    """Only accepted status words pass; others are raised by class."""
    with pytest.raises(SecurityNotSatisfied):
        run(exchange(get_challenge()), Script("6982"))
    assert run(exchange(get_challenge(), (0x6982,)), Script("6982")).sw == 0x6982


def test_an_answer_of_another_size_is_a_fault() -> None:
    """A short answer is not padded and a long one is not cut."""
    with pytest.raises(ProtocolFault):
        run(fetch(get_challenge(), 4), Script("0102 9000"))


def test_the_operation_is_closed_when_the_card_leaves() -> None:
    """What an operation holds is released when the connection fails under it."""
    closed: list[bool] = []

    class Gone:
        def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
            raise CardRemoved

    def careful() -> Operation[None]:
        try:
            yield get_challenge()
        finally:
            closed.append(True)

    with pytest.raises(CardRemoved):
        run(careful(), Gone())
    assert closed == [True]


def test_an_operation_without_end_is_stopped() -> None:
    """A loop that never returns is cut off after a bounded number of commands."""

    class Always:
        count = 0

        def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
            self.count += 1
            return b"", 0x9000

    def forever() -> Operation[None]:
        while True:
            yield CommandApdu(0x00, 0x84, 0x00, 0x00)

    connection = Always()
    with pytest.raises(ProtocolFault):
        run(forever(), connection)
    assert connection.count == COMMANDS_MAX


@pytest.mark.parametrize(
    "module", ["card.tap", "card.volunteer", "card.psam", "card.personalise", "card.readers"]
)
def test_importing_the_sdk_loads_no_reader_library(module: str) -> None:
    """The SDK imports without PC/SC: pyscard is loaded when a reader is used."""
    code = f"import sys, {module}; print([m for m in sys.modules if m.startswith('smartcard')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["card.tap", "card.volunteer", "card.psam", "card.readers"])
def test_what_a_terminal_imports_leads_to_no_key_store(module: str) -> None:
    """A terminal loads neither key store nor card keys by way of the SDK."""
    names = {"keys.store", "keys.working", "keys.bulk"}
    code = f"import sys, {module}; print(sorted({names!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
