# SPDX-License-Identifier: Apache-2.0
"""A key that has ended vouches for no other: a stolen box stays out, a lost answer is no loss."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from keys.identity import Identity
from server.errors import Refused
from server.terminals import key_change
from server.terminals.models import TerminalKey
from server.terminals.services import keys_of
from swipe.requests import ROTATE_CONTEXT, change_message
from terminal.errors import ServerError
from terminal.files import IDENTITY, NEXT_IDENTITY
from terminal.sync import renew_key
from tests.factories import make_identity
from tests.integration.office import Office
from tests.integration.server.rig import NOW_MS


def identity_of(office: Office, name: str = "old") -> Identity:
    """Return the key a box holds."""
    return Identity.load(office.folder / name / IDENTITY)


def ask(
    office: Office, terminal_id: int, key_id: int, old: Identity, new: Identity
) -> tuple[int, str]:
    """Ask for a change of key as a program of one's own would; return status and answer."""
    message = change_message(terminal_id, key_id, new.public_key)
    client: FlaskClient = office.wire.client
    answer = client.post(
        f"/api/v1/terminals/{terminal_id}/keys",
        json={
            "old_key_id": key_id,
            "public_key": new.public_key.hex(),
            "old_signature": old.sign(ROTATE_CONTEXT, message).hex(),
            "new_signature": new.sign(ROTATE_CONTEXT, message).hex(),
        },
    )
    return answer.status_code, json.dumps(answer.json)


def keys(office: Office, terminal_id: int) -> list[TerminalKey]:
    """Return the terminal's keys."""
    with office.rig.database.reading() as session:
        found = keys_of(session, terminal_id)
        session.expunge_all()
        return found


def unlimited(office: Office, terminal_id: int) -> list[bytes]:
    """Return the public keys that have no end."""
    return [key.public_key for key in keys(office, terminal_id) if key.until_seq is None]


def test_a_replaced_box_gets_no_new_key(office: Office, terminal: int) -> None:
    """The stolen box asks for a new key after its successor: refused, and the successor goes on."""
    office.succeed(terminal)
    office.tap("new", 2)
    office.upload("new")
    office.tap("old", 1)

    with pytest.raises(ServerError, match="401"):
        renew_key(office.config("old"), office.clock, office.wire)

    assert unlimited(office, terminal) == [identity_of(office, "new").public_key]
    office.tap("new", 1)
    assert office.upload("new") == 0
    assert office.rig.forks() == []


def test_a_key_ended_by_staff_vouches_for_none(office: Office, terminal: int) -> None:
    """`end-key` at a number still to come ends it at once for this; the answer says what to do."""
    old, key = identity_of(office), keys(office, terminal)[0]
    with office.rig.database.writing() as session:
        key_change.end_key(session, key.id, 1_000, "case open", ("li", NOW_MS))

    status, text = ask(office, terminal, key.id, old, make_identity("thief"))

    assert status == 401
    assert "key-ended" in text
    assert "fleet replace" in text
    assert len(keys(office, terminal)) == 1


def test_a_key_that_was_changed_vouches_for_none(office: Office, terminal: int) -> None:
    """Behind the stored KEY_ROTATE event the old key gets nothing; its successor stays."""
    old, key = identity_of(office), keys(office, terminal)[0]
    renew_key(office.config("old"), office.clock, office.wire)
    assert office.upload("old") == 0
    held = unlimited(office, terminal)

    status, _ = ask(office, terminal, key.id, old, make_identity("thief"))

    assert status == 401
    assert unlimited(office, terminal) == held == [identity_of(office).public_key]
    office.tap("old", 1)
    assert office.upload("old") == 0


def test_a_late_repeat_of_a_change_gets_the_same_key(office: Office, terminal: int) -> None:
    """The request that was lost or doubled on the line is answered as at first, also much later."""
    old, key, fresh = identity_of(office), keys(office, terminal)[0], make_identity("fresh")
    first = ask(office, terminal, key.id, old, fresh)
    again = ask(office, terminal, key.id, old, fresh)
    with office.rig.database.writing() as session:
        key_change.end_key(session, key.id, 1_000, "late", ("li", NOW_MS))
    late = ask(office, terminal, key.id, old, fresh)

    assert first[0] == 200
    assert first == again == late
    assert len(keys(office, terminal)) == 2


def test_a_change_whose_draft_was_lost_is_made_anew(office: Office, terminal: int) -> None:
    """The server knows the new key, the box lost it before using it: another one is taken."""
    old, key = identity_of(office), keys(office, terminal)[0]
    lost = make_identity("lost in a power cut")
    assert ask(office, terminal, key.id, old, lost)[0] == 200
    assert not (office.folder / "old" / NEXT_IDENTITY).exists()

    renew_key(office.config("old"), office.clock, office.wire)
    assert office.upload("old") == 0
    office.tap("old", 2)
    assert office.upload("old") == 0

    assert office.rig.forks() == []
    assert unlimited(office, terminal) == [identity_of(office).public_key]


def test_a_key_made_in_advance_ends_with_the_change(office: Office, terminal: int) -> None:
    """Who copied the key asks for one of his own first: the true change of key ends that too."""
    old, key, thief = identity_of(office), keys(office, terminal)[0], make_identity("thief")
    assert ask(office, terminal, key.id, old, thief)[0] == 200
    mine = keys(office, terminal)[1]
    assert ask(office, terminal, mine.id, thief, make_identity("thief's next"))[0] == 200

    renew_key(office.config("old"), office.clock, office.wire)
    assert office.upload("old") == 0

    assert unlimited(office, terminal) == [identity_of(office).public_key]
    assert ask(office, terminal, mine.id, thief, make_identity("another"))[0] == 401


def test_a_key_made_in_advance_ends_with_the_key(office: Office, terminal: int) -> None:
    """`end-key` ends what the key has vouched for too, as far as it never took its place."""
    old, key, thief = identity_of(office), keys(office, terminal)[0], make_identity("thief")
    assert ask(office, terminal, key.id, old, thief)[0] == 200

    with office.rig.database.writing() as session:
        key_change.end_key(session, key.id, 9, "copied", ("li", NOW_MS))
    assert [one.until_seq for one in keys(office, terminal)] == [9, 9]

    with office.rig.database.writing() as session:
        key_change.end_key(session, key.id, 7, "copied earlier", ("li", NOW_MS))
    assert [one.until_seq for one in keys(office, terminal)] == [7, 7]


def test_ending_a_former_key_earlier_leaves_its_successor(office: Office, terminal: int) -> None:
    """A key that took over by its KEY_ROTATE event goes on when the one before ends earlier."""
    key = keys(office, terminal)[0]
    renew_key(office.config("old"), office.clock, office.wire)
    assert office.upload("old") == 0

    with office.rig.database.writing() as session:
        key_change.end_key(session, key.id, 3, "copied", ("li", NOW_MS))

    assert unlimited(office, terminal) == [identity_of(office).public_key]
    office.tap("old", 1)
    assert office.upload("old") == 0


def test_a_late_change_of_the_dead_box_leaves_the_new_one(office: Office, terminal: int) -> None:
    """Two changes arrive in the wrong order and behind a replacement: only their own line ends."""
    renew_key(office.config("old"), office.clock, office.wire)
    renew_key(office.config("old"), office.clock, office.wire)
    assert office.upload("old") == 0
    office.succeed(terminal)
    office.tap("new", 1)
    assert office.upload("new") == 0

    first, second, third, new = keys(office, terminal)
    assert new.until_seq is None
    assert first.until_seq is not None
    assert second.until_seq is not None
    assert third.until_seq is not None
    assert first.until_seq < second.until_seq < third.until_seq


def test_an_end_that_an_upload_has_brought_meanwhile_stays(office: Office, terminal: int) -> None:
    """`end-key` waits for the terminal's row, as uploads do, and then looks at the key again."""
    key_id = keys(office, terminal)[0].id
    with office.rig.database.writing() as session:
        assert session.get_one(TerminalKey, key_id).until_seq is None
        meanwhile = sa.update(TerminalKey).where(TerminalKey.id == key_id).values(until_seq=20)
        session.execute(meanwhile.execution_options(synchronize_session=False))
        with pytest.raises(Refused, match="ended before event 20"):
            key_change.end_key(session, key_id, 30, "copied", ("li", NOW_MS))

    assert keys(office, terminal)[0].until_seq == 20
