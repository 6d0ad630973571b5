# SPDX-License-Identifier: Apache-2.0
"""The commands of a desk: issue, batch, profile check, photo, psam, update."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from card.files import PHOTO_BYTES_MAX
from card.operation import run
from card.personalise import CardState, inspect
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.tear import Moment, Tear
from keys.store import FileKeyStore
from tests.contracts.connection_cards import ASN, PSAM_NO, PSAM_SERIAL, UID, in_process, make_store
from tests.unit.card.virtual_reader import VirtualReader, invoke, readers_with

DATA: dict[str, Any] = {
    "asn": ASN.hex(),
    "valid_from": "2026-11-01",
    "valid_to": "2031-10-31",
    "masked_name": "王**",
    "name": "王小明",
    "volunteer_number": "1000000004",
}


@pytest.fixture
def desk(tmp_path: Path) -> FileKeyStore:
    """A key store in a folder of its own: attempts and journals lie beside it."""
    return make_store(tmp_path)


def _issue(card: VirtualCard, store: FileKeyStore, *more: str, **changes: Any) -> Any:
    text = json.dumps({**DATA, **changes})
    return invoke(readers_with(desk=card), "issue", "--data", "-", *more, text=text, store=store)


def test_issue_writes_and_says_so(desk: FileKeyStore) -> None:
    """A blank becomes a card; again, nothing is written; the journal lies beside the store."""
    card = VirtualCard(uid=UID)
    first = _issue(card, desk, "--json")
    second = _issue(card, desk, "--json")

    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr
    assert json.loads(first.stdout)["dry_run"] is False
    assert json.loads(first.stdout)["writes"] > 25
    assert json.loads(second.stdout)["writes"] == 0
    assert "tac" in json.loads(first.stdout)["unproved"]
    assert (desk.path.parent / "keys.yika.journal" / f"{ASN.hex().upper()}.jsonl").exists()


@pytest.mark.parametrize("look", [(), ("--look",)])
def test_a_dry_run_is_never_taken_for_success(desk: FileKeyStore, look: tuple[str, ...]) -> None:
    """Text and JSON say that nothing was written; the card stays blank."""
    card = VirtualCard(uid=UID)
    text = _issue(card, desk, "--dry-run", *look)
    machine = _issue(card, desk, "--dry-run", "--json", *look)

    assert (text.exit_code, machine.exit_code) == (0, 0)
    assert text.stdout.rstrip().endswith("DRY RUN: nothing was written to any card")
    assert json.loads(machine.stdout)["dry_run"] is True
    for done in (text, machine):
        assert "issued" not in done.output
        assert "已发卡" not in done.output
    assert card.memory.image.mf is None


def test_a_cut_card_needs_itself_or_a_word(desk: FileKeyStore) -> None:
    """Another blank is refused with what to do; with --spoilt it is issued."""
    card = VirtualCard(uid=UID)
    card.tear(Tear(50))
    cut = _issue(card, desk)
    blank = VirtualCard(uid=UID)
    refused = _issue(blank, desk)
    done = _issue(blank, desk, "--spoilt", "chip cracked")

    assert (cut.exit_code, refused.exit_code, done.exit_code) == (1, 1, 0), done.stderr
    assert "swapped" in refused.stderr
    assert blank.memory.image.mf is not None


def test_a_blank_takes_the_place_of_a_card_cut_after_its_keys_changed(desk: FileKeyStore) -> None:
    """What the guard knows of the spoilt card's keys costs the new one no try, cut or not."""
    spoilt, blank = VirtualCard(uid=UID), VirtualCard(uid=UID)
    assert _issue(spoilt, desk).exit_code == 0
    blank.tear(Tear(write=1, moment=Moment.HALF_WRITTEN))
    cut = _issue(blank, desk, "--spoilt", "chip cracked")
    done = _issue(blank, desk)

    assert (cut.exit_code, done.exit_code) == (1, 0), done.stderr


def test_two_people_let_a_key_be_tried(desk: FileKeyStore) -> None:
    """One name is wrong usage, the same name twice is refused, two with reasons are kept."""
    name = f"{ASN.hex().upper()}/3F00/39-00"
    options = ("--allow", name, "--by", "王芳:换过密钥库，已核对")
    card = VirtualCard(uid=UID)

    assert _issue(card, desk, *options).exit_code == 2
    assert _issue(card, desk, *options, "--by", "王芳:换过密钥库，已核对").exit_code == 1
    done = _issue(card, desk, *options, "--by", "李强:见过卡片与记录")

    assert done.exit_code == 0, done.stderr
    journal = (desk.path.parent / "keys.yika.journal" / f"{ASN.hex().upper()}.jsonl").read_text()
    assert "李强" in journal


def test_a_box_is_issued_checked_and_counted(desk: FileKeyStore, tmp_path: Path) -> None:
    """One card after the other, restart, spoilt cards; JSON lines for machines."""
    path = tmp_path / "box.jsonl"
    rows = [{**DATA, "asn": f"{number:020d}"} for number in (1, 2)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    cards = [VirtualCard(uid=UID), VirtualCard(uid=UID)]

    for card in cards:
        done = invoke(readers_with(desk=card), "batch", "issue", str(path), "--limit", "1",
                      "--json", store=desk)  # fmt: skip
        assert done.exit_code == 0, done.stderr
        line, stock = (json.loads(text) for text in done.stdout.splitlines())
        assert line["writes"] > 25
    assert (stock["done"], stock["left"], stock["blanks_used"]) == (2, 0, 2)
    assert [run(inspect(), in_process(card)).state for card in cards] == [CardState.ISSUED] * 2
    again = invoke(readers_with(desk=cards[0]), "batch", "issue", str(path), store=desk)
    assert "2 of 2 done" in again.stdout
    spoilt = invoke(readers_with(), "batch", "spoilt", str(path), f"{1:020d}", "bent", "--json")
    assert json.loads(spoilt.stdout)["spoilt"] == 1


def test_a_finished_card_is_no_next_one_after_the_reader_blinked(
    desk: FileKeyStore, tmp_path: Path
) -> None:
    """The reader was away while the finished card lay there: it still has to be taken away."""
    path = tmp_path / "box.jsonl"
    path.write_text("\n".join(json.dumps({**DATA, "asn": f"{n:020d}"}) for n in (1, 2)))
    readers = readers_with(desk=VirtualCard(uid=UID))
    reader = readers.open("virtual:desk")
    assert isinstance(reader, VirtualReader)
    reader.blinks = 1
    done = invoke(readers, "batch", "issue", str(path), store=desk)

    assert (done.exit_code, reader.blinks) == (1, 0)
    assert "no card" in done.stderr


def test_a_list_with_faults_touches_no_card(desk: FileKeyStore, tmp_path: Path) -> None:
    """Every fault is told with line and field; the card stays blank."""
    path = tmp_path / "box.jsonl"
    path.write_text(json.dumps(DATA) + "\n" + json.dumps({**DATA, "asn": "17"}) + "\n{")
    card = VirtualCard(uid=UID)

    done = invoke(readers_with(desk=card), "batch", "issue", str(path), store=desk)
    checked = invoke(readers_with(), "batch", "check", str(path), "--json")

    assert done.exit_code == 1
    assert "box.jsonl:2: asn" in done.stderr
    assert [json.loads(line)["line"] for line in checked.stdout.splitlines()] == [2, 3]
    assert card.memory.image.mf is None


def test_a_card_that_fails_stops_the_box(desk: FileKeyStore, tmp_path: Path) -> None:
    """The error is a line of its own; the next run begins with this card again."""
    path = tmp_path / "box.jsonl"
    path.write_text(json.dumps(DATA))
    card = VirtualCard(uid=UID)
    card.tear(Tear(40))

    done = invoke(readers_with(desk=card), "batch", "issue", str(path), "--json", store=desk)
    again = invoke(readers_with(desk=card), "batch", "issue", str(path), "--json", store=desk)

    assert done.exit_code == 1
    assert json.loads(done.stdout)["error"] == "CardRemoved"
    assert again.exit_code == 0, again.stderr


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ((), 0),
        (("--chip", "32k"), 0),
        (("--chip", "fm1208"), 1),
        (("--chip", "16k"), 1),
        (("--chip", "fm1208", "--profile", "reduced"), 0),
        (("--profile", "reduced"), 0),
    ],
)
def test_profile_check_refuses_less_than_twelve_kilobytes(
    options: tuple[str, ...], status: int
) -> None:
    """Less is refused with the figures, unless the small profile is named."""
    done = invoke(readers_with(), "profile", "check", *options)
    machine = invoke(readers_with(), "profile", "check", *options, "--json")

    assert (done.exit_code, machine.exit_code) == (status, status)
    assert json.loads(machine.stdout)["fits"] is (status == 0)
    assert ("free where 12288 are due" in done.stderr) == (status == 1)


def test_photo_makes_the_chips_photo(tmp_path: Path) -> None:
    """A registration photo becomes a small JPEG; anything else is one line."""
    source, target = tmp_path / "in.jpg", tmp_path / "out.jpg"
    coded = io.BytesIO()
    Image.effect_noise((413, 578), 50).save(coded, "JPEG")
    source.write_bytes(coded.getvalue())

    done = invoke(readers_with(), "photo", str(source), str(target), "--json")
    assert json.loads(done.stdout)["bytes"] == target.stat().st_size <= PHOTO_BYTES_MAX

    source.write_bytes(b"GIF89a")
    failed = invoke(readers_with(), "photo", str(source), str(target))
    assert failed.exit_code == 1
    assert len(failed.stderr.strip().splitlines()) == 1


def test_a_psam_is_issued_and_shown(desk: FileKeyStore) -> None:
    """Issued once, found the second time, and its identity is shown."""
    psam = VirtualPsam()
    options = ("--serial", PSAM_SERIAL.hex(), "--number", PSAM_NO.hex(), "--json")

    first = invoke(readers_with(slot=psam), "psam", "issue", *options, store=desk)
    second = invoke(readers_with(slot=psam), "psam", "issue", *options, store=desk)
    info = invoke(readers_with(slot=psam), "psam", "info", "--json")

    assert first.exit_code == 0, first.stderr
    assert (json.loads(first.stdout)["writes"], json.loads(second.stdout)["writes"]) == (4, 0)
    assert json.loads(first.stdout)["algorithm"] == "3des"
    assert json.loads(info.stdout)["number"] == PSAM_NO.hex().upper()
    bad = invoke(readers_with(slot=psam), "psam", "issue", "--serial", "1", "--number", "2",
                 store=desk)  # fmt: skip
    assert bad.exit_code == 2


def test_update_writes_what_differs(desk: FileKeyStore) -> None:
    """A dry run says what would be written; then it is written once; blocking comes last."""
    card = VirtualCard(uid=UID)
    _issue(card, desk)
    options = ("update", "--level", "3", "--valid-to", "2036-10-31", "--json")

    dry = invoke(readers_with(desk=card), *options, "--dry-run", store=desk)
    first = invoke(readers_with(desk=card), *options, store=desk)
    second = invoke(readers_with(desk=card), *options, store=desk)
    block = invoke(readers_with(desk=card), "update", "--block", "for-good", "--json", store=desk)

    assert json.loads(dry.stdout)["fields"] == ["valid_to", "level"]
    assert json.loads(dry.stdout)["writes"] == 0
    assert json.loads(first.stdout)["writes"] == 3
    assert json.loads(second.stdout)["writes"] == 0
    assert json.loads(block.stdout)["blocked"] is True
    assert invoke(readers_with(desk=card), "info").exit_code == 1
