# SPDX-License-Identifier: Apache-2.0
"""systemd hears of the program as sd_notify(3) says, and is fed only while all is well."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.watchdog import Notifier, Watchdog, interval_ms
from tests.unit.terminal.clocks import HandClock


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket as systemd offers it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(10)
        yield line


def heard(line: socket.socket) -> list[dict[str, str]]:
    """Return every datagram that has arrived, as fields."""
    line.setblocking(False)
    found = []
    while True:
        try:
            text = line.recv(4096).decode()
        except BlockingIOError:
            return found
        found.append(dict(field.split("=", 1) for field in text.split("\n")))


def test_the_first_feeding_says_ready(systemd: socket.socket) -> None:
    """The service counts as started only after its first self-checks have passed."""
    clock, faults = HandClock(), ["no reader yet"]
    notifier = Notifier(systemd.getsockname())
    dog = Watchdog(notifier, {"reader": lambda: faults[0]}, clock.uptime_ms, 1_000)
    dog.turn()
    assert heard(systemd) == [{"STATUS": "reader: no reader yet"}]

    faults[0] = ""
    clock.advance(1)
    dog.turn()
    clock.advance(1)
    dog.turn()

    assert heard(systemd) == [
        {"READY": "1", "WATCHDOG": "1", "STATUS": "well"},
        {"WATCHDOG": "1", "STATUS": "well"},
    ]


def test_one_failed_check_starves_the_watchdog(systemd: socket.socket) -> None:
    """While any check fails, systemd hears why and is not fed."""
    clock, journal = HandClock(), [""]
    checks = {"reader": str, "journal": lambda: journal[0]}
    dog = Watchdog(Notifier(systemd.getsockname()), checks, clock.uptime_ms, 1_000)
    dog.turn()
    heard(systemd)
    journal[0] = "event 7 is not what was written"
    for _ in range(3):
        clock.advance(1)
        assert not dog.turn()

    told = heard(systemd)
    assert all("WATCHDOG" not in fields for fields in told)
    assert told[-1]["STATUS"] == "journal: event 7 is not what was written"


def test_it_is_fed_no_more_often_than_asked(systemd: socket.socket) -> None:
    """A thousand turns within one interval feed once."""
    clock = HandClock()
    dog = Watchdog(Notifier(systemd.getsockname()), {}, clock.uptime_ms, 20_000)
    for _ in range(1_000):
        dog.turn()

    assert len(heard(systemd)) == 1


def test_an_abstract_socket_is_reached() -> None:
    """A name that begins with @ is one of Linux's abstract names."""
    name = f"yika-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0{name}")
        assert Notifier(f"@{name}").tell(STOPPING="1")
        assert heard(line) == [{"STOPPING": "1"}]


@pytest.mark.parametrize("address", ["", "nowhere", "/nonexistent/notify", "@yika-nobody-listens"])
def test_nobody_listening_harms_nothing(address: str) -> None:
    """Without systemd, or when it has gone, the program goes on."""
    dog = Watchdog(Notifier(address), {}, HandClock().uptime_ms)

    assert dog.turn()
    dog.stopping()


def test_a_line_break_makes_no_second_field(systemd: socket.socket) -> None:
    """What a device says cannot put words into the program's mouth."""
    Notifier(systemd.getsockname()).tell(STATUS="x\nWATCHDOG=1")

    assert heard(systemd) == [{"STATUS": "x WATCHDOG=1"}]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "77"}, 10_000),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "78"}, 10_000),
        ({"WATCHDOG_USEC": "3000000"}, 1_000),
        ({"WATCHDOG_USEC": "soon"}, 10_000),
        ({"WATCHDOG_USEC": "-5"}, 10_000),
    ],
)
def test_the_interval_is_a_third_of_systemd_s_patience(
    environ: dict[str, str], expected: int
) -> None:
    """The patience is taken from the environment if it is meant for this process."""
    assert interval_ms(environ, pid=77) == expected
