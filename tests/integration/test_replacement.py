# SPDX-License-Identifier: Apache-2.0
"""A dead box is replaced: same terminal, same history, no number used twice, old key ended."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from keys.suite import Suite
from server.errors import Refused as ServerRefuses
from server.fleet import replacement
from server.ingest import settlement
from server.ingest.models import StoredEvent
from server.ingest.verdicts import Verdict
from server.terminals import enrolment
from swipe.event import Event, event_hash, tap_counts
from swipe.kinds import EventType
from swipe.requests import SUCCESSION_CONTEXT, succession_message
from terminal.decommission import Reason, decommission, is_ended
from terminal.errors import BadAnswer, JournalMissing, Refused, ServerError
from terminal.files import JOURNAL
from terminal.journal import read_only
from terminal.passport import Passport
from terminal.station import open_station
from terminal.succession import SUCCESSION
from terminal.sync import renew_key, sync
from tests.factories import make_identity
from tests.integration.office import Office
from tests.integration.server.rig import NOW_MS


def stored(office: Office, terminal_id: int) -> dict[tuple[int, int], bytes]:
    """Return what the server holds of a terminal."""
    return office.rig.stored_of([terminal_id])


def test_the_new_box_goes_on_behind_the_old_one(office: Office, terminal: int) -> None:
    """Numbers, chain, batches and totals continue; every event is accepted with full proof."""
    before = stored(office, terminal)
    code = office.replace(terminal)
    assert office.provision("new", code) == "pending"
    assert not (office.folder / "new" / JOURNAL).exists()
    assert office.approve_new(terminal) == max(seq for _, seq in before)
    assert office.provision("new", code) == "active"

    numbers = office.tap("new", 3)
    assert office.upload("new") == 0

    after = stored(office, terminal)
    assert {key: after[key] for key in before} == before
    seqs = sorted(seq for _, seq in after)
    assert seqs == list(range(1, len(after) + 1))
    assert min(numbers) > max(seq for _, seq in before)
    for key, raw in after.items():
        follows = after.get((key[0], key[1] + 1))
        if follows is not None:
            before_it, it = Event.from_bytes(raw), Event.from_bytes(follows)
            n_in, n_out = tap_counts(before_it)
            assert (it.n_in, it.n_out) == (before_it.n_in + n_in, before_it.n_out + n_out)
            assert it.prev == event_hash(raw, Suite.ED25519)


def test_nothing_of_the_new_box_is_suspect(office: Office, terminal: int) -> None:
    """No fork, no wrong link, no bad signature: the server finds nothing to complain of."""
    office.succeed(terminal)
    office.tap("new", 2)
    office.upload("new")

    assert office.rig.forks() == []
    with office.rig.database.reading() as session:
        mine = StoredEvent.terminal_id == terminal
        verdicts = session.scalars(sa.select(StoredEvent.verdict).where(mine)).all()
    # Nobody registered the card; every other word would be about the terminal.
    assert {Verdict(one) for one in verdicts} == {Verdict.SYSTEM, Verdict.UNKNOWN_CARD}


def test_what_the_old_box_says_later_counts_for_nothing(office: Office, terminal: int) -> None:
    """The old box is not dead after all: what it signs behind the end is refused."""
    office.succeed(terminal)
    office.tap("new", 2)
    office.upload("new")
    before = stored(office, terminal)
    office.tap("old", 2)

    with pytest.raises(ServerError):
        office.upload("old")
    assert stored(office, terminal) == before


def test_it_takes_two_people(office: Office, terminal: int) -> None:
    """Who ordered the new box cannot approve it; nobody can before it has shown its key."""
    code = office.replace(terminal)
    with pytest.raises(ServerRefuses, match="show"):
        office.approve_new(terminal)
    office.provision("new", code)
    with pytest.raises(ServerRefuses, match="two"):
        office.approve_new(terminal, " Li ")
    office.approve_new(terminal)
    with pytest.raises(ServerRefuses, match="waiting"):
        office.approve_new(terminal)


def test_before_the_approval_the_new_box_cannot_tap(office: Office, terminal: int) -> None:
    """Without its place in the history there is no journal, so that no number is used twice."""
    office.provision("new", office.replace(terminal))

    with pytest.raises(JournalMissing):
        office.tap("new", 1)


def test_an_order_is_for_one_box(office: Office, terminal: int) -> None:
    """A second order ends the first one's code and key."""
    first = office.replace(terminal)
    office.provision("new", first)
    second = office.replace(terminal)

    with pytest.raises(Refused):
        office.provision("third", first)
    office.provision("newer", second)
    office.approve_new(terminal)
    assert office.provision("newer", second) == "active"
    assert office.tap("newer", 1)


def test_a_terminal_that_never_uploaded_is_not_replaced(office: Office) -> None:
    """Without a receipt there is no history to keep: it is revoked and added anew."""
    terminal_id, code = office.order()
    office.provision("old", code)
    with pytest.raises(ServerRefuses, match="pending"):
        office.replace(terminal_id)
    with office.rig.database.writing() as session:
        enrolment.approve(session, terminal_id, "wang", NOW_MS)
    with pytest.raises(ServerRefuses, match="never uploaded"):
        office.replace(terminal_id)


@pytest.mark.parametrize(
    "what", ["receipt", "terminal", "figures", "boot", "unsigned", "other box", "garbage"]
)
def test_a_forged_history_is_not_taken(office: Office, terminal: int, what: str) -> None:
    """Only what the pinned server signed, for this terminal and this box, begins the journal."""
    code = office.replace(terminal)
    office.provision("new", code)
    office.approve_new(terminal)
    server = office.rig.server_identity

    def lie(path: str, body: bytes) -> bytes:
        if not path.endswith("/succession"):
            return body
        told = json.loads(body)
        receipt = bytearray.fromhex(told["receipt"])
        if what == "receipt":
            receipt[-1] ^= 1
        elif what == "terminal":
            receipt[20] ^= 1
        elif what == "figures":
            told["n_in"] = -1
        elif what == "boot":
            told["boot"] -= 1
        elif what == "unsigned":
            told["signature"] = ""
        elif what == "other box":
            names = ("last_seq", "boot", "n_in", "n_out", "n_rej")
            figures = tuple(told[name] for name in names)
            third, head = make_identity("third").public_key, bytes.fromhex(told["head"])
            message = succession_message(third, receipt, head, figures)
            told["signature"] = server.sign(SUCCESSION_CONTEXT, message).hex()
        told["receipt"] = receipt.hex()
        return b"[]" if what == "garbage" else json.dumps(told).encode()

    office.wire.lie = lie
    with pytest.raises(BadAnswer):
        office.provision("new", code)
    assert not (office.folder / "new" / JOURNAL).exists()
    office.wire.lie = lambda _path, body: body
    assert office.provision("new", code) == "active"
    assert office.tap("new", 1)


def test_a_box_that_can_still_speak_says_goodbye(office: Office, terminal: int) -> None:
    """DECOMMISSION is the last event, everything is uploaded, and the new box goes on from it."""
    office.tap("old", 1)
    report = decommission(office.config("old"), office.clock, office.wire, Reason.REPLACED)
    assert report["unsent"] == 0
    again = decommission(office.config("old"), office.clock, office.wire, Reason.REPLACED)
    assert again["unsent"] == 0
    _, state, _ = read_only(office.folder / "old" / JOURNAL)
    assert is_ended(state)
    assert bytes(state.kinds).count(int(EventType.DECOMMISSION)) == 1

    office.succeed(terminal)
    office.tap("new", 1)
    assert office.upload("new") == 0


def test_the_first_settlement_of_the_new_box_is_its_own(office: Office, terminal: int) -> None:
    """Its period begins with itself: what the old box counted and never closed is in no total."""
    office.succeed(terminal)
    office.tap("new", 3)
    sync(office.config("new"), office.clock, office.wire, final=True)

    _, state, _ = read_only(office.folder / "new" / JOURNAL)
    assert state.closed is not None
    with office.rig.database.reading() as session:
        assert settlement.compare(session, terminal, state.closed[0]).state == "equal"


def test_a_hole_in_the_middle_stops_no_replacement(office: Office, terminal: int) -> None:
    """What is missing stays missing; the new box goes on behind the last event that is held."""
    office.tap("old", 3)
    first = max(seq for _, seq in stored(office, terminal)) + 1
    station = open_station(office.config("old"), office.clock, office.wire, office.psam)
    station.uplink.resend(first + 2, first + 2)  # this one arrives, those before it never do
    outgoing = station.uplink.plan()
    while outgoing is not None and outgoing.header.first_seq < first + 2:
        outgoing = station.uplink.plan()
    assert outgoing is not None
    station.uplink.exchange(outgoing)
    station.journal.close()
    code = office.replace(terminal)
    office.provision("new", code)
    assert office.approve_new(terminal) == first + 2
    with office.rig.database.reading() as session:
        assert replacement.missing(session, terminal) == [(first, first + 1)]
    assert office.provision("new", code) == "active"

    numbers = office.tap("new", 2)
    sync(office.config("new"), office.clock, office.wire, final=True)
    office.tap("new", 1)

    held = {seq for _, seq in stored(office, terminal)}
    assert min(numbers) > first + 2
    assert set(numbers) <= held
    assert not {first, first + 1} & held
    assert office.rig.forks() == []
    _, state, _ = read_only(office.folder / "new" / JOURNAL)
    assert state.closed is not None
    with office.rig.database.reading() as session:
        assert settlement.compare(session, terminal, state.closed[0]).state == "equal"


def test_the_answer_to_an_earlier_box_is_refused(office: Office, terminal: int) -> None:
    """Enrolment is signed for the key that was shown: an older answer names another's number."""
    answers: list[bytes] = []

    def record(path: str, body: bytes) -> bytes:
        if path.endswith("/enrol"):
            answers.append(body)
        return body

    office.wire.lie = record
    office.provision("second", office.replace(terminal))
    code = office.replace(terminal)
    office.wire.lie = lambda path, body: answers[0] if path.endswith("/enrol") else body
    with pytest.raises(BadAnswer):
        office.provision("third", code)
    office.wire.lie = lambda _path, body: body
    assert office.provision("third", code) == "pending"


def test_a_box_that_asks_again_keeps_its_later_keys(office: Office, terminal: int) -> None:
    """`provision` once more on a box that has changed its key leaves everything as it is."""
    code = office.succeed(terminal)
    renew_key(office.config("new"), office.clock, office.wire)
    before = Passport.load(office.folder / "new")
    assert len(before.changed_keys) == 1

    assert office.provision("new", code) == "active"

    assert Passport.load(office.folder / "new") == before
    assert office.tap("new", 1)
    assert office.upload("new") == 0


def test_the_figures_are_used_once(office: Office, terminal: int) -> None:
    """After its first start the new box lives from its own journal, whatever lies beside it."""
    office.succeed(terminal)
    office.tap("new", 1)
    (office.folder / "new" / SUCCESSION).write_bytes(b"garbage")

    assert len(office.tap("new", 1)) == 1
