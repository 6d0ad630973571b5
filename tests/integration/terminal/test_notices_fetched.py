# SPDX-License-Identifier: Apache-2.0
"""Notices as they come over the wire: changes, downgrades, expiry, garbage; taps go on."""

from __future__ import annotations

import errno
import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys.store import FileKeyStore
from swipe.hotlist import CardSet, HotlistBitmap
from swipe.kinds import BatchKind, EventType
from swipe.notices import Config
from terminal.announce import standing_of
from terminal.courier import ANY_VERSION, Exchanger, Standing
from terminal.errors import BadAnswer, NoticeRefused, NotSaved, Unreachable
from terminal.fetch import RENEWAL_EVERY_MS, NoticeFetcher
from terminal.files import CONFIG, HOTLIST
from terminal.notices import NOTICE_SIZE_MAX, Notices
from terminal.policy import Say
from terminal.station import Station
from terminal.storage import Folder
from terminal.transport import Request
from terminal.uplink import Uplink
from tests.factories import TERMINAL_ID, UTC_S
from tests.integration.terminal.bench import Bench, asn, issue
from tests.integration.terminal.office import SITE_JSON, Office

DAY_MS = 86_400_000
NOW_MS = 1000 * UTC_S


class Direct:
    """A transport that asks the office without a wire and keeps the answers."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.answers: list[tuple[str, bytes]] = []
        self.garbage: dict[str, bytes] = {}

    def send(self, request: Request) -> bytes:
        """Answer as the office does, or with garbage."""
        below = request.path.partition(f"/{TERMINAL_ID}/")[2]
        if request.method == "PUT":
            answer = self.office.put(int(below.partition("/")[2]), request.body)
        else:
            name = below.partition("/")[0]
            answer = self.office.get(request.path, name, request.authorization)
            answer = self.garbage.get(name, answer)
        if not isinstance(answer, bytes):
            raise BadAnswer("refused")
        self.answers.append((below, answer))
        return answer


class FullDisk(Folder):
    """A folder of a disk without room."""

    def write_whole(self, name: str, data: bytes) -> None:
        """Refuse."""
        raise OSError(errno.ENOSPC, "No space left on device")


class Table:
    """A terminal, its fetcher and the office, without threads."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.office = Office(bench.clock, bench.identity.public_key)
        self.transport = Direct(self.office)
        chain = bench.desk.chain
        self.notices = bench.desk.notices = Notices(
            bench.folder, bench.server_key, TERMINAL_ID, chain.time.now
        )
        self.fetcher = NoticeFetcher(chain, self.notices, self.transport)

    def station(self) -> Station:
        """Return the terminal as its screen sees it."""
        chain, line = self.bench.desk.chain, self.transport
        uplink = Uplink(self.bench.folder, chain, self.bench.server_key, line, bytes(8))
        return Station(self.bench.passport, chain, self.notices, uplink, self.fetcher)

    def fetch(self) -> None:
        """Fetch whatever is newer and do what the journal's owner must."""
        for job in self.fetcher(*ANY_VERSION):
            job()

    def listed(self, version: int, *numbers: int, expires_ms: int = 0) -> None:
        """Let the office hold a hotlist of these cards."""
        cards = CardSet.of(asn(number) for number in numbers)
        self.office.hotlist = HotlistBitmap(version, NOW_MS, cards, expires_ms)

    def configured(self, version: int, **members: object) -> None:
        """Let the office hold a configuration."""
        document = json.dumps(json.loads(SITE_JSON) | members).encode()
        self.office.config = Config(version, document, TERMINAL_ID, NOW_MS)


@pytest.fixture
def table(bench: Bench) -> Table:
    """A terminal with an office that has a first hotlist and configuration."""
    table = Table(bench)
    table.listed(1)
    table.configured(1)
    table.fetch()
    return table


def test_an_old_card_is_listed_by_a_change(table: Table, store: FileKeyStore) -> None:
    """A card that tapped for years is reported lost: a change of a few bytes turns it red."""
    card = issue(store, 1)
    assert table.bench.tap(card).say is Say.IN
    table.listed(2, *range(100, 5_000, 3))
    table.fetch()
    table.listed(3, 1, *range(100, 5_000, 3))
    table.fetch()
    table.bench.clock.advance(600)
    last, change = table.transport.answers[-1]

    assert last == "hotlist/since/2"
    assert len(change) < 200
    assert table.bench.tap(card).say is Say.HOTLISTED
    kept = HotlistBitmap.from_bytes(
        (table.bench.folder / HOTLIST).read_bytes(), table.office.identity.public_key
    )
    assert kept == table.notices.hotlist


def test_a_change_that_leads_nowhere_is_replaced_by_the_whole(table: Table) -> None:
    """A server that sends a change of another version is asked for everything at once."""
    table.listed(5, 7)
    newest = table.office.hotlist.signed(table.office.identity)
    other = HotlistBitmap(4, 0).signed(table.office.identity)
    send, asked = table.transport.send, []

    def confused(request: Request) -> bytes:
        asked.append(request.path.rpartition("/")[2])
        return newest.since(other) if "/since/" in request.path else send(request)

    table.transport.send = confused  # type: ignore[method-assign]
    table.fetch()

    assert asked == ["config", "1", "hotlist"]
    assert table.notices.hotlist.version == 5


def test_a_downgrade_is_refused(table: Table) -> None:
    """An older list or configuration, truly signed, stays outside, and is named."""
    table.listed(7, 1)
    table.configured(7)
    table.fetch()
    table.listed(6)
    table.configured(6)
    jobs = table.fetcher(*ANY_VERSION)

    for job in jobs:
        with pytest.raises(NoticeRefused, match="version 6 is older than 7"):
            job()
    assert len(jobs) == 2
    assert table.notices.is_listed(asn(1))


def test_a_notice_that_has_expired_is_refused(table: Table) -> None:
    """By time that a receipt signed; the notice in use stays."""
    table.listed(7, 1, expires_ms=NOW_MS - DAY_MS)
    table.configured(7, expires=UTC_S - 86_400)
    jobs = table.fetcher(*ANY_VERSION)

    for job in jobs:
        with pytest.raises(NoticeRefused, match="expired"):
            job()
    assert len(jobs) == 2
    assert (table.notices.hotlist.version, table.notices.config.version) == (1, 1)


def test_what_expires_in_use_stays_and_is_named(table: Table, store: FileKeyStore) -> None:
    """An old list of lost cards is better than none; taps go on."""
    table.listed(2, 1, expires_ms=NOW_MS + DAY_MS)
    table.configured(2, expires=UTC_S + 86_400)
    table.fetch()
    fresh = table.notices.stale()
    table.bench.clock.advance(2 * 86_400)

    assert fresh == ()
    assert set(table.notices.stale()) == {HOTLIST, CONFIG}
    assert standing_of(table.station(), Standing()).problem.startswith("通知过期")
    assert standing_of(table.station(), Standing(short="服务器忙")).problem == "服务器忙"
    assert table.bench.tap(issue(store, 1)).say is Say.HOTLISTED


def test_an_unknown_clock_expires_nothing(bench: Bench) -> None:
    """Without signed time nobody can say that something is over."""
    table = Table(bench)
    reading = replace(bench.desk.chain.time.now(), known=False)
    table.notices._now = lambda: reading
    table.listed(1, expires_ms=1)
    table.fetch()

    assert table.notices.hotlist.version == 1


def test_what_grows_old_is_asked_for(table: Table) -> None:
    """Past half its life a notice is asked for, though no receipt spoke of a newer one."""
    table.listed(2, expires_ms=NOW_MS + 10 * DAY_MS)
    table.fetch()
    young = table.fetcher(0, 0)
    table.bench.clock.advance(6 * 86_400)
    aging = table.fetcher(0, 0)
    again = table.fetcher(0, 0)
    table.bench.clock.advance(RENEWAL_EVERY_MS / 1000)

    assert (len(young), len(aging), len(again)) == (0, 1, 0)
    assert len(table.fetcher(0, 0)) == 1


def test_one_bad_notice_keeps_no_other_away(table: Table) -> None:
    """A configuration that is garbage is named after the hotlist has come into use."""
    table.listed(9, 3)
    table.transport.garbage = {"config": b"garbage"}
    with pytest.raises(NoticeRefused, match="config"):
        table.fetch()

    assert table.notices.is_listed(asn(3))


def test_a_disk_that_takes_no_notice(table: Table) -> None:
    """A full disk leaves the notice in use as it was, with the fault of a full disk."""
    table.notices._disk = FullDisk(table.bench.folder)
    table.listed(9, 3)
    with pytest.raises(NotSaved):
        table.fetch()

    assert table.notices.hotlist.version == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(data=st.data())
def test_garbage_for_notices_changes_nothing(table: Table, data: st.DataObject) -> None:
    """Whatever comes for a notice, it is refused by name, and what is in use stays."""
    true = {HOTLIST: HotlistBitmap(9, 0).signed(table.office.identity).to_bytes(),
            CONFIG: Config(9, SITE_JSON).to_bytes(table.office.identity)}  # fmt: skip
    for name in (HOTLIST, CONFIG):
        head = data.draw(st.integers(0, 80))
        table.transport.garbage[name] = true[name][:head] + data.draw(st.binary(max_size=120))
    for job in table.fetcher(*ANY_VERSION):
        with pytest.raises(NoticeRefused):
            job()

    assert (table.notices.hotlist.version, table.notices.config.version) == (1, 1)


@pytest.mark.parametrize("name", [HOTLIST, CONFIG])
@pytest.mark.parametrize("size", [0, 1, 80, NOTICE_SIZE_MAX + 1])
def test_garbage_in_the_files_is_left_aside(bench: Bench, name: str, size: int) -> None:
    """A spoilt file is named at the start, and the terminal starts without it."""
    (bench.folder / name).write_bytes(b"\xa5" * size)
    notices = Notices(bench.folder, bench.server_key, TERMINAL_ID)
    (complaint,) = notices.load(0, 0)

    assert complaint.kind == name
    assert notices.hotlist.version == 0


class Gone:
    """A line that is away until it is put back."""

    def __init__(self, inner: Direct) -> None:
        self.inner = inner
        self.away = True

    def send(self, request: Request) -> bytes:
        """Fail or pass on."""
        if self.away:
            raise Unreachable("no route")
        return self.inner.send(request)


def test_a_settlement_says_so_when_it_goes_at_last(table: Table, store: FileKeyStore) -> None:
    """A settlement that met a dead line goes as the same batch when the line is back."""
    table.bench.tap(issue(store, 1))
    line = Gone(table.transport)
    chain = table.bench.desk.chain
    uplink = Uplink(table.bench.folder, chain, table.bench.server_key, line, bytes(8))
    exchanger = Exchanger(uplink, chain.journal, lambda *_: [], lambda job: job())
    with pytest.raises(Unreachable):
        exchanger.round(BatchKind.SETTLEMENT, everything=True)
    line.away = False
    exchanger.round(BatchKind.SETTLEMENT, everything=True)

    assert {header.kind for header in table.office.headers} == {BatchKind.SETTLEMENT}
    assert chain.journal.state.unsent == 0
    assert EventType.IN in {raw[1] for raw in table.office.events.values()}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2**40) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
members = st.sampled_from(
    ["site", "activities", "operators", "messages", "params", "expires", "activity_choice"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120)
@given(st.dictionaries(members, json_values, max_size=4))
def test_a_signed_configuration_of_any_form(table: Table, found: dict[str, object]) -> None:
    """A member of any form is either within its limits or refused by name; taps need neither."""
    table.configured(2, **found)
    raw = table.office.config.to_bytes(table.office.identity)
    with suppress(NoticeRefused):
        assert table.notices.read_config(raw).version == 2
    assert table.notices.config.version == 1
