# SPDX-License-Identifier: Apache-2.0
"""The card host's control: what it does, what it refuses, and its command line."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hardware_mocks.cardhost.client import Hand, HandError
from hardware_mocks.pcsc import PcscStack

pytestmark = pytest.mark.pcsc

ROOT = Path(__file__).parents[3]


def test_card_is_in_one_place(hand: Hand, new_card: Callable[[], str]) -> None:
    """A slot holds one card, a card is in one slot, and it can be moved."""
    first, second = new_card(), new_card()
    hand.insert("pos-a", first)
    with pytest.raises(HandError, match=f"pos-a holds {first}"):
        hand.insert("pos-a", second)
    with pytest.raises(HandError, match="is in slot pos-a"):
        hand.insert("pos-b", first)

    assert hand.remove("pos-a") == first
    assert hand.remove("pos-a") is None
    hand.insert("pos-b", first)
    assert hand.slots()["pos-b"]["card"] == first


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"do": "insert", "slot": "pos-z", "card": "v1"}, "no slot 'pos-z'"),
        ({"do": "insert", "slot": "pos-a", "card": "nobody"}, "no card nobody"),
        ({"do": "insert", "slot": "pos-a", "card": "../v1"}, "no card name"),
        ({"do": "blank", "card": "V 1"}, "no card name"),
        ({"do": "blank", "card": "x", "kind": "sim"}, "unknown kind"),
        ({"do": "fly"}, "unknown request"),
        ({}, "unknown request"),
    ],
)
def test_bad_requests(hand: Hand, request_: dict[str, str], reason: str) -> None:
    """Every refusal names its cause, and the connection lives on."""
    with pytest.raises(HandError, match=reason):
        hand.ask(**request_)

    assert hand.slots()


def test_blank_is_made_once(hand: Hand) -> None:
    """A second blank of the same name is refused; a PSAM is a card of its own kind."""
    hand.blank("once")
    with pytest.raises(HandError, match="already"):
        hand.blank("once")
    hand.blank("psam-new", kind="psam")

    assert {"once", "psam-new"} <= set(hand.cards())


def test_damaged_image_is_refused(stack: PcscStack, hand: Hand) -> None:
    """A file that is no card image is named and not inserted."""
    (stack.cards / "bent.card").write_bytes(b"not a card")

    with pytest.raises(HandError, match=r"bent\.card: damaged"):
        hand.insert("pos-a", "bent")


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{\n", b'"x"\n', b"\xff\n"])
def test_lines_that_are_no_requests(stack: PcscStack, line: bytes) -> None:
    """Garbage gets an answer, not silence and not the end of the host."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(stack.control))
        raw.sendall(line)
        answer = json.loads(raw.makefile().readline())

    assert answer["ok"] is False


def test_endless_line_ends_the_connection(stack: PcscStack, hand: Hand) -> None:
    """A client that never ends its line is thrown out; the others stay."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(stack.control))
        raw.sendall(b"x" * 8192)
        assert raw.recv(1) == b""

    assert hand.slots()


def _cli(stack: PcscStack, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hardware_mocks.cardhost", *argv, "--control", str(stack.control)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_command_line(stack: PcscStack, hand: Hand) -> None:
    """People move cards by hand: each request is a command, a refusal one line and status 1."""
    assert _cli(stack, "blank", "by-hand").returncode == 0
    assert _cli(stack, "insert", "pos-a", "by-hand").returncode == 0
    assert json.loads(_cli(stack, "list").stdout)["slots"]["pos-a"]["card"] == "by-hand"
    assert _cli(stack, "tear", "pos-a", "debit-lost").returncode == 0
    refused = _cli(stack, "insert", "pos-a", "by-hand")
    assert json.loads(_cli(stack, "remove", "pos-a").stdout) == {"card": "by-hand"}

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "cardhost: slot pos-a holds by-hand\n"
    assert hand.slots()["pos-a"]["card"] is None


def test_nobody_listens(tmp_path: Path) -> None:
    """A control socket that is not there is said so."""
    with pytest.raises(HandError, match="no card host listens"):
        Hand(tmp_path / "none.sock", timeout_s=0.05)
