# SPDX-License-Identifier: Apache-2.0
"""Boxes that die early, PSAMs that were swapped, a box that forgot who it is: each has a way on."""

from __future__ import annotations

import json
import shutil

import pytest
import sqlalchemy as sa

from keys.usage import DPK_INDEX_SOFT
from server.errors import Refused as ServerRefuses
from server.evidence import LogRecord
from server.ingest.models import StoredEvent, StoredRange
from server.ingest.verdicts import Verdict
from server.people.models import Audit
from server.terminals import enrolment, key_change, policy, psams, services
from server.terminals.models import Psam
from server.terminals.psams import NewPsam
from server.terminals.services import keys_of
from server.transparency.check_trail import enrolment_findings
from terminal.errors import EnrolmentRefused, Refused
from terminal.files import IDENTITY, JOURNAL, PASSPORT
from terminal.passport import Passport
from terminal.sync import renew_key
from tests.integration.office import Office
from tests.integration.server.rig import NOW_MS


@pytest.fixture
def terminal(office: Office) -> int:
    """A terminal in service, its box called "old"."""
    return office.in_service()


def order_more(office: Office, terminal_id: int, number: bytes, *, approve: bool) -> None:
    """Order a further PSAM, and let it in."""
    with office.rig.database.writing() as session:
        new = NewPsam(number, terminal_id, hardware=False, dpk_idx=DPK_INDEX_SOFT)
        psams.propose_psam(session, new, "li", NOW_MS)
        if approve:
            psams.approve_psam(session, number, "wang", NOW_MS)


def revoke(office: Office, terminal_id: int) -> None:
    """End a terminal."""
    with office.rig.database.writing() as session:
        services.revoke(session, terminal_id, "dead", "li", NOW_MS)


def order_second(office: Office) -> tuple[int, str]:
    """Order another terminal."""
    with office.rig.database.writing() as session:
        added, code = enrolment.add_terminal(session, "gate-b", 1, "li", NOW_MS)
        return added.id, code


def state_of(office: Office, number: bytes) -> str | None:
    """Return how a PSAM stands."""
    row = office.psam_row(number)
    return row.state if row else None


def test_the_psam_that_is_shown_last_goes_in(office: Office) -> None:
    """`provision` once more with another PSAM, before the approval: that one counts."""
    _, code = office.order()
    office.provision("old", code)
    first, second = office.psam.number, office.other_psam(0x99)
    assert office.provision("old", code) == "pending"
    terminal = Passport.load(office.folder / "old").terminal_id
    assert state_of(office, first) is None

    office.approve(terminal)
    office.tap("old", 1)
    office.upload("old")
    office.tap("old", 2)
    assert office.upload("old") == 0

    assert state_of(office, second) == "active"
    with office.rig.database.reading() as session:
        verdicts = set(session.scalars(sa.select(StoredEvent.verdict)))
    assert Verdict.UNKNOWN_PSAM not in verdicts


def test_another_psam_after_the_approval_is_ordered(office: Office, terminal: int) -> None:
    """Then `provision` says so, until two people have let it in: `psam add`, `psam approve`."""
    code = office.succeed(terminal)
    number = office.other_psam(0x99)

    with pytest.raises(EnrolmentRefused, match="409"):
        office.provision("new", code)
    order_more(office, terminal, number, approve=False)
    with pytest.raises(EnrolmentRefused, match="409"):
        office.provision("new", code)
    with office.rig.database.writing() as session:
        psams.approve_psam(session, number, "wang", NOW_MS)

    assert office.provision("new", code) == "active"


def test_a_box_dead_before_its_approval_has_another_in_its_place(office: Office) -> None:
    """The letter is printed again; the other box shows its own key and the PSAM moved over."""
    terminal, code = office.order()
    office.provision("old", code)
    shutil.rmtree(office.folder / "old")
    with pytest.raises(ServerRefuses, match="terminal letter"):
        office.replace(terminal)

    again = office.letter(terminal, "li")
    assert state_of(office, office.psam.number) is None
    assert office.provision("second", again) == "pending"
    office.approve(terminal)

    assert office.provision("second", again) == "active"
    assert office.tap("second", 1)
    with office.rig.database.reading() as session:
        assert len(keys_of(session, terminal)) == 1


def test_an_older_letter_of_a_dead_box_is_void(office: Office) -> None:
    """The box that was given up shows itself once more: the newest letter is asked for."""
    terminal, code = office.order()
    office.provision("old", code)
    office.letter(terminal, "li")

    with pytest.raises(EnrolmentRefused, match="409"):
        office.provision("old", code)
    with pytest.raises(ServerRefuses, match="provision"):
        office.approve(terminal)


@pytest.mark.parametrize("approved", [False, True])
def test_a_psam_that_did_nothing_is_enrolled_anew(office: Office, approved: bool) -> None:
    """A terminal revoked before its first upload takes no PSAM with it for good."""
    terminal, code = office.order()
    office.provision("old", code)
    if approved:
        office.approve(terminal)
    revoke(office, terminal)
    with pytest.raises(ServerRefuses, match="revoked"):
        office.letter(terminal, "li")

    second, code = order_second(office)
    assert office.provision("second", code) == "pending"
    with pytest.raises(ServerRefuses, match="two different people"):
        office.approve(second, "li")
    office.approve(second)

    assert office.tap("second", 1)
    row = office.psam_row(office.psam.number)
    assert row is not None
    assert (row.state, row.terminal_id, row.approved_by) == ("active", second, "wang")
    with office.rig.database.reading() as session:
        assert list(enrolment_findings(session)) == []


def test_the_log_tells_of_a_psam_between_two_terminals(office: Office) -> None:
    """While it waits for its new terminal, and if nothing comes of that, the check finds no fault.

    A row that stands for it without an approval is one.
    """
    terminal, code = office.order()
    office.provision("old", code)
    office.approve(terminal)
    revoke(office, terminal)
    second, code = order_second(office)
    office.provision("second", code)
    with office.rig.database.reading() as session:
        assert list(enrolment_findings(session)) == []
        bodies = sa.select(LogRecord.body).where(LogRecord.kind == "psam-freed")
        (freed,) = (json.loads(body) for body in session.scalars(bodies))
    assert freed["number"] == office.psam.number.hex()
    assert (freed["terminal"], freed["by"]) == (terminal, "li")

    with office.rig.database.writing() as session:
        session.get_one(Psam, office.psam.number).state = "active"
    with office.rig.database.reading() as session:
        assert [found.table for found in enrolment_findings(session)] == ["psam"]
    with office.rig.database.writing() as session:
        session.get_one(Psam, office.psam.number).state = "pending"

    office.letter(second, "li")
    assert state_of(office, office.psam.number) is None
    with office.rig.database.reading() as session:
        assert list(enrolment_findings(session)) == []


def test_what_is_stored_counts_though_its_month_was_detached(office: Office) -> None:
    """The table of events has nothing of a terminal any more: it is not taken for one without."""
    terminal, code = office.order()
    office.provision("old", code)
    office.approve(terminal)
    with office.rig.database.writing() as session:
        session.add(StoredRange(terminal_id=terminal, first_seq=1, last_seq=9))
        session.flush()
        assert enrolment.replaces(session, keys_of(session, terminal)[0])
    revoke(office, terminal)
    _, code = order_second(office)

    with pytest.raises(EnrolmentRefused, match="409"):
        office.provision("second", code)


def test_a_psam_of_a_successor_that_did_nothing_is_free(office: Office, terminal: int) -> None:
    """What the box before had stored is none of it: it counts from its own first number."""
    number = office.other_psam(0x99)
    office.succeed(terminal)
    revoke(office, terminal)

    _, code = order_second(office)
    assert office.provision("second", code) == "pending"
    assert state_of(office, number) == "pending"


def test_a_psam_that_proved_taps_stays_revoked(office: Office, terminal: int) -> None:
    """It goes with its terminal: neither a box nor `psam add` brings it back."""
    revoke(office, terminal)
    second, code = order_second(office)

    with pytest.raises(EnrolmentRefused, match="409"):
        office.provision("second", code)
    with pytest.raises(ServerRefuses, match="enrolled already"):
        order_more(office, second, office.psam.number, approve=True)


@pytest.mark.parametrize("changed", [False, True])
def test_a_letter_tells_a_box_again_who_it_is(office: Office, terminal: int, changed: bool) -> None:
    """`terminal.json` and the first letter are gone, key and journal are there: nothing ends."""
    office.tap("old", 2)
    if changed:
        renew_key(office.config("old"), office.clock, office.wire)
        office.tap("old", 1)
    before = Passport.load(office.folder / "old")
    (office.folder / "old" / PASSPORT).unlink()

    code = office.letter(terminal, "li")
    assert office.provision("old", code) == "active"

    assert Passport.load(office.folder / "old") == before
    office.tap("old", 1)
    assert office.upload("old") == 0
    assert office.rig.forks() == []
    with office.rig.database.reading() as session:
        assert [key.until_seq is None for key in keys_of(session, terminal)].count(True) == 1


def test_an_order_made_by_mistake_tells_it_too(office: Office, terminal: int) -> None:
    """Staff ordered a new box for one that had only forgotten itself: it goes on, none is ended."""
    (office.folder / "old" / PASSPORT).unlink()

    assert office.provision("old", office.replace(terminal)) == "active"

    office.tap("old", 1)
    assert office.upload("old") == 0
    with pytest.raises(ServerRefuses, match="show"):
        office.approve_new(terminal)


def test_a_letter_for_a_terminal_in_service_lets_no_box_in(office: Office, terminal: int) -> None:
    """Another box with that letter is refused, and told which letter it takes."""
    code = office.letter(terminal, "wang")

    with pytest.raises(EnrolmentRefused, match="409"):
        office.provision("ghost", code)
    with office.rig.database.reading() as session:
        assert len(keys_of(session, terminal)) == 1
    assert office.provision("new", office.replace(terminal)) == "pending"


def test_a_letter_does_not_undo_a_replacement_under_way(office: Office, terminal: int) -> None:
    """Ordered, and then shown: `terminal letter` sends to `fleet replace`; afterwards it serves."""
    code = office.replace(terminal)
    with pytest.raises(ServerRefuses, match="fleet replace"):
        office.letter(terminal, "li")
    office.provision("new", code)
    with pytest.raises(ServerRefuses, match="fleet replace"):
        office.letter(terminal, "li")
    office.approve_new(terminal)
    office.provision("new", code)
    office.tap("new", 1)
    office.upload("new")

    (office.folder / "new" / PASSPORT).unlink()
    assert office.provision("new", office.letter(terminal, "li")) == "active"
    assert office.tap("new", 1)


def test_a_box_whose_key_has_ended_is_told_nothing(office: Office, terminal: int) -> None:
    """Its letter sends it to a replacement."""
    with office.rig.database.writing() as session:
        key_change.end_key(session, keys_of(session, terminal)[0].id, 99, "copied", ("li", NOW_MS))

    with pytest.raises(EnrolmentRefused, match="409"):
        office.provision("old", office.letter(terminal, "li"))


@pytest.mark.parametrize("changed", [False, True])
def test_without_its_journal_a_box_does_not_begin_anew(
    office: Office, terminal: int, changed: bool
) -> None:
    """The server holds events of it: no number is given twice; a new key takes its own place."""
    folder = office.folder / "old"
    if changed:
        renew_key(office.config("old"), office.clock, office.wire)
        office.upload("old")
    (folder / JOURNAL).unlink()

    with pytest.raises(Refused, match="404"):
        office.provision("old", office.letter(terminal, "li"))
    assert not (folder / JOURNAL).exists()

    (folder / IDENTITY).rename(folder / "identity.lost")
    code = office.replace(terminal)
    assert office.provision("old", code) == "pending"
    office.approve_new(terminal)
    assert office.provision("old", code) == "active"
    office.tap("old", 1)
    assert office.upload("old") == 0
    assert office.rig.forks() == []


def test_a_psam_set_apart_comes_back_by_another_person(office: Office, terminal: int) -> None:
    """Who ordered it does not; the other does, with a reason, on audit trail and public log."""
    number = office.psam.number
    with office.rig.database.writing() as session:
        with pytest.raises(ServerRefuses, match="not set apart"):
            psams.release_psam(session, number, "?", "wang", NOW_MS)
        held = session.get_one(Psam, number)
        held.state, held.gap_flags = "quarantined", 3
    with (
        office.rig.database.writing() as session,
        pytest.raises(ServerRefuses, match="two different people"),
    ):
        psams.release_psam(session, number, "mine", " LI", NOW_MS)

    with office.rig.database.writing() as session:
        psams.release_psam(session, number, "tried at the bench", "wang", NOW_MS)

    row = office.psam_row(number)
    assert row is not None
    assert (row.state, row.gap_flags, row.approved_by) == ("active", 0, "wang")
    with office.rig.database.reading() as session:
        line = session.scalars(sa.select(Audit).order_by(Audit.id.desc()).limit(1)).one()
        told = (line.action, line.actor, line.detail)
        kinds = session.scalars(sa.select(LogRecord.kind).order_by(LogRecord.leaf_index)).all()
        assert list(enrolment_findings(session)) == []
    assert told == ("psam.released", "wang", {"reason": "tried at the bench"})
    assert kinds[-1] == "psam-release"
    assert office.tap("old", 1)
    assert office.upload("old") == 0


def test_a_released_psam_stays_in(
    office: Office, terminal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it tapped while it was set apart is no jump: the first taps afterwards count as ever."""
    monkeypatch.setattr(policy, "PSAM_GAP_FLAGGED", 1)
    monkeypatch.setattr(policy, "PSAM_GAP_QUARANTINED", 3)
    number = office.psam.number
    with office.rig.database.writing() as session:
        session.get_one(Psam, number).state = "quarantined"
    apart = office.tap("old", 6)
    office.upload("old")
    with office.rig.database.writing() as session:
        psams.release_psam(session, number, "tried at the bench", "wang", NOW_MS)
    back = office.tap("old", 1)
    office.upload("old")
    back += office.tap("old", 1)
    office.upload("old")

    row = office.psam_row(number)
    assert row is not None
    assert (row.state, row.gap_flags) == ("active", 0)
    with office.rig.database.reading() as session:
        told = session.execute(sa.select(StoredEvent.seq, StoredEvent.verdict))
        verdicts = {seq: Verdict(verdict) for seq, verdict in told}
    assert {verdicts[seq] for seq in apart} == {Verdict.UNKNOWN_PSAM}
    assert {verdicts[seq] for seq in back} == {Verdict.UNKNOWN_CARD}, "this office registers none"
