# SPDX-License-Identifier: Apache-2.0
"""Cards pulled off a real reader in the middle of a tap, and programs killed in mid-write."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hardware_mocks.cardhost.client import Hand, HandError
from hardware_mocks.cardos import state
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.errors import CardGone, ImageDamaged
from hardware_mocks.cardos.psam import VirtualPsam
from hardware_mocks.cardos.tear import Moment, Tear
from tests.integration.pcsc.clients import Context, PcscFault, copy_card, issue_psam
from tests.unit.hardware_mocks.cardos import issuing

POS = "Yika POS A 00 00"
COMPOSITE = bytes.fromhex("AA1E") + bytes(range(30))
SELECT = b"\x00\xa4\x04\x00\x06" + issuing.AID
ROOT = Path(__file__).parents[3]
# Each round costs two polls of the reader's driver, about a second.
PUT_BACK = 4


@pytest.mark.pcsc
@pytest.mark.parametrize(
    ("when", "committed"), [("before-debit", False), ("in-debit", False), ("debit-lost", True)]
)
def test_torn_tap_at_the_reader(
    hand: Hand,
    context: Context,
    new_card: Callable[[], str],
    psam_card: str,
    when: str,
    committed: bool,
) -> None:
    """The reader loses the card; put back, the card proves the tap or knows nothing of it."""
    name = new_card()
    hand.insert("psam-a", psam_card)
    hand.insert("pos-a", name)
    psam, card = context.connect("Yika POS A 00 01"), context.connect(POS)
    hand.tear("pos-a", when)
    with pytest.raises(PcscFault):
        issuing.tap(issuing.Session(card.transmit), issuing.Session(psam.transmit), COMPOSITE)
    context.wait(POS, present=False)
    card.close()
    assert hand.slots()["pos-a"]["card"] is None

    hand.insert("pos-a", name)
    card = context.connect(POS)
    session = issuing.Session(card.transmit)
    session.ok(SELECT)
    proof = session("805A000902000008")[1]
    composite = session.ok("00B2AAC800")
    card.close()
    psam.close()
    assert proof == (0x9000 if committed else 0x9406)
    assert (composite == COMPOSITE) is committed


@pytest.mark.pcsc
def test_card_is_put_back_at_once(
    hand: Hand, context: Context, new_card: Callable[[], str]
) -> None:
    """Whoever sees the card torn off may insert one in the same moment, again and again."""
    name = new_card()
    hand.insert("pos-a", name)
    for _ in range(PUT_BACK):
        card = context.connect(POS)
        hand.tear("pos-a", "now")
        with pytest.raises(PcscFault):
            card.transmit(SELECT)
        hand.insert("pos-a", name)
        card.close()
    card = context.connect(POS)
    issuing.Session(card.transmit).ok(SELECT)
    card.close()


@pytest.mark.pcsc
def test_faults_and_pace_through_the_control(
    hand: Hand, context: Context, new_card: Callable[[], str]
) -> None:
    """A fault and a pace asked of the host reach the card in the reader."""
    hand.insert("pos-a", new_card())
    card = context.connect(POS)
    session = issuing.Session(card.transmit)
    hand.pace("pos-a", "contactless-424")
    hand.fault("pos-a", "status", sw="6581", ins="A4")
    assert session(SELECT)[1] == 0x6581
    assert session(SELECT)[1] == 0x9000
    hand.pace("pos-a", None)
    card.close()
    with pytest.raises(HandError, match="unknown fault"):
        hand.fault("pos-a", "fire")
    with pytest.raises(HandError, match="unknown profile"):
        hand.pace("pos-a", "warp")
    with pytest.raises(HandError, match="empty"):
        hand.fault("pos-b", "mute")


@pytest.mark.pcsc
def test_bad_tears(hand: Hand, new_card: Callable[[], str]) -> None:
    """A tear needs a card and a moment that is known."""
    with pytest.raises(HandError, match="empty"):
        hand.tear("pos-a", "debit-lost")
    hand.insert("pos-a", new_card())
    with pytest.raises(HandError, match="unknown moment"):
        hand.tear("pos-a", "later")


@pytest.mark.parametrize("moment", list(Moment))
def test_file_holds_old_or_new(template: Path, tmp_path: Path, moment: Moment) -> None:
    """Cut inside the debit's write, the file on disk is the whole old card or the whole new."""
    path = tmp_path / "card.card"
    copy_card(template, path)
    before = path.read_bytes()
    card, module = VirtualCard(path), VirtualPsam()
    psam = issuing.Session(module.transmit)
    issuing.personalise_psam(psam)
    card.tear(Tear(ins=0x54, moment=moment))
    with pytest.raises(CardGone):
        issuing.tap(issuing.Session(card.transmit), psam, COMPOSITE)

    committed = moment in (Moment.RENAMED, Moment.BEFORE_ANSWER)
    assert (path.read_bytes() != before) is committed
    again = VirtualCard(path)  # a half-written file beside the image does not disturb
    again.tear(None)
    assert issuing.tap(issuing.Session(again.transmit), psam, COMPOSITE)


def test_damaged_image_is_named(template: Path, tmp_path: Path) -> None:
    """A card image that was changed behind the card's back is refused with its path."""
    path = tmp_path / "card.card"
    path.write_bytes(template.read_bytes()[:-1])

    with pytest.raises(ImageDamaged, match=r"card\.card: damaged card image: checksum"):
        VirtualCard(path)


def test_blank_never_overwrites(template: Path) -> None:
    """A blank card is not made where a card is."""
    with pytest.raises(FileExistsError):
        VirtualCard.blank(path=template)


TAPPER = """
import sys
from pathlib import Path
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.psam import VirtualPsam
from tests.unit.hardware_mocks.cardos import issuing
card, psam = VirtualCard(Path(sys.argv[1])), VirtualPsam(Path(sys.argv[2]))
session, module = issuing.Session(card.transmit), issuing.Session(psam.transmit)
number = int(sys.argv[3])
while True:
    number += 1
    issuing.tap(session, module, bytes.fromhex("AA1E") + number.to_bytes(30, "big"))
    print(number, flush=True)
"""
KILLS = 6


def test_killed_process_leaves_whole_cards(template: Path, tmp_path: Path) -> None:
    """SIGKILL at any moment: counter, log, record and PSAM agree, and no answered tap is lost."""
    card_path, psam_path = tmp_path / "card.card", tmp_path / "psam.card"
    copy_card(template, card_path)
    issue_psam(psam_path)
    answered = 0
    for _ in range(KILLS):
        answered = _tap_until_killed(card_path, psam_path, answered)
        number, counter, newest = _found(card_path)

        assert counter == newest + 1
        assert number in (answered, answered + 1)
        assert counter == number
        answered = number
        assert VirtualPsam(psam_path).memory.image.counter >= number


def _tap_until_killed(card: Path, psam: Path, start: int) -> int:
    process = subprocess.Popen(
        [sys.executable, "-c", TAPPER, str(card), str(psam), str(start)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        first = process.stdout.readline()
        time.sleep(random.uniform(0, 0.05))  # the moment of the kill is the random thing tested
        process.send_signal(signal.SIGKILL)
        process.wait()
        lines = (first + process.stdout.read()).split()
    assert lines, f"no tap after {start} was answered"
    return int(lines[-1])


def _found(path: Path) -> tuple[int, int, int]:
    """Return the number in the composite record, the counter, and the newest log's serial."""
    mf = state.load(path.read_bytes()).mf
    assert mf is not None
    files = mf.children[0x3F01].files
    purse = files[0x0002].purse
    assert purse is not None
    newest = int.from_bytes(files[0x0018].records[0][:2], "big")
    return int.from_bytes(files[0x0019].records[0][2:], "big"), purse.offline, newest
