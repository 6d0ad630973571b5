# SPDX-License-Identifier: Apache-2.0
"""Signed notes, checkpoints, cosignatures and proofs, read and written as others do."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.suite import Suite
from swipe import notes
from swipe.errors import BadNote
from swipe.notes import Checkpoint, Note, Proof, VerifierKey
from tests.factories import make_identity

# The example of the package golang.org/x/mod/sumdb/note.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
QUOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdn"
    "gotpRZb6KE6RyyBwJnAM=\n"
)
CHECKPOINT = Checkpoint("yika.example/log", 7, bytes(range(32)))


def test_a_note_of_the_go_checksum_database_verifies() -> None:
    """The published example and its key are read, verified and written unchanged."""
    key = VerifierKey.from_text(NEUMANN)
    note = Note.from_text(QUOTE)

    assert note.signed_by(key)
    assert (str(key), str(note)) == (NEUMANN, QUOTE)


@pytest.mark.parametrize("suite", Suite)
def test_a_checkpoint_verifies_with_its_own_key_only(suite: Suite) -> None:
    """Either suite signs; another key, another name or another text does not verify."""
    identity = make_identity("server", suite)
    note = notes.sign(CHECKPOINT, identity)
    key = VerifierKey.from_text(str(VerifierKey.of(CHECKPOINT.origin, identity.public_key)))

    again = Note.from_text(str(note))

    assert again.checkpoint == CHECKPOINT
    assert again.signed_by(key)
    assert not again.signed_by(VerifierKey.of("other", identity.public_key))
    assert not Note(note.text.replace("7", "8"), note.signatures).signed_by(key)


def test_a_cosignature_says_when() -> None:
    """A witness signs time and text; the same signature under another time is none."""
    witness = make_identity("witness")
    key = VerifierKey.of("witness.example", witness.public_key, witness=True)
    signature = witness.sign(b"", notes.cosigned(CHECKPOINT.text, 1_795_222_800))
    good = (key.name, key.key_id, (1_795_222_800).to_bytes(8) + signature)
    late = (key.name, key.key_id, (1_795_222_801).to_bytes(8) + signature)

    assert Note(CHECKPOINT.text, (good,)).signed_by(key)
    assert not Note(CHECKPOINT.text, (late,)).signed_by(key)


def test_a_proof_is_read_as_it_was_written() -> None:
    """Index, hashes and checkpoint come back; a line of extra data is passed over."""
    proof = Proof(3, (bytes(32), bytes(range(32))), notes.sign(CHECKPOINT, make_identity()))

    assert Proof.from_text(str(proof)) == proof
    assert Proof.from_text(str(proof).replace("\nindex", "\nextra AAAA\nindex")) == proof


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n",
        "a\n7\nAAAA\n",
        "a\n7\nAAAA\n\n",
        "a\n7\nAAAA\n\nno dash\n",
        "a\n\x00\nAAAA\n\n\u2014 a AAAAAAAA\n",
        "a\n7\nAAAA\n\n\u2014 a b AAAA\n",
    ],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    """Text without a readable signature under it is no note."""
    with pytest.raises(BadNote):
        Note.from_text(text)


@pytest.mark.parametrize("text", ["a\nb\nAAAA\n", "a\n07\nAAAA\n", "a\n7\nAAAA\n", "\n7\nx\n"])
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    """A size with leading zeros, a short root or a missing line is no checkpoint."""
    with pytest.raises(BadNote):
        _ = Note(text, ()).checkpoint


@given(text=st.text(max_size=200))
@settings(max_examples=200)
def test_no_text_does_more_than_be_refused(text: str) -> None:
    """Whatever is read as note, key or proof is either read or refused by name."""
    for read in (Note.from_text, Proof.from_text, VerifierKey.from_text):
        for start in ("", f"{notes.PROOF_HEAD}\nindex 1\n", "a\n1\n"):
            with suppress(BadNote):
                assert str(read(start + text))
