# SPDX-License-Identifier: Apache-2.0
"""The list of what an archive holds: files with their hashes, months with their control totals.

It is written anew after every month, so that a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from server.errors import Refused

MANIFEST = "manifest.json"
FORMAT = "yika-archive/1"
READ_BYTES = 1 << 20
MANIFEST_BYTES_MAX = 64 << 20  # a century of months in 4 096 shards


@dataclass(frozen=True, slots=True)
class MonthPart:
    """One month of one topic: its files (name to rows and SHA-256) and what they come to."""

    rows: int
    totals: dict[str, int | str]
    files: dict[str, list[int | str]]
    over: bool
    made: str


@dataclass
class Manifest:
    """All of an archive; months by "topic/YYYY-MM"."""

    schema: str
    shards: int
    months: dict[str, MonthPart] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """Read the manifest of a folder, None if it has none.

        Raises:
            Refused: it is of another format or broken.
        """
        path = folder / MANIFEST
        if not path.exists():
            return None
        try:
            if path.stat().st_size > MANIFEST_BYTES_MAX:
                raise ValueError("too large")
            document: dict[str, Any] = json.loads(path.read_text("utf-8"))
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']!r}")
            months = {name: MonthPart(**part) for name, part in document["months"].items()}
            return cls(str(document["schema"]), int(document["shards"]), months)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused(
                "manifest", f"{path} 读不懂", f"{path} is not a manifest of {FORMAT}: {error}"
            ) from error

    def write(self, folder: Path) -> None:
        """Write it; it is the old one or the new one at any moment."""
        months = {name: asdict(self.months[name]) for name in sorted(self.months)}
        document = {
            "format": FORMAT, "schema": self.schema, "shards": self.shards, "months": months,
        }  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{MANIFEST}.partial"
        draft.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
        draft.replace(folder / MANIFEST)

    def files(self, topic: str) -> list[str]:
        """Return the files of a topic, month by month."""
        chosen = (self.months[name] for name in sorted(self.months) if name.startswith(f"{topic}/"))
        return [file for part in chosen for file in sorted(part.files)]


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
