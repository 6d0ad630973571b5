# SPDX-License-Identifier: Apache-2.0
"""Each operating mode at a whole terminal, turned by hand."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path

import pytest

from card.errors import NoReader
from hardware_mocks.cardos.tear import Moment, Tear
from keys.store import FileKeyStore
from swipe.kinds import EventType, Flag, OutageKind, RejectReason
from terminal.courier import Standing
from terminal.devices.absent import NoGps, NoScanner
from terminal.devices.protocols import DeviceState, Fix
from terminal.policy import Mode
from terminal.tap import Outcome
from tests.integration.terminal.bench import Bench, asn, hardware_psam, issue
from tests.integration.terminal.post import (
    HELPER,
    LEADER,
    OTHER,
    VOLUNTEER,
    Post,
    configure,
    operators,
    sign_on,
)

ONLINE = Standing(online=True)
MINUTE = 60


def test_self_test_shows_and_records_each_part(post: Post) -> None:
    """At power-on every part is shown in both languages, and one event names them all."""
    post.loop.self_test()
    post.turn()
    shown = [str(screen) for screen in post.shown.screens if "自检" in str(screen)]
    record = post.payload(EventType.OUTAGE)

    assert [text.split("\n")[2].split()[0] for text in shown] == [
        "JOURNAL", "READER", "KEY", "CLOCK", "PRINTER",
    ]  # fmt: skip
    assert record["kind"] == OutageKind.SELF_TEST
    assert record["tested"] == sum(1 << kind for kind in (1, 3, 5, 6, 8))


def test_failed_printer_stops_nobody(post: Post, store: FileKeyStore) -> None:
    """A part that failed the self-test is named on the idle screen, and taps go on."""
    post.paper.state = DeviceState.PAPER_OUT
    post.loop.self_test()
    post.turn()
    seen = {post.wait(4) for _ in range(4)}

    assert post.payload(EventType.OUTAGE)["failed"] & (1 << OutageKind.PRINTER)
    assert any("打印机故障 paper-out" in text for text in seen)
    assert "签到 IN" in post.tap(issue(store, VOLUNTEER))


def test_a_card_left_lying_over_a_restart_is_lifted_first(post: Post, store: FileKeyStore) -> None:
    """It tapped IN before the power went: found lying at the start, it is not tapped out."""
    card = post.slot.card = issue(store, VOLUNTEER)
    post.turn()
    post.bench.clock.advance(5 * MINUTE)
    post.cut_power()
    post.loop.self_test()
    post.turn()
    asked = post.wait(4)
    post.slot.card = None
    post.turn()
    lifted = post.wait(4)

    assert "请先取走卡再刷" in asked
    assert "LIFT CARD, TAP AGAIN" in asked
    assert "请刷卡" in lifted
    assert [e.type for e in post.events(EventType.IN, EventType.OUT)] == [EventType.IN]
    assert "签退 OUT" in post.tap(card)


def test_a_card_left_lying_over_a_reader_s_fault_is_lifted_first(
    post: Post, store: FileKeyStore
) -> None:
    """The reader was away for minutes with the card on it; back again, it makes no OUT."""
    card = post.slot.card = issue(store, VOLUNTEER)
    post.turn()
    post.slot.error = NoReader("gone")
    post.wait(5 * MINUTE)
    assert "读卡器未连接" in post.wait(4)
    post.slot.error = None
    post.wait(4)
    asked = post.wait(4)
    post.slot.card = None
    post.turn()

    assert "请先取走卡再刷" in asked
    assert len(post.events(EventType.IN, EventType.OUT)) == 1
    assert "签退 OUT" in post.tap(card)


class Receiver(NoGps):
    """A GPS receiver that is sure of a place, and three hours wrong."""

    def __init__(self, utc_s: int) -> None:
        self.proposal = Fix(225_431_000, 1_140_579_000, utc_s, 8, 9)

    def fix(self) -> Fix | None:
        """Propose the place."""
        return self.proposal


def test_gps_proposes_a_place_and_sets_no_time(post: Post, store: FileKeyStore) -> None:
    """A tap carries the receiver's place, and the terminal's own second, hours from the GPS's."""
    now_s = post.bench.clock.utc_ms() // 1000
    post.parts.gps = Receiver(now_s + 3 * 3600)
    post.turn()
    post.tap(issue(store, VOLUNTEER))
    (event,) = post.events(EventType.IN)

    assert (event.lat, event.lon) == (225_431_000, 1_140_579_000)
    assert abs(event.utc_s - post.bench.clock.utc_ms() // 1000) <= 1
    assert not post.events(EventType.TIME_SET)


class Stumbling(NoGps, NoScanner):
    """A receiver and a scanner whose drivers do what nobody thought of."""

    def fix(self) -> Fix | None:
        """Fail."""
        raise IndexError

    def codes(self) -> list[bytes]:
        """Fail."""
        raise ZeroDivisionError


class Shouting(NoScanner):
    """A scanner that reads one code at every look."""

    def codes(self) -> list[bytes]:
        """Give a code."""
        return [b"code"]


def test_a_device_that_fails_stops_nobody(
    post: Post, store: FileKeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Taps go on beside drivers that raise; the log tells it once, not at every turn."""
    post.parts.gps = post.parts.scanner = Stumbling()
    post.turn()
    post.turn()

    assert "签到 IN" in post.tap(issue(store, VOLUNTEER))
    failed = [r.exc_info[0] for r in caplog.records if r.exc_info]
    assert failed == [ZeroDivisionError, IndexError]


def test_a_code_that_makes_the_program_stumble_stops_nobody(
    post: Post, store: FileKeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is answered as a card that does so, and the next card is served."""

    def stumble(_code: bytes) -> Outcome:
        raise IndexError

    monkeypatch.setattr(post.loop.console, "present_code", stumble)
    post.parts.scanner = Shouting()

    assert "卡出错" in post.turn()
    post.parts.scanner = NoScanner()
    assert "签到 IN" in post.tap(issue(store, VOLUNTEER))


def test_operator_signs_on_with_card_and_pin(post: Post, store: FileKeyStore) -> None:
    """Key 7, card and PIN sign an operator on, off line; the OPEN event names the card."""
    post.press("7")
    asked = post.tap(issue(store, HELPER))
    post.press("602417")
    stars = post.shown.text
    said = post.press("y")

    assert "请输入密码" in asked
    assert "******" in stars
    assert "操作员已签到" in said
    assert post.payload(EventType.OPEN)["operator_asn"] == asn(HELPER)
    assert not post.events(EventType.IN)


def test_no_digit_of_a_pin_is_anywhere(
    post: Post, store: FileKeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither screens nor log nor journal hold the PIN."""
    with caplog.at_level(logging.DEBUG):
        sign_on(post, store)
        sign_on(post, store, pin="602418")
    frames = b"".join(screen.to_frame() for screen in post.shown.screens)

    for pin in ("602417", "602418"):
        assert pin not in caplog.text
        assert pin.encode() not in frames
        assert pin.encode() not in post.bench.journal_path.read_bytes()
        assert pin not in repr(post.loop.console.panel)


def test_wrong_pins_are_counted_through_a_power_cut(post: Post, store: FileKeyStore) -> None:
    """Three wrong PINs lock the card, also across a power cut; then one try a wait."""
    first = sign_on(post, store, pin="0000")
    second = sign_on(post, store, pin="1111")
    post.cut_power()
    configure(post)
    third = sign_on(post, store, pin="2222")
    post.press("7")
    locked = post.tap(issue(store, HELPER))
    post.bench.clock.advance(15 * MINUTE)
    right = sign_on(post, store)
    reasons = [e.payload[0] for e in post.events(EventType.REJECTED)]

    assert "密码错误" in first
    assert "密码错误" in second
    assert "密码已锁定" in third
    assert "密码已锁定" in locked
    assert "操作员已签到" in right
    assert reasons == [RejectReason.WRONG_PIN] * 3


def test_card_gone_in_mid_pin_changes_nothing(post: Post, store: FileKeyStore) -> None:
    """The PIN is typed after the card was read; a PIN that is left half-typed is forgotten."""
    post.press("7")
    post.tap(issue(store, HELPER))
    post.press("6024")
    idle = post.wait(31)
    tapped = post.tap(issue(store, HELPER))

    assert "TAP CARD" in idle
    assert "签到 IN" in tapped
    assert not post.events(EventType.OPEN)[0].payload[:10].strip(b"\0")


def test_volunteer_card_at_sign_on_is_a_tap(post: Post, store: FileKeyStore) -> None:
    """A card that is no operator's is not turned away: it taps."""
    post.press("7")

    assert "签到 IN" in post.tap(issue(store, VOLUNTEER))


def test_operator_without_pin_is_sent_to_the_office(post: Post, store: FileKeyStore) -> None:
    """Without a verifier there is nothing to compare with, and nobody signs on."""
    post.configure(operators=operators((asn(HELPER), "operator"), pin=""))
    post.press("7")

    assert "此卡未设密码" in post.tap(issue(store, HELPER))


def test_taps_wait_for_an_operator_where_required(post: Post, store: FileKeyStore) -> None:
    """Without a sign-on a tap is recorded as refused and told whom to ask; after it, it counts."""
    configure(post, params={"require_sign_on": True})
    card = issue(store, VOLUNTEER)
    refused = post.tap(card, seconds=5)
    sign_on(post, store)
    accepted = post.tap(card)

    assert "请操作员先签到" in refused
    assert "SEE THE LEADER" in refused
    assert post.events(EventType.REJECTED)[0].payload[0] == RejectReason.NO_OPERATOR
    assert "签到 IN" in accepted


def test_activity_by_code(post: Post, store: FileKeyStore) -> None:
    """✓, the code, ✓: taps from now on are of that activity, also after a power cut."""
    said = post.press("y2048y")
    post.tap(issue(store, VOLUNTEER))
    post.cut_power()
    configure(post)
    post.tap(issue(store, OTHER))

    assert "已选活动" in said
    assert "送餐" in said
    assert [e.activity for e in post.events(EventType.IN)] == [32, 32]
    assert "没有此活动代码" in post.press("y9999y")


def test_activity_fixed(post: Post, store: FileKeyStore) -> None:
    """Where the activity is fixed nothing is typed, and every tap is of it."""
    configure(post, activity_choice="fixed", fixed_activity=31)
    post.tap(issue(store, VOLUNTEER))

    assert "活动已固定" in post.press("y")
    assert post.events(EventType.IN)[0].activity == 31


def test_activity_only_by_code(post: Post, store: FileKeyStore) -> None:
    """Where it must be typed, the schedule chooses none."""
    configure(post, activity_choice="code")
    post.tap(issue(store, VOLUNTEER))
    post.press("y1024y")
    post.tap(issue(store, OTHER))

    assert [e.activity for e in post.events(EventType.IN)] == [0, 31]


def test_switch_is_one_tap(post: Post, store: FileKeyStore) -> None:
    """Key 5 and the card: one SWITCH event of the new activity, and the next tap leaves it."""
    card = issue(store, VOLUNTEER)
    post.tap(card, seconds=600)
    post.press("y2048y5")
    switched = post.tap(card, seconds=600)
    left = post.tap(card)

    assert "切换 SWITCH" in switched
    assert "离开请再刷" in switched
    assert [e.activity for e in post.events(EventType.SWITCH)] == [32]
    assert "签退 OUT" in left


def test_switch_without_an_entry_enters(post: Post, store: FileKeyStore) -> None:
    """Who is in no activity enters the new one."""
    post.press("5")

    assert "签到 IN" in post.tap(issue(store, VOLUNTEER))


def test_torn_switch_may_be_repeated(post: Post, store: FileKeyStore) -> None:
    """A card pulled off before anything was promised is still awaited as a switch."""
    card = issue(store, VOLUNTEER)
    post.tap(card, seconds=600)
    card.tear(Tear(ins=0x50, moment=Moment.BEFORE_ANSWER))
    post.press("5")
    post.tap(card)

    assert "切换 SWITCH" in post.tap(card)


def test_undone_switch_leaves_the_first_activity_open(post: Post, store: FileKeyStore) -> None:
    """After key 2 on a switch the volunteer is still entered: the next tap leaves."""
    card = issue(store, VOLUNTEER)
    post.tap(card, seconds=600)
    post.press("5")
    post.tap(card, seconds=2)
    undone = post.press("2")
    post.bench.clock.advance(600)

    assert "已撤销" in undone
    assert "签退 OUT" in post.tap(card)


def test_leave_and_return_are_two_intervals(post: Post, store: FileKeyStore) -> None:
    """IN, OUT, IN, OUT at one terminal."""
    card = issue(store, VOLUNTEER)
    for _ in range(4):
        post.tap(card, seconds=600)
    kinds = [e.type for e in post.events(EventType.IN, EventType.OUT)]

    assert kinds == [EventType.IN, EventType.OUT, EventType.IN, EventType.OUT]


def test_second_tap_is_never_an_out_nor_a_void(post: Post, store: FileKeyStore) -> None:
    """Within a minute the same card is a duplicate, in every mode."""
    card = issue(store, VOLUNTEER)
    post.tap(card, seconds=20)
    answers = [post.press("0"), post.tap(card, seconds=10), post.press("3"), post.tap(card)]

    assert "ALREADY RECORDED" in answers[1]
    assert "ALREADY RECORDED" in answers[3]
    assert not post.events(EventType.OUT, EventType.VOID_LAST)


def test_undo_works_once(post: Post, store: FileKeyStore) -> None:
    """Key 2 twice undoes one tap."""
    post.tap(issue(store, VOLUNTEER), seconds=2)
    said = [post.press("2"), post.press("2")]

    assert "已撤销" in said[0]
    assert "没有可撤销" in said[1]
    assert len(post.events(EventType.VOID_LAST)) == 1


def test_training_counts_for_nobody_and_is_undone_by_a_key(post: Post, store: FileKeyStore) -> None:
    """Menu line 2: TRAINING events until a mode key; a power cut in between changes nothing."""
    sign_on(post, store, LEADER)
    post.press("2")
    first = post.tap(issue(store, VOLUNTEER))
    post.cut_power()
    configure(post)
    second = post.tap(issue(store, OTHER))
    post.press("0")

    assert "培训 TRAINING" in first
    assert "培训 TRAINING" in second
    assert "签到 IN" in post.tap(issue(store, 3))
    assert all(e.flags & Flag.TRAINING_MODE for e in post.events(EventType.TRAINING))


def test_training_ends_with_the_period(post: Post, store: FileKeyStore) -> None:
    """Settlement ends training: nobody's next day counts for nothing."""
    sign_on(post, store, LEADER)
    post.press("29")

    assert post.station.journal.state.mode is Mode.AUTO
    assert "签到 IN" in post.tap(issue(store, VOLUNTEER))


def test_query_off_line(post: Post, store: FileKeyStore) -> None:
    """Off line today's minutes come from the journal, and the card tells its last tap."""
    card = issue(store, VOLUNTEER)
    post.tap(card, seconds=90 * MINUTE)
    post.press("6")
    told = post.tap(card)

    assert "今日 TODAY      1:30" in told
    assert "上次签到 IN 09:00" in told
    assert "离线" in told
    assert len(post.events(EventType.IN, EventType.OUT)) == 1


def test_query_looks_past_taps_of_another_day(
    post: Post, store: FileKeyStore, tmp_path: Path
) -> None:
    """A tap torn yesterday at another gate, completed here today, hides nobody's minutes."""
    there = Bench(tmp_path / "there", store, hardware_psam(store))
    late, card = issue(store, OTHER), issue(store, VOLUNTEER)
    late.tear(Tear(ins=0x54, moment=Moment.BEFORE_ANSWER))
    there.tap(late)
    post.bench.clock.advance(24 * 60 * MINUTE)
    post.tap(card, seconds=90 * MINUTE)
    post.tap(late, seconds=30 * MINUTE)
    post.press("6")
    told = post.tap(card)

    assert len(post.events(EventType.TORN_RESOLVED)) == 1
    assert "今日 TODAY      2:00" in told


def test_no_slip_for_a_tap_that_was_undone(post: Post, store: FileKeyStore) -> None:
    """Key 6 prints what counts: after key 2 there is nothing to take home."""
    card = issue(store, VOLUNTEER)
    post.tap(card, seconds=4)
    post.press("2", seconds=120)
    post.press("6")
    post.tap(card)

    assert len(post.events(EventType.VOID_LAST)) == 1
    assert post.paper.slips == []


def test_query_on_line(post: Post, store: FileKeyStore) -> None:
    """On line the server tells today, total, level and coins."""
    post.lines.standing = ONLINE
    post.lines.answers["/summary"] = {
        "today_min": 90, "total_min": 7710, "level": 3, "coins": "12.5", "state": "active",
    }  # fmt: skip
    post.press("6")
    told = post.tap(issue(store, VOLUNTEER))

    assert "累计 TOTAL    128:30" in told
    assert "级别3  时间币 12.5" in told
    assert not post.events(EventType.IN)


def test_query_is_for_one_card(post: Post, store: FileKeyStore) -> None:
    """The card after it taps, and a query that nobody used is forgotten."""
    card = issue(store, VOLUNTEER)
    post.press("6")
    post.tap(card, seconds=10)
    after = post.tap(card, seconds=120)
    post.press("6")
    post.wait(31)

    assert "签到 IN" in after
    assert "签退 OUT" in post.tap(card)


def test_group_of_minors(post: Post, store: FileKeyStore) -> None:
    """Key 4, the guardian, then minors one after the other, each in time for the next."""
    born = dt.date(2014, 1, 1)
    post.press("4")
    post.tap(issue(store, VOLUNTEER))
    for number in (11, 12, 13):
        post.bench.clock.advance(100)
        post.tap(issue(store, number, born))
    shown = post.wait(4)
    flags = [e.flags & Flag.GUARDIAN_PRESENT for e in post.events(EventType.IN)]
    closed = post.press("n")

    assert "TAPPED 3" in shown
    assert flags == [Flag.GUARDIAN_PRESENT] * 3
    assert "监护组已结束" in closed


def test_minor_after_a_pause_needs_the_guardian_again(post: Post, store: FileKeyStore) -> None:
    """A word is good for two minutes after the last minor, not for ever."""
    born = dt.date(2014, 1, 1)
    post.press("4")
    post.tap(issue(store, VOLUNTEER))
    post.bench.clock.advance(130)

    assert "GUARDIAN NEEDED" in post.tap(issue(store, 11, born))


def test_a_group_has_an_end(post: Post, store: FileKeyStore) -> None:
    """However steadily minors come, ten minutes after the guardian's tap the word is used up."""
    born = dt.date(2014, 1, 1)
    post.press("4")
    post.tap(issue(store, VOLUNTEER))
    shown = []
    for number in range(30, 38):
        post.bench.clock.advance(90)
        shown.append("GUARDIAN NEEDED" in post.tap(issue(store, number, born)))

    assert shown == [False] * 6 + [True] * 2
