# SPDX-License-Identifier: Apache-2.0
"""The demonstration day, played by one command: it meets its page and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.day import (
    DAY_TIMEOUT_S,
    END_TIMEOUT_S,
    Day,
    assert_full_day,
    look,
    playing,
    server_environment,
)
from tests.e2e.day_secrets import day_secrets
from tests.e2e.leaks import forms, leaks

SELECT = "00A4040006F059494B4101"
READ_0015 = "00B095001E"

# Twelve apply: one takes a card of ours and loses it, eleven have theirs from the bank.
CYCLE = {
    "applicants": 12, "taps": 72, "approved": 12, "unmet": 0, "ordered": 11, "made": 11, "told": 11,
    "collected": 11, "lost": 1, "restored": 1, "refused": 1,
}  # fmt: skip

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]


def _assert_nothing_secret_told(day: Day, output: str, passphrase: str) -> None:
    """No secret of the day stands anywhere but at home, and one that is planted is found."""
    answer = day.folder / "answer.json"
    answer.write_text(output, "utf-8")
    secrets = day_secrets(day.folder, day.said, passphrase)
    files = [day.said, *(path for path in day.folder.rglob("*") if path.is_file())]

    assert leaks(files, secrets) == []
    # 11 masters; 29 cards with 8 keys, two of them not in use by the name of another; 66 taps.
    assert len(secrets) > 400
    assert {"server.log", "pos-a.log", "yika.db", "journal.yika", "keys.audit"} <= {
        path.name for path in files
    }
    log = day.folder / "logs" / "server.log"
    for secret in (secrets[0], secrets[1], secrets[-1], secrets[len(secrets) // 2]):
        before = log.read_bytes()
        log.write_bytes(before + b"{" + sorted(forms(secret.content))[0] + b"}")
        assert leaks([log], [secret]) == [f"{secret.name} in {log}"]
        log.write_bytes(before)


def test_day_comes_out_as_its_page_says_and_stays_until_interrupted(tmp_path: Path) -> None:
    """The day and the weeks after it meet their pages, leave no process and no secret behind."""
    with playing(tmp_path, "--json", "--applicants", "12") as day:
        day.wait_for("Ctrl-C", DAY_TIMEOUT_S)
        with urllib.request.urlopen(f"http://127.0.0.1:{day.port}/") as page:
            shown = page.read().decode("utf-8")
        readers = look(day, "--list-readers")
        card = look(day, "--send-apdu", SELECT, "--send-apdu", READ_0015)
        passphrase = server_environment(day)["YIKA_KEYS_PASSPHRASE"]
        day.process.send_signal(signal.SIGINT)
        output, _ = day.process.communicate(timeout=END_TIMEOUT_S)

    assert_full_day(output.splitlines()[-1], "sqlite:///")
    cycle = json.loads(output.splitlines()[-1])["cycle"]
    assert {name: cycle[name] for name in CYCLE} == CYCLE
    assert "义" in shown
    assert "Yika Desk 00 00" in readers
    assert card.count("SW1=0x90, SW2=0x00") == 2
    assert day.survivors() == []
    _assert_nothing_secret_told(day, output, passphrase)
