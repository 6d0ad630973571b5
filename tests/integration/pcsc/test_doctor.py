# SPDX-License-Identifier: Apache-2.0
"""The doctor and the watch at a real pcscd: causes that only a service can have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from card.cli import main
from hardware_mocks.cardhost.client import Hand
from hardware_mocks.pcsc import PcscStack
from tests.integration.pcsc.clients import Context

pytestmark = pytest.mark.pcsc

ROOT = Path(__file__).parents[3]
SLOT = "pos-a"
TIMEOUT_S = 60.0

HOLD = """
import sys
from card.readers import open_reader
connection = open_reader(sys.argv[1]).connect()
print("held", flush=True)
sys.stdin.read()
connection.close()
"""


def _codes(stdout: str) -> dict[str, str]:
    return {item["check"]: item["code"] for item in json.loads(stdout)["checks"]}


def test_a_card_another_program_holds_is_told(
    stack: PcscStack, hand: Hand, context: Context
) -> None:
    """The doctor says that another program uses the card, and to close it."""
    name = f"pcsc:{stack.reader_of(SLOT)}"
    hand.blank("held")
    hand.insert(SLOT, "held")
    context.wait(stack.reader_of(SLOT), present=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    while_held = CliRunner().invoke(main, ["doctor", "--reader", name, "--json"])
    holder.communicate(timeout=TIMEOUT_S)
    afterwards = CliRunner().invoke(main, ["doctor", "--reader", name, "--json"])

    assert while_held.exit_code == 1
    assert _codes(while_held.stdout)[name] == "ReaderBusy"
    assert "其他程序" in while_held.stderr
    assert _codes(afterwards.stdout)[name] == "blank"


def test_a_service_without_readers_is_told(tmp_path: Path) -> None:
    """A pcscd that knows no reader: plug one in; the service itself is fine."""
    with PcscStack((), tmp_path, private=True) as empty:
        done = subprocess.run(
            [sys.executable, "-m", "card", "doctor", "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            env={**os.environ, **empty.environment},
        )

    codes = _codes(done.stdout)
    assert (done.returncode, codes["service"]) == (1, "")
    assert codes["readers"] in {"NoReader", "ReaderNotTaken", "ReaderWithoutDriver"}


def test_the_command_tells_cards_as_they_come(
    stack: PcscStack, hand: Hand, context: Context
) -> None:
    """`yika-card watch` prints a line for each event, as words or as JSON."""
    reader = stack.reader_of(SLOT)
    hand.blank("watched")
    hand.insert(SLOT, "watched")
    context.wait(reader, present=True)
    spoken = CliRunner().invoke(main, ["watch", "--count", "1"])
    lines = CliRunner().invoke(
        main, ["watch", "--reader", f"pcsc:{reader}", "--for", "1", "--json"]
    )
    wrong = CliRunner().invoke(main, ["watch", "--reader", "usb:1"])

    assert spoken.stdout.startswith(f"放卡 card inserted  pcsc:{reader}  3B86")
    assert json.loads(lines.stdout) == {
        "event": "CardInserted",
        "reader": f"pcsc:{reader}",
        "atr": "3B86800159494B41200934",
        "mute": False,
    }
    assert wrong.exit_code == 1
