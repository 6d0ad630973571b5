# SPDX-License-Identifier: Apache-2.0
"""The disk of a dead box is read after its replacement was let in: it fills holes, no more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from keys.identity import Identity
from keys.psam import SoftwarePsam
from server.cli import cli, load_features
from server.fleet import services as fleet
from server.ingest import chain, proofs
from server.ingest.alarms import alarms as find_alarms
from server.ingest.boxes import NUMBER_BITS
from server.ingest.importing import Imported, import_stick
from server.ingest.models import ChainState, RefusedBatch, StoredEvent
from server.ingest.services import Answer, Upload, accept_batch
from server.ingest.verdicts import Verdict
from server.people.models import Audit
from server.terminals.models import Psam, Terminal
from server.terminals.policy import PSAM_GAP_QUARANTINED
from server.terminals.services import revoke
from server.transparency import check_batches
from swipe.batch import BatchStamp, build_batch
from swipe.event import Event, sign
from swipe.frames import FILE_HEADER_SIZE, FrameKind, FrameReader
from swipe.kinds import BatchKind, ReceiptStatus
from swipe.receipt import Receipt
from swipe.stick import RECEIPTS, folder_name
from terminal.errors import Refused, SuccessionRefused
from terminal.files import IDENTITY
from terminal.station import open_station
from terminal.stick import export_usb, import_receipts
from tests.integration.office import Office
from tests.integration.server.rig import NOW_MS


class Dead:
    """A box that died: the server lacks some of its events, and holds a later one."""

    def __init__(self, office: Office, terminal: int) -> None:
        self.office, self.terminal = office, terminal
        office.tap("old", 3)
        self.first = max(held(office, terminal)) + 1
        station = open_station(office.config("old"), office.clock, office.wire, office.psam)
        station.uplink.resend(self.first + 2, self.first + 2)
        outgoing = station.uplink.plan()
        while outgoing is not None and outgoing.header.first_seq < self.first + 2:
            outgoing = station.uplink.plan()
        assert outgoing is not None
        station.uplink.exchange(outgoing)
        station.journal.close()
        office.tap("old", 2)
        self.last = self.first + 2
        self.code = office.replace(terminal)
        office.provision("new", self.code)

    def approve(self) -> None:
        """Let the new box in."""
        assert self.office.approve_new(self.terminal) == self.last

    def stick(self, name: str = "stick") -> Path:
        """Write what the old disk has left on a stick."""
        folder = self.office.folder / name
        folder.mkdir(exist_ok=True)
        export_usb(self.office.config("old"), self.office.clock, folder)
        return folder

    def take(self, stick: Path) -> Imported:
        """Let the server take a stick."""
        rig = self.office.rig
        (found,) = import_stick(rig.intake, stick, rig.clock.now_ms)
        return found

    def receipts(self, stick: Path) -> list[Receipt]:
        """Read the receipts that the server left on a stick."""
        with (stick / folder_name(self.terminal) / RECEIPTS).open("rb") as file:
            file.seek(FILE_HEADER_SIZE)
            bodies = [item.body for item in FrameReader(file) if item.kind == FrameKind.RECEIPT]
        return [Receipt.from_bytes(body) for body in bodies]


@pytest.fixture
def dead(office: Office, terminal: int) -> Dead:
    """A box that died with a hole; its replacement has been let in and has not begun."""
    found = Dead(office, terminal)
    found.approve()
    return found


def held(office: Office, terminal: int) -> dict[int, tuple[Verdict, bytes]]:
    """Return verdict and bytes of what the server holds, by number."""
    statement = sa.select(StoredEvent.seq, StoredEvent.verdict, StoredEvent.raw)
    with office.rig.database.reading() as session:
        rows = session.execute(statement.where(StoredEvent.terminal_id == terminal))
        return {seq: (Verdict(verdict), bytes(raw)) for seq, verdict, raw in rows}


def is_in_order(office: Office, terminal: int) -> bool:
    """Say whether nothing is suspect: no fork, no bad signature, state, batches and receipts."""
    with office.rig.database.reading() as session:
        active = session.get_one(Terminal, terminal).state == "active"
        own = {1: office.rig.server_identity.public_key}
        wrong = list(check_batches.findings(session, own))
    verdicts = {verdict for verdict, _ in held(office, terminal).values()}
    right = verdicts <= {Verdict.OK, Verdict.SYSTEM, Verdict.UNKNOWN_CARD}
    return active and right and not wrong and not office.rig.forks()


@pytest.mark.parametrize("begun", [False, True], ids=["before the new box", "behind it"])
def test_the_hole_is_filled_and_nothing_else_taken(dead: Dead, begun: bool) -> None:
    """Events up to the end are stored whole; the numbers behind stay the new box's, who goes on.

    The old disk's batch has a number that the new box has used too.
    """
    office, terminal = dead.office, dead.terminal
    if begun:
        assert office.provision("new", dead.code) == "active"
        office.tap("new", 2)
        assert office.upload("new") == 0
    before = held(office, terminal)
    found = dead.take(dead.stick())

    after = held(office, terminal)
    assert set(after) - set(before) == {dead.first, dead.first + 1}
    assert {seq: after[seq] for seq in before} == before
    assert (found.stored, found.events, found.refused) == (1, 2, {})
    (left_out,) = found.left_out.values()
    assert left_out.startswith(f"{dead.last + 1}–")
    assert office.provision("new", dead.code) == "active"
    office.tap("new", 1)
    assert office.upload("new") == 0
    assert is_in_order(office, terminal)
    whole = held(office, terminal)
    assert sorted(whole) == list(range(1, len(whole) + 1))


@pytest.mark.parametrize("begun", [False, True], ids=["before the new box", "behind it"])
def test_the_receipt_tells_the_old_disk_what_is_stored(dead: Dead, begun: bool) -> None:
    """It covers up to the end and names the rest as missing: nothing of the new box's is promised.

    The same stick again gives the same receipt and tells the same.
    """
    office = dead.office
    if begun:
        office.provision("new", dead.code)
        office.tap("new", 30)
        office.upload("new")
    stick = dead.stick()
    first = dead.take(stick)
    (receipt,) = dead.receipts(stick)
    again = dead.take(stick)

    assert (receipt.up_to_seq, receipt.status) == (dead.last, ReceiptStatus.GAP)
    left = int(next(iter(first.left_out.values())).split("–")[1])
    assert receipt.missing == range(dead.last + 1, left + 1)
    assert (again.stored, again.replayed, again.events) == (0, 1, 0)
    assert again.left_out == first.left_out
    assert dead.receipts(stick) == [receipt]
    back = import_receipts(office.config("old"), office.clock, stick)[0]
    assert (back.accepted, back.refused) == (1, ())
    station = open_station(office.config("old"), office.clock, office.wire, office.psam)
    covered = station.journal.state.covered
    station.journal.close()
    assert covered == dead.last


def test_what_was_left_out_is_written_down(dead: Dead) -> None:
    """The audit trail tells what was stored and what not; the batch is kept as it came."""
    office = dead.office
    found = dead.take(dead.stick())
    left = int(next(iter(found.left_out.values())).split("–")[1])

    with office.rig.database.reading() as session:
        statement = sa.select(Audit).where(Audit.action == "terminal.old-box-upload")
        detail = session.scalars(statement).one().detail
        kept = session.scalars(sa.select(RefusedBatch.terminal_id)).all()
    assert detail["stored"] == 2
    assert detail["up_to"] == dead.last
    assert detail["left_out"] == [dead.last + 1, left]
    assert kept == [dead.terminal]


def test_a_batch_of_the_new_box_s_numbers_is_refused(dead: Dead) -> None:
    """With the hole filled the old box has nothing to say; the answer tells what became of it."""
    office = dead.office
    stick = dead.stick()
    dead.take(stick)
    import_receipts(office.config("old"), office.clock, stick)
    before = held(office, dead.terminal)

    with pytest.raises(Refused, match="box-replaced"):
        office.upload("old")
    assert held(office, dead.terminal) == before
    assert is_in_order(office, dead.terminal)


def test_the_old_box_tells_nothing_of_the_new_one(dead: Dead) -> None:
    """What the old disk says of unsent events is not the new box's, nor is it heard of."""
    office = dead.office
    office.provision("new", dead.code)
    office.tap("new", 1)
    office.upload("new")
    with office.rig.database.reading() as session:
        told = session.get_one(Terminal, dead.terminal)
        before = (told.unsent, told.last_contact_ms)
    office.pass_time(3_600)
    dead.take(dead.stick())

    with office.rig.database.reading() as session:
        told = session.get_one(Terminal, dead.terminal)
        assert (told.unsent, told.last_contact_ms) == before


def test_staff_hear_before_the_approval_what_it_ends(office: Office, terminal: int) -> None:
    """`fleet show` names the end and the holes while the old box's disk can still be imported."""
    load_features()
    dead = Dead(office, terminal)
    url = office.rig.database.url.render_as_string(hide_password=False)
    environment = {"YIKA_DATA_DIR": str(office.folder), "YIKA_DATABASE_URL": url}
    told = CliRunner(env=environment).invoke(cli, ["fleet", "show", str(terminal)])
    dead.approve()
    after = CliRunner(env=environment).invoke(cli, ["fleet", "show", str(terminal), "--json"])

    assert told.exit_code == 0, told.output
    assert f"ends at {dead.last}" in told.stdout
    assert f"missing {dead.first}–{dead.first + 1}" in told.stdout
    assert json.loads(after.stdout)["replacement"] is None


def _other_content(
    dead: Dead, seq: int, batch_no: int, box: str = "old", later_ms: int = 1
) -> Answer:
    """Upload a second content of an event, signed with a box's key; the same if 0 ms later."""
    office = dead.office
    station = open_station(office.config(box), office.clock, office.wire, office.psam)
    event = Event.from_bytes(station.journal.event(seq))
    station.journal.close()
    identity = Identity.load(office.folder / box / IDENTITY)
    again = sign(replace(event, up_ms=(event.up_ms + later_ms) % 1000), identity)
    stamp = BatchStamp(kind=BatchKind.LIVE, key_id=event.key_id, batch_no=batch_no, utc_ms=0)
    body = build_batch(stamp, [again.to_bytes()], identity)
    return accept_batch(
        office.rig.intake, Upload(dead.terminal, batch_no, body, office.rig.clock.now_ms)
    )


def test_a_replaced_box_forks_nothing(dead: Dead) -> None:
    """Another content under one of its numbers is evidence; the box in service goes on as ever.

    Whoever has the old box, or a disk that numbered again, sets no terminal apart; the audit trail
    tells of it once.
    """
    office, terminal = dead.office, dead.terminal
    assert office.provision("new", dead.code) == "active"
    office.tap("new", 1)
    office.upload("new")

    for number in (999, 1_000):
        answer = _other_content(dead, 3, number)
        assert answer.status == 422
        assert answer.problem is not None
        assert (answer.problem.kind, answer.problem.facts["seq"]) == ("old-box-fork", 3)
    office.tap("new", 2)
    assert office.upload("new") == 0

    assert office.rig.forks() == [(3, "old-box")]
    with office.rig.database.reading() as session:
        assert session.get_one(Terminal, terminal).state == "active"
        assert session.get_one(ChainState, terminal).forked_from is None
        told = session.scalars(sa.select(Audit).where(Audit.action == "terminal.old-box-fork"))
        assert [line.detail["seq"] for line in told] == [3]
        assert len(session.scalars(sa.select(RefusedBatch.sha256)).all()) == 1
    verdicts = {verdict for verdict, _ in held(office, terminal).values()}
    assert Verdict.FORKED not in verdicts


def test_evidence_of_a_replaced_box_takes_no_room(
    dead: Dead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much of it there is, a fork of the box in service is still kept, and acted on."""
    monkeypatch.setattr(chain, "EVIDENCE_MAX", 1)
    assert dead.office.provision("new", dead.code) == "active"
    (own,) = dead.office.tap("new", 1)
    dead.office.upload("new")
    for number, seq in enumerate((3, 4), 999):
        _other_content(dead, seq, number)
    assert dead.office.rig.forks() == [(3, "old-box")]

    answer = _other_content(dead, own, 999, box="new")
    assert answer.problem is not None
    assert answer.problem.kind == "fork"
    assert dead.office.rig.forks() == [(3, "old-box"), (own, "fork")]


def test_a_second_successor_goes_on_behind_the_first_one_s_numbers(dead: Dead) -> None:
    """A stick of the first box, taken last, has a small number: it leads the third box nowhere."""
    office, terminal = dead.office, dead.terminal
    assert office.provision("new", dead.code) == "active"
    for _ in range(6):
        office.tap("new", 1)
        office.upload("new")
    dead.take(dead.stick())

    code = office.replace(terminal)
    office.provision("third", code)
    office.approve_new(terminal)
    assert office.provision("third", code) == "active"
    office.tap("third", 2)

    assert office.upload("third") == 0
    assert is_in_order(office, terminal)
    with office.rig.database.reading() as session:
        kept = session.scalars(sa.select(RefusedBatch.sha256)).all()
    assert len(kept) == 1, "the stick, of which some is left out; no number was used twice"


def test_a_number_that_was_made_up_leads_a_successor_nowhere(office: Office, terminal: int) -> None:
    """Whoever has a box's key may use up the highest number; behind it no batch could be built."""
    dead = Dead(office, terminal)
    assert _other_content(dead, 3, (1 << NUMBER_BITS) - 1, later_ms=0).status == 200
    dead.approve()

    assert office.provision("new", dead.code) == "active"
    office.tap("new", 1)
    assert office.upload("new") == 0


def _skip(office: Office, count: int) -> None:
    """Let the PSAM give out numbers that no box here holds."""
    assert isinstance(office.psam, SoftwarePsam)
    for _ in range(count):
        office.psam._counter.step()


def _psam(office: Office) -> tuple[str, int]:
    """Return state and flags of the one PSAM."""
    with office.rig.database.reading() as session:
        found = session.scalars(sa.select(Psam).where(Psam.number == office.psam.number)).one()
        return found.state, found.gap_flags


def _alarms(office: Office, terminal: int) -> tuple[list[str], list[str]]:
    """Return the alarms about a PSAM set apart, at ingest and of the fleet."""
    with office.rig.database.reading() as session:
        now_ms = office.rig.clock.now_ms
        heard = [one.kind for one in find_alarms(session, now_ms) if one.kind == "psam"]
        told = [one.code for one in fleet.one(session, terminal, now_ms).alarms]
    return heard, [code for code in told if code == "psam-apart"]


def test_a_moved_psam_is_not_set_apart_for_what_died_with_the_box(
    office: Office, terminal: int
) -> None:
    """A box dies with more taps than a PSAM may skip; its taps in the next box count as ever.

    The hole is flagged once, and nobody is called.
    """
    _skip(office, PSAM_GAP_QUARANTINED + 100)
    office.succeed(terminal)
    office.tap("new", 2)
    office.upload("new")
    office.tap("new", 2)
    office.upload("new")

    assert _psam(office) == ("active", 1)
    assert is_in_order(office, terminal)
    assert _alarms(office, terminal) == ([], [])


def test_a_psam_that_jumps_within_one_box_is_set_apart_and_staff_hear(
    office: Office, terminal: int
) -> None:
    """Between two taps of one box the same jump sets it apart; alarms say so and what to do."""
    office.succeed(terminal)
    office.tap("new", 1)
    office.upload("new")
    _skip(office, PSAM_GAP_QUARANTINED + 100)
    office.tap("new", 1)
    office.upload("new")

    assert _psam(office)[0] == "quarantined"
    assert _alarms(office, terminal) == (["psam"], ["psam-apart"])
    with office.rig.database.reading() as session:
        (told,) = (one for one in find_alarms(session, NOW_MS) if one.kind == "psam")
    for text in (told.zh, told.en):
        assert f"psam release {office.psam.number.hex()} --reason" in text
    with office.rig.database.writing() as session:
        revoke(session, terminal, "gone", "li", NOW_MS)
    assert _alarms(office, terminal) == ([], []), "with the terminal ends the alarm"


def test_an_upload_that_loses_to_the_approval_stores_nothing(
    office: Office, terminal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old box uploads while somebody approves: what was weighed before is weighed again."""
    code = office.replace(terminal)
    office.provision("new", code)
    office.tap("old", 2)
    weigh, approvals = proofs.weigh, iter([True])

    def approve_meanwhile(*given: Any) -> Any:
        weighed = weigh(*given)
        if next(approvals, False):
            office.approve_new(terminal)
        return weighed

    monkeypatch.setattr(proofs, "weigh", approve_meanwhile)
    before = held(office, terminal)
    with pytest.raises(Refused, match="box-replaced"):
        office.upload("old")

    assert held(office, terminal) == before
    assert office.provision("new", code) == "active"
    office.tap("new", 1)
    assert office.upload("new") == 0
    assert is_in_order(office, terminal)


def test_an_upload_that_loses_to_a_psam_set_apart_is_weighed_again(
    office: Office, terminal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PSAM that is set apart while its taps are weighed gives none of them credit any more."""
    numbers = office.tap("old", 1)
    weigh, times = proofs.weigh, iter([True])

    def set_apart_meanwhile(*given: Any) -> Any:
        weighed = weigh(*given)
        if next(times, False):
            with office.rig.database.writing() as session:
                session.get_one(Psam, office.psam.number).state = "quarantined"
        return weighed

    monkeypatch.setattr(proofs, "weigh", set_apart_meanwhile)
    assert office.upload("old") == 0

    after = held(office, terminal)
    assert [after[seq][0] for seq in numbers] == [Verdict.UNKNOWN_PSAM]


def test_a_new_box_that_cannot_go_on_is_told_why(office: Office, terminal: int) -> None:
    """Once its events are there, a box without its journal hears what happened and what to do."""
    code = office.succeed(terminal)
    office.tap("new", 1)
    office.upload("new")
    for kept in (office.folder / "new").iterdir():
        if kept.name not in ("identity.pem", "passport.json"):
            kept.unlink()

    with pytest.raises(SuccessionRefused, match="fleet replace") as caught:
        office.provision("new", code)
    assert "batch number" not in str(caught.value)
