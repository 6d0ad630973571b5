# SPDX-License-Identifier: Apache-2.0
"""The leader's side of the modes: sheets, settlement, menu, slips, messages."""

from __future__ import annotations

from pathlib import Path

from hardware_mocks.cardos.cos import VirtualCard
from keys.store import FileKeyStore
from swipe.kinds import EventType, RejectReason
from terminal.courier import Standing
from terminal.devices.protocols import DeviceState
from terminal.screen import Tone
from tests.factories import UTC_S
from tests.integration.terminal.bench import asn, issue
from tests.integration.terminal.post import (
    HELPER,
    LEADER,
    VOLUNTEER,
    Post,
    configure,
    sign_on,
)

ONLINE = Standing(online=True)
MINUTE = 60


def test_paper_sheet_by_number(post: Post, store: FileKeyStore) -> None:
    """An operator enters a sheet by card number: the MANUAL event says who, when, which."""
    sign_on(post, store)
    post.press("8")
    for typed in ("17", "1120", "0900", "1130", "120", "42"):
        post.press(typed + "y")
    check = post.shown.text
    said = post.press("y")
    event = post.events(EventType.MANUAL)[0]

    assert "1120 0900-1130 120'" in check
    assert "已补录" in said
    assert event.card_asn.hex() == "59490000000000000017"
    assert post.payload(EventType.MANUAL) == {
        "entered_by": asn(HELPER), "planned_min": 120,
        "start": UTC_S - 24 * 3600, "end": UTC_S - 24 * 3600 + 9000, "sheet": 42,
    }  # fmt: skip


def test_yesterdays_sheet_has_yesterdays_activity(post: Post, store: FileKeyStore) -> None:
    """The event names what was planned for the sheet's time, not what runs while it is typed."""
    yesterday = {"id": 30, "name_zh": "护林", "name_en": "Forest", "code": "30"}
    times = {"start": UTC_S - 24 * 3600, "end": UTC_S - 21 * 3600}
    today = {"id": 31, "name_zh": "导览", "name_en": "Guide", "code": "1024"}
    running = {"start": UTC_S - 60, "end": UTC_S + 9999}
    configure(post, activities=[yesterday | times, today | running])
    sign_on(post, store)
    post.press("817y1120y0900y1130y120y42yy")

    assert post.events(EventType.MANUAL)[0].activity == 30


def test_paper_sheet_by_card_is_no_tap(post: Post, store: FileKeyStore) -> None:
    """The volunteer's card fills the first slot and is not tapped; its taps go on as ever."""
    card = issue(store, VOLUNTEER)
    sign_on(post, store)
    post.press("8")
    asked = post.tap(card)
    for typed in ("", "0700", "0830", "", ""):
        post.press(typed + "y")
    post.press("y")

    assert "补录2/6" in asked
    assert post.events(EventType.MANUAL)[0].card_asn == asn(VOLUNTEER)
    assert "签到 IN" in post.tap(card)


def test_same_sheet_twice_is_entered_once(post: Post, store: FileKeyStore) -> None:
    """The very same sheet again is refused; garbage between leaves nothing behind."""
    sign_on(post, store)
    sheet = "8" + "17y" + "y" + "0700y" + "0830y" + "y" + "42y" + "y"
    said = [post.press(sheet), post.press("8" + "9" * 30 + "y" + "n"), post.press(sheet)]

    assert "已补录" in said[0]
    assert "刚才已补录" in said[2]
    assert len(post.events(EventType.MANUAL)) == 1


def test_sheet_in_training_is_practice(post: Post, store: FileKeyStore) -> None:
    """Whoever practises with key 8 sees so at every slot, and nobody gets minutes for it."""
    sign_on(post, store, LEADER)
    post.press("2")
    post.bench.clock.advance(4)
    begun = post.press("8")
    by_card = post.tap(issue(store, VOLUNTEER))
    post.press("y0700y0830yyy")
    check = post.shown.text
    done = post.press("y")
    post.press("0" + "8" + "17y" + "y" + "0700y" + "0830y" + "y" + "42y")
    real = post.press("y")

    assert all("培训 TRAINING" in text for text in (begun, by_card, check, done))
    assert "NOT RECORDED" in done
    assert "已补录" in real
    assert len(post.events(EventType.MANUAL)) == 1


def test_tap_in_the_middle_of_a_sheet_counts(post: Post, store: FileKeyStore) -> None:
    """A volunteer who taps while the operator types is recorded, and typing goes on."""
    sign_on(post, store)
    post.press("817y1120y09")
    tapped = post.tap(issue(store, VOLUNTEER), seconds=4)
    post.press("00y1130yyy")

    assert "签到 IN" in tapped
    assert "已补录" in post.press("y")


def test_sheet_needs_an_operator(post: Post) -> None:
    """Key 8 without a sign-on says what to do first."""
    assert "请先签到操作员" in post.press("8")


def test_sheet_without_the_operator_it_was_begun_by(post: Post, store: FileKeyStore) -> None:
    """If the sign-on is gone by the last key, nothing is entered in nobody's name."""
    sign_on(post, store)
    post.press("817y1120y0900y1130y120y42y")
    post.station.journal.state.operator = b""  # as after a disk that took it back

    assert "请先签到操作员" in post.press("y")
    assert post.events(EventType.MANUAL) == []


def test_settlement_is_compared(post: Post, store: FileKeyStore) -> None:
    """Key 9 closes with totals; the server's answer is shown when it has come: equal."""
    post.tap(issue(store, VOLUNTEER))
    post.press("9")
    waiting = post.wait(4)
    state = post.station.journal.state
    state.covered = state.last_seq
    post.lines.answers["/settlements/"] = {
        "state": "equal", "equal": True, "n_in": 1, "n_out": 0, "n_rej": 0, "missing": [],
    }  # fmt: skip
    for job in post.comparison(0, 0):
        job()
    equal = post.turn()

    assert "结算 待传    WAITING" in waiting
    assert "签到1 签退0" in waiting
    assert "结算 平        EQUAL" in equal
    assert post.lines.hurried == 1
    assert post.comparison(0, 0) == []


def test_unequal_settlement_is_sent_again_after_a_power_cut(
    post: Post, store: FileKeyStore
) -> None:
    """The comparison is asked for again after a cut, and what the server misses goes up again."""
    post.tap(issue(store, VOLUNTEER))
    post.press("9")
    post.cut_power()
    state = post.station.journal.state
    state.covered = state.last_seq
    post.lines.answers["/settlements/"] = {
        "state": "incomplete", "n_in": 0, "n_out": 0, "n_rej": 0, "missing": [[3, 4]],
    }  # fmt: skip
    for job in post.comparison(0, 0):
        job()
    outgoing = post.station.uplink.plan()

    assert outgoing is not None
    assert (outgoing.header.first_seq, outgoing.header.last_seq) == (3, 4)
    assert len(post.events(EventType.CLOSE)) == 1


def test_settlement_signs_off(post: Post, store: FileKeyStore) -> None:
    """After settlement nobody is signed on; the next sheet needs a sign-on."""
    sign_on(post, store)
    post.press("9")
    post.wait(61)

    assert "请先签到操作员" in post.press("8")


def test_menu_says_how_things_are(post: Post, store: FileKeyStore) -> None:
    """Status names what waits and the parts; messages are the server's, in both languages."""
    configure(post, messages=[{"id": 1, "zh": "明天停电", "en": "No power tomorrow", "from": 0,
                               "until": UTC_S + 9999}])  # fmt: skip
    post.paper.state = DeviceState.OFFLINE
    sign_on(post, store, LEADER)
    menu = post.wait(4)
    status = post.press("4")
    sign_on(post, store, LEADER)
    messages = post.press("3")

    assert "1结算 2培训 3留言" in menu
    assert "状态 STATUS" in status
    assert status.split("\n")[2:] == ["网络         offline", "打印机       offline"]
    assert "明天停电" in messages
    assert "No power" in messages


def test_menu_speaks_english(post: Post, store: FileKeyStore) -> None:
    """Key 0 turns the menu's language."""
    sign_on(post, store, LEADER)

    assert "1SETTLE 2TRAIN 3MSG" in post.press("0")


def test_menu_prints_exports_and_retires_nothing_by_itself(post: Post, store: FileKeyStore) -> None:
    """The printer test prints; an export without a stick says so; retiring names the office."""
    sign_on(post, store, LEADER)
    printed = post.press("7")
    sign_on(post, store, LEADER)
    exported = post.press("6")
    sign_on(post, store, LEADER)
    retired = post.press("9y")

    assert "已送打印" in printed
    assert "打印测试 PRINTER TEST" in post.paper.slips[0].lines
    assert "导出失败" in exported
    assert "请联系管理员" in retired
    assert not post.events(EventType.DECOMMISSION)


def test_menu_exports_to_a_stick(post: Post, store: FileKeyStore, tmp_path: Path) -> None:
    """With a stick in, line 6 writes what no receipt covers; a card is answered in between."""
    post.stick = tmp_path / "stick"
    post.stick.mkdir()
    sign_on(post, store, LEADER)
    begun = post.press("6")
    tapped = post.tap(issue(store, VOLUNTEER))
    for _ in range(5):
        post.turn()
    said = "".join(str(one) for one in post.shown.screens[-6:])
    written = sum(file.stat().st_size for file in post.stick.rglob("*") if file.is_file())

    assert "正在导出到U盘" in begun
    assert "签到 IN" in tapped
    assert "已导出到U盘" in said
    assert written > 224 * len(post.events())


def test_quiet_leaves_the_answers_loud(post: Post, store: FileKeyStore) -> None:
    """Menu line 5, key 1: no ticks and clicks; whoever taps hears the answer all the same."""
    sign_on(post, store, LEADER)
    post.press("51")
    before = len(post.shown.screens)
    post.press("6n")
    post.tap(issue(store, VOLUNTEER))
    tones = {screen.tone for screen in post.shown.screens[before:]}

    assert Tone.IN in tones
    assert Tone.TICK not in tones


def test_an_operator_has_no_menu(post: Post, store: FileKeyStore) -> None:
    """Only a supervisor's card and PIN open it."""
    sign_on(post, store, HELPER)

    assert "1结算" not in post.wait(4)


def test_listed_operator_cannot_sign_on(post: Post, store: FileKeyStore) -> None:
    """A reported card signs nobody on: it makes a flagged tap."""
    post.desk.notices.is_listed = lambda _asn: True  # type: ignore[method-assign]
    post.press("7")

    assert "此卡已挂失" in post.tap(issue(store, HELPER))


def test_slip_follows_the_answer(post: Post, store: FileKeyStore) -> None:
    """A tap that counts is printed with its event; a duplicate is not; no paper stops nobody."""
    post.parts.every_slip = True
    card = issue(store, VOLUNTEER)
    post.tap(card, seconds=5)
    post.tap(card, seconds=120)
    post.paper.state = DeviceState.PAPER_OUT
    left = post.tap(card)

    assert [slip.lines[2] for slip in post.paper.slips] == ["签到 IN"]
    assert post.paper.slips[0].event == post.events(EventType.IN)[0].to_bytes()
    assert "签退 OUT" in left


def test_slip_may_be_asked_for(post: Post, store: FileKeyStore) -> None:
    """Where slips are not printed unasked, key 6 and the card print the last tap's."""
    card = issue(store, VOLUNTEER)
    post.tap(card, seconds=200)
    unasked = list(post.paper.slips)
    post.press("6")
    post.tap(card)

    assert unasked == []
    assert [slip.event for slip in post.paper.slips] == [post.events(EventType.IN)[0].to_bytes()]


def test_foreign_card_is_recorded(post: Post) -> None:
    """A card of another system is told what to use, and leaves a record without a number."""
    foreign = VirtualCard()
    foreign.transmit(bytes.fromhex("80E03F000D38FFFFF0F001FFFFFFFFFFFFFF"))
    said = post.tap(foreign)
    (refused,) = post.events(EventType.REJECTED)

    assert "不是本系统的义工证" in said
    assert (refused.payload[0], refused.card_asn) == (RejectReason.FOREIGN, bytes(10))


def test_warnings_when_idle(post: Post) -> None:
    """A week without the server is said, in both languages, and taps go on."""
    post.bench.clock.advance(8 * 86_400)
    seen = {post.wait(4).split("\n")[2] for _ in range(6)}

    assert {"已7天未上传 请联网", "UNSENT FOR 7 DAYS"} <= seen


def test_messages_take_turns_when_idle(post: Post) -> None:
    """The site's name and the server's messages share the third line."""
    configure(post, messages=[{"id": 1, "zh": "明天停电", "en": "", "from": 0,
                               "until": UTC_S + 9999}])  # fmt: skip
    seen = {post.wait(4).split("\n")[2] for _ in range(4)}

    assert seen == {"莲花山", "明天停电"}


def test_blank_card_for_a_query_is_named(post: Post) -> None:
    """A card that cannot be asked about gets its own words."""
    post.press("6")

    assert "空白卡" in post.tap(VirtualCard())
