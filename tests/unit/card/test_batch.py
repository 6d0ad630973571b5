# SPDX-License-Identifier: Apache-2.0
"""Issuing a box: restart where it stopped, spoilt cards, the count at the end."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from card.attempts import AttemptGuard
from card.batch import Batch, OtherBatch
from card.errors import CardError, CardRemoved, LayoutError
from card.issuing_errors import CardSwapped
from card.operation import run
from card.personalise import CardState, inspect
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Tear
from keys.store import FileKeyStore
from tests.contracts.connection_cards import UID, in_process

NINE = dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC)


def _list(folder: Path, count: int = 3) -> Path:
    path = folder / "box.jsonl"
    rows = [
        {
            "asn": f"{number:020d}", "valid_from": "2026-11-01", "valid_to": "2031-10-31",
            "masked_name": "王**", "name": "王小明", "volunteer_number": f"{number:010d}",
        }
        for number in range(1, count + 1)
    ]  # fmt: skip
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n")
    return path


def _open(path: Path) -> Batch:
    return Batch(path, now=lambda: NINE)


def _issue(batch: Batch, store: FileKeyStore, card: VirtualCard) -> int:
    row = next(batch.waiting())
    return batch.issue(row, store, in_process(card), AttemptGuard()).writes


def test_a_box_is_issued_card_by_card(tmp_path: Path, store: FileKeyStore) -> None:
    """Each row becomes one card; at the end nothing is left."""
    batch = _open(_list(tmp_path))
    cards = [VirtualCard(uid=UID) for _ in batch.rows]
    for card in cards:
        _issue(batch, store, card)

    assert list(batch.waiting()) == []
    stock = batch.stock()
    assert (stock.wanted, stock.done, stock.left, stock.blanks_used) == (3, 3, 0, 3)
    serials = [run(inspect(), in_process(card)) for card in cards]
    assert [found.state for found in serials] == [CardState.ISSUED] * 3
    assert len({found.public.asn for found in serials if found.public}) == 3


def test_it_goes_on_where_it_stopped(tmp_path: Path, store: FileKeyStore) -> None:
    """Another process issues what is left; a finished row is not asked for again."""
    path = _list(tmp_path)
    _issue(_open(path), store, VirtualCard(uid=UID))
    half = VirtualCard(uid=UID)
    half.tear(Tear(50))
    with pytest.raises(CardRemoved):
        _issue(_open(path), store, half)
    half.power_on()

    again = _open(path)
    assert [row.line for row in again.waiting()] == [2, 3]
    assert again.stock().failed == 1
    assert _issue(again, store, half) > 0
    assert [row.line for row in again.waiting()] == [3]


def test_a_spoilt_card_is_replaced_by_a_blank(tmp_path: Path, store: FileKeyStore) -> None:
    """The blank is refused until the first card is marked as spoilt; the count knows both."""
    batch = _open(_list(tmp_path))
    half = VirtualCard(uid=UID)
    half.tear(Tear(50))
    with pytest.raises(CardRemoved):
        _issue(batch, store, half)
    blank = VirtualCard(uid=UID)
    with pytest.raises(CardSwapped):
        _issue(batch, store, blank)

    batch.spoilt(next(batch.waiting()), "chip cracked", "王芳")
    _issue(batch, store, blank)

    stock = batch.stock()
    assert (stock.done, stock.spoilt, stock.failed, stock.blanks_used) == (1, 1, 0, 2)


def test_results_name_no_person(tmp_path: Path, store: FileKeyStore) -> None:
    """The results hold serials and outcomes only."""
    path = _list(tmp_path)
    _issue(_open(path), store, VirtualCard(uid=UID))
    text = path.with_name(path.name + ".results.jsonl").read_text()

    assert "王" not in text
    assert json.loads(text.splitlines()[1])["what"] == "done"


def test_results_of_another_list_are_refused(tmp_path: Path, store: FileKeyStore) -> None:
    """A changed list under the same name does not go on with old results."""
    path = _list(tmp_path)
    _issue(_open(path), store, VirtualCard(uid=UID))
    _list(tmp_path, count=2)

    with pytest.raises(OtherBatch):
        _open(path)


def test_a_cut_while_a_result_was_written_loses_nothing_else(
    tmp_path: Path, store: FileKeyStore
) -> None:
    """The card whose result was cut is found finished and costs no write."""
    path = _list(tmp_path)
    card = VirtualCard(uid=UID)
    _issue(_open(path), store, card)
    results = path.with_name(path.name + ".results.jsonl")
    results.write_bytes(results.read_bytes()[:-20])
    card.reset()

    assert _issue(_open(path), store, card) == 0


def test_damaged_results_are_not_ignored(tmp_path: Path) -> None:
    """A line that is no result is an error."""
    path = _list(tmp_path)
    _open(path)
    results = path.with_name(path.name + ".results.jsonl")
    results.write_text(results.read_text() + "nonsense\n")

    with pytest.raises(LayoutError):
        _open(path)


def test_a_refusal_is_kept_with_its_reason(tmp_path: Path, store: FileKeyStore) -> None:
    """A card that refuses leaves its error in the results."""

    class Refuses:
        def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
            return b"", 0x6D00

    batch = _open(_list(tmp_path))
    with pytest.raises(CardError):
        batch.issue(next(batch.waiting()), store, Refuses(), AttemptGuard())

    assert batch.stock().failed == 1
