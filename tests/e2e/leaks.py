# SPDX-License-Identifier: Apache-2.0
"""Search files for secrets, as themselves and in the forms in which programs write bytes down."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Shorter ones stand in any file by chance.
SECRET_BYTES_MIN = 8


@dataclass(frozen=True, slots=True)
class Secret:
    """Bytes that must stand nowhere but in the files of their home."""

    name: str
    content: bytes
    home: frozenset[Path] = frozenset()

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"


def forms(content: bytes) -> set[bytes]:
    """Give the content raw, in hex of both cases, plain or spaced, and inside any base64."""
    assert len(content) >= SECRET_BYTES_MIN
    spaced = content.hex(" ")
    found = {content, content.hex().encode(), content.hex().upper().encode()}
    found |= {spaced.encode(), spaced.upper().encode(), content.hex(":").encode()}
    found.add(str(content)[2:-1].encode())  # as repr() shows bytes
    for shift in range(3):
        # Inside a longer text, base64 has three alignments; what depends on neighbours is cut off.
        coded = base64.b64encode(bytes(shift) + content)
        middle = coded[-(-8 * shift // 6) : (8 * (shift + len(content))) // 6]
        found |= {middle, middle.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def leaks(files: Iterable[Path], secrets: Iterable[Secret]) -> list[str]:
    """Name every secret found outside its home, and where; never the secret."""
    searched = [(secret, forms(secret.content)) for secret in secrets]
    found = []
    for path in files:
        text = path.read_bytes()
        for secret, written in searched:
            if path not in secret.home and any(form in text for form in written):
                found.append(f"{secret.name} in {path}")
    return found
