# SPDX-License-Identifier: Apache-2.0
"""What is inside the envelope of a file store.

A JSON list with a row for each key: usage, version, key, created, and since the second release
algorithm, retires, test and exportable; rows of the first release lack these. A store that is bound
to a machine holds ``{"host": {"salt": ..., "digest": ...}, "keys": [...]}`` instead.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from keys.algorithm import Algorithm
from keys.errors import BadKeyLength, KeyStoreDamaged
from keys.hierarchy import row
from keys.host import HostMark
from keys.key_info import KeyId, KeyInfo
from keys.material import KeyMaterial
from keys.usage import SEALING, KeyUsage


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold one key and what is known of it."""

    info: KeyInfo
    material: KeyMaterial

    def as_row(self) -> dict[str, Any]:
        """Give the row that the file holds; the key is in it."""
        return {**self.info.as_row(), "key": self.material.reveal().hex()}

    @classmethod
    def of_row(cls, found: dict[str, Any]) -> Entry:
        """Read a row of this release or the first."""
        usage, material = KeyUsage(found["usage"]), KeyMaterial(bytes.fromhex(found["key"]))
        first = Algorithm.AES if usage in SEALING else Algorithm.TDES
        algorithm = Algorithm(found.get("algorithm", first.value))
        retires = found.get("retires")
        info = KeyInfo(
            usage,
            int(found["version"]),
            material.kcv(algorithm),
            str(found["created"]),
            algorithm=algorithm,
            retires=date.fromisoformat(retires) if retires else None,
            marked_test=bool(found.get("test", False)),
            exportable=bool(found.get("exportable", row(usage).exportable)),
        )
        return cls(info, material)


@dataclass(slots=True)
class Content:
    """Hold the keys of a store, and the machine it belongs to if it is bound."""

    entries: dict[KeyId, Entry] = field(default_factory=dict)
    host: HostMark | None = None

    def to_bytes(self) -> bytes:
        """Write the content; the keys are in it."""
        rows = [entry.as_row() for entry in self.entries.values()]
        if self.host is None:
            return json.dumps(rows).encode()
        mark = {"salt": self.host.salt.hex(), "digest": self.host.digest.hex()}
        return json.dumps({"host": mark, "keys": rows}).encode()

    @classmethod
    def from_bytes(cls, plain: bytes, path: str) -> Content:
        """Read the content; raise ``KeyStoreDamaged``."""
        try:
            found, mark = json.loads(plain), None
            if isinstance(found, dict):
                host, found = found["host"], found["keys"]
                mark = HostMark(bytes.fromhex(host["salt"]), bytes.fromhex(host["digest"]))
            entries = [Entry.of_row(each) for each in found]
        except (ValueError, KeyError, TypeError, AttributeError, BadKeyLength) as exc:
            raise KeyStoreDamaged(path, "content not understood") from exc
        return cls({(entry.info.usage, entry.info.version): entry for entry in entries}, mark)
