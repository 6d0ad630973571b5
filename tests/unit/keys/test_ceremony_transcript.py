# SPDX-License-Identifier: Apache-2.0
"""Transcripts: what they say, that they verify, and that no change goes unnoticed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from keys.ceremony_deposit import deposit_new
from keys.ceremony_plan import Plan
from keys.ceremony_shares import put_together, read_share
from keys.errors import BadSignature, KeysError, TranscriptDamaged
from keys.transcript import TRANSCRIPT_SIZE_MAX, Transcript
from tests.factories import CHEAP, make_identity
from tests.unit.keys.room import ORDER, PARTS, PEOPLE, Room, typed

MACHINE = {"host": "keyroom", "system": "Linux", "program": "yika"}


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Room]:
    """Hold a ceremony and write its transcript."""
    room = Room(typed())
    outcome = room.hold(Plan((ORDER,)))
    store, stored = deposit_new(tmp_path / "issuer.keys", outcome, CHEAP)
    path = tmp_path / "minutes.json"
    Transcript.of(outcome, stored, store, MACHINE).write(path, make_identity("officer"))
    return path, room


def test_a_transcript_says_who_when_and_what(written: tuple[Path, Room]) -> None:
    """It names people with roles, machine, time, keys with check values, and every step."""
    content = Transcript.read(written[0], make_identity("officer").public_key).content

    assert [(p["name"], p["role"]) for p in content["people"]] == [
        (PEOPLE[0], "officer"), *((name, "custodian") for name in PEOPLE[1:]),
    ]  # fmt: skip
    assert content["begun"] == "2026-11-22T04:00:00Z"
    assert content["machine"] == MACHINE
    assert (content["keys"][0]["usage"], content["keys"][0]["test"]) == ("tac", False)
    steps = [event["what"] for event in content["events"]]
    assert steps.count("component entered twice") == 3
    assert steps[-1] == "agreed"


def test_a_transcript_holds_no_secret(written: tuple[Path, Room]) -> None:
    """No component, share or passphrase is in the file; long hex is the log's and Ed25519's."""
    path, room = written
    text = path.read_text(encoding="utf-8").upper()
    shares = [read_share(shown) for shown in room.shown]

    for secret in (*PARTS, put_together(*shares[:2]), *(s.content.hex() for s in shares)):
        assert secret.upper() not in text
    assert sorted(len(run) for run in re.findall("[0-9A-F]{16,}", text)) == [64, 64, 128]


def test_pretty_printing_does_not_break_it(written: tuple[Path, Room]) -> None:
    """The signature is over the content: other blanks and order verify as well."""
    path, _ = written
    whole = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(dict(reversed(whole.items()))), encoding="utf-8")

    assert Transcript.read(path).content["mode"] == "production"


def test_every_changed_value_is_noticed(written: tuple[Path, Room]) -> None:
    """Changing any value of the content breaks the signature."""
    path, _ = written
    whole = json.loads(path.read_text(encoding="utf-8"))
    for name, value in whole["transcript"].items():
        if name == "format":
            continue
        changed = {**whole, "transcript": {**whole["transcript"], name: [value]}}
        path.write_text(json.dumps(changed), encoding="utf-8")
        with pytest.raises(BadSignature):
            Transcript.read(path)


def test_another_key_than_the_one_on_paper_is_refused(written: tuple[Path, Room]) -> None:
    """A good signature of somebody else is refused when the key is known from elsewhere."""
    with pytest.raises(BadSignature, match="another key"):
        Transcript.read(written[0], make_identity("thief").public_key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"transcript": 1, "public_key": "", "signature": ""}',
        '{"transcript": {}, "public_key": "zz", "signature": ""}',
        '{"transcript": {}, "public_key": "00", "signature": "00"}',
        "[" * 100_000,
        " " * (TRANSCRIPT_SIZE_MAX + 1),
    ],
)
def test_what_is_no_transcript_is_named(tmp_path: Path, text: str) -> None:
    """Any other text is refused as damaged, whatever it is."""
    path = tmp_path / "t.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(TranscriptDamaged):
        Transcript.read(path)


def test_a_public_key_of_wrong_length_is_named(written: tuple[Path, Room]) -> None:
    """A transcript whose public key is no key is refused by name."""
    path, _ = written
    whole = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**whole, "public_key": "0011"}), encoding="utf-8")

    with pytest.raises(KeysError):
        Transcript.read(path)


def test_lines_are_for_people(written: tuple[Path, Room]) -> None:
    """The lines carry mode, people, check values and the signing key."""
    text = "\n".join(Transcript.read(written[0]).lines())

    for expected in ("production", *PEOPLE, "KCV", make_identity("officer").public_key.hex()):
        assert expected in text
