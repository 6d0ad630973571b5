# SPDX-License-Identifier: Apache-2.0
"""Updates at the next tap: what a script may do, cuts, repeats, and carriers that cheat."""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from card.attempts import AttemptGuard
from card.card_keys import CARD_USAGES, CardKeys
from card.errors import (
    Blocked,
    CardError,
    CardRemoved,
    GuardRefused,
    LayoutError,
    MacRejected,
    ReadBackMismatch,
    WrongCard,
)
from card.layouts import Function
from card.operation import Connection, run
from card.personalise import CardState, personalise
from card.updates import (
    Block,
    UpdateOutOfOrder,
    UpdateScript,
    Wanted,
    apply_update,
    plan_update,
    read_contents,
    unblock_application,
)
from card.volunteer import DeskKeys
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Moment, Tear
from keys.algorithm import Algorithm
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import (
    ASN,
    CHEAP,
    PASSPHRASE,
    UID,
    card_data,
    in_process,
    issued_card,
)

DAY = dt.date(2026, 11, 22)
WANTED = Wanted(
    valid_to=dt.date(2036, 10, 31),
    functions=int(Function.TRANSIT),
    level=3,
    total_minutes=6000,
    totals_date=DAY,
    guardian_mobile="13800000000",
)
Image = Any


@pytest.fixture(scope="module")
def desk(store: FileKeyStore) -> DeskKeys:
    """The test card's desk keys."""
    keys = CardKeys.from_store(store, ASN, 1)
    return DeskKeys(keys[KeyUsage.DESK_READ], keys[KeyUsage.MAINTENANCE], ASN.hex().upper())


@pytest.fixture(scope="module")
def fresh(store: FileKeyStore) -> Image:
    """The memory of a freshly issued card."""
    return copy.deepcopy(issued_card(store).memory.image)


@pytest.fixture
def card(fresh: Image) -> VirtualCard:
    """A freshly issued card."""
    return _card(fresh)


def _card(image: Image) -> VirtualCard:
    card = VirtualCard(uid=UID)
    card.memory.image = copy.deepcopy(image)
    card.memory.commit()
    card.reset()
    return card


def _script(connection: Connection, desk: DeskKeys, wanted: Wanted = WANTED) -> UpdateScript:
    return plan_update(run(read_contents(desk, AttemptGuard()), connection), wanted, DAY)


def _bodies(card: VirtualCard) -> dict[int, Any]:
    """Return what the application's files hold, and nothing of attempts."""
    files = card.memory.image.mf.children[0x3F01].files  # type: ignore[union-attr]
    return {fid: (ef.body, ef.records, ef.purse) for fid, ef in files.items()}


def test_a_card_with_sm4_keys_takes_updates_too(tmp_path: Path) -> None:
    """The same script, its MACs under SM4: written once, proved by the card, not written again."""
    store = FileKeyStore.create(tmp_path / "keys", PASSPHRASE, CHEAP)
    for usage in CARD_USAGES:
        store.generate(usage, 1, Algorithm.SM4)
    keys = CardKeys.from_store(store, ASN, 1)
    chip = VirtualCard(uid=UID)
    run(personalise(card_data(algorithm=Algorithm.SM4), keys), in_process(chip))
    chip.reset()
    desk = DeskKeys(keys[KeyUsage.DESK_READ], keys[KeyUsage.MAINTENANCE], ASN.hex().upper())

    script = _script(in_process(chip), desk)

    assert run(apply_update(script, desk, AttemptGuard()), in_process(chip)).writes == 3
    assert run(apply_update(script, desk, AttemptGuard()), in_process(chip)).writes == 0


def test_a_script_changes_what_is_wanted_and_nothing_else(
    card: VirtualCard, desk: DeskKeys
) -> None:
    """Validity, level, totals, functions and guardian are new; every other byte is as before."""
    connection = in_process(card)
    before = _bodies(card)
    old = run(read_contents(desk, AttemptGuard()), connection)

    script = _script(connection, desk)
    result = run(apply_update(script, desk, AttemptGuard()), connection)
    new = run(read_contents(desk, AttemptGuard()), connection)

    assert new.public.valid_to == WANTED.valid_to
    assert (new.service.level, new.service.total_minutes) == (3, 6000)
    assert new.service.guardian_mobile == "13800000000"
    assert (new.state.update_seq, new.state.script) == (1, script.digest)
    assert result.writes == 3
    assert set(result.fields) == {
        "valid_to", "functions", "level", "total_minutes", "totals_date", "guardian_mobile",
    }  # fmt: skip
    assert result.unproved == ("0015",)
    assert new.service.organisation == old.service.organisation
    after = _bodies(card)
    assert {fid for fid in before if before[fid] != after[fid]} == {0x15, 0x17, 0x1A}


def test_running_it_again_writes_nothing(card: VirtualCard, desk: DeskKeys) -> None:
    """The number on the card says that the script is done."""
    connection = in_process(card)
    script = _script(connection, desk)
    run(apply_update(script, desk, AttemptGuard()), connection)
    image = copy.deepcopy(card.memory.image)

    again = run(apply_update(script, desk, AttemptGuard()), connection)

    assert (again.writes, again.fields) == (0, ())
    assert image == card.memory.image
    assert _script(connection, desk).empty


def test_a_card_that_took_updates_is_still_found_issued(
    card: VirtualCard, desk: DeskKeys, store: FileKeyStore
) -> None:
    """Issuing it again with the data of its first day writes nothing and does not complain."""
    connection = in_process(card)
    run(apply_update(_script(connection, desk), desk, AttemptGuard()), connection)
    card.reset()

    again = run(personalise(card_data(), CardKeys.from_store(store, ASN, 1)), connection)

    assert (again.found, again.writes) == (CardState.ISSUED, 0)


def test_an_older_script_is_refused(card: VirtualCard, desk: DeskKeys) -> None:
    """A script from a queue that was overtaken by another one writes nothing."""
    connection = in_process(card)
    first = _script(connection, desk)
    other = _script(connection, desk, Wanted(level=5))
    run(apply_update(other, desk, AttemptGuard()), connection)
    before = _bodies(card)

    with pytest.raises(UpdateOutOfOrder) as caught:
        run(apply_update(first, desk, AttemptGuard()), connection)

    assert (caught.value.seq, caught.value.card_seq) == (1, 1)
    assert before == _bodies(card)


def test_a_script_from_the_future_is_refused(card: VirtualCard, desk: DeskKeys) -> None:
    """A script must follow the one the card took last."""
    connection = in_process(card)
    script = _script(connection, desk)
    late = UpdateScript(script.asn, 3, script.date, script.changes)

    with pytest.raises(UpdateOutOfOrder):
        run(apply_update(late, desk, AttemptGuard()), connection)


@pytest.mark.parametrize("moment", list(Moment))
def test_a_cut_anywhere_is_finished_by_another_run(
    fresh: Image, desk: DeskKeys, moment: Moment
) -> None:
    """Cut at every command, run again: the card is as after an uncut run."""
    whole = _card(fresh)
    script = _script(in_process(whole), desk)
    run(apply_update(script, desk, AttemptGuard()), in_process(whole))
    cuts = 0
    while True:
        card = _card(fresh)
        card.tear(Tear(cuts, moment=moment))
        try:
            run(apply_update(script, desk, AttemptGuard()), in_process(card))
        except CardRemoved:
            card.power_on()
            run(apply_update(script, desk, AttemptGuard()), in_process(card))
        else:
            break
        assert _bodies(card) == _bodies(whole), cuts
        cuts += 1
    assert cuts > 15


def test_another_card_is_not_tried(card: VirtualCard, desk: DeskKeys) -> None:
    """A script for another serial stops before any key is used."""
    connection = in_process(card)
    script = _script(connection, desk)
    other = UpdateScript(bytes.fromhex("00000000000000000025"), 1, DAY, script.changes)

    with pytest.raises(WrongCard):
        run(apply_update(other, desk, AttemptGuard()), connection)


@pytest.mark.parametrize("block", list(Block))
def test_an_application_is_blocked_last_and_once(
    card: VirtualCard, desk: DeskKeys, block: Block
) -> None:
    """After the script the application does not open; running it again finds it so."""
    connection = in_process(card)
    script = _script(connection, desk, Wanted(level=1, block=block))

    result = run(apply_update(script, desk, AttemptGuard()), connection)
    again = run(apply_update(script, desk, AttemptGuard()), connection)

    assert (result.blocked, result.writes) == (True, 3)
    assert (again.blocked, again.writes, again.unproved) == (True, 0, ("block",))
    with pytest.raises(Blocked):
        run(read_contents(desk, AttemptGuard()), connection)


def test_a_script_survives_a_queue(card: VirtualCard, desk: DeskKeys) -> None:
    """As JSON and back it is the same script with the same digest."""
    script = _script(in_process(card), desk, Wanted(level=2, block=Block.FOR_GOOD))

    back = UpdateScript.from_document(json.loads(json.dumps(script.to_document())))

    assert back == script
    assert back.digest == script.digest
    assert "data" not in repr(back)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: row["changes"].append({"fid": 0x16, "offset": 0, "data": "00", "fields": []}),
        lambda row: row["changes"].append({"fid": 0x15, "offset": 8, "data": "01", "fields": []}),
        lambda row: row["changes"].append(row["changes"][0]),
        lambda row: row.update(seq=0),
        lambda row: row.update(seq=65_536),
        lambda row: row.update(block=7),
        lambda row: row.update(asn="x"),
        lambda row: row.pop("changes"),
    ],
)
def test_a_script_that_may_not_be_is_refused(
    card: VirtualCard, desk: DeskKeys, spoil: Callable[[dict[str, Any]], None]
) -> None:
    """A spoilt queue entry cannot write name, serial or switch, nor one place twice."""
    row = _script(in_process(card), desk).to_document()
    spoil(row)

    with pytest.raises(LayoutError):
        UpdateScript.from_document(row)


def test_a_write_withheld_is_noticed_before_the_number_is_written(
    card: VirtualCard, desk: DeskKeys
) -> None:
    """A carrier that swallows the write of 0017 and says 9000 does not get the number written."""
    inner = in_process(card)
    script = _script(inner, desk)

    class Swallows:
        def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
            if apdu[1:3] == b"\xd6\x97":
                return b"", 0x9000
            return inner.transmit(apdu)

    with pytest.raises(ReadBackMismatch):
        run(apply_update(script, desk, AttemptGuard()), Swallows())
    assert run(read_contents(desk, AttemptGuard()), in_process(card)).state.update_seq == 0


class Cheat:
    """A carrier that alters, drops, repeats and exchanges commands and answers by a plan."""

    def __init__(self, card: VirtualCard, plan: list[tuple[int, str, int]]) -> None:
        self._inner = in_process(card)
        self._plan = {at: (how, where) for at, how, where in plan}
        self._seen: list[bytes] = []

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Carry one command, or cheat."""
        how, where = self._plan.get(len(self._seen), ("", 0))
        self._seen.append(apdu)
        if how == "drop":
            return bytes(where % 20), 0x9000
        if how == "alter":
            spoilt = bytearray(apdu)
            spoilt[where % len(apdu)] ^= 1 + where % 255
            return self._inner.transmit(_well_formed(bytes(spoilt), apdu))
        if how == "repeat":
            self._inner.transmit(apdu)
        if how == "replay":
            self._inner.transmit(self._seen[where % len(self._seen)])
        data, sw = self._inner.transmit(apdu)
        if how == "answer" and data:
            changed = bytearray(data)
            changed[where % len(data)] ^= 1 + where % 255
            return bytes(changed), sw
        if how == "inject":
            self._inner.transmit(_INJECTED[where % len(_INJECTED)])
        return data, sw


_INJECTED = [
    bytes.fromhex(apdu)
    for apdu in (
        "00D6950801 01",  # switch the application on, no MAC
        "00D6970001 00",
        "800E000000",  # erase the directory
        "80E0001E07 280010F0F0FFFF",  # a file of one's own
        "00E200CC04 AA020000",  # composite record
        "801E000000",  # block
        "00A40000023F00",
    )
]


def _well_formed(spoilt: bytes, original: bytes) -> bytes:
    """Keep Lc: a transport that lies about lengths is the reader's business."""
    return spoilt[:4] + original[4:5] + spoilt[5:]


cheats = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.sampled_from(["drop", "alter", "repeat", "replay", "answer", "inject"]),
        st.integers(0, 5000),
    ),
    max_size=3,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=cheats)
def test_no_carrier_can_make_another_change(
    fresh: Image, desk: DeskKeys, plan: list[tuple[int, str, int]]
) -> None:
    """Whatever a carrier does, each file is as it was or as wanted; success means 0017 is new."""
    card, whole = _card(fresh), _card(fresh)
    script = _script(in_process(whole), desk)
    before = _bodies(whole)
    run(apply_update(script, desk, AttemptGuard()), in_process(whole))
    after = _bodies(whole)

    try:
        run(apply_update(script, desk, AttemptGuard()), Cheat(card, plan))
        finished = True
    except CardError:
        finished = False

    now = _bodies(card)
    assert set(now) == set(before)
    assert all(now[fid] in (before[fid], after[fid]) for fid in now)
    if now[0x1A] == after[0x1A] or finished:
        assert now[0x17] == after[0x17]
        assert now[0x1A] == after[0x1A]


def test_what_a_cheat_read_for_us_does_not_get_onto_the_card(
    card: VirtualCard, desk: DeskKeys
) -> None:
    """File 0015 is read in plain: a made-up name in it is not written back by any script."""
    inner = in_process(card)

    class Lies:
        def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
            data, sw = inner.transmit(apdu)
            return data.replace("王".encode("gb18030"), "李".encode("gb18030")), sw

    script = _script(Lies(), desk)

    assert next((c.fid, c.offset, len(c.data)) for c in script.changes) == (0x15, 24, 4)


def test_service_data_that_do_not_come_from_the_card_are_refused(
    card: VirtualCard, desk: DeskKeys
) -> None:
    """File 0017 comes with a MAC."""
    inner = in_process(card)

    class Lies:
        def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
            data, sw = inner.transmit(apdu)
            return (b"\x01" + data[1:], sw) if apdu[1:3] == b"\xb0\x97" else (data, sw)

    with pytest.raises(MacRejected):
        _script(Lies(), desk)


def test_values_that_do_not_fit_fail_while_planning(card: VirtualCard, desk: DeskKeys) -> None:
    """A guardian's number of twelve digits never becomes a script."""
    with pytest.raises(LayoutError):
        _script(in_process(card), desk, Wanted(guardian_mobile="138000000001"))


def test_a_blocked_application_is_unblocked(card: VirtualCard, desk: DeskKeys) -> None:
    """Blocked until unblocked it serves again; on a card that serves nothing is written."""
    connection = in_process(card)
    script = _script(connection, desk, Wanted(block=Block.UNTIL_UNBLOCKED))
    run(apply_update(script, desk, AttemptGuard()), connection)
    card.reset()

    assert run(unblock_application(desk, AttemptGuard()), connection).asn == ASN
    before = copy.deepcopy(card.memory.image)
    assert run(unblock_application(desk, AttemptGuard()), connection).asn == ASN
    assert _bodies(card)
    assert card.memory.image == before


def test_unblocking_with_other_keys_stops_before_the_last_try(
    card: VirtualCard, desk: DeskKeys, store: FileKeyStore
) -> None:
    """Two wrong MACs are counted; the third, which would block for good, is never sent."""
    connection = in_process(card)
    script = _script(connection, desk, Wanted(block=Block.UNTIL_UNBLOCKED))
    run(apply_update(script, desk, AttemptGuard()), connection)
    other = CardKeys.from_store(store, bytes.fromhex("00000000000000000099"), 1)
    wrong = DeskKeys(other[KeyUsage.DESK_READ], other[KeyUsage.MAINTENANCE], desk.card)
    guard = AttemptGuard()
    for _ in range(2):
        card.reset()
        with pytest.raises(MacRejected):
            run(unblock_application(wrong, guard), connection)
    card.reset()
    with pytest.raises(GuardRefused):
        run(unblock_application(wrong, guard), connection)

    card.reset()
    assert run(unblock_application(desk, AttemptGuard()), connection).asn == ASN


def test_unblocking_another_card_is_refused(card: VirtualCard, desk: DeskKeys) -> None:
    """A card that serves and bears another serial is not touched."""
    elsewhere = DeskKeys(desk.read, desk.maintenance, "00000000000000000099")

    with pytest.raises(WrongCard):
        run(unblock_application(elsewhere, AttemptGuard()), in_process(card))
