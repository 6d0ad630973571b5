# SPDX-License-Identifier: Apache-2.0
"""Passkeys with real signatures: what is accepted, and what of it must not be."""

from __future__ import annotations

import dataclasses
import json

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from server.db import Base, Database
from server.errors import Refused
from server.people import passkeys
from server.people.models import Audit, Passkey, PasskeyChallenge, User
from server.people.passkeys import CHALLENGE_LIFETIME_MS, PASSKEYS_MAX, Door, Owner
from tests.unit.server.people.authenticator import EDDSA, ES256, Authenticator
from tests.unit.server.structure.conftest import take_in

NOW_MS = 1_795_222_800_000
ORIGIN = "https://yika.example.org"
HERE = Door("yika.example.org", ORIGIN, b"a secret for tests", b"browser one", NOW_MS)


@pytest.fixture
def session(sqlite_database: Database) -> Session:
    """One unit of work that never ends."""
    opened = Session(sqlite_database.engine)
    opened.add(User(id=1, name="li", secret_hash="-", role="staff"))
    take_in(opened, 1)
    return opened


VOLUNTEER = Owner(1, None, "volunteer:0000000014")
STAFF = Owner(None, 1, "user:li")


def registered(session: Session, owner: Owner, device: Authenticator) -> Passkey:
    """Register a device for somebody."""
    options = passkeys.registration_options(session, owner, HERE)
    return passkeys.register(session, owner, "phone", device.create(options, ORIGIN), HERE)


def come_in(session: Session, device: Authenticator, *, staff: bool = True) -> Passkey | None:
    """Sign in with a device."""
    options = passkeys.sign_in_options(HERE, staff=staff)
    return passkeys.sign_in(session, device.get(options, ORIGIN), HERE, staff=staff)


@pytest.mark.parametrize("algorithm", [ES256, EDDSA])
@pytest.mark.parametrize("owner", [VOLUNTEER, STAFF])
def test_registered_passkey_signs_its_owner_in(
    session: Session, owner: Owner, algorithm: int
) -> None:
    """A device registers, signs in twice, and its counter is kept."""
    device = Authenticator(algorithm)
    made = registered(session, owner, device)

    for _ in range(2):
        found = come_in(session, device, staff=owner.staff)
        assert found is not None
        assert found.id == made.id
    assert (made.counter, made.used_ms) == (device.counter, NOW_MS)


def test_device_without_a_counter_signs_in_again_and_again(session: Session) -> None:
    """A passkey that is kept in many devices counts nothing, and is no copy for that."""
    device = Authenticator(counts=False)
    registered(session, STAFF, device)

    assert come_in(session, device) is not None
    assert come_in(session, device) is not None


def test_copy_is_found_out_by_its_counter_and_blocked(session: Session) -> None:
    """A counter that stands or falls blocks the passkey for good, and stands in the audit trail."""
    device = Authenticator()
    made = registered(session, STAFF, device)
    assert come_in(session, device) is not None
    device.counter -= 1

    assert come_in(session, device) is None

    assert made.cloned_ms == NOW_MS
    assert session.scalars(sa.select(Audit.action)).all()[-1] == "passkey.cloned"
    device.counter += 100
    with pytest.raises(Refused):
        come_in(session, device)


def test_staff_must_be_verified_by_the_device(session: Session) -> None:
    """Presence alone is enough for a volunteer, not for staff, to register as to sign in."""
    device = Authenticator(verifies=False)
    with pytest.raises(Refused):
        registered(session, STAFF, device)
    registered(session, VOLUNTEER, device)
    assert come_in(session, device, staff=False) is not None

    other = Authenticator()
    registered(session, STAFF, other)
    other.verifies = False
    with pytest.raises(Refused):
        come_in(session, other)


def test_passkey_of_a_volunteer_opens_no_desk(session: Session) -> None:
    """Each door takes its own people only."""
    device = Authenticator()
    registered(session, VOLUNTEER, device)

    with pytest.raises(Refused):
        come_in(session, device, staff=True)


@pytest.mark.parametrize("origin", ["https://yika.example.net", "http://yika.example.org", "null"])
def test_answer_made_for_another_origin_is_refused(session: Session, origin: str) -> None:
    """A page of somebody else that passes our challenge on gets nothing."""
    device = Authenticator()
    with pytest.raises(Refused):
        passkeys.register(
            session, STAFF, "x",
            device.create(passkeys.registration_options(session, STAFF, HERE), origin), HERE,
        )  # fmt: skip
    registered(session, STAFF, device)

    answer = device.get(passkeys.sign_in_options(HERE, staff=True), origin)
    with pytest.raises(Refused):
        passkeys.sign_in(session, answer, HERE, staff=True)


def test_answer_for_another_site_is_refused(session: Session) -> None:
    """The authenticator signs the name of the site; another one's signature is none of ours."""
    device = Authenticator()
    registered(session, STAFF, device)
    options = json.loads(passkeys.sign_in_options(HERE, staff=True)) | {"rpId": "evil.example"}

    with pytest.raises(Refused):
        passkeys.sign_in(session, device.get(json.dumps(options), ORIGIN), HERE, staff=True)


def test_answer_serves_once(session: Session) -> None:
    """The same answer a second time is refused, also with a device that does not count."""
    device = Authenticator(counts=False)
    registered(session, STAFF, device)
    answer = device.get(passkeys.sign_in_options(HERE, staff=True), ORIGIN)
    assert passkeys.sign_in(session, answer, HERE, staff=True) is not None

    with pytest.raises(Refused):
        passkeys.sign_in(session, answer, HERE, staff=True)


@pytest.mark.parametrize(
    "elsewhere",
    [
        dataclasses.replace(HERE, browser=b"browser two"),
        dataclasses.replace(HERE, secret=b"another server"),
        dataclasses.replace(HERE, now_ms=NOW_MS + CHALLENGE_LIFETIME_MS + 1),
        dataclasses.replace(HERE, now_ms=NOW_MS - 1),
    ],
)
def test_challenge_belongs_to_a_browser_and_a_time(session: Session, elsewhere: Door) -> None:
    """Another browser, another server, five minutes later or a clock set back: refused."""
    device = Authenticator()
    registered(session, STAFF, device)
    answer = device.get(passkeys.sign_in_options(HERE, staff=True), ORIGIN)

    with pytest.raises(Refused):
        passkeys.sign_in(session, answer, elsewhere, staff=True)


def test_challenge_to_register_does_not_sign_in(session: Session) -> None:
    """A challenge serves the purpose it was made for."""
    device = Authenticator()
    registered(session, STAFF, device)
    challenge = json.loads(passkeys.registration_options(session, STAFF, HERE))["challenge"]
    options = json.dumps({"rpId": HERE.rp_id, "challenge": challenge})

    with pytest.raises(Refused):
        passkeys.sign_in(session, device.get(options, ORIGIN), HERE, staff=True)


def test_foreign_signature_is_refused(session: Session) -> None:
    """Somebody who knows the number of a passkey but not its key stays out."""
    device, thief = Authenticator(), Authenticator()
    registered(session, STAFF, device)
    thief.credential_id = device.credential_id
    thief.counter = 50

    with pytest.raises(Refused):
        come_in(session, thief)
    assert come_in(session, device) is not None


def test_known_key_is_not_registered_again(session: Session) -> None:
    """One device is one passkey; so many of them and no more."""
    device = Authenticator()
    registered(session, STAFF, device)
    with pytest.raises(Refused, match="already"):
        registered(session, VOLUNTEER, device)

    for _ in range(PASSKEYS_MAX - 1):
        registered(session, STAFF, Authenticator())
    with pytest.raises(Refused, match="at most"):
        registered(session, STAFF, Authenticator())


def test_removed_passkey_opens_nothing(session: Session) -> None:
    """One removes one's own; somebody else's is not found."""
    device = Authenticator()
    made = registered(session, STAFF, device)
    with pytest.raises(Refused):
        passkeys.remove(session, VOLUNTEER, made.id, NOW_MS)

    passkeys.remove(session, STAFF, made.id, NOW_MS)

    assert passkeys.listing(session, STAFF) == []
    with pytest.raises(Refused):
        come_in(session, device)


def test_spent_challenges_are_forgotten(session: Session) -> None:
    """After their time nobody can use them, and nothing is kept of them."""
    device = Authenticator()
    registered(session, STAFF, device)
    later = dataclasses.replace(HERE, now_ms=NOW_MS + 2 * CHALLENGE_LIFETIME_MS)
    answer = device.get(passkeys.sign_in_options(later, staff=True), ORIGIN)

    passkeys.sign_in(session, answer, later, staff=True)

    assert session.scalars(sa.select(sa.func.count(PasskeyChallenge.made_ms))).one() == 1


@given(data=st.data())
@settings(max_examples=60)
def test_broken_answers_are_refused_and_nothing_else(data: st.DataObject) -> None:
    """Whatever is sent instead of an answer: refused, never an error of ours."""
    engine = sa.create_engine("sqlite://")
    Base.metadata.create_all(
        engine, tables=[Base.metadata.tables[n] for n in ("passkey", "passkey_challenge", "user",
                                                          "volunteer")]
    )  # fmt: skip
    device = Authenticator()
    with Session(engine) as opened:
        options = passkeys.registration_options(opened, STAFF, HERE)
        document = json.loads(device.create(options, ORIGIN))
        where = data.draw(st.sampled_from(["id", "rawId", "type", "attestationObject", "client"]))
        junk = data.draw(
            st.one_of(st.text(max_size=40), st.none(), st.integers(), st.lists(st.text()))
        )
        if where == "attestationObject":
            document["response"][where] = junk
        elif where == "client":
            document["response"]["clientDataJSON"] = junk
        else:
            document[where] = junk
        whole = data.draw(st.booleans())
        answer = (
            json.dumps(document) if whole else json.dumps(document)[:: data.draw(st.integers(1, 9))]
        )
        if (
            answer == json.dumps(document)
            and json.loads(answer) == document
            and junk == "public-key"
        ):
            return

        with pytest.raises(Refused):
            passkeys.register(opened, STAFF, "x", answer[:5000], HERE)
