# SPDX-License-Identifier: Apache-2.0
"""Programs that know nothing of the virtual cards see ordinary readers and ordinary cards."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hardware_mocks.cardhost.client import Hand
from hardware_mocks.pcsc import PcscStack
from tests.integration.pcsc.clients import Context, PcscFault
from tests.unit.hardware_mocks.cardos import issuing

pytestmark = pytest.mark.pcsc

DESK, DESK_CONTACTS = "Yika Desk 00 00", "Yika Desk 00 01"
SELECT = "00A4040006F059494B4101"
TIMEOUT_S = 30.0


def _run(stack: PcscStack, argv: Sequence[str]) -> str:
    done = subprocess.run(
        stack.inside(argv), capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    return done.stdout


def _hex(text: str) -> str:
    return "".join(text.split()).upper()


def test_readers_are_listed(stack: PcscStack, context: Context) -> None:
    """The demonstration's six slots have their names in PC/SC."""
    assert sorted(slot.reader for slot in stack.slots.values()) == sorted(context.readers())


def test_opensc_tool_lists_reader_and_card(
    stack: PcscStack, hand: Hand, context: Context, new_card: Callable[[], str]
) -> None:
    """opensc-tool --list-readers shows the readers, and Yes where a card is."""
    hand.insert("desk-0", new_card())
    context.wait(DESK, present=True)
    lines = _run(stack, ["opensc-tool", "--list-readers"]).splitlines()

    assert [line.split()[1] for line in lines if line.endswith(DESK)] == ["Yes"]
    assert [line.split()[1] for line in lines if line.endswith("Yika POS A 00 00")] == ["No"]


def test_opensc_tool_selects_and_reads(
    stack: PcscStack, hand: Hand, context: Context, new_card: Callable[[], str]
) -> None:
    """opensc-tool selects the application, is shown its FCI, and reads 0015 by SFI."""
    hand.insert("desk-0", new_card())
    context.wait(DESK, present=True)
    shown = _run(stack, ["opensc-tool", "--send-apdu", SELECT, "--send-apdu", "00B095001E"])

    fci, content = shown.split("Sending:")[1:]
    assert "SW1=0x90, SW2=0x00" in fci
    assert "6F 45 84 06 F0 59 49 4B 41 01 A5 3B 9F 0C 38 59" in fci
    assert "SW1=0x90, SW2=0x00" in content
    assert "59 49 4B 41 00 00 00 01 01 01 00 00 59 49 00 00" in content


@pytest.mark.parametrize(
    ("slot", "reader", "atr"),
    [
        ("desk-0", DESK, "3b:86:80:01:59:49:4b:41:20:09:34"),
        ("desk-1", DESK_CONTACTS, "3b:66:00:00:59:49:4b:41:20:09"),
    ],
)
def test_opensc_tool_shows_the_atr(  # noqa: PLR0917 (three fixtures, three parameters)
    stack: PcscStack,
    hand: Hand,
    context: Context,
    new_card: Callable[[], str],
    slot: str,
    reader: str,
    atr: str,
) -> None:
    """Pcscd and opensc accept both answers to reset."""
    hand.insert(slot, new_card())
    context.wait(reader, present=True)

    assert _run(stack, ["opensc-tool", "-r", reader, "-a"]).strip() == atr


def test_scriptor_sees_t0(
    stack: PcscStack,
    hand: Hand,
    context: Context,
    new_card: Callable[[], str],
    tmp_path: Path,
) -> None:
    """In the slot with contacts scriptor gets 61xx and fetches the FCI with GET RESPONSE."""
    hand.insert("desk-1", new_card())
    context.wait(DESK_CONTACTS, present=True)
    script = tmp_path / "select.txt"
    script.write_text(f"reset\n{SELECT}\n00 C0 00 00 47\n00 B0 95 00 1E\n", encoding="ascii")
    shown = _run(stack, ["scriptor", "-r", DESK_CONTACTS, str(script)])

    assert "Using T=0 protocol" in shown
    assert "< 61 47" in shown
    assert "6F458406F059494B4101" in _hex(shown)
    assert "59494B41000000010101000059490000" in _hex(shown)


PYSCARD = f"""
from smartcard.System import readers
from smartcard.util import toHexString
reader = next(r for r in readers() if str(r) == {DESK!r})
connection = reader.createConnection()
connection.connect()
data, sw1, sw2 = connection.transmit(list(bytes.fromhex({SELECT!r})))
atr, protocol = toHexString(connection.getATR()), connection.getProtocol()
print(atr, len(data), f"{{sw1:02X}}{{sw2:02X}}", protocol)
connection.disconnect()
connection.release()
"""


def test_pyscard_sees_an_ordinary_card(
    stack: PcscStack, hand: Hand, context: Context, new_card: Callable[[], str]
) -> None:
    """Pyscard's own classes connect, show the ATR, and transmit."""
    hand.insert("desk-0", new_card())
    context.wait(DESK, present=True)
    shown = _run(stack, [sys.executable, "-c", PYSCARD])

    assert shown.split("\n")[0] == "3B 86 80 01 59 49 4B 41 20 09 34 71 9000 2"


def test_card_is_issued_and_tapped_through_pcsc(
    hand: Hand, context: Context, psam_card: str
) -> None:
    """A blank card is issued at the desk, then tapped at a terminal with its PSAM."""
    hand.blank("issued-here")
    hand.insert("desk-1", "issued-here")
    desk = context.connect(DESK_CONTACTS)
    issuing.personalise(issuing.Session(desk.transmit))
    desk.close()
    hand.remove("desk-1")

    hand.insert("psam-a", psam_card)
    hand.insert("pos-a", "issued-here")
    psam, card = context.connect("Yika POS A 00 01"), context.connect("Yika POS A 00 00")
    composite = bytes.fromhex("AA1E") + bytes(range(30))
    answer = issuing.tap(issuing.Session(card.transmit), issuing.Session(psam.transmit), composite)
    card.close()
    psam.close()

    assert len(answer) == 8


def test_an_apdu_takes_a_tenth_of_a_millisecond(
    hand: Hand, context: Context, new_card: Callable[[], str]
) -> None:
    """The cards acknowledge at once, so that an APDU does not wait 40 ms for the kernel."""
    hand.insert("desk-0", new_card())
    card = context.connect(DESK)
    times = []
    for _ in range(500):
        start = time.perf_counter()
        card.transmit(bytes.fromhex("0084000004"))
        times.append(time.perf_counter() - start)
    card.close()

    # 50 µs on an idle machine; without TCP_QUICKACK 44 000. A loaded one gets a margin of ten.
    assert statistics.median(times) < 1e-3


@pytest.mark.parametrize("torn", [False, True])
def test_quick_change_of_cards_is_noticed(
    hand: Hand, context: Context, new_card: Callable[[], str], torn: bool
) -> None:
    """The next card put down at once, even after a cut in mid-command: pcscd sees both events."""
    first, second = new_card(), new_card()
    hand.insert("pos-a", first)
    link = context.connect("Yika POS A 00 00")
    if torn:
        hand.tear("pos-a", "now")
        with pytest.raises(PcscFault):
            link.transmit(bytes.fromhex("0084000004"))
    else:
        hand.remove("pos-a")
    hand.insert("pos-a", second)
    again = context.connect("Yika POS A 00 00")

    assert again.transmit(bytes.fromhex("0084000004"))[-2:] == b"\x90\x00"
    with pytest.raises(PcscFault):
        link.transmit(bytes.fromhex("0084000004"))
    again.close()
    link.close()
