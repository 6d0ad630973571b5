# SPDX-License-Identifier: Apache-2.0
"""The life of terminals and PSAMs: two people, one token, evidence of both."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.usage import DPK_INDEX_PSAM, DPK_INDEX_SOFT
from server import evidence
from server.db import Database
from server.errors import Problem, Refused
from server.evidence import LogRecord, LogState
from server.ingest.overview import fork_count, holdings, receipt_ms
from server.ingest.verdicts import Verdict
from server.people import audit
from server.people.models import Audit
from server.terminals import enrolment, policy, psams, services
from server.terminals.enrolment import Enrolment
from server.terminals.models import Psam, Terminal, TerminalKey
from server.terminals.psams import NewPsam
from server.terminals.services import NewActivity, NewSite
from swipe import merkle
from swipe.requests import ENROL_CONTEXT
from tests.factories import KEY_ID, PSAM_NO, TERMINAL_ID, make_identity
from tests.integration.server.rig import NOW_MS, Rig

NUMBER = bytes.fromhex("880000000321")


@pytest.fixture
def session(sqlite_database: Database) -> Any:
    """A unit of work in a database with one site."""
    with sqlite_database.writing() as opened:
        services.add_site(opened, NewSite("一站", "Site one"), "li", NOW_MS)
        yield opened


def shown(token: str, **changes: Any) -> Enrolment:
    """Return what a terminal shows with a token."""
    identity = changes.pop("identity", None) or make_identity("pos-x")
    values: dict[str, Any] = {
        "token": token, "public_key": identity.public_key, "psam_no": NUMBER, "hardware": True,
        "dpk_idx": DPK_INDEX_PSAM,
    }  # fmt: skip
    unsigned = Enrolment(**(values | changes))
    signature = identity.sign(ENROL_CONTEXT, unsigned.message)
    return replace(unsigned, signature=signature)


def ordered(session: Session) -> tuple[Terminal, str]:
    """Order a terminal."""
    return enrolment.add_terminal(session, "pos-x", 1, "li", NOW_MS)


def renewed(session: Session, terminal: Terminal) -> str:
    """Order a new box for a terminal, as `fleet replace` does."""
    code = enrolment.new_token(session, terminal.id, NOW_MS)
    audit.record(session, NOW_MS, "li", "replacement.ordered", f"terminal:{terminal.id}")
    return code


def test_approval_takes_another_person(session: Session) -> None:
    """Who ordered a terminal cannot approve it; another person can, once it has shown its key."""
    terminal, token = ordered(session)
    with pytest.raises(Refused, match="provision"):
        enrolment.approve(session, terminal.id, "wang", NOW_MS)
    enrolment.enrol(session, shown(token), NOW_MS)
    with pytest.raises(Refused, match="two different people"):
        enrolment.approve(session, terminal.id, "Li", NOW_MS)

    enrolment.approve(session, terminal.id, "wang", NOW_MS)

    assert (terminal.state, terminal.approved_by) == ("active", "wang")
    assert session.get_one(Psam, NUMBER).state == "active"
    with pytest.raises(Refused, match="active"):
        enrolment.approve(session, terminal.id, "wang", NOW_MS)


def test_approval_is_in_log_and_audit(session: Session) -> None:
    """Key and PSAM of an approved terminal are leaves of the public log, with both people."""
    terminal, token = ordered(session)
    enrolment.enrol(session, shown(token), NOW_MS)
    enrolment.approve(session, terminal.id, "wang", NOW_MS)
    session.flush()

    records = session.scalars(sa.select(LogRecord).order_by(LogRecord.leaf_index)).all()
    state = session.get_one(LogState, 1)
    leaves = [hashlib.sha256(evidence.RECORD_CONTEXT + record.body).digest() for record in records]

    assert [record.kind for record in records] == ["terminal-key", "psam"]
    assert all(b'"ordered_by":"li"' in record.body for record in records)
    assert merkle.CompactRange.from_bytes(state.frontier).root() == merkle.root(leaves)
    actions = session.scalars(sa.select(Audit.action).order_by(Audit.id)).all()
    assert actions[-4:] == [
        "terminal.ordered", "terminal.enrolled", "psam.approved", "terminal.approved",
    ]  # fmt: skip


def test_token_serves_one_device(session: Session) -> None:
    """The same device may ask again with its token; another device is refused."""
    _, token = ordered(session)
    _, key = enrolment.enrol(session, shown(token), NOW_MS)

    assert enrolment.enrol(session, shown(token), NOW_MS + policy.TOKEN_LIFETIME_MS + 1)[1] is key
    with pytest.raises(Problem) as caught:
        enrolment.enrol(session, shown(token, identity=make_identity("other")), NOW_MS)
    assert (caught.value.status, caught.value.kind) == (409, "token-used")


def test_token_expires(session: Session) -> None:
    """A token that was not used within a week is void."""
    _, token = ordered(session)

    with pytest.raises(Problem) as caught:
        enrolment.enrol(session, shown(token), NOW_MS + policy.TOKEN_LIFETIME_MS + 1)
    assert caught.value.status == 401


def test_token_is_kept_as_hash_only(session: Session) -> None:
    """The database does not know the token."""
    _, token = ordered(session)
    session.flush()

    row = session.execute(sa.text("SELECT * FROM enrol_token")).one()
    assert token not in repr(row)
    assert hashlib.sha256(token.replace("-", "").encode()).digest() in [
        bytes(c) if isinstance(c, bytes) else c for c in row
    ]


@pytest.mark.parametrize("same", ["identity", "psam_no"])
def test_key_or_psam_of_another_terminal_is_refused(session: Session, same: str) -> None:
    """Neither a key nor a PSAM is enrolled twice."""
    _, first = ordered(session)
    enrolment.enrol(session, shown(first), NOW_MS)
    _, second = enrolment.add_terminal(session, "pos-y", 1, "li", NOW_MS)
    fresh = {"identity": make_identity("other"), "psam_no": bytes.fromhex("880000000322")}
    del fresh[same]

    with pytest.raises(Problem) as caught:
        enrolment.enrol(session, shown(second, **fresh), NOW_MS)
    assert (caught.value.status, caught.value.kind) == (409, "already-enrolled")


def test_a_psam_that_is_set_apart_comes_back_in_no_box(session: Session) -> None:
    """A new box of the terminal is told to have another one put in, or to have it released."""
    terminal, first = ordered(session)
    enrolment.enrol(session, shown(first), NOW_MS)
    enrolment.approve(session, terminal.id, "wang", NOW_MS)
    session.get_one(Psam, NUMBER).state = "quarantined"
    again = renewed(session, terminal)

    with pytest.raises(Problem) as caught:
        enrolment.enrol(session, shown(again, identity=make_identity("second")), NOW_MS)
    assert (caught.value.status, caught.value.kind) == (409, "psam-set-apart")
    psams.release_psam(session, NUMBER, "swapped at the bench", "wang", NOW_MS)
    assert enrolment.enrol(session, shown(again, identity=make_identity("second")), NOW_MS)


def test_further_psam_takes_two_people(session: Session) -> None:
    """A further PSAM counts once another person approves it."""
    terminal, token = ordered(session)
    enrolment.enrol(session, shown(token), NOW_MS)
    number = bytes.fromhex("880000000400")
    new = NewPsam(number, terminal.id, hardware=False, dpk_idx=DPK_INDEX_SOFT, from_seq=40)
    psam = psams.propose_psam(session, new, "li", NOW_MS)
    assert psam.state == "pending"
    with pytest.raises(Refused, match="two different people"):
        psams.approve_psam(session, number, "li", NOW_MS)

    psams.approve_psam(session, number, "wang", NOW_MS)

    assert (psam.state, psam.from_seq) == ("active", 40)
    with pytest.raises(Refused, match="waiting"):
        psams.approve_psam(session, number, "wang", NOW_MS)
    with pytest.raises(Refused, match="already"):
        psams.propose_psam(session, new, "li", NOW_MS)


@pytest.mark.parametrize(
    ("number", "hardware", "dpk_idx"),
    [(NUMBER, True, DPK_INDEX_SOFT), (NUMBER, False, DPK_INDEX_PSAM), (bytes(6), True, 1)],
)
def test_psam_index_must_fit_its_kind(number: bytes, hardware: bool, dpk_idx: int) -> None:
    """Hardware has key index 01, software 82, and number zero is none."""
    with pytest.raises(Refused):
        psams.check_psam(number, hardware=hardware, dpk_idx=dpk_idx)


def test_name_is_taken_once(session: Session) -> None:
    """Two terminals do not share a name; a site must exist."""
    ordered(session)

    with pytest.raises(Refused, match="already"):
        ordered(session)
    with pytest.raises(Refused, match="no site"):
        enrolment.add_terminal(session, "pos-z", 99, "li", NOW_MS)


def test_site_and_activity_are_checked(session: Session) -> None:
    """A zone that does not exist and a plan that ends before it starts are refused."""
    with pytest.raises(Refused, match="tz_q"):
        services.add_site(session, NewSite("x", "x", 57), "li", NOW_MS)
    with pytest.raises(Refused, match="ends after"):
        services.add_activity(session, NewActivity(1, "A", "x", "x", 5, 5), "li", NOW_MS)


def test_revoked_terminal_loses_keys_and_psams(rig: Rig) -> None:
    """Revoking a terminal revokes its keys and PSAMs."""
    with rig.database.writing() as session:
        services.revoke(session, TERMINAL_ID, "stolen", "li", NOW_MS)

    with rig.database.reading() as session:
        assert session.get_one(TerminalKey, KEY_ID).revoked_ms == NOW_MS
        assert session.get_one(Psam, PSAM_NO).state == "revoked"


def test_released_terminal_counts_from_zero(rig: Rig) -> None:
    """After somebody has looked, a quarantined terminal is active with no bad proofs counted."""
    rig.upload(rig.chain(10, changes=[{"dpk_idx": DPK_INDEX_SOFT}] * 10))
    with rig.database.writing() as session:
        services.release(session, TERMINAL_ID, "li", NOW_MS)
        with pytest.raises(Refused, match="not quarantined"):
            services.release(session, TERMINAL_ID, "li", NOW_MS)

    assert (rig.terminal().state, rig.terminal().bad_proofs) == ("active", 0)


def test_overview_shows_contact_silence_and_gaps(rig: Rig) -> None:
    """Staff see when a terminal was last heard of, whether it is silent, and what is missing."""
    events = rig.chain(6)
    rig.upload(events[:2], 1)
    receipt = rig.receipt(events[4:], 2)

    with rig.database.reading() as session:
        now = services.overview(session, NOW_MS)[0]
        later = services.overview(session, NOW_MS + policy.SILENT_AFTER_MS + 1)[0]
        held = holdings(session)[TERMINAL_ID]
        assert receipt_ms(session, TERMINAL_ID, receipt.anchor) == NOW_MS
        assert receipt_ms(session, TERMINAL_ID, bytes(8)) is None
        assert fork_count(session, TERMINAL_ID) == 0

    assert (now.last_contact_ms, now.unsent, now.silent, later.silent) == (NOW_MS, 0, False, True)
    assert (held.up_to, held.missing_from, held.missing, held.highest, held.events) == (
        2,
        3,
        2,
        6,
        4,
    )


def test_pending_terminal_is_not_called_silent(session: Session) -> None:
    """A terminal that waits for approval cannot have spoken yet."""
    ordered(session)

    assert not services.overview(session, NOW_MS)[0].silent


def test_log_goes_on_after_enrolment(rig: Rig) -> None:
    """Enrolments and events are leaves of one log, numbered without a gap."""
    with rig.database.writing() as session:
        evidence.append_record(session, NOW_MS, "psam", {"number": "00"})

    receipt = rig.receipt(rig.chain(2))

    assert receipt.log_size == 3
    assert set(rig.verdicts().values()) == {Verdict.OK}
