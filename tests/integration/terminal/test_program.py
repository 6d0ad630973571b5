# SPDX-License-Identifier: Apache-2.0
"""The whole program with a reader, a display, keys and a server."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from card.errors import NoReader, NoService, ReaderBusy
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Moment, Tear
from keys.store import FileKeyStore
from swipe import payloads
from swipe.hotlist import CardSet, HotlistBitmap
from swipe.kinds import BatchKind, EventType, OutageKind
from swipe.notices import Config as ConfigNotice
from terminal.errors import AlreadyRunning, JournalForeign, NoticeRefused, NotProvisioned
from terminal.files import CONFIG, HOTLIST, PASSPORT, sole_writer
from terminal.keypad import Key
from terminal.program import Parts, Program
from terminal.screen import Led, Tone
from terminal.transport import HttpTransport
from tests.factories import UTC_S, make_identity
from tests.integration.terminal.bench import Bench, asn, issue, software_psam
from tests.integration.terminal.devices import WAIT_S, HandKeypad, HandReader, Memory
from tests.integration.terminal.office import SITE_JSON, Office, Refusal

JOIN_S = 10.0
POLL_S = 0.02


class Running:
    """A program in a thread of the test, with everything around it."""

    def __init__(self, bench: Bench, office: Office) -> None:
        bench.desk.chain.journal.close()
        self.bench = bench
        self.office = office
        self.reader, self.display, self.keypad = HandReader(), Memory(), HandKeypad()
        self.program = self._program()
        self._thread = threading.Thread(target=self.program.run)

    def _program(self) -> Program:
        parts = Parts(
            reader=self.reader,
            psam=self.bench.psam,
            transport=HttpTransport(self.office.url, 5),
            display=self.display,
            keypad=self.keypad,
            rng=random.Random(1),
        )
        return Program(self.bench.config, self.bench.clock, parts)

    def start(self, text: str = "请刷卡") -> None:
        """Start the program and wait until it waits for cards and shows the text."""
        self._thread.start()
        self.display.wait_for(text)

    def stop(self) -> None:
        """Stop the program as SIGTERM does."""
        self.program.stop()
        self.join()

    def join(self) -> None:
        """Wait until the program has ended."""
        self._thread.join(JOIN_S)
        assert not self._thread.is_alive()

    def tap(self, card: VirtualCard, text: str, *, seconds: float = 5, idle: str = "请刷卡") -> str:
        """Lay a card down, wait for the answer, take it away, and let time pass."""
        before = self.display.count
        self.reader.lay(card)
        shown = str(self.display.wait_for(text, before))
        self.reader.take()
        self.bench.clock.advance(seconds)
        self.display.wait_for(idle, before)
        return shown

    def wait_for_events(self, kind: EventType, count: int) -> None:
        """Wait until the journal file has so many events of a type."""
        limit = time.monotonic() + WAIT_S
        while sum(event.type == kind for event in self.bench.events()) < count:
            assert time.monotonic() < limit, f"never {count} events {kind.name}"
            time.sleep(POLL_S)

    def press(self, key: Key, text: str) -> str:
        """Press a key and wait for its answer."""
        before = self.display.count
        self.keypad.press(key)
        return str(self.display.wait_for(text, before))


@pytest.fixture
def running(bench: Bench) -> Iterator[Running]:
    """A program that runs with a server that answers."""
    office = Office(bench.clock, bench.identity.public_key)
    with office.open():
        running = Running(bench, office)
        running.start("在线 ON")
        try:
            yield running
        finally:
            running.stop()


def test_morning_and_noon(running: Running, store: FileKeyStore) -> None:
    """A volunteer taps in and out, reads it on the display, and the server has it."""
    card = issue(store, 1)
    entered = running.tap(card, "签到 IN        ", seconds=3 * 3600)
    left = running.tap(card, "签退 OUT", seconds=5)
    running.display.wait_for("待传1")

    assert "离开请再刷" in entered
    assert "3:00" in left
    assert {EventType.IN, EventType.OUT} <= {raw[1] for raw in running.office.events.values()}


def test_light_and_tone_follow_the_direction(running: Running, store: FileKeyStore) -> None:
    """In and out have their own light and tone; before them the card is being read."""
    card = issue(store, 1)
    running.tap(card, "签到", seconds=3600)
    running.tap(card, "签退 OUT")
    signals = [(screen.led, screen.tone) for screen in running.display.screens]

    assert signals.index((Led.BLUE, Tone.TICK)) < signals.index((Led.GREEN, Tone.IN))
    assert (Led.GREEN_TWICE, Tone.OUT) in signals


def test_card_left_lying_is_answered_once(running: Running, store: FileKeyStore) -> None:
    """A card that stays on the reader makes one tap."""
    running.reader.lay(issue(store, 1))
    running.display.wait_for("签到 IN        ")
    running.bench.clock.advance(300)
    running.display.wait_for("请刷卡", running.display.count)
    running.reader.take()
    kinds = [event.type for event in running.bench.events()]

    assert kinds.count(EventType.IN) == 1
    assert EventType.REJECTED not in kinds


def test_keys_choose_the_mode(running: Running, store: FileKeyStore) -> None:
    """Key 3 makes every tap an OUT until key 0 is pressed."""
    running.press(Key.OUT, "模式 签退")
    running.tap(issue(store, 1), "签退 OUT")
    running.press(Key.AUTO, "模式 自动")
    running.tap(issue(store, 2), "签到 IN        ")
    modes = [
        payloads.parse(EventType.OPEN, event.payload)["mode"]
        for event in running.bench.events()
        if event.type == EventType.OPEN
    ]

    assert modes == [3, 0]


def test_key_two_undoes(running: Running, store: FileKeyStore) -> None:
    """Key 2 undoes the last tap within ten seconds, and says so when it is too late."""
    running.tap(issue(store, 1), "签到 IN        ", seconds=5)
    running.press(Key.UNDO, "已撤销")
    running.bench.clock.advance(60)

    assert "10 S" in running.press(Key.UNDO, "没有可撤销")


def test_key_four_makes_a_guardian(running: Running, store: FileKeyStore) -> None:
    """After key 4 the next card attests."""
    running.press(Key.GUARDIAN, "请监护人刷卡")

    assert "监护 GUARDIAN" in running.tap(issue(store, 1), "监护 GUARDIAN", idle="请孩子")


def test_settlement_sends_everything(running: Running, store: FileKeyStore) -> None:
    """Key 9 closes the period with its totals and uploads at once, waits or not."""
    running.tap(issue(store, 1), "签到 IN        ")
    running.tap(issue(store, 2), "签到 IN        ")
    running.press(Key.SETTLE, "正在结算")
    running.bench.clock.advance(5)
    running.display.wait_for("待传0")
    close = next(e for e in running.bench.events() if e.type == EventType.CLOSE)

    assert payloads.parse(EventType.CLOSE, close.payload) == {
        "n_in": 2, "n_out": 0, "n_rej": 0,
        "first_seq": 1, "last_seq": close.seq - 1, "day": 20261121,
    }  # fmt: skip
    assert BatchKind.SETTLEMENT in [header.kind for header in running.office.headers]
    assert len(running.office.events) == len(running.bench.events())


def test_named_answers_at_the_reader(running: Running) -> None:
    """Blank, foreign and mute cards each get their own words, and the program goes on."""
    foreign = VirtualCard()
    foreign.transmit(bytes.fromhex("80E03F000D38FFFFF0F001FFFFFFFFFFFFFF"))

    assert "BLANK CARD" in running.tap(VirtualCard(), "空白卡")
    assert "NOT OUR CARD" in running.tap(foreign, "不是本系统")
    before = running.display.count
    running.reader.lay(VirtualCard(), mute=True)
    running.display.wait_for("CARD DOES NOT ANSWER", before)
    running.reader.take()


def test_card_pulled_off_is_asked_for_again(running: Running, store: FileKeyStore) -> None:
    """A torn tap sounds its own tone and is completed by the next presentation."""
    card = issue(store, 1)
    card.tear(Tear(ins=0x54, moment=Moment.BEFORE_ANSWER))
    running.tap(card, "没读到 再刷一次", seconds=5)
    running.tap(card, "签到 IN        ")

    assert [s.tone for s in running.display.screens if "没读到" in str(s)] == [Tone.AGAIN]


def test_unforeseen_fault_stops_nobody(
    running: Running, store: FileKeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A card that makes the program stumble gets an answer, and the next one is served."""
    running.reader.strange = True
    running.tap(issue(store, 1), "卡出错")
    running.reader.strange = False
    running.tap(issue(store, 1), "签到 IN        ")

    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoReader("gone"), "读卡器未连接"),
        (NoService("pcscd"), "读卡服务未运行"),
        (ReaderBusy("other"), "读卡器未连接"),
    ],
)
def test_lost_reader_is_shown_and_recorded(
    running: Running, store: FileKeyStore, error: NoReader, words: str
) -> None:
    """Unplugged reader or stopped service: shown until it is back, with an OUTAGE around it."""
    running.reader.error = error
    running.display.wait_for(words)
    before = running.display.count
    running.reader.error = None
    running.display.wait_for("请刷卡", before)
    running.tap(issue(store, 1), "签到 IN        ")
    outages = [
        payloads.parse(EventType.OUTAGE, event.payload)
        for event in running.bench.events()
        if event.type == EventType.OUTAGE
    ]

    lost = [bool(outage["ended"]) for outage in outages if outage["kind"] == OutageKind.READER]

    assert lost == [False, True]


def test_hanging_server_delays_no_tap(bench: Bench, store: FileKeyStore) -> None:
    """While an upload hangs, taps are answered as ever."""
    office = Office(bench.clock, bench.identity.public_key)
    with office.open():
        office.hang()
        running = Running(bench, office)
        running.start()
        for number in range(1, 4):
            running.tap(issue(store, number), "签到 IN        ")
        office.go_on()
        running.display.wait_for("在线 ON")
        running.stop()

    assert sum(event.type == EventType.IN for event in bench.events()) == 3


def test_absent_server_is_shown_as_off_line(bench: Bench, store: FileKeyStore) -> None:
    """Without a server the terminal works, counts what waits, and goes on line by itself."""
    office = Office(bench.clock, bench.identity.public_key)
    office.url = "http://127.0.0.1:1"
    running = Running(bench, office)
    running.start()
    running.tap(issue(store, 1), "签到 IN        ", seconds=400)
    shown = running.display.wait_for("离线 OFF", running.display.count - 1)
    running.stop()

    assert "待传6 6m" in str(shown)


def test_refusing_server_is_named(bench: Bench) -> None:
    """A terminal that is not admitted says so where everybody can read it."""
    office = Office(bench.clock, bench.identity.public_key)
    office.script = [Refusal(401, "unknown key")] * 100
    with office.open():
        running = Running(bench, office)
        running.start()
        shown = running.display.wait_for("NOT ADMITTED")  # in turn with the Chinese words
        running.stop()

    assert shown.led is Led.AMBER


def test_notices_come_into_use(running: Running, store: FileKeyStore) -> None:
    """A newer hotlist and configuration are fetched after a receipt, used and recorded."""
    office = running.office
    office.hotlist = HotlistBitmap(7, 0, CardSet.of([asn(1)]))
    document = json.loads(SITE_JSON)
    document["activities"] = [
        {"id": 31, "name_zh": "导览", "name_en": "Guide", "start": UTC_S, "end": UTC_S + 9999}
    ]
    office.config = ConfigNotice(5, json.dumps(document).encode())
    running.tap(issue(store, 2), "签到 IN        ")
    running.press(Key.SETTLE, "正在结算")
    running.bench.clock.advance(5)
    running.wait_for_events(EventType.CONFIG, 3)
    shown = running.tap(issue(store, 1), "此卡已挂失")
    events = running.bench.events()
    configs = [payloads.parse(e.type, e.payload) for e in events if e.type == EventType.CONFIG]

    assert "签到 IN" in shown
    assert [(c["kind"], c["cfg_ver"], c["hot_ver"]) for c in configs] == [
        (3, 0, 0), (1, 5, 0), (2, 5, 7),
    ]  # fmt: skip
    tap = next(event for event in events if event.card_asn == asn(1))

    assert (tap.hot_ver, tap.activity) == (7, 31)


@pytest.mark.parametrize("name", [HOTLIST, CONFIG])
def test_older_notices_never_come_back(bench: Bench, name: str) -> None:
    """A replaced or older file on the storage card is left aside at the start."""
    server = make_identity("server")
    notices = bench.desk.notices
    old = {
        HOTLIST: HotlistBitmap(3, 0).signed(server).to_bytes(),
        CONFIG: ConfigNotice(3, SITE_JSON).to_bytes(server),
    }[name]
    (bench.folder / name).write_bytes(old)
    too_old = notices.load(4, 4)
    current = notices.load(3, 3)
    (bench.folder / name).write_bytes(old[:-1] + bytes([old[-1] ^ 1]))
    forged = notices.load(0, 0)

    assert [str(complaint) for complaint in too_old] == [
        f"{name}: 通知不可信 · the notice is not trusted (version 3 is older than 4)"
    ]
    assert current == []
    assert len(forged) == 1


@pytest.mark.parametrize("name", [HOTLIST, CONFIG])
def test_what_was_in_use_is_a_floor_without_its_file(bench: Bench, name: str) -> None:
    """With the file gone, an older notice that somebody plays back is refused all the same."""
    server = make_identity("server")
    notices = bench.desk.notices
    assert notices.load(4, 4) == []
    read = {
        HOTLIST: lambda version: notices.read_hotlist(
            HotlistBitmap(version, 0).signed(server).to_bytes()
        ),
        CONFIG: lambda version: notices.read_config(
            ConfigNotice(version, SITE_JSON).to_bytes(server)
        ),
    }[name]

    with pytest.raises(NoticeRefused, match="version 3 is older than 4"):
        read(3)
    assert read(4).version == 4


def test_second_program_is_refused(bench: Bench) -> None:
    """Only one program writes a journal."""
    office = Office(bench.clock, bench.identity.public_key)
    running = Running(bench, office)
    with sole_writer(bench.folder), pytest.raises(AlreadyRunning):
        running.program.run()


def test_bare_folder_is_refused(bench: Bench) -> None:
    """A terminal that was never enrolled does not start."""
    (bench.folder / PASSPORT).unlink()
    running = Running(bench, Office(bench.clock, bench.identity.public_key))

    with pytest.raises(NotProvisioned, match="尚未入网"):
        running.program.run()


def test_journal_of_another_terminal_is_refused(tmp_path: Path, store: FileKeyStore) -> None:
    """A journal and an enrolment that do not belong together do not start."""
    one = Bench(tmp_path / "one", store, software_psam(tmp_path, store))
    other = Bench(tmp_path / "other", store, one.psam, terminal_id=8)
    (one.folder / PASSPORT).write_bytes((other.folder / PASSPORT).read_bytes())
    running = Running(one, Office(one.clock, one.identity.public_key))

    with pytest.raises(JournalForeign):
        running.program.run()


def test_set_clock_is_recorded(running: Running) -> None:
    """Somebody who sets the device's clock leaves a TAMPER event, and no event moves."""
    running.bench.clock.utc += 3_600_000
    running.reader.lay(VirtualCard())
    running.display.wait_for("空白卡")
    running.reader.take()
    running.program.stop()
    running.join()
    tamper = [e for e in running.bench.events() if e.type == EventType.TAMPER]

    assert [payloads.parse(e.type, e.payload)["kind"] for e in tamper] == [4]
    assert tamper[0].utc_s < UTC_S + 60
