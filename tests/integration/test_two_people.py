# SPDX-License-Identifier: Apache-2.0
"""Nobody lets in what he ordered himself: neither by a PSAM, nor by a letter printed once more."""

from __future__ import annotations

import pytest

from keys.usage import DPK_INDEX_SOFT
from server.errors import Refused as ServerRefuses
from server.fleet import replacement
from server.terminals import key_change, psams, services
from server.terminals.psams import NewPsam
from server.terminals.services import keys_of
from terminal.errors import EnrolmentRefused
from tests.integration.office import Office
from tests.integration.server.rig import NOW_MS

NUMBER = bytes.fromhex("880000000777")


@pytest.fixture
def terminal(office: Office) -> int:
    """A terminal in service, its box called "old"."""
    return office.in_service()


def add_psam(office: Office, terminal_id: int, number: bytes, actor: str) -> None:
    """Order a further PSAM."""
    new = NewPsam(number, terminal_id, hardware=False, dpk_idx=DPK_INDEX_SOFT, from_seq=130)
    with office.rig.database.writing() as session:
        psams.propose_psam(session, new, actor, NOW_MS)


def standing(office: Office, number: bytes) -> tuple[str, str, str | None, int]:
    """Return how a PSAM stands: state, who ordered and who approved it, and from which event on."""
    row = office.psam_row(number)
    assert row is not None
    return row.state, row.created_by, row.approved_by, row.from_seq


def test_an_approval_lets_no_other_psam_in(office: Office) -> None:
    """A PSAM that somebody ordered waits on when the terminal, with another one, is approved."""
    terminal, code = office.order()
    office.provision("old", code)
    add_psam(office, terminal, NUMBER, "wang")

    office.approve(terminal)

    assert standing(office, office.psam.number) == ("active", "li", "wang", 1)
    assert standing(office, NUMBER) == ("pending", "wang", None, 130)


def test_a_replacement_lets_no_other_psam_in(office: Office, terminal: int) -> None:
    """Nor does the approval of a new box, and it takes nobody's name off the order."""
    add_psam(office, terminal, NUMBER, "wang")

    office.succeed(terminal)

    assert standing(office, NUMBER) == ("pending", "wang", None, 130)
    assert office.tap("new", 1)


def test_who_ordered_the_psam_does_not_approve_its_box(office: Office) -> None:
    """The box shows the PSAM that wang ordered: somebody else lets one of them in first."""
    terminal, code = office.order()
    number = office.other_psam(0x99)
    add_psam(office, terminal, number, "wang")
    office.provision("old", code)

    with pytest.raises(ServerRefuses, match="ordered by wang"):
        office.approve(terminal)
    assert standing(office, number)[0] == "pending"
    with office.rig.database.writing() as session:
        psams.approve_psam(session, number, "li", NOW_MS)
    office.approve(terminal)

    assert standing(office, number) == ("active", "wang", "li", 1)


def test_who_ordered_the_psam_does_not_approve_the_new_box(office: Office, terminal: int) -> None:
    """The same at a replacement; a third person lets both in, the PSAM from the new box on."""
    number = office.other_psam(0x99)
    add_psam(office, terminal, number, "wang")
    office.provision("new", office.replace(terminal))

    with pytest.raises(ServerRefuses, match="ordered by wang"):
        office.approve_new(terminal)
    last = office.approve_new(terminal, "zhao")

    assert last is not None
    assert standing(office, number) == ("active", "wang", "zhao", last + 1)


def test_who_printed_the_letter_does_not_approve_the_box(office: Office) -> None:
    """Wang prints a letter, enrols a box of his own and approves it: refused; zhao may."""
    terminal, _ = office.order()
    office.provision("ghost", office.letter(terminal, "wang"))

    with pytest.raises(ServerRefuses, match="letter"):
        office.approve(terminal, " Wang ")
    with pytest.raises(ServerRefuses, match="two different people"):
        office.approve(terminal, "li")
    office.approve(terminal, "zhao")

    assert standing(office, office.psam.number)[:3] == ("active", "wang", "zhao")


def test_who_ordered_may_print_the_letter_again(office: Office) -> None:
    """In an office of two: li prints it once more, the box shows itself again, wang approves."""
    terminal, _ = office.order()
    office.provision("old", office.letter(terminal, "wang"))
    office.provision("old", office.letter(terminal, "li"))

    office.approve(terminal)

    assert office.provision("old", office.letter(terminal, "li")) == "active"


def test_a_cancelled_order_lets_no_psam_in(office: Office, terminal: int) -> None:
    """The PSAM of a box that was ordered and never approved is forgotten with it."""
    mine = office.psam
    number = office.other_psam(0x99)
    office.provision("first", office.replace(terminal))
    code = office.replace(terminal)
    assert office.psam_row(number) is None
    office.psam = mine
    office.provision("second", code)

    office.approve_new(terminal)

    assert office.psam_row(number) is None
    assert standing(office, mine.number)[0] == "active"


def test_no_new_box_for_a_terminal_revoked_meanwhile(office: Office, terminal: int) -> None:
    """Stolen after all: the box that was ordered neither enrols nor is let in."""
    code = office.replace(terminal)
    office.provision("new", code)
    with office.rig.database.writing() as session:
        services.revoke(session, terminal, "stolen", "li", NOW_MS)

    with pytest.raises(ServerRefuses, match="is revoked"):
        office.approve_new(terminal)
    with pytest.raises(EnrolmentRefused):
        office.provision("new", code)
    with pytest.raises(EnrolmentRefused):
        office.provision("newer", code)


def test_a_replacement_ends_a_key_with_a_later_end_too(office: Office, terminal: int) -> None:
    """Staff had ended the key at a number still to come: it ends where the new box begins."""
    with office.rig.database.reading() as session:
        key_id = keys_of(session, terminal)[0].id
    with office.rig.database.writing() as session:
        key_change.end_key(session, key_id, 1_000, "worn", ("li", NOW_MS))
    office.provision("new", office.replace(terminal))
    last = office.approve_new(terminal)

    assert last is not None
    with office.rig.database.reading() as session:
        assert [key.until_seq for key in keys_of(session, terminal)] == [last + 1, None]
        assert replacement.missing(session, terminal) == []
