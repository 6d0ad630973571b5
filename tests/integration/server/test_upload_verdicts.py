# SPDX-License-Identifier: Apache-2.0
"""The server's verdict on single events: proofs, cards, PSAMs, every covered byte."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from keys.usage import DPK_INDEX_SOFT
from server.ingest.endings import ENDED
from server.ingest.models import StoredEvent
from server.ingest.verdicts import Proof, Verdict
from server.people.models import Audit
from server.terminals.models import Psam, TerminalKey
from swipe.event import EVENT_LAYOUT, EVENT_SIGNED, Event, sign
from swipe.kinds import CardKind, CgType, EventType, RejectReason, Result
from swipe.payloads import build
from tests.factories import CARD_ASN, PSAM_NO, TERMINAL_ID, make_event
from tests.integration.server.rig import Rig, psam, resigned

FULL = Proof.SIGNATURE | Proof.TAC | Proof.MAC2 | Proof.CG2 | Proof.HARDWARE
# The only signed field that no proof of the card covers: a hint where its previous tap was.
NOT_COVERED = {"card_acc"}


def proof_of(rig: Rig, seq: int = 1) -> Proof:
    """Return the stored proof bits of an event."""
    with rig.database.reading() as session:
        statement = sa.select(StoredEvent.proof).where(StoredEvent.seq == seq)
        return Proof(session.scalars(statement).one())


def one_verdict(rig: Rig, event: Event) -> Verdict:
    """Upload one event as number 1 and return its verdict."""
    answer = rig.upload([event])
    assert answer.problem is None, answer.problem
    return rig.verdicts()[1]


def resolved_fields(number: bytes) -> dict[str, Any]:
    """Return what makes a tap the resolution of a torn one at the PSAM with this number."""
    return {"type": EventType.TORN_RESOLVED, "psam_no": number, "site": 0, "psam_seq": 9}


def as_resolved(rig: Rig, event: Event) -> Event:
    """Strip a true tap to what a resolution carries: TAC and MAC2 without CG2 and index."""
    return resigned(
        event, rig.terminal_identity, cg_type=CgType.NONE, cg2=bytes(8), dpk_idx=0,
        result=Result.RESOLVED,
    )  # fmt: skip


def test_true_tap_has_every_proof(rig: Rig) -> None:
    """A tap with hardware PSAM and right TAC, MAC2 and CG2 has all five proof bits."""
    assert one_verdict(rig, rig.chain(1)[0]) is Verdict.OK
    assert proof_of(rig) == FULL


def test_software_psam_lacks_the_hardware_bit(rig: Rig) -> None:
    """A software PSAM proves TAC, MAC2 and CG2 with its own key, but is not hardware."""
    with rig.database.writing() as session:
        session.execute(sa.update(Psam).values(dpk_idx=DPK_INDEX_SOFT, hardware=False))
    event = rig.chain(1, changes=[{"dpk_idx": DPK_INDEX_SOFT}])[0]

    assert one_verdict(rig, event) is Verdict.OK
    assert proof_of(rig) == FULL & ~Proof.HARDWARE


def test_software_key_under_a_hardware_psam_number_is_a_bad_proof(rig: Rig) -> None:
    """A key index other than the enrolled one is no proof, even with right cryptograms."""
    event = rig.chain(1, changes=[{"dpk_idx": DPK_INDEX_SOFT}])[0]

    assert one_verdict(rig, event) is Verdict.BAD_PROOF


def test_tap_without_cg2_is_accepted_without_its_bit(rig: Rig) -> None:
    """A card without CG2 still proves TAC and MAC2."""
    event = resigned(rig.chain(1)[0], rig.terminal_identity, cg_type=CgType.NONE, cg2=bytes(8))

    assert one_verdict(rig, event) is Verdict.OK
    assert proof_of(rig) == FULL & ~Proof.CG2


def test_torn_tap_needs_only_cg2(rig: Rig) -> None:
    """A torn tap has no TAC and MAC2; its CG2 proves presence."""
    torn = resigned(
        rig.chain(1, changes=[{"result": Result.TORN}])[0], rig.terminal_identity,
        tac=bytes(4), mac2=bytes(4),
    )  # fmt: skip

    assert one_verdict(rig, torn) is Verdict.OK
    assert proof_of(rig) == Proof.SIGNATURE | Proof.CG2 | Proof.HARDWARE


def test_resolution_of_a_tap_at_another_terminal_is_accepted(rig: Rig) -> None:
    """TORN_RESOLVED may carry the PSAM of another terminal; TAC and MAC2 are checked with it."""
    other = rig.add_post(1)
    event = as_resolved(rig, rig.chain(1, changes=[resolved_fields(other.psam_no)])[0])

    assert one_verdict(rig, event) is Verdict.OK
    assert proof_of(rig) == Proof.SIGNATURE | Proof.TAC | Proof.MAC2 | Proof.HARDWARE


def test_resolution_with_a_wrong_proof_is_bad(rig: Rig) -> None:
    """MAC2 of a resolved tap is checked by the server."""
    event = as_resolved(rig, rig.chain(1, changes=[resolved_fields(PSAM_NO)])[0])
    wrong = resigned(event, rig.terminal_identity, mac2=b"\1\2\3\4")

    assert one_verdict(rig, wrong) is Verdict.BAD_PROOF


def test_ordinary_tap_with_the_psam_of_another_terminal_is_not_believed(rig: Rig) -> None:
    """A PSAM counts at the terminal it is enrolled to and nowhere else."""
    other = rig.add_post(1)

    event = rig.chain(1, changes=[{"psam_no": other.psam_no}])[0]

    assert one_verdict(rig, event) is Verdict.UNKNOWN_PSAM


@pytest.mark.parametrize("state", ["pending", "quarantined", "revoked"])
def test_psam_that_is_not_active_is_not_believed(rig: Rig, state: str) -> None:
    """A PSAM that waits for approval or is set apart proves nothing for now."""
    with rig.database.writing() as session:
        session.execute(sa.update(Psam).values(state=state))

    assert one_verdict(rig, rig.chain(1)[0]) is Verdict.UNKNOWN_PSAM


def test_psam_counts_from_its_first_number_on(rig: Rig) -> None:
    """A PSAM enrolled from sequence number 2 on is unknown at number 1."""
    with rig.database.writing() as session:
        session.execute(sa.update(Psam).values(from_seq=2))

    rig.upload(rig.chain(2))

    assert rig.verdicts() == {1: Verdict.UNKNOWN_PSAM, 2: Verdict.OK}


def test_unregistered_card_is_unknown(rig: Rig) -> None:
    """A true tap of a card nobody registered is stored as unknown."""
    event = rig.chain(1, changes=[{"card_asn": bytes.fromhex("00005949000000000099")}])[0]

    assert one_verdict(rig, event) is Verdict.UNKNOWN_CARD


def test_key_version_nobody_has_is_a_bad_proof(rig: Rig) -> None:
    """A key version that the key store does not hold proves nothing."""
    event = resigned(rig.chain(1)[0], rig.terminal_identity, key_ver=9)

    assert one_verdict(rig, event) is Verdict.BAD_PROOF


def test_kind_of_card_without_checkable_proof_is_bad(rig: Rig) -> None:
    """A tap of a card kind whose proof this server cannot check is not believed."""
    event = rig.chain(1, changes=[{"card_kind": CardKind.UID}])[0]

    assert one_verdict(rig, event) is Verdict.BAD_PROOF


def test_rejection_is_a_system_event(rig: Rig) -> None:
    """An event without a card's answer has the verdict SYSTEM and no card numbers."""
    payload = build(EventType.REJECTED, reason=RejectReason.EXPIRED)
    event = make_event(
        rig.terminal_identity, type=EventType.REJECTED, card_asn=CARD_ASN, payload=payload
    )

    assert one_verdict(rig, event) is Verdict.SYSTEM
    with rig.database.reading() as session:
        row = session.get_one(StoredEvent, (TERMINAL_ID, 1))
        assert (row.card_asn, row.card_ctr, row.psam_seq) == (CARD_ASN.hex(), 0, 0)


def test_reserved_flag_is_malformed(rig: Rig) -> None:
    """An event with a reserved bit set is stored, marked, and blocks nobody."""
    event = rig.chain(1, changes=[{"flags": 0x8000}])[0]

    assert one_verdict(rig, event) is Verdict.MALFORMED


def test_ten_bad_proofs_set_the_terminal_apart(rig: Rig) -> None:
    """The tenth wrong card proof quarantines the terminal; its uploads are stored on."""
    events = rig.chain(11, changes=[{"dpk_idx": DPK_INDEX_SOFT}] * 11)
    rig.upload(events[:9], 1)

    assert rig.terminal().state == "active"
    rig.upload(events[9:10], 2)
    assert rig.terminal().state == "quarantined"
    assert rig.upload(events[10:], 3).status == 200


def test_psam_number_that_does_not_rise_is_out_of_order(rig: Rig) -> None:
    """A transaction number not above the one before is no proof."""
    changes = [{"psam_seq": n} for n in (4, 5, 5, 3, 6)]

    rig.upload(rig.chain(5, changes=changes))

    assert rig.verdicts() == {
        1: Verdict.OK, 2: Verdict.OK, 3: Verdict.PSAM_ORDER, 4: Verdict.PSAM_ORDER, 5: Verdict.OK,
    }  # fmt: skip


def test_psam_order_is_held_against_stored_neighbours(rig: Rig) -> None:
    """A tap that fills a gap must fit between the numbers stored before and after it."""
    changes = [{"psam_seq": n} for n in (4, 9, 6)]
    events = rig.chain(3, changes=changes)
    rig.upload(events[:1], 1)
    rig.upload(events[2:], 2)
    rig.upload(events[1:2], 3)

    assert rig.verdicts() == {1: Verdict.OK, 2: Verdict.PSAM_ORDER, 3: Verdict.OK}


@pytest.mark.parametrize(
    ("skipped", "state", "flags"),
    [(16, "active", 0), (17, "active", 1), (1000, "active", 1), (1001, "quarantined", 1)],
)
def test_gap_in_psam_numbers(rig: Rig, skipped: int, state: str, flags: int) -> None:
    """Over 16 skipped numbers are flagged, over 1 000 set the PSAM apart; the taps stand."""
    events = rig.chain(2, changes=[{"psam_seq": 1}, {"psam_seq": 2 + skipped}])

    rig.upload(events[:1], 1)
    rig.upload(events[1:], 2)

    assert set(rig.verdicts().values()) == {Verdict.OK}
    with rig.database.reading() as session:
        found = session.get_one(Psam, PSAM_NO)
        assert (found.state, found.gap_flags) == (state, flags)


def test_gap_in_psam_numbers_is_not_judged_over_missing_events(rig: Rig) -> None:
    """Numbers that missing events may have used are not counted as skipped."""
    events = rig.chain(3, changes=[{"psam_seq": 1}, {"psam_seq": 40}, {"psam_seq": 60}])
    rig.upload(events[:1], 1)
    rig.upload(events[2:], 2)
    with rig.database.reading() as session:
        assert session.get_one(Psam, PSAM_NO).gap_flags == 0

    rig.upload(events[1:2], 3)

    with rig.database.reading() as session:
        assert session.get_one(Psam, PSAM_NO).gap_flags == 2


def test_quarantine_is_in_the_audit_trail(rig: Rig) -> None:
    """Setting a terminal apart leaves a line in the audit trail."""
    rig.upload(rig.chain(10, changes=[{"dpk_idx": DPK_INDEX_SOFT}] * 10))

    with rig.database.reading() as session:
        lines = session.execute(
            sa.select(Audit.actor, Audit.subject).where(Audit.action == "terminal.quarantined")
        ).all()
    assert [tuple(line) for line in lines] == [("system", f"terminal:{TERMINAL_ID}")]


def test_every_covered_byte_changes_the_verdict(sqlite_rig: Rig) -> None:
    """Any one of the 160 signed bytes flipped and signed again changes the server's answer.

    Only the four bytes of card_acc, a hint that nothing is credited by, may differ unseen.
    """
    rig = sqlite_rig
    unseen = set()
    for offset in range(EVENT_SIGNED):
        post = rig.add_post(offset)
        tap = post.chain(1, rig.store)[0]
        raw = bytearray(tap.to_bytes())
        raw[offset] ^= 0x01
        flipped = sign(Event.from_bytes(bytes(raw)), post.identity)
        answer = rig.put(post.batch([flipped]), terminal_id=post.terminal_id)
        if answer.status == 200 and answer.stored[Verdict.OK]:
            unseen.add(EVENT_LAYOUT.field_at(offset))

    assert unseen == NOT_COVERED


def test_untouched_tap_is_the_baseline_of_the_flips(sqlite_rig: Rig) -> None:
    """The tap that the flips start from is believed as it is."""
    post = sqlite_rig.add_post(1)

    answer = sqlite_rig.put(
        post.batch(post.chain(1, sqlite_rig.store)), terminal_id=post.terminal_id
    )

    assert answer.stored == {Verdict.OK: 1}


def test_flipped_signature_is_a_bad_signature(rig: Rig) -> None:
    """A bit flipped in an event's signature is told from a wrong card proof."""
    tap = rig.chain(1)[0]
    raw = bytearray(tap.signature)
    raw[10] ^= 4

    assert one_verdict(rig, replace(tap, signature=bytes(raw))) is Verdict.BAD_SIGNATURE


def test_second_psam_of_a_terminal_has_its_own_order(rig: Rig) -> None:
    """Two PSAMs of one terminal count independently."""
    number = bytes.fromhex("880000000077")
    with rig.database.writing() as session:
        session.add(psam(number, TERMINAL_ID))
    changes = [{"psam_seq": 50}, {"psam_no": number, "psam_seq": 1}, {"psam_seq": 51}]

    rig.upload(rig.chain(3, changes=changes))

    assert set(rig.verdicts().values()) == {Verdict.OK}


@pytest.mark.parametrize("kind", [EventType.DECOMMISSION, EventType.KEY_ROTATE])
def test_a_payload_that_cannot_be_read_stops_no_upload(rig: Rig, kind: EventType) -> None:
    """Bytes that must be zero and are not, a key nobody knows: stored, answered, no key ends."""
    events = rig.chain(1)
    odd = rig.chain_after(events[0], b"\xff" * 32, type=int(kind), psam_seq=0)

    assert rig.upload([*events, odd]).status == 200
    assert rig.verdicts()[2] is Verdict.SYSTEM
    with rig.database.reading() as session:
        assert session.scalars(sa.select(TerminalKey.until_seq)).all() == [None]
        said = session.scalars(sa.select(Audit).where(Audit.action == ENDED)).all()
        assert [line.detail for line in said] == [{"seq": 2}] * (kind is EventType.DECOMMISSION)
