# SPDX-License-Identifier: Apache-2.0
"""What enrolment gave the terminal: its number, its key's number, and the server's pinned key."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from terminal.errors import NotProvisioned
from terminal.files import PASSPORT
from terminal.receipts import ServerKey
from terminal.storage import Disk, disk_of

# Ed25519, or SM2 as x and y.
PUBLIC_KEY_BYTES = (32, 64)


@dataclass(frozen=True, slots=True)
class Passport:
    """The enrolment, as `terminal.json` holds it; keys and serials in hex.

    `changed_keys` are the terminal's own public keys after its first one, which the journal's
    header names: oldest first, the one in force last. They stand here as well as in the journal
    because a bad sector may take the event that tells of a change.
    """

    terminal_id: int
    key_id: int
    server_key_id: int
    server_public_key: str
    site: int
    site_zh: str
    site_en: str
    tz_q: int
    changed_keys: tuple[str, ...] = ()

    @property
    def server_key(self) -> ServerKey:
        """Return the key that receipts and notices must be signed with."""
        return ServerKey(self.server_key_id, bytes.fromhex(self.server_public_key))

    def save(self, place: Disk | Path, name: str = PASSPORT) -> None:
        """Write the file."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True)
        disk_of(place).write_whole(name, text.encode())

    @classmethod
    def load(cls, place: Disk | Path, name: str = PASSPORT) -> Passport:
        """Read the file.

        Raises:
            NotProvisioned: There is none, or it is damaged.
        """
        try:
            document = json.loads(disk_of(place).read(name) or b"")
            document["changed_keys"] = tuple(document.get("changed_keys", ()))
            passport = cls(**document)
            key = bytes.fromhex(passport.server_public_key)
            own = [bytes.fromhex(changed) for changed in passport.changed_keys]
        except (OSError, ValueError, TypeError, AttributeError) as exc:
            raise NotProvisioned(str(place)) from exc
        if any(len(each) not in PUBLIC_KEY_BYTES for each in (key, *own)):
            raise NotProvisioned(str(place))
        return passport


def changed_keys(place: Disk | Path) -> tuple[bytes, ...]:
    """Return the terminal's public keys after its first one, oldest first; none if nobody knows."""
    try:
        passport = Passport.load(place)
    except NotProvisioned:
        return ()
    return tuple(bytes.fromhex(key) for key in passport.changed_keys)
