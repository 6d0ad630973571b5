# SPDX-License-Identifier: Apache-2.0
"""The whole way: server, `yika-card relay` as a program, pcscd, and a card that computes.

A clerk without a browser issues a card, loses it in the middle, finishes it, replaces and blocks.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hardware_mocks.cardhost.client import Hand
from hardware_mocks.desk_client import Clerk, DeskRefused
from hardware_mocks.pcsc import PcscStack
from server.app import build_app
from tests.e2e.pages.browser import serving
from tests.e2e.pages.desks import with_desk
from tests.integration.pcsc.conftest import stack
from tests.unit.server.portal.conftest import built_scene, scene
from tests.unit.server.portal.scene import STAFF_PASSWORD, Scene

__all__ = ["built_scene", "scene", "stack"]
pytestmark = pytest.mark.pcsc

SLOT = "desk-0"
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def relay_program(stack: PcscStack, origin: str, log: Path) -> Iterator[tuple[str, str]]:
    """Run the relay for a server; give its address and its code."""
    argv = [
        sys.executable, "-m", "card", "relay", "--origin", origin, "--port", "0", "--json",
        "--reader", f"pcsc:{stack.reader_of(SLOT)}", "--log", str(log),
    ]  # fmt: skip
    # Outside the readers' own network: the relay's port is to be reached from here.
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT, bufsize=1) as process:
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["address"]
            yield address, json.loads(process.stdout.readline())["code"]
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.slow
def test_a_clerk_issues_loses_finishes_replaces_and_blocks(
    stack: PcscStack, scene: Scene, tmp_path: Path
) -> None:
    """Over the relay and a real pcscd: what a card was begun with, it is finished with."""
    log = tmp_path / "relay.jsonl"
    with (
        serving(build_app(with_desk(scene, 1))) as server,
        relay_program(stack, server, log) as (relay, code),
        stack.hand() as hand,
        closing(Clerk(server, relay)) as clerk,
    ):
        clerk.sign_in("staff", STAFF_PASSWORD)
        clerk.pair(code)
        first = _issue_in_spite_of_a_cut(clerk, hand, scene)
        _change(hand, "desk-card-2")
        second = clerk.replace(first, "LOST", "持卡人到场")
        assert (second.state, second.job["old_asn"], second.commands) == ("done", first, 112)
        assert clerk.read().result["asn"] == second.job["asn"]
        assert clerk.block(second.job["asn"], "借给他人").state == "done"
        with pytest.raises(DeskRefused, match="relay's window"):
            clerk.pair("00000000")
        hand.remove(SLOT)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"connected", "apdu", "disconnected", "failed"} <= {line["what"] for line in lines}
    assert "××" in log.read_text()


def _issue_in_spite_of_a_cut(clerk: Clerk, hand: Hand, scene: Scene) -> str:
    hand.blank("desk-card-1")
    hand.insert(SLOT, "desk-card-1")
    job = clerk.create("issue", number=scene.numbers["zhao"])
    hand.fault(SLOT, "tear", commands=50)
    with pytest.raises(DeskRefused) as caught:
        clerk.carry(job["reference"])
    assert caught.value.kind in ("card-removed", "reader-failed")
    _change(hand, "desk-card-1", fresh=False)
    ended = clerk.carry(job["reference"])
    assert ended.state == "done"
    return str(ended.job["asn"])


def _change(hand: Hand, card: str, *, fresh: bool = True) -> None:
    """Take the card away and lay another one, or the same, on the reader."""
    hand.remove(SLOT)
    if fresh:
        hand.blank(card)
    hand.insert(SLOT, card)
