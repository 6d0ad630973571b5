# SPDX-License-Identifier: Apache-2.0
"""Ask witnesses to cosign a checkpoint (C2SP tlog-witness, add-checkpoint).

A witness remembers the last checkpoint it signed and wants the proof that the new one continues
it. What it answers is verified before it is believed. A witness that is away, slow or refuses
keeps nobody from publishing.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass

from server.errors import ConfigError
from swipe import merkle
from swipe.errors import BadNote, SwipeError
from swipe.notes import Note, VerifierKey, base64_lines, signature_lines
from swipe.tiles import Tiles

TIMEOUT_S = 5.0
# A few signature lines.
ANSWER_MAX = 16 * 1024
CONFLICT = 409

Signature = tuple[str, bytes, bytes]


@dataclass
class Witness:
    """A witness: where, its key, and the size it signed last as far as we know."""

    url: str
    key: VerifierKey
    size: int = 0


def parse_witnesses(text: str) -> list[Witness]:
    """Read the setting: address and key in turn, parted by blanks.

    Raises:
        ConfigError: an address without a key, or no key.
    """
    words = text.split()
    try:
        pairs = list(zip(words[0::2], map(VerifierKey.from_text, words[1::2]), strict=True))
    except (BadNote, ValueError) as error:
        raise ConfigError(f"[evidence] witnesses: expected address and key: {error}") from error
    for url, _ in pairs:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"[evidence] witnesses: {url}: expected http:// or https://")
    return [Witness(url.rstrip("/"), key) for url, key in pairs]


def ask_all(
    witnesses: Iterable[Witness], note: Note, tree: Tiles
) -> tuple[list[Signature], list[tuple[str, str]]]:
    """Return the cosignatures that were given, and the name and reason of those that were not."""
    given: list[Signature] = []
    troubles: list[tuple[str, str]] = []
    for witness in witnesses:
        try:
            given += _ask(witness, note, tree)
        except (OSError, SwipeError, ValueError) as error:
            troubles.append((witness.key.name, f"{type(error).__name__}: {error}"))
    return given, troubles


def _ask(witness: Witness, note: Note, tree: Tiles) -> list[Signature]:
    try:
        answer = _post(witness, note, tree)
    except urllib.error.HTTPError as error:
        if error.code != CONFLICT:
            raise
        # It knows another size than we do; it says which.
        witness.size = int(error.read(32))
        if witness.size > tree.size:
            raise BadNote("witness", f"it saw {witness.size} leaves") from error
        answer = _post(witness, note, tree)
    witness.size = tree.size
    given = [line for line in signature_lines(answer) if line[0] == witness.key.name]
    good = [line for line in given if Note(note.text, (line,)).signed_by(witness.key)]
    if not good:
        raise BadNote("witness", "its signature does not verify")
    return good[:1]


def _post(witness: Witness, note: Note, tree: Tiles) -> str:
    proof = merkle.consistency_proof(witness.size, tree.size, tree.node)
    lines = [f"old {witness.size}", *base64_lines(proof), "", str(note)]
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked when it was read
        f"{witness.url}/add-checkpoint", "\n".join(lines).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
        text: str = response.read(ANSWER_MAX).decode()
    return text
