# SPDX-License-Identifier: Apache-2.0
"""Which machine a file store belongs to: a guard against accidents, not against an attacker.

A store that is bound opens on its own machine only, so that a desk copied to another, a folder
synchronised by mistake or a backup unpacked somewhere does not quietly become a second issuer.
Whoever has the file and the passphrase and wants to, gets past it: with his own program, or with
the machine's id, which is a file that can be copied too. Against that stand passphrase and HSM.

The id of a machine is confidential and made to be hashed with something of one's own
(machine-id(5)): what is kept is HMAC-SHA256 under a salt, inside the sealed content.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from keys import _prims
from keys.errors import KeyStoreError

# The second is where systems without systemd keep it.
MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
SALT_BYTES = 16
# An id is 32 hex digits; the file holds "uninitialized" while a machine is first started.
ID_DIGITS = 32
_PURPOSE = b"yika key store host"


class KeyStoreElsewhere(KeyStoreError):
    """Report a store that was bound to another machine."""

    def __str__(self) -> str:
        return (
            f"{self.path}: bound to another machine; open it there, or move it here on purpose: "
            "yika-keys restore --rebind"
        )


class HostUnknown(KeyStoreError):
    """Report a machine without an id: no store is bound to it, and no bound one opens."""

    def __str__(self) -> str:
        return f"{self.path}: this machine has no id; make one with systemd-machine-id-setup"


class NotBindable(KeyStoreError):
    """Report a store that is no file: a token is where it is."""

    def __str__(self) -> str:
        return f"{self.path}: only a file store is bound to a machine; a token is where it is"


def machine_id(paths: tuple[Path, ...] = MACHINE_IDS) -> str:
    """Read the identity of this machine; raise ``HostUnknown`` where it has none."""
    for path in paths:
        try:
            found = path.read_text("ascii").strip().lower()
        except (OSError, UnicodeDecodeError):
            continue
        if len(found) == ID_DIGITS and set(found) <= set("0123456789abcdef"):
            return found
    raise HostUnknown(str(paths[0]))


@dataclass(frozen=True, slots=True)
class HostMark:
    """Recognise a machine without knowing its id.

    >>> mark = HostMark.of("0123456789abcdef0123456789abcdef")
    >>> mark.fits("0123456789abcdef0123456789abcdef"), mark.fits("another")
    (True, False)
    """

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, identity: str) -> HostMark:
        """Mark a machine, each time with a fresh salt."""
        salt = _prims.random_bytes(SALT_BYTES)
        return cls(salt, _digest(salt, identity))

    def fits(self, identity: str) -> bool:
        """Say whether this is the machine."""
        return hmac.compare_digest(self.digest, _digest(self.salt, identity))


def _digest(salt: bytes, identity: str) -> bytes:
    return hmac.new(salt, _PURPOSE + identity.encode(), hashlib.sha256).digest()
