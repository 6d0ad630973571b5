# SPDX-License-Identifier: Apache-2.0
"""The running program looks after itself: status, watchdog, the end of a trial, a version's end."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from keys.verify import verify
from server.fleet.policy import alarms
from swipe.kinds import EventType, OutageKind, TamperKind
from swipe.requests import STATUS_CONTEXT, status_message
from terminal.care import TRIAL_MS, Care
from terminal.chain import Chain
from terminal.config_sections import UpdateSection
from terminal.errors import Unreachable
from terminal.files import JOURNAL
from terminal.health import JournalCheck, figures
from terminal.policy import Say
from terminal.releases import archive, slots
from terminal.room import DAY_S, DAYS_MAX, grown_lately
from terminal.station import Station, open_station
from terminal.transport import Request
from tests.integration.terminal.bench import Bench
from tests.unit.terminal.releases.publisher import make_wheel

WAIT_S = 10.0


class Listener:
    """A server that listens to one status at a time."""

    def __init__(self) -> None:
        self.news = threading.Condition()
        self.requests: list[Request] = []
        self.down = False

    def send(self, request: Request) -> bytes:
        """Take a status."""
        with self.news:
            self.requests.append(request)
            self.news.notify_all()
        if self.down:
            raise Unreachable("down")
        return b"{}"

    def wait(self, count: int) -> dict[str, object]:
        """Wait for the n-th status and return it."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.requests) >= count, WAIT_S)
        body = json.loads(self.requests[count - 1].body)
        told: dict[str, object] = json.loads(body["status"])
        return told


class Eyes:
    """What the loop sees."""

    reader_problem: Say | None = None
    psam_failed = False


class Rig:
    """A terminal in care, its clock moved by hand."""

    def __init__(self, bench: Bench, slot: str) -> None:
        bench.desk.chain.journal.close()
        self.bench, self.eyes, self.listener = bench, Eyes(), Listener()
        section = UpdateSection(dir=str(bench.folder / "releases"))
        self.config = replace(bench.config, update=section)
        self.folder = self.config.update_dir
        self.station: Station = open_station(self.config, bench.clock, self.listener, bench.psam)
        environ = {slots.SLOT_VARIABLE: slot} if slot else {}
        self.care = Care(self.config, self.station, self.eyes, self.listener, environ)

    def told(self) -> dict[str, object]:
        """Return what the server would be told now."""
        return dict(figures(self.config, self.station, self.care.vitals))

    def after(self, seconds: float) -> bool:
        """Let time pass and give the care its turn."""
        self.bench.clock.advance(seconds)
        return self.care.turn()


@pytest.fixture
def rig(bench: Bench) -> Rig:
    """A terminal in care that no launcher started."""
    return Rig(bench, "")


def test_the_status_is_signed_and_without_names(rig: Rig, bench: Bench) -> None:
    """Soon after the start the server hears counts, versions and parts, signed with our key."""
    rig.care.turn()
    rig.after(6)
    told = rig.listener.wait(1)

    for part in ("unsent", "version", "reader", "psam", "disk_free_mb", "boot", "firmware"):
        assert part in told, part
    body = json.loads(rig.listener.requests[0].body)
    message = status_message(bench.terminal_id, body["status"].encode())
    signature = bytes.fromhex(body["signature"])
    assert verify(bench.identity.public_key, signature, STATUS_CONTEXT, message)
    assert bench.psam.number.hex() not in body["status"]


def test_the_status_tells_how_long_the_disk_lasts(rig: Rig, bench: Bench) -> None:
    """Free room against what the journal grew by this week; older weeks do not count."""
    journal = rig.station.journal
    chain, written = rig.station.chain, []
    for _ in range(3):
        written.append(journal.size)
        chain.record(EventType.OUTAGE, kind=OutageKind.READER, started=0, ended=0)
        bench.clock.advance(4 * DAY_S)
    now_s = chain.time.now().utc_s

    grown, span_s = grown_lately(journal, now_s)

    assert (grown, span_s) == (journal.size - written[2], 4 * DAY_S)
    told = figures(rig.config, rig.station, rig.care.vitals)
    assert 0 < told["disk_days_left"] <= DAYS_MAX
    assert told["below_floor"] is False


def test_a_version_below_the_floor_is_told(rig: Rig) -> None:
    """A box that fell back behind a release it had proven says so."""
    rig.folder.mkdir(parents=True, exist_ok=True)
    slots.save(rig.folder, slots.Switch(floor=7))

    assert figures(rig.config, rig.station, rig.care.vitals)["below_floor"] is True


def test_receipts_that_never_came_are_told_and_raise_an_alarm(rig: Rig) -> None:
    """Somebody may upload in the terminal's name: the office reads it off the status."""
    told = figures(rig.config, rig.station, rig.care.vitals)
    rig.station.uplink.unseen = 2
    later = figures(rig.config, rig.station, rig.care.vitals)

    assert (told["receipts_unseen"], later["receipts_unseen"]) == (0, 2)
    assert "receipts" not in [alarm.code for alarm in alarms(told, 0, 0)]
    assert "receipts" in [alarm.code for alarm in alarms(later, 0, 0)]


def test_a_journal_that_had_lost_its_end_is_told_for_a_week(rig: Rig, bench: Bench) -> None:
    """An older copy that was put back, found at the start, is an urgent alarm for seven days."""
    chain = rig.station.chain
    before = rig.told()
    chain.record(EventType.TAMPER, kind=TamperKind.ROLLBACK, expected=9, found=4)
    chain.record(EventType.TAMPER, kind=TamperKind.CLOCK, expected=9, found=4)
    bench.clock.advance(DAY_S)
    after = rig.told()
    bench.clock.advance(7 * DAY_S)

    assert (before["rolled_back_s"], after["rolled_back_s"]) == (None, DAY_S)
    assert rig.told()["rolled_back_s"] is None
    codes = [[alarm.code for alarm in alarms(told, 0, 0)] for told in (before, after)]
    assert ["rolled-back" in code for code in codes] == [False, True]


def test_the_status_tells_of_the_devices(rig: Rig) -> None:
    """What the loop sees of reader and PSAM, and each device's own word, reach the server."""
    rig.care.vitals.devices["printer"] = lambda: "paper-out"
    rig.eyes.reader_problem, rig.eyes.psam_failed = Say.NO_READER, True
    rig.care.turn()
    rig.after(6)
    told = rig.listener.wait(1)

    assert [told[name] for name in ("reader", "psam", "printer")] == [
        "missing", "failed", "paper-out",
    ]  # fmt: skip


def test_a_server_that_is_down_holds_nothing_up(rig: Rig) -> None:
    """A status that does not get through is let go; the next one comes in its time."""
    rig.listener.down = True
    rig.care.turn()
    rig.after(6)
    rig.listener.wait(1)
    rig.care.messenger.end(WAIT_S)
    rig.after(100)
    assert len(rig.listener.requests) == 1
    rig.after(900)
    rig.listener.wait(2)


def on_trial(bench: Bench) -> Rig:
    """Return a terminal whose slot a runs on trial."""
    rig = Rig(bench, "a")
    archive.clear(rig.folder / "a")
    wheel = make_wheel(bench.folder / "x.whl", "release 4")
    archive.unpack(wheel, rig.folder / "a", 4, "0.4.0")
    slots.begin_trial(rig.folder, "a", 4)
    return rig


def test_a_trial_ends_well_after_a_minute(bench: Bench) -> None:
    """A release that has passed its self-checks for a minute is confirmed, and is the floor."""
    rig = on_trial(bench)
    rig.care.turn()
    rig.after(TRIAL_MS / 1000 - 1)
    assert slots.load(rig.folder).trial
    rig.after(1)

    switch = slots.load(rig.folder)
    assert (switch.trial, switch.floor) == (False, 4)


def test_a_trial_does_not_end_while_a_check_fails(bench: Bench) -> None:
    """A release whose journal cannot be read back is not confirmed, however long it runs."""
    rig = on_trial(bench)
    flip_last_event(bench.folder, rig.station.chain)
    for _ in range(20):
        rig.after(10)

    assert slots.load(rig.folder).trial
    assert "cannot be read" in rig.care.watchdog.complaint


def test_the_program_ends_when_another_version_is_to_run(bench: Bench) -> None:
    """Within a minute after a switch the care asks the program to end; the launcher goes on."""
    rig = on_trial(bench)
    assert rig.after(61)
    slots.go_back(rig.folder, "by hand")
    assert rig.after(1)
    assert not rig.after(60)


def test_what_the_launcher_passed_over_ends_no_program(bench: Bench) -> None:
    """A damaged slot, passed over at the start, is no version to run: no restart every minute."""
    rig = Rig(bench, "base")
    wheel = make_wheel(bench.folder / "x.whl", "release 4")
    archive.clear(rig.folder / "a")
    archive.unpack(wheel, rig.folder / "a", 4, "0.4.0")
    slots.begin_trial(rig.folder, "a", 4)
    slots.confirm(rig.folder)
    program = rig.folder / "a" / "terminal" / "__main__.py"
    whole = program.read_bytes()
    program.write_bytes(b"broken")

    assert all(rig.after(61) for _ in range(3))
    told = rig.listener.wait(1)
    assert (told["slot"], told["release"], told["below_floor"]) == ("base", 0, True)

    program.write_bytes(whole)
    slots.begin_trial(rig.folder, "a", 4)
    assert not rig.after(61)


def test_without_a_launcher_no_switch_ends_the_program(rig: Rig) -> None:
    """A program started by hand is nobody's to end."""
    rig.folder.mkdir()
    slots.go_back(rig.folder, "by hand")
    assert all(rig.after(61) for _ in range(3))


def flip_last_event(folder: Path, chain: Chain) -> None:
    """Let the disk lose a bit of the newest event."""
    path = folder / JOURNAL
    data = bytearray(path.read_bytes())
    at = data.rfind(chain.journal.event(chain.journal.state.last_seq))
    data[at + 50] ^= 1
    with path.open("r+b") as file:
        file.write(data)


def test_a_journal_that_reads_back_is_well(bench: Bench) -> None:
    """The newest durable event is what was written; a flipped bit is found."""
    journal = bench.desk.chain.journal
    check = JournalCheck(journal, bench.clock.uptime_ms)
    assert check() == ""
    flip_last_event(bench.folder, bench.desk.chain)

    assert "cannot be read" in check()


def test_a_journal_that_fails_is_given_a_minute(bench: Bench) -> None:
    """A failure that heals is no reason to restart; one that stays for a minute is."""
    journal = bench.desk.chain.journal
    check = JournalCheck(journal, bench.clock.uptime_ms)
    journal._failed = True
    assert check() == ""
    bench.clock.advance(61)
    assert check() == "not writable"
    journal._failed = False
    assert check() == ""
