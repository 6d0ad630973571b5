# SPDX-License-Identifier: Apache-2.0
"""`yika-card info|dump|diff|apply|log` on virtual cards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from card.attempts import AttemptGuard
from card.dump_file import load
from card.psam import PsamCard
from card.tap import TapRequest
from card.volunteer import VolunteerCard
from hardware_mocks.cardos.cos import VirtualCard
from keys.identity import Identity
from keys.store import FileKeyStore
from tests.contracts.connection_cards import PASSPHRASE, in_process, issued_card, issued_psam
from tests.unit.card.virtual_reader import invoke, readers_with


@pytest.fixture
def card(store: FileKeyStore) -> VirtualCard:
    """An issued card with one tap in its log."""
    chip = issued_card(store)
    psam = PsamCard(in_process(issued_psam(store)))
    VolunteerCard(in_process(chip)).clock_in(TapRequest(psam, 1_795_222_800, 32, 101, bytes(8)))
    return chip


@pytest.fixture
def dumped(card: VirtualCard, store: FileKeyStore, tmp_path: Path) -> Path:
    """Its dump with the protected files."""
    path = tmp_path / "card.yaml"
    done = invoke(readers_with(desk=card), "dump", "--protected", "--out", str(path), store=store)
    assert done.exit_code == 0, done.output
    return path


def test_info_says_whose_card_it_is(card: VirtualCard) -> None:
    """Serial, validity, open service and answer to reset, in words and as JSON."""
    document = json.loads(invoke(readers_with(desk=card), "info", "--json").stdout)

    assert document["asn"] == "00000000000000000017"
    assert document["open_service"]["activity"] == 101
    assert document["atr"]
    assert "masked_name: 王**" in invoke(readers_with(desk=card), "info").stdout


def test_a_dump_without_keys_holds_what_anybody_may_read(card: VirtualCard) -> None:
    """Personal files are not in it, and their names are not tried."""
    done = invoke(readers_with(desk=card), "dump")
    document = json.loads(invoke(readers_with(desk=card), "dump", "--json").stdout)

    assert "protected: false" in done.stdout
    assert sorted(document["files"]) == ["0002", "0015", "0019"]
    assert "王小明" not in done.stdout


def test_personal_data_need_keys_and_the_flag(card: VirtualCard, store: FileKeyStore) -> None:
    """`--protected` and `--store` belong together."""
    readers = readers_with(desk=card)

    assert invoke(readers, "dump", "--protected").exit_code == 2
    assert invoke(readers, "dump", store=store).exit_code == 2
    assert "王小明" in invoke(readers, "dump", "--protected", store=store).stdout


def test_a_dump_is_signed_and_checked(
    card: VirtualCard, store: FileKeyStore, tmp_path: Path
) -> None:
    """`--sign` and `--signed-by` use the same key; another key is refused."""
    desk = Identity.from_seed(bytes(32))
    pem, path = tmp_path / "desk.pem", tmp_path / "card.yaml"
    desk.save(pem)
    readers = readers_with(desk=card)
    invoke(readers, "dump", "--out", str(path), "--sign", str(pem))

    fine = invoke(readers, "diff", str(path), "--signed-by", desk.public_key.hex())
    other = invoke(readers, "diff", str(path), "--signed-by", "00" * 32)
    odd = invoke(readers, "diff", str(path), "--signed-by", "zz")

    assert fine.exit_code == 0, fine.output
    assert other.exit_code == 1
    assert odd.exit_code == 2


def test_a_dump_and_its_card_do_not_differ(
    card: VirtualCard, dumped: Path, store: FileKeyStore
) -> None:
    """Right after dumping there is none; without keys that is said to be half the truth."""
    readers = readers_with(desk=card)
    whole = invoke(readers, "diff", str(dumped), store=store)
    part = invoke(readers, "diff", str(dumped))

    assert "no difference" in whole.stdout
    assert "were not compared" not in whole.stdout
    assert "were not compared" in part.stdout


def test_differences_are_shown_and_may_decide_the_status(
    card: VirtualCard, dumped: Path, tmp_path: Path
) -> None:
    """Each field has a line; `--exit-code` makes a difference a failure."""
    later = tmp_path / "later.yaml"
    later.write_text(dumped.read_text(encoding="utf-8").replace("王小明", "李小明"), "utf-8")
    readers = readers_with()

    shown = invoke(readers, "diff", str(dumped), str(later))
    document = json.loads(invoke(readers, "diff", str(dumped), str(later), "--json").stdout)
    failed = invoke(readers, "diff", str(dumped), str(later), "--exit-code")

    assert "王小明 → 李小明" in shown.stdout
    assert [row["file"] for row in document["differences"]] == ["0016"]
    assert (shown.exit_code, failed.exit_code) == (0, 1)


def test_dumps_of_two_cards_are_not_compared(dumped: Path, tmp_path: Path) -> None:
    """The serials decide; the line names both."""
    other = tmp_path / "other.yaml"
    text = dumped.read_text(encoding="utf-8")
    other.write_text(text.replace("00000000000000000017", "00000000000000000025"), "utf-8")
    done = invoke(readers_with(), "diff", str(dumped), str(other))

    assert done.exit_code == 1
    assert "00000000000000000025" in done.stderr


def test_apply_plans_asks_writes_and_is_done(
    card: VirtualCard, dumped: Path, store: FileKeyStore
) -> None:
    """A changed dump is shown, confirmed and written; then nothing is left to write."""
    text = dumped.read_text(encoding="utf-8")
    dumped.write_text(text.replace("王小明", "李小明"), "utf-8")
    readers = readers_with(desk=card)

    dry = invoke(readers, "apply", str(dumped), "--dry-run", store=store)
    refused = invoke(readers, "apply", str(dumped), text="n\n", store=store)
    done = invoke(readers, "apply", str(dumped), text="y\n", store=store)
    again = json.loads(invoke(readers, "apply", str(dumped), "--yes", "--json", store=store).stdout)

    assert "nothing is written yet" in dry.stdout
    assert "王小明 → 李小明" in dry.stdout
    assert "‹128 bytes› ‹MAC›" in dry.stdout
    assert refused.exit_code == 1
    assert "1 writes" in done.stdout
    assert again == {**again, "written": False, "writes": 0, "left": []}


def test_two_people_let_apply_try_a_key(
    card: VirtualCard, dumped: Path, store: FileKeyStore
) -> None:
    """A key with one try left stops apply; two people with reasons, kept in the journal, do not."""
    name = f"{load(dumped).asn.hex().upper()}/39-01"
    attempts = store.path.with_name(f"{store.path.name}.attempts")
    AttemptGuard(attempts).note(name, 0x63C1)
    readers = readers_with(desk=card)
    spoken = ("--allow", name, "--by", "王芳:见过这张卡", "--by", "李强:密钥库核对过")

    refused = invoke(readers, "apply", str(dumped), "--yes", store=store)
    half = invoke(readers, "apply", str(dumped), "--yes", *spoken[:4], store=store)
    done = invoke(readers, "apply", str(dumped), "--yes", *spoken, store=store)

    assert (refused.exit_code, half.exit_code, done.exit_code) == (1, 2, 0), done.stderr
    assert name in refused.stderr
    journal = store.path.with_name(f"{store.path.name}.journal")
    assert "李强" in next(journal.iterdir()).read_text(encoding="utf-8")


def test_apply_issues_a_blank_card(dumped: Path, store: FileKeyStore, tmp_path: Path) -> None:
    """The plan shows the whole issue; the log and the latest tap stay behind and are named.

    At the desk that knows the old card the guard wants two people before another one gets its
    serial; here it is another desk.
    """
    at_first_desk = invoke(
        readers_with(desk=VirtualCard()), "apply", str(dumped), "--yes", store=store
    )
    elsewhere = tmp_path / "elsewhere.yika"
    shutil.copy(store.path, elsewhere)
    store = FileKeyStore.open(elsewhere, PASSPHRASE)
    readers = readers_with(desk=VirtualCard())
    dry = json.loads(
        invoke(readers, "apply", str(dumped), "--dry-run", "--json", store=store).stdout
    )
    done = json.loads(invoke(readers, "apply", str(dumped), "--yes", "--json", store=store).stdout)

    assert at_first_desk.exit_code == 1
    assert "two people decide" in at_first_desk.stderr
    assert dry["issue"]
    assert not dry["written"]
    assert len(dry["commands"]) > 60
    assert done["issued"]
    assert {row["file"] for row in done["left"]} == {"0018", "0019"}


def test_apply_in_json_needs_a_decision(dumped: Path, store: FileKeyStore) -> None:
    """A program cannot be asked, so it says `--yes` or `--dry-run`."""
    assert invoke(readers_with(), "apply", str(dumped), "--json", store=store).exit_code == 2


def test_apply_refuses_a_file_that_is_no_dump(tmp_path: Path, store: FileKeyStore) -> None:
    """One line, status 1."""
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\n", "utf-8")
    done = invoke(readers_with(), "apply", str(path), store=store)

    assert done.exit_code == 1
    assert "not a dump" in done.stderr


def test_the_log_is_read_with_the_desk_s_keys(card: VirtualCard, store: FileKeyStore) -> None:
    """One tap, one record, newest first."""
    readers = readers_with(desk=card)
    document = json.loads(invoke(readers, "log", "--json", store=store).stdout)

    assert [row["psam_no"] for row in document["log"]] == ["001122334455"]
    assert "终端机编号 001122334455" in invoke(readers, "log", store=store).stdout
    assert invoke(readers, "log").exit_code == 2
    assert invoke(readers, "log", "--application", "zz").exit_code == 2


def test_a_misspelt_reader_gets_the_names_there_are() -> None:
    """A reader that is not there is answered with those that are, in one line."""
    done = invoke(readers_with(desk=None), "info", "--reader", "virtual:dask")

    assert done.exit_code == 1
    assert "virtual:dask" in done.stderr
    assert "virtual:desk" in done.stderr
    assert done.stderr.count("\n") == 1
