# SPDX-License-Identifier: Apache-2.0
"""The words that name a key store: ``FILE``, ``file:FILE``, ``pkcs11:MODULE?token=LABEL``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from keys.errors import KeyStoreUnnamed


@dataclass(frozen=True, slots=True)
class StoreName:
    """Say which store is meant.

    Attributes:
        spec: The words.
        file: The encrypted file; of a token the one beside it for SM4 keys, or none.
        module: The PKCS#11 library, or nothing.
        label: The token's label, or nothing.
        audit: The audit log of a token, if it was said where.
    """

    spec: str
    file: Path | None
    module: str = ""
    label: str = ""
    audit: Path | None = None

    @classmethod
    def parse(cls, spec: str) -> StoreName:
        """Read the words; raise ``KeyStoreUnnamed``.

        >>> StoreName.parse("file:issuer.keys").file
        PosixPath('issuer.keys')
        >>> StoreName.parse("pkcs11:m.so?token=yika").label
        'yika'
        """
        kind, colon, rest = spec.partition(":")
        if kind == "pkcs11" and colon:
            return cls._of_token(spec, rest)
        path = rest if kind == "file" and colon else spec
        if not path:
            raise KeyStoreUnnamed(spec, "no file named")
        return cls(spec, Path(path))

    @classmethod
    def _of_token(cls, spec: str, rest: str) -> StoreName:
        module, _, query = rest.partition("?")
        named = dict(parse_qsl(query, keep_blank_values=True))
        label, audit, sm = (named.pop(word, "") for word in ("token", "audit", "sm"))
        if not module or not label or named:
            raise KeyStoreUnnamed(spec, "module and token are needed; audit and sm may be given")
        file, log = (Path(word) if word else None for word in (sm, audit))
        return cls(spec, file, module, label, log)

    def beside(self, suffix: str) -> Path:
        """Name a file that belongs to the store: beside its file; a token's where its log is.

        >>> StoreName.parse("keys/issuer.keys").beside(".attempts")
        PosixPath('keys/issuer.keys.attempts')
        """
        if self.file is not None and not self.module:
            return self.file.with_name(self.file.name + suffix)
        folder = self.audit.parent if self.audit else state_folder()
        return folder / (self.label + suffix)


def state_folder() -> Path:
    """Give the folder for what a user's programs remember (XDG base directories)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "yika"
