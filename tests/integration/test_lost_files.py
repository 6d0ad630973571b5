# SPDX-License-Identifier: Apache-2.0
"""A box that has lost a small file, or its key: what it says is the way that leads on."""

from __future__ import annotations

import json

import pytest

from server.terminals import enrolment as enrolment_services
from server.terminals import services
from terminal.cli import PASSPHRASE_VARIABLE, TOKEN_VARIABLE, enrolment, main
from terminal.errors import (
    EnrolmentRefused,
    FormerJournal,
    IdentityLost,
    JournalMissing,
    ProvisionUnfinished,
    Refused,
    SuccessionLost,
)
from terminal.files import IDENTITY, JOURNAL, JOURNAL_DRAFT, KEPT_JOURNAL, PASSPORT
from terminal.former_journal import kept
from terminal.journal import read_only
from terminal.passport import Passport
from terminal.storage import Folder
from terminal.succession import SUCCESSION
from terminal.sync import renew_key, sync
from tests.factories import PASSPHRASE
from tests.integration.office import Office
from tests.integration.server.rig import NOW_MS

FORMER = KEPT_JOURNAL.format(1)


@pytest.fixture
def lost(office: Office, terminal: int) -> str:
    """Two taps were not uploaded when the box lost its key; return the replacement's code."""
    office.tap("old", 2)
    (office.folder / "old" / IDENTITY).unlink()
    return office.replace(terminal)


@pytest.mark.parametrize("changed", [False, True], ids=["first key", "later key"])
def test_terminal_json_comes_back_with_the_same_code(office: Office, changed: bool) -> None:
    """Key and journal are there: `provision` once more, and the box goes on as it was."""
    terminal, code = office.order()
    office.provision("old", code)
    office.approve(terminal)
    office.tap("old", 1)
    office.upload("old")
    if changed:
        renew_key(office.config("old"), office.clock, office.wire)
    before = Passport.load(office.folder / "old")
    (office.folder / "old" / PASSPORT).unlink()

    assert office.provision("old", code) == "active"

    assert Passport.load(office.folder / "old").changed_keys == before.changed_keys
    assert office.tap("old", 1)
    assert office.upload("old") == 0
    assert not (office.folder / "old" / FORMER).exists()


def test_a_lost_key_is_named_with_its_way_out(office: Office, terminal: int) -> None:
    """Without its key a box is not sent to provision in vain: a replacement has to be ordered."""
    assert terminal
    (office.folder / "old" / IDENTITY).unlink()

    with pytest.raises(IdentityLost) as caught:
        office.tap("old", 1)
    assert "fleet replace" in caught.value.diagnostics()


def test_a_damaged_key_is_named_with_its_way_out(office: Office, terminal: int) -> None:
    """`provision` overwrites no damaged key: it says to set it aside and have the box replaced."""
    code = office.replace(terminal)
    pem = office.folder / "old" / IDENTITY
    pem.write_bytes(b"half a key")

    with pytest.raises(IdentityLost) as caught:
        office.provision("old", code)
    told = caught.value.diagnostics()
    assert all(word in told for word in ("改名", "rename", "fleet replace"))
    assert pem.read_bytes() == b"half a key"
    pem.rename(pem.with_suffix(".bad"))
    assert office.provision("old", code) == "pending"


def test_an_ended_key_is_set_aside_first() -> None:
    """The refusal of an ended key sends nobody round: with its file there, it is shown again."""
    told = EnrolmentRefused(409, "this box's key has ended").diagnostics()

    assert "先将 identity.pem 改名" in told
    assert "rename identity.pem first" in told


def test_a_box_without_its_key_takes_its_own_place(
    office: Office, terminal: int, lost: str
) -> None:
    """The journal of the lost key is kept beside the new one, whole; taps and uploads go on."""
    folder = office.folder / "old"
    before = (folder / JOURNAL).read_bytes()
    assert office.provision("old", lost) == "pending"
    assert (folder / JOURNAL).read_bytes() == before
    with pytest.raises(FormerJournal) as caught:
        office.tap("old", 1)
    assert "provision` once more" in caught.value.diagnostics()
    office.approve_new(terminal)
    assert office.provision("old", lost) == "active"

    assert (folder / FORMER).read_bytes() == before
    (former,) = kept(Folder(folder))
    assert former.unsent
    assert former.unsent >= 2
    assert office.tap("old", 2)
    assert office.upload("old") == 0
    assert office.rig.forks() == []
    assert office.provision("old", lost) == "active"
    assert [one.name for one in kept(Folder(folder))] == [FORMER]


def test_provision_tells_where_the_old_journal_lies(
    office: Office,
    terminal: int,
    lost: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In both languages: the file, what nobody else has, the taps in it, and what to do with it."""
    office.provision("old", lost)
    office.approve_new(terminal)
    config = office.folder / "gate.toml"
    config.write_text(
        f'[terminal]\nname = "gate"\ndata_dir = "{office.folder}/old"\n'
        f'[reader]\ncard = "pcsc:Nobody"\npsam = "soft:{office.folder}/psam"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    monkeypatch.setenv(TOKEN_VARIABLE, lost)
    monkeypatch.setattr(enrolment, "open_transport", lambda _server: office.wire)
    main(["--config", str(config), "provision"])
    told = capsys.readouterr().out
    main(["--config", str(config), "provision", "--json"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])  # behind the server's log

    (former,) = report["kept"]
    assert former["name"] == FORMER
    assert former["taps"] == 2
    assert f"{office.folder}/old/{FORMER}，未上传 {former['unsent']} 条，其中刷卡 2 次：" in told
    assert f"{former['unsent']} events not uploaded, 2 of them taps: never delete" in told
    assert "yika-swipe verify" in told


def test_a_key_lost_twice_leaves_two_journals(office: Office, terminal: int, lost: str) -> None:
    """No journal that was set aside is ever written over."""
    folder = office.folder / "old"
    office.provision("old", lost)
    office.approve_new(terminal)
    office.provision("old", lost)
    office.tap("old", 1)
    office.upload("old")
    first = (folder / FORMER).read_bytes()
    (folder / IDENTITY).unlink()
    code = office.replace(terminal)
    office.provision("old", code)
    office.approve_new(terminal)
    office.provision("old", code)

    assert [one.name for one in kept(Folder(folder))] == [FORMER, KEPT_JOURNAL.format(2)]
    assert (folder / FORMER).read_bytes() == first
    assert office.tap("old", 1)


def test_a_key_lost_before_the_approval(office: Office) -> None:
    """The letter once more: the new key begins with 1, the old journal is kept beside it."""
    terminal, code = office.order()
    office.provision("old", code)
    office.tap("old", 2)
    folder = office.folder / "old"
    before = (folder / JOURNAL).read_bytes()
    (folder / IDENTITY).unlink()

    code = office.letter(terminal, "li")
    assert office.provision("old", code) == "pending"
    office.approve(terminal)
    assert office.provision("old", code) == "active"

    (former,) = kept(Folder(folder))
    assert (former.name, former.taps) == (FORMER, 2)
    assert (folder / FORMER).read_bytes() == before
    assert office.tap("old", 1)
    assert office.upload("old") == 0
    assert office.rig.forks() == []


@pytest.mark.parametrize("uploaded", [False, True])
def test_a_box_under_a_new_number_begins_anew(office: Office, uploaded: bool) -> None:
    """Revoked and added again: the journal of the old number makes room, with its figures."""
    terminal, code = office.order()
    office.provision("old", code)
    office.approve(terminal)
    office.tap("old", 2)
    if uploaded:
        office.upload("old")
    folder = office.folder / "old"
    (folder / IDENTITY).unlink()
    figures = {"head": "00" * 32, "last_seq": 500, "boot": 9, "n_in": 1, "n_out": 1, "n_rej": 0}
    (folder / SUCCESSION).write_text(json.dumps(figures))
    with office.rig.database.writing() as session:
        services.revoke(session, terminal, "closed", "li", NOW_MS)
        fresh, code = enrolment_services.add_terminal(session, "gate 2", 1, "li", NOW_MS)
        number = fresh.id
    office.other_psam(9)
    office.provision("old", code)
    office.approve(number)
    assert office.provision("old", code) == "active"

    assert kept(Folder(folder))[0].taps == (0 if uploaded else 2)
    assert min(office.tap("old", 1)) < 500
    assert office.upload("old") == 0
    assert office.rig.forks() == []


def test_a_journal_whose_owner_cannot_be_read_stays(office: Office) -> None:
    """It may be this very key's: its numbers are not begun anew beside it."""
    terminal, code = office.order()
    office.provision("old", code)
    path = office.folder / "old" / JOURNAL
    path.write_bytes(bytes(64) + path.read_bytes()[64:])
    before = path.read_bytes()
    office.approve(terminal)

    office.provision("old", code)

    assert path.read_bytes() == before
    assert kept(Folder(office.folder / "old")) == []


def test_a_cut_between_the_two_names_is_made_good(
    office: Office, terminal: int, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old journal has its new name, the new one has none yet: `provision` once more."""
    office.provision("old", lost)
    office.approve_new(terminal)
    rename = Folder.rename

    def cut(self: Folder, old: str, new: str) -> None:
        if old == JOURNAL_DRAFT:
            raise KeyboardInterrupt
        rename(self, old, new)

    monkeypatch.setattr(Folder, "rename", cut)
    with pytest.raises(KeyboardInterrupt):
        office.provision("old", lost)
    monkeypatch.undo()
    with pytest.raises(ProvisionUnfinished):
        office.tap("old", 1)

    assert office.provision("old", lost) == "active"
    assert (office.folder / "old" / FORMER).exists()
    assert office.tap("old", 1)
    assert office.upload("old") == 0


def test_a_wrong_code_sets_nothing_aside(office: Office, lost: str) -> None:
    """Only the server's word that this key replaces another moves the journal."""
    assert lost
    folder = office.folder / "old"
    before = (folder / JOURNAL).read_bytes()

    with pytest.raises(Refused):
        office.provision("old", "AAAA-BBBB-CCCC")
    assert (folder / JOURNAL).read_bytes() == before
    assert kept(Folder(folder)) == []


def test_before_its_first_start_a_box_is_sent_to_provision(office: Office, terminal: int) -> None:
    """A cut before the journal has its name, or an approval that is waited for: once more."""
    code = office.replace(terminal)
    office.provision("new", code)
    folder = office.folder / "new"
    for command in (
        lambda: read_only(folder / JOURNAL),
        lambda: sync(office.config("new"), office.clock, office.wire, final=False),
    ):
        with pytest.raises(ProvisionUnfinished, match="入网尚未完成"):
            command()
    (folder / JOURNAL_DRAFT).unlink()

    with pytest.raises(ProvisionUnfinished):
        read_only(folder / JOURNAL)


def test_a_journal_that_was_used_is_not_begun_anew(office: Office, terminal: int) -> None:
    """Beside a receipt a journal that is not there is gone, and has to be restored."""
    assert terminal
    path = office.folder / "old" / JOURNAL
    path.unlink()

    with pytest.raises(JournalMissing) as caught:
        read_only(path)
    assert not isinstance(caught.value, ProvisionUnfinished)


@pytest.mark.parametrize("rot", [b"{", b'{"head": "00"}', None], ids=["garbage", "short", "gone"])
def test_lost_figures_are_fetched_again(office: Office, terminal: int, rot: bytes | None) -> None:
    """Before its first start the new box gets what it goes on behind a second time."""
    code = office.succeed(terminal)
    path = office.folder / "new" / SUCCESSION
    whole = path.read_bytes()
    if rot is None:
        path.unlink()
    else:
        path.write_bytes(rot)
        with pytest.raises(SuccessionLost) as caught:
            office.tap("new", 1)
        assert "provision` once more" in caught.value.diagnostics()

    assert office.provision("new", code) == "active"
    assert path.read_bytes() == whole
    assert office.tap("new", 2)
    assert office.upload("new") == 0
    assert office.rig.forks() == []
