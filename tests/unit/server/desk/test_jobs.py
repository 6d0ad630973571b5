# SPDX-License-Identifier: Apache-2.0
"""Jobs of the desk at virtual cards: made, cut, resumed, repeated, replaced, blocked."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from card.errors import CardRemoved
from card.operation import run
from card.updates import Block, Wanted
from card.volunteer import select
from hardware_mocks.cardos.cos import VirtualCard
from keys.usage import KeyUsage
from server.desk import services
from server.desk.models import DeskJob, DeskSession
from server.desk.tasks import data_from_json
from server.errors import Problem, Refused
from server.issuing.models import CardOrder
from server.people.models import Audit, Card
from server.updates import services as updates
from server.updates.models import CardUpdate
from tests.contracts.connection_cards import in_process
from tests.unit.server.desk.office import OTHER_ATR, Office, pull


def card_of(office: Office, asn: str | None) -> str:
    """Return the state of a card."""
    with office.database.reading() as session:
        return session.scalars(sa.select(Card.state).where(Card.asn == asn)).one()


def state_of(office: Office, order_no: str | None) -> str:
    """Return the state of an order."""
    with office.database.reading() as session:
        wanted = sa.select(CardOrder.state).where(CardOrder.order_no == order_no)
        return session.scalars(wanted).one()


def issued(office: Office, who: str = "wang") -> tuple[DeskJob, VirtualCard]:
    """Issue a card to somebody."""
    job, chip = office.create("issue", who), VirtualCard()
    assert office.lay(job, chip).state == "done"
    return office.job(job.reference), chip


def test_a_card_is_issued_and_counts(office: Office) -> None:
    """The blank becomes this person's card; order, card and journal say so."""
    job, chip = issued(office)

    face = run(select(), in_process(chip))
    assert face.asn.hex() == job.asn
    assert face.masked_name == "王**"
    assert (face.valid_from, face.valid_to) == (dt.date(2026, 11, 22), dt.date(2031, 11, 21))
    assert job.result["writes"] == job.writes == 30
    assert job.sealed is None, "what was on the card is forgotten once it is handed over"
    assert card_of(office, job.asn) == "active"
    assert state_of(office, job.order_no) == "active"
    assert office.commands == 112


def test_asking_again_gives_the_open_job(office: Office) -> None:
    """The person is the key: two clicks make one job; after it there is a card to replace."""
    first, second = office.create("issue", "wang"), office.create("issue", "wang")
    assert first.reference == second.reference
    office.lay(first, VirtualCard())

    with pytest.raises(Refused, match="replace it"):
        office.create("issue", "wang")


@pytest.mark.parametrize("at", [0, 40, 88, 111])
def test_power_lost_anywhere_is_finished_by_laying_the_card_back(office: Office, at: int) -> None:
    """The same card laid again is finished, and never begun twice."""
    job, chip = office.create("issue", "wang"), VirtualCard()
    with pytest.raises(CardRemoved):
        office.lay(job, chip, meanwhile=pull(chip, at))
    office.restart()

    assert office.lay(job, chip).state == "done"

    assert run(select(), in_process(chip)).asn.hex() == job.asn
    assert office.job(job.reference).writes < 60, "what was done is not done twice"


def test_server_restarted_in_the_middle_goes_on_with_the_same_session(office: Office) -> None:
    """Another process makes the operation anew from its answers: the card notices nothing."""
    job, chip = office.create("issue", "wang"), VirtualCard()

    assert office.lay(job, chip, meanwhile=lambda _step: office.restart()).state == "done"

    assert office.commands == 112
    assert office.job(job.reference).writes == 30


def test_a_repeated_answer_gets_the_same_commands(office: Office) -> None:
    """Every answer sent twice: the card still sees each command once; the last too."""
    job, chip = office.create("issue", "wang"), VirtualCard()
    connection = in_process(chip)
    told = office.begin(job.reference)
    while told.commands:
        data, sw = connection.transmit(bytes.fromhex(told.commands[0]))
        said = data + sw.to_bytes(2, "big")
        first = office.answer(job.reference, told, said)
        assert office.answer(job.reference, told, said) == first
        told = first

    assert told.state == "done"
    with pytest.raises(Problem) as caught:
        office.answer(job.reference, told, bytes.fromhex("9000"))
    assert caught.value.kind == "out-of-turn"


def test_another_answer_to_the_same_command_is_refused(office: Office) -> None:
    """A step has one answer: whoever sends two different ones is told so."""
    job = office.create("issue", "wang")
    told = office.begin(job.reference)
    office.answer(job.reference, told, bytes.fromhex("6A82"))

    with pytest.raises(Problem) as caught:
        office.answer(job.reference, told, bytes.fromhex("9000"))
    assert caught.value.kind == "answered-otherwise"


def test_sessions_end(office: Office) -> None:
    """After two minutes without an answer a session is over; the job is not."""
    job, chip = office.create("issue", "wang"), VirtualCard()
    told = office.begin(job.reference)
    office.now_ms += 120_001

    with pytest.raises(Problem) as caught:
        office.answer(job.reference, told, bytes.fromhex("6A82"))
    assert caught.value.kind == "session-over"
    assert office.lay(job, chip).state == "done"


def test_a_new_session_ends_the_one_before(office: Office) -> None:
    """What the card answered in a session that was cut is forgotten; late answers are told so."""
    job, chip = office.create("issue", "wang"), VirtualCard()
    told = office.begin(job.reference)
    first = office.answer(job.reference, told, bytes.fromhex("6A82"))
    assert office.lay(job, chip).state == "done"

    for late in (told, first):
        with pytest.raises(Problem) as caught:
            office.answer(job.reference, late, bytes.fromhex("6A82"))
        assert caught.value.kind in ("session-over", "out-of-turn")
    with office.database.reading() as session:
        kept = session.scalars(sa.select(DeskSession.sealed)).all()
    assert sorted(map(len, kept))[0] == 0
    assert max(map(len, kept)) < 1_000, "answers of a finished session are not kept either"


def test_another_card_in_the_middle_is_not_written(office: Office) -> None:
    """A blank where a card was begun, and a chip of another kind, are refused unwritten."""
    job, chip = office.create("issue", "wang"), VirtualCard()
    with pytest.raises(CardRemoved):
        office.lay(job, chip, meanwhile=pull(chip, 60))
    for atr in (OTHER_ATR, None):
        blank = VirtualCard()
        told = office.lay(job, blank, atr) if atr else office.lay(job, blank)
        assert told.state == "stopped"
        assert "换了卡" in told.text_zh or "swapped" in told.text_en or "card" in told.text_en
        assert in_process(blank).transmit(bytes.fromhex("00A40000023F0000"))[1] != 0x9000

    assert office.lay(job, chip).state == "done"


def test_a_spoilt_card_makes_room_for_the_next(office: Office) -> None:
    """Thrown away with a reason, the job goes on with another blank of the same serial."""
    job, broken = office.create("issue", "wang"), VirtualCard()
    with pytest.raises(CardRemoved):
        office.lay(job, broken, meanwhile=pull(broken, 60))
    with pytest.raises(Refused, match="finish it"), office.database.writing() as session:
        services.cancel(session, office.bench, job.reference)
    with office.database.writing() as session:
        services.spoil(session, office.bench, job.reference, "芯片开裂")

    assert office.lay(job, VirtualCard()).state == "done"


def test_a_job_given_up_calls_off_its_order(office: Office) -> None:
    """Nothing was written: the order is cancelled, and a new one may be made."""
    job = office.create("issue", "wang")
    with office.database.writing() as session:
        services.cancel(session, office.bench, job.reference)

    assert state_of(office, job.order_no) == "cancelled"
    assert office.create("issue", "wang").reference != job.reference
    with pytest.raises(Problem, match="over"):
        office.begin(job.reference)


def test_a_lost_card_is_replaced(office: Office) -> None:
    """The old card is refused at once, the new one counts when it is made, the record comes."""
    old, _ = issued(office)
    with pytest.raises(Refused, match="document"):
        office.create("replace", asn=old.asn, cause="LOST", reason="电话挂失")
    job = office.create("replace", asn=old.asn, cause="LOST", reason="本人到场", id_checked=True)
    assert card_of(office, old.asn) == "lost", "before the new card is made"
    chip = VirtualCard()
    assert office.lay(job, chip).state == "done"

    assert card_of(office, old.asn) == "replaced"
    assert card_of(office, job.asn) == "active"
    assert state_of(office, old.order_no) == "replaced"
    assert run(select(), in_process(chip)).asn.hex() == job.asn


def test_s15_restore_after_loss_byte_for_byte(office: Office) -> None:
    """The new card bears the same number and holds exactly what the server says of the person."""
    old, _ = issued(office)
    job = office.create("replace", asn=old.asn, cause="LOST", reason="本人到场", id_checked=True)
    with office.database.reading() as session:
        sealed = services.find(session, office.bench, job.reference).sealed
    assert sealed is not None
    place = f"yika/desk-job/1\n{job.reference}".encode()
    data = data_from_json(office.store.open_sealed(KeyUsage.PERSONAL_DATA, sealed, place))
    chip = VirtualCard()
    office.lay(job, chip)

    files = chip.memory.image.mf.children[0x3F01].files  # type: ignore[union-attr]
    for fid, content in data.contents().items():
        if fid in (0x0015, 0x0016, 0x0017):
            assert bytes(files[fid].body[: len(content)]) == content
    assert data.volunteer_number == office.numbers["wang"]
    assert (card_of(office, old.asn), card_of(office, job.asn)) == ("replaced", "active")


def test_a_card_is_read(office: Office) -> None:
    """The page gets what a desk may see; the database keeps none of it, and no name is in it."""
    made, chip = issued(office)
    job = office.create("read")
    told = office.lay(job, chip)

    assert told.state == "done"
    assert told.result["asn"] == made.asn
    assert told.result["masked_name"] == "王**"
    assert "王小明" not in str(told)
    found = office.job(job.reference)
    assert (found.asn, found.result) == (made.asn, {})


def test_a_card_is_refreshed(office: Office) -> None:
    """What the server knows by now is written; once more writes nothing."""
    made, chip = issued(office)
    wanted = dt.date(2036, 10, 31)
    job = office.create("refresh", asn=made.asn, valid_to=wanted)
    assert office.lay(job, chip).state == "done"
    assert office.job(job.reference).result["fields"] == ["valid_to", "totals_date"]
    assert run(select(), in_process(chip)).valid_to == wanted

    again = office.create("refresh", asn=made.asn, valid_to=wanted)
    assert again.reference != job.reference
    office.lay(again, chip)
    assert office.job(again.reference).result["writes"] == 0


def test_a_refresh_cut_between_two_writes_is_finished(office: Office) -> None:
    """Laid back, the card takes the rest."""
    made, chip = issued(office)
    wanted = dt.date(2036, 10, 31)
    total = office.commands
    probe = office.create("refresh", asn=made.asn, valid_to=wanted)
    for at in range(4, 30, 3):
        try:
            office.lay(probe, chip, meanwhile=pull(chip, at))
        except CardRemoved:
            continue
        break
    assert office.lay(probe, chip).state == "done" if _open(office, probe) else True
    assert run(select(), in_process(chip)).valid_to == wanted
    assert office.commands > total


def _open(office: Office, job: DeskJob) -> bool:
    return office.job(job.reference).state != "done"


def test_a_card_is_blocked_and_unblocked(office: Office) -> None:
    """The hotlist first, then the chip; and back again in the other order."""
    made, chip = issued(office)
    with pytest.raises(Refused, match="say why"):
        office.create("block", asn=made.asn)
    block = office.create("block", asn=made.asn, reason="借给他人使用")
    assert card_of(office, made.asn) == "blocked"
    assert office.lay(block, chip).state == "done"
    chip.reset()
    told = office.lay(office.create("read"), chip)
    assert (told.state, "锁定" in told.text_zh) == ("stopped", True)

    unblock = office.create("unblock", asn=made.asn, reason="已谈话")
    assert office.lay(unblock, chip).state == "done"
    assert card_of(office, made.asn) == "active"
    assert office.lay(office.create("read"), chip).state == "done"


@pytest.mark.parametrize(
    ("wanted", "state"),
    [(Wanted(level=3, block=Block.UNTIL_UNBLOCKED), "cancelled"), (Wanted(level=3), "waiting")],
    ids=["a block", "another change"],
)
def test_unblocking_ends_a_block_that_waits(office: Office, wanted: Wanted, state: str) -> None:
    """A queued block was cut in its last exchange: it does not block the card again.

    The clerk and the list of updates are told; what does not block goes on waiting.
    """
    made, chip = issued(office)
    assert made.asn is not None
    with office.database.writing() as session:
        why = ("li", "借给他人使用")
        queued = updates.queue(session, updates.Bench(office.store, 1), made.asn, wanted, why)
        number = queued.id
    block = office.create("block", asn=made.asn, reason="借给他人使用")
    assert office.lay(block, chip).state == "done"
    unblock = office.create("unblock", asn=made.asn, reason="已谈话")
    told = office.lay(unblock, chip)

    assert told.state == "done"
    assert ("called off" in told.text_en) is (state == "cancelled")
    with office.database.reading() as session:
        update = session.get_one(CardUpdate, number)
        assert update.state == state
        assert ("unblocked at the desk" in (update.outcome or "")) is (state == "cancelled")
        action = sa.select(Audit.detail).where(Audit.action == "card.update-cancelled")
        details = session.scalars(action).all()
    assert [detail["update"] for detail in details] == ([number] if state == "cancelled" else [])


def test_the_wrong_card_is_told_before_a_key_is_tried(office: Office) -> None:
    """A card of another serial is refused by its public data: its attempts stay what they were."""
    made, _ = issued(office)
    _, other = issued(office, "ou")
    before = office.commands

    told = office.lay(office.create("refresh", asn=made.asn), other)

    assert (told.state, office.commands - before) == ("stopped", 1)
    assert "应为" in told.text_zh


def test_the_plan_is_shown_first_and_masked(office: Office) -> None:
    """Every command of the plan is there, no name, no number, no key."""
    job = office.create("issue", "wang")
    with office.database.reading() as session:
        plan = services.plan(session, office.bench, job.reference)

    assert plan["writes"] == 30
    assert plan["free_bytes"] >= 12_288
    text = str(plan)
    assert "王小明".encode("gb18030").hex().upper() not in text.replace(" ", "")
    assert office.numbers["wang"] not in text


def test_transcript_is_masked_and_whole(office: Office) -> None:
    """Each exchange is a line; the person's name is in none of them."""
    job, _ = issued(office)
    with office.database.reading() as session:
        rows = session.scalars(sa.select(DeskSession.transcript)).all()
    lines = [line for text in rows for line in text.splitlines()]

    assert len(lines) == 112
    assert "×" in "".join(lines)
    assert "王小明".encode("gb18030").hex().upper() not in "".join(lines)
    assert job.reference not in "".join(lines)
