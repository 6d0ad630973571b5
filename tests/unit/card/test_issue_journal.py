# SPDX-License-Identifier: Apache-2.0
"""The desk's journal of a card: what it keeps, what it refuses, and that a cut does not harm it."""

from __future__ import annotations

import datetime as dt
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from card.attempts import AttemptGuard, Consent
from card.card_keys import CardKeys
from card.errors import CardRemoved, LayoutError
from card.issue_journal import IssueJournal
from card.issuing_errors import CardSwapped, IssuingStopped, PlanChanged
from card.operation import run
from card.personalise import personalise
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Moment, Tear
from keys.store import FileKeyStore
from tests.contracts.connection_cards import ASN, UID, card_data, in_process

NINE = dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def keys(store: FileKeyStore) -> CardKeys:
    """The keys of the test card."""
    return CardKeys.from_store(store, ASN, 1)


def _journal(folder: Path, chip: str = "") -> IssueJournal:
    return IssueJournal(folder, ASN, chip, now=lambda: NINE)


def _issue(card: VirtualCard, keys: CardKeys, journal: IssueJournal, **changes: Any) -> int:
    operation = personalise(card_data(**changes), keys, guard=AttemptGuard(), journal=journal)
    return run(operation, in_process(card)).writes


def test_a_card_issued_in_one_go(tmp_path: Path, keys: CardKeys) -> None:
    """Beginning, every step that wrote, and the end are kept; the writes add up."""
    journal = _journal(tmp_path)
    writes = _issue(VirtualCard(uid=UID), keys, journal)

    again = _journal(tmp_path)
    assert again.issued
    assert again.writes == writes
    assert [again.entries[0]["what"], again.entries[-1]["what"]] == ["begin", "done"]
    assert {entry["at"] for entry in again.entries} == {"2026-11-22T09:00:00+00:00"}


def test_a_cut_card_is_gone_on_with_in_another_process(tmp_path: Path, keys: CardKeys) -> None:
    """After a cut the journal knows the writes; the next run does the rest, the third nothing."""
    card = VirtualCard(uid=UID)
    card.tear(Tear(60, moment=Moment.BEFORE_ANSWER))
    with pytest.raises(CardRemoved):
        _issue(card, keys, _journal(tmp_path))
    card.power_on()
    first = _journal(tmp_path)

    rest = _issue(card, keys, _journal(tmp_path))

    assert not first.issued
    assert first.writes > 0
    assert rest > 0
    assert _issue(card, keys, _journal(tmp_path)) == 0


def test_another_blank_instead_of_a_begun_card_is_refused(tmp_path: Path, keys: CardKeys) -> None:
    """A begun card lies somewhere; the blank one on the reader is not it."""
    card = VirtualCard(uid=UID)
    card.tear(Tear(30))
    with pytest.raises(CardRemoved):
        _issue(card, keys, _journal(tmp_path))
    blank = VirtualCard(uid=UID)

    with pytest.raises(CardSwapped):
        _issue(blank, keys, _journal(tmp_path))
    assert blank.memory.image.mf is None

    _journal(tmp_path).spoilt("chip cracked", "王芳")
    assert _issue(blank, keys, _journal(tmp_path)) > 0


def test_another_chip_is_refused(tmp_path: Path, keys: CardKeys) -> None:
    """Where readers tell chips apart, a begun plan goes on only at its own."""
    card = VirtualCard(uid=UID)
    card.tear(Tear(30))
    with pytest.raises(CardRemoved):
        _issue(card, keys, _journal(tmp_path, "66799D24"))
    card.power_on()

    with pytest.raises(CardSwapped) as caught:
        _issue(card, keys, _journal(tmp_path, "66799D25"))

    assert (caught.value.expected, caught.value.found) == ("66799D24", "66799D25")


def test_other_data_for_a_begun_card_are_refused(tmp_path: Path, keys: CardKeys) -> None:
    """Half of one plan and half of another never meet on a card."""
    card = VirtualCard(uid=UID)
    card.tear(Tear(60))
    with pytest.raises(CardRemoved):
        _issue(card, keys, _journal(tmp_path))
    card.power_on()

    with pytest.raises(PlanChanged):
        _issue(card, keys, _journal(tmp_path), name="李四")


def test_a_stop_is_kept_with_its_reason(tmp_path: Path, keys: CardKeys) -> None:
    """The journal says why a run ended, in words."""
    plain = in_process(VirtualCard(uid=UID))

    class Full:
        def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
            return (b"", 0x6A84) if apdu.startswith(b"\x80\xe0\x00\x1b") else plain.transmit(apdu)

    with pytest.raises(IssuingStopped):
        run(personalise(card_data(), keys, journal=_journal(tmp_path)), Full())

    last = _journal(tmp_path).entries[-1]
    assert (last["what"], last["error"]) == ("stopped", "CardFull")
    assert "001B" in last["text"]


def test_two_peoples_decision_is_kept(tmp_path: Path) -> None:
    """Names and reasons stand in the card's journal."""
    consent = Consent(("王芳", "李强"), ("柜台核对过密钥库", "见过卡片" * 2))
    _journal(tmp_path).decided("k", consent)

    assert _journal(tmp_path).entries[-1]["names"] == ["王芳", "李强"]


def test_no_name_and_no_number_of_a_person_is_in_it(tmp_path: Path, keys: CardKeys) -> None:
    """Data appear as a mark that needs the card's key to be recomputed; the file is private."""
    _issue(VirtualCard(uid=UID), keys, _journal(tmp_path), document_tail="12345X")
    path = tmp_path / f"{ASN.hex().upper()}.jsonl"
    text = path.read_text(encoding="utf-8")

    for secret in ("王", "1000000004", "12345X"):
        assert secret not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    """A cut while a line was written loses that line and nothing else."""
    journal = _journal(tmp_path)
    journal.begin("00", "blank")
    whole = journal.path.read_bytes()
    for cut in range(1, 30):
        journal.path.write_bytes(whole + whole[:cut])
        again = _journal(tmp_path)
        assert len(again.entries) == 1
        again.step(1, "create", 1)
        assert [json.loads(line)["what"] for line in journal.path.read_text().splitlines()] == [
            "begin", "step",
        ]  # fmt: skip


@pytest.mark.parametrize("line", ["{}", "[]", "x", '{"what": 1}'])
def test_a_damaged_journal_is_not_ignored(tmp_path: Path, line: str) -> None:
    """A line that is no entry is an error with its number."""
    journal = _journal(tmp_path)
    journal.begin("00", "blank")
    journal.path.write_text(journal.path.read_text() + line + "\n")

    with pytest.raises(LayoutError) as caught:
        _journal(tmp_path)
    assert "line 2" in caught.value.reason
