# SPDX-License-Identifier: Apache-2.0
"""The electronic card at the server: its tokens, their traces in events, one credit for each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from server.errors import Refused
from server.ingest.models import StoredEvent
from server.ingest.verdicts import Proof, Verdict
from server.people.models import Card, Volunteer
from server.people.services import CardReport, report_card
from server.phone_cards.models import TokenIssued
from server.phone_cards.proofs import later_uses, weigh
from server.phone_cards.services import ALIVE_MAX, KEEP_UNUSED_S, Code, Signer, issue_code
from server.reconciliation.loading import load
from swipe.arrays import view
from swipe.event import Event, sign
from swipe.kinds import CardKind, CgType, EventType, Flag
from swipe.phone_token import LIFE_DEFAULT_S, MINOR, PhoneToken, payload_of, read_code
from tests.factories import UTC_S, make_event
from tests.integration.server.rig import NOW_MS, OWNER, Rig

AT_MS = UTC_S * 1000


def ask(rig: Rig, now_ms: int = AT_MS) -> Code:
    """Ask for the next code of the volunteer."""
    with rig.database.writing() as session:
        person = session.scalars(sa.select(Volunteer).where(Volunteer.number == OWNER)).one()
        return issue_code(session, Signer(rig.server_identity, 1), person.id, now_ms)


def shown(code: Code, rig: Rig, **fields: Any) -> Event:
    """Make the event of a terminal that was shown a code."""
    raw = read_code(code.text.encode())
    values = {
        "payload": payload_of(code.token, raw),
        "card_kind": CardKind.TOKEN,
        "cg_type": CgType.TOKEN,
        "card_asn": code.token.asn,
        "psam_no": bytes(6),
        "utc_s": code.token.issued_s + 20,
    }
    return make_event(fields.pop("identity", rig.terminal_identity), **(values | fields))


def verdict_of(rig: Rig, event: Event) -> Verdict:
    """Upload one event as number 1 and return its verdict."""
    answer = rig.upload([event])
    assert answer.problem is None, answer.problem
    return rig.verdicts()[1]


def test_the_code_is_the_server_s(rig: Rig) -> None:
    """A terminal that has pinned the server's key reads the token from the code."""
    code = ask(rig)
    token = PhoneToken.from_bytes(read_code(code.text.encode()), rig.server_identity.public_key)

    assert token == code.token
    assert (token.life_s, token.issued_s, token.flags) == (LIFE_DEFAULT_S, UTC_S, 0)


def test_one_electronic_card_many_tokens(rig: Rig) -> None:
    """The serial stays, the token is another each time."""
    first, second = ask(rig), ask(rig, AT_MS + 60_000)

    assert first.token.asn == second.token.asn
    assert first.token.token_id != second.token.token_id
    with rig.database.reading() as session:
        card = session.scalars(sa.select(Card).where(Card.asn == first.token.asn.hex())).one()
        assert (card.state, card.key_version) == ("active", 0)


def test_a_minor_s_token_says_so(rig: Rig) -> None:
    """The rules for minors travel in the token until the birthday."""
    with rig.database.writing() as session:
        session.execute(sa.update(Volunteer).values(minor_until_ms=AT_MS + 1))

    assert ask(rig).token.flags == MINOR
    assert ask(rig, AT_MS + 1).token.flags == 0


def test_a_lost_phone_gets_no_code(rig: Rig) -> None:
    """The electronic card is reported like any other, and then shows nothing."""
    asn = ask(rig).token.asn.hex()
    with rig.database.writing() as session:
        report_card(session, CardReport(asn, NOW_MS, "phone lost"), "li", NOW_MS)

    with pytest.raises(Refused) as caught:
        ask(rig)
    assert caught.value.code == "phone-card-blocked"


def test_a_replaced_card_is_followed_by_a_new_one(rig: Rig) -> None:
    """After replacement the next code is of another electronic card."""
    asn = ask(rig).token.asn.hex()
    with rig.database.writing() as session:
        report = CardReport(asn, NOW_MS, "new phone", "replaced")
        report_card(session, report, "li", NOW_MS)

    assert ask(rig).token.asn.hex() != asn


def test_codes_cannot_be_collected(rig: Rig) -> None:
    """Only so many tokens of one card are alive; after their end there are new ones."""
    for _ in range(ALIVE_MAX):
        ask(rig)
    with pytest.raises(Refused) as caught:
        ask(rig)

    assert caught.value.code == "too-many-codes"
    assert ask(rig, AT_MS + (LIFE_DEFAULT_S + 1) * 1000)


def test_unused_tokens_are_forgotten_used_ones_kept(rig: Rig) -> None:
    """After more than a year only the tokens remain that stand in an event."""
    used = ask(rig)
    ask(rig)
    verdict_of(rig, shown(used, rig))
    ask(rig, AT_MS + (KEEP_UNUSED_S + 10) * 1000)

    with rig.database.reading() as session:
        kept = set(session.scalars(sa.select(TokenIssued.token_id)))
    assert len(kept) == 2
    assert used.token.token_id.hex() in kept


def test_a_shown_token_is_accepted_with_its_own_bit(rig: Rig) -> None:
    """The event of a token is OK without PSAM and without any card's proof."""
    assert verdict_of(rig, shown(ask(rig), rig)) is Verdict.OK
    with rig.database.reading() as session:
        (proof,) = session.scalars(sa.select(StoredEvent.proof))
    assert Proof(proof) == Proof.SIGNATURE | Proof.TOKEN


WRONG_FIELDS: list[dict[str, Any]] = [
    {"card_asn": bytes.fromhex("00005949000000000099")},
    {"cg_type": CgType.NONE},
    {"psam_no": bytes.fromhex("880000000001")},
    {"dpk_idx": 1},
    {"utc_s": UTC_S + LIFE_DEFAULT_S + 7},
    {"utc_s": UTC_S - 7},
    {"type": EventType.TORN_RESOLVED},
]


def test_what_does_not_fit_the_token_proves_nothing(rig: Rig) -> None:
    """Another serial, a PSAM, a time outside its life, one flipped bit of any field: no proof."""
    code = ask(rig)
    true = shown(code, rig)
    wrong = [shown(code, rig, **fields) for fields in WRONG_FIELDS]
    for at in (0, 2, 6, 10, 18, 26, 28, 30):  # one byte of each field of the payload
        payload = bytearray(true.payload)
        payload[at] ^= 1
        wrong.append(true.with_payload(bytes(payload)))
    events = view(b"".join(event.to_bytes() for event in (true, *wrong)))
    with rig.database.reading() as session:
        good = weigh(session, events)

    assert good.tolist() == [True] + [False] * len(wrong)


def test_a_false_token_is_a_bad_proof(rig: Rig) -> None:
    """An event whose token does not fit is stored and proves nothing."""
    late = shown(ask(rig), rig, utc_s=UTC_S + LIFE_DEFAULT_S + 7)

    assert verdict_of(rig, late) is Verdict.BAD_PROOF


def test_an_unknown_clock_is_left_to_the_corrected_time(rig: Rig) -> None:
    """A terminal without the time may claim any; the event says so and is not refused."""
    event = shown(ask(rig), rig, utc_s=1000, flags=int(Flag.CLOCK_UNKNOWN))

    assert verdict_of(rig, event) is Verdict.OK


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_screenshot_at_two_terminals_counts_once(rig: Rig, order: tuple[int, int]) -> None:
    """Both uses are stored; whatever arrives first, the earlier by its time is the one."""
    code = ask(rig)
    other = rig.add_post(1)
    early = shown(code, rig)
    late = shown(
        code, rig, identity=other.identity, terminal_id=other.terminal_id, key_id=other.key_id,
        utc_s=UTC_S + 40,
    )  # fmt: skip
    bodies = [(rig.batch([early]), early.terminal_id), (other.batch([late]), other.terminal_id)]
    for index in order:
        body, terminal_id = bodies[index]
        assert rig.put(body, terminal_id=terminal_id).problem is None

    with rig.database.reading() as session:
        assert later_uses(session, {code.token.asn.hex()}) == {(other.terminal_id, 1)}
        people = list(session.scalars(sa.select(Volunteer.id)))
        taps = load(session, people).history.taps
    proven = [int(tap["proof"]) & Proof.TOKEN for tap in taps]
    assert sorted(proven) == [0, Proof.TOKEN]


def test_the_same_event_again_is_no_second_use(rig: Rig) -> None:
    """A repeated upload leaves one use."""
    code = ask(rig)
    event = shown(code, rig)
    rig.upload([event])
    rig.upload([event], batch_no=2)

    with rig.database.reading() as session:
        assert later_uses(session, {code.token.asn.hex()}) == set()


def test_other_taps_go_on_beside_tokens(rig: Rig) -> None:
    """A token between two taps of cards leaves the PSAM's numbers in order."""
    first, *_ = rig.chain(1)
    token = shown(ask(rig), rig)
    linked = rig.chain_after(
        first, token.payload, type=EventType.IN, card_kind=CardKind.TOKEN,
        cg_type=CgType.TOKEN, card_asn=token.card_asn, utc_s=token.utc_s,
    )  # fmt: skip
    linked = sign(replace(linked, utc_s=token.utc_s), rig.terminal_identity)

    assert rig.upload([first, linked]).problem is None
    assert rig.verdicts() == {1: Verdict.OK, 2: Verdict.OK}
