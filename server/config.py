# SPDX-License-Identifier: Apache-2.0
"""Configuration of the server: one TOML file, every key overridable by YIKA_<SECTION>_<KEY>.

The sections are the fields of `Config`, the keys the fields of the section's class. An unknown
key in a known section, or an unknown section in the file, is an error, never ignored.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from server.errors import ConfigError

TRUE_WORDS = ("1", "true", "yes", "on")
FALSE_WORDS = ("0", "false", "no", "off")
FORMER_LENGTHS = (32, 64)  # bytes of a public key: Ed25519, SM2


@dataclass(frozen=True, slots=True)
class DataSection:
    """Where the server keeps its files."""

    dir: Path = Path("var/server")


@dataclass(frozen=True, slots=True)
class HttpSection:
    """Where and how the server listens; with `certificate` and `key` (PEM files) it speaks TLS.

    `hosts` are the names it answers to, parted by blanks, besides those of sub-sites; empty means
    any. Passkeys belong to `passkey_domain` and all names below it; empty means the name asked.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    threads: int = 8
    retry_after_s: int = 10
    secure_cookies: bool = False
    certificate: str = ""
    key: str = ""
    hosts: str = ""
    passkey_domain: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseSection:
    """The database URL; empty means a SQLite file in the data folder."""

    url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class KeysSection:
    """The issuer key store and its passphrase or PIN (give the latter by environment only).

    `store` is a file, or `pkcs11:MODULE?token=LABEL`. Keys of a rehearsal are refused unless
    `allow_test_keys` is set.
    """

    store: str = ""
    passphrase: str = field(default="", repr=False)
    allow_test_keys: bool = False


@dataclass(frozen=True, slots=True)
class IdentitySection:
    """The server's signing identity: its number, its suite, the uncertainty of its clock.

    `suite` (ed25519 or sm2) counts when `yika-server init` makes the identity. `former` names the
    public keys it had before, `number:hex` parted by blanks: what they signed stays true.
    """

    key_id: int = 1
    suite: str = "ed25519"
    clock_uncertainty_ms: int = 50
    former: str = ""

    @property
    def former_keys(self) -> dict[int, bytes]:
        """Return the former public keys by number.

        >>> IdentitySection(key_id=2, former="1:" + "ab" * 32).former_keys[1].hex()[:4]
        'abab'

        Raises:
            ConfigError: an entry is not a number, a colon and a key in hex, or a number is taken.
        """
        found: dict[int, bytes] = {}
        for entry in self.former.split():
            number, _, key = entry.partition(":")
            try:
                known = int(number)
                found_key = bytes.fromhex(key)
            except ValueError as error:
                raise ConfigError(f"[identity] former: {entry}: expected number:hex") from error
            if known == self.key_id or known in found or len(found_key) not in FORMER_LENGTHS:
                raise ConfigError(
                    f"[identity] former: {number}: the number is in use, or the key has "
                    f"{len(found_key)} bytes, not {' or '.join(map(str, FORMER_LENGTHS))}"
                )
            found[known] = found_key
        return found


@dataclass(frozen=True, slots=True)
class WorkerSection:
    """The background thread that re-derives hours after uploads."""

    enabled: bool = True
    interval_ms: int = 500
    compile: bool = False


@dataclass(frozen=True, slots=True)
class EvidenceSection:
    """The published log: folder (inside the data folder), name, pace, witnesses.

    `witnesses` holds address and verifier key in turn, parted by blanks.
    """

    enabled: bool = True
    dir: str = "log"
    origin: str = ""
    publish_ms: int = 2000
    witnesses: str = ""


@dataclass(frozen=True, slots=True)
class OutboxSection:
    """How messages leave: `provider` none (they wait), folder (inside the data folder) or http.

    `repeatable` says that the provider sends one reference once however often it gets it. No
    short message goes out from `quiet_from` to `quiet_until` o'clock.
    """

    provider: str = "none"
    folder: str = "outbox"
    url: str = ""
    token: str = field(default="", repr=False)
    report_token: str = field(default="", repr=False)
    repeatable: bool = False
    quiet_from: int = 21
    quiet_until: int = 8
    zone_minutes: int = 480


@dataclass(frozen=True, slots=True)
class TimebankSection:
    """What a volunteer may hold at most, in minutes; 0 = no cap. Hours count beyond it too."""

    cap_minutes: int = 0

    @property
    def cap(self) -> int | None:
        """Return the cap in minutes, None without one."""
        return self.cap_minutes if self.cap_minutes > 0 else None


@dataclass(frozen=True, slots=True)
class DeskSection:
    """Where the desk pages look for the relay: a port of 127.0.0.1 on the clerk's computer."""

    relay_port: int = 18_459


@dataclass(frozen=True, slots=True)
class LogSection:
    """Log level and form."""

    level: str = "INFO"
    json: bool = True


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, immutable; sections are plain dataclasses with defaults."""

    data: DataSection = field(default_factory=DataSection)
    http: HttpSection = field(default_factory=HttpSection)
    database: DatabaseSection = field(default_factory=DatabaseSection)
    keys: KeysSection = field(default_factory=KeysSection)
    identity: IdentitySection = field(default_factory=IdentitySection)
    worker: WorkerSection = field(default_factory=WorkerSection)
    evidence: EvidenceSection = field(default_factory=EvidenceSection)
    outbox: OutboxSection = field(default_factory=OutboxSection)
    timebank: TimebankSection = field(default_factory=TimebankSection)
    desk: DeskSection = field(default_factory=DeskSection)
    log: LogSection = field(default_factory=LogSection)

    @property
    def database_url(self) -> str:
        """Return the database URL, by default a SQLite file in the data folder."""
        return self.database.url or f"sqlite:///{self.data.dir.resolve() / 'yika.db'}"

    @property
    def key_store(self) -> str:
        """Return the name of the issuer key store, by default a file in the data folder."""
        return self.keys.store or str(self.key_store_path)

    @property
    def key_store_path(self) -> Path:
        """Return the path of the issuer key store, where it is a file."""
        named = self.keys.store.removeprefix("file:")
        return Path(named) if named else self.data.dir / "keys.yks"

    @property
    def key_store_missing(self) -> bool:
        """Say whether the issuer key store is a file that is not there."""
        return not self.key_store.startswith("pkcs11:") and not self.key_store_path.exists()

    @property
    def identity_path(self) -> Path:
        """Return the path of the server's private signing key (PEM)."""
        return self.data.dir / "server-identity.pem"

    @property
    def sealed_identity_path(self) -> Path:
        """Return the path of the same key once the key store has sealed it."""
        return self.data.dir / "server-identity.sealed"

    @property
    def secret_path(self) -> Path:
        """Return the path of the secret that signs sessions and forms."""
        return self.data.dir / "web-secret"


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read the file, if one is given, then apply the environment.

    Raises:
        ConfigError: unreadable file, unknown section or key, or a value of the wrong type.
    """
    document: dict[str, Any] = {}
    if path is not None:
        try:
            document = tomllib.loads(path.read_text("utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error
    sections = {f.name: f.default_factory for f in dataclasses.fields(Config)}
    for name in document:
        if name not in sections:
            raise ConfigError(f"[{name}]: unknown section; known: {', '.join(sections)}")
    env = os.environ if environ is None else environ
    built = {
        name: _section(name, factory, document.get(name, {}), env)  # type: ignore[arg-type]
        for name, factory in sections.items()
    }
    return Config(**built)


def _section(name: str, kind: type[Any], table: Any, env: Mapping[str, str]) -> Any:
    if not isinstance(table, dict):
        raise ConfigError(f"[{name}]: must be a table")
    hints = get_type_hints(kind)
    values: dict[str, Any] = dict(table)
    prefix = f"YIKA_{name.upper()}_"
    values.update({k[len(prefix) :].lower(): v for k, v in env.items() if k.startswith(prefix)})
    for key in values:
        if key not in hints:
            raise ConfigError(f"[{name}] {key}: unknown key; known: {', '.join(hints)}")
    return kind(**{key: _coerce(name, key, raw, hints[key]) for key, raw in values.items()})


def _coerce(section: str, key: str, raw: Any, wanted: type[Any]) -> Any:
    if wanted is bool and isinstance(raw, str):
        if raw.lower() in TRUE_WORDS + FALSE_WORDS:
            return raw.lower() in TRUE_WORDS
    elif wanted is int and isinstance(raw, str):
        if raw.strip().lstrip("-").isdigit():
            return int(raw)
    elif wanted is Path and isinstance(raw, str):
        return Path(raw)
    elif isinstance(raw, wanted) and (wanted is bool or not isinstance(raw, bool)):
        return raw
    raise ConfigError(f"[{section}] {key}: expected {wanted.__name__}, got {type(raw).__name__}")
