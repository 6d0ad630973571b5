# SPDX-License-Identifier: Apache-2.0
"""A partner's declaration: what its files look like, how they are signed, what the contract says.

It is a TOML file, kept as it was given. Loading it names every fault at once, each with its key.
"""

from __future__ import annotations

import binascii
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from server.bank.files.layout import INCOMING, LAYOUTS, Kind, Layout, changed
from server.bank.files.reading import LINES_MAX, Expected, Profile
from server.errors import ServerError

DECLARATION_BYTES_MAX = 65_536
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{1,11}", re.ASCII)
REASON = re.compile(r"[A-Z0-9]{1,4}", re.ASCII)
KEYS_MAX = 4  # one in use, one to come, and one of either that was lost
ON_REJECT = ("record", "batch", "file")
SUITES = ("ed25519", "sm2", "pgp")
KEY_HEX = {"ed25519": 64, "sm2": 128}
LINE_ENDS = {"lf": b"\n", "crlf": b"\r\n"}
# Why a card was not made, as the platform calls it; partners' own codes are mapped to these.
CARD_REASONS = {
    "PHOT": ("照片不合格", "photo not usable"),
    "PHNO": ("照片与号码不符", "photo and number do not belong together"),
    "NAME": ("姓名无法印制", "name cannot be printed"),
    "DOCU": ("证件未通过核验", "document not verified"),
    "ADDR": ("地址不完整", "address incomplete"),
    "CRED": ("信用审核未通过", "credit not granted"),
    "DUPL": ("已有此卡", "has such a card already"),
    "CHIP": ("制卡损坏", "spoilt in making"),
    "DATA": ("数据不合格", "data not usable"),
    "UNCL": ("逾期未领", "not collected in time"),
}


@dataclass(frozen=True, slots=True)
class Remote:
    """A partner's own SFTP server: where, who we are there, its host key, its two folders."""

    host: str
    port: int
    user: str
    host_key: str
    give: str
    take: str


class DeclarationError(ServerError):
    """A declaration cannot be used; `faults` says of each key what is wrong."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Declaration:
    """What was agreed with a partner."""

    code: str
    name_zh: str
    name_en: str
    test: bool
    profile: Profile
    kinds: tuple[Kind, ...]
    layouts: dict[Kind, Layout]
    suite: str
    keys: tuple[str, ...]
    encryption: str = "none"
    encryption_key: str = ""
    compression: str = "none"
    on_reject: str = "record"
    lines_max: int = LINES_MAX
    ack_hours: int = 24
    age_days: int = 30
    reasons: dict[str, str] = field(default_factory=dict)
    remote: Remote | None = None

    @property
    def incoming(self) -> Expected:
        """Say what a file from the partner may be."""
        return Expected(
            self.profile, {kind: self.layouts[kind] for kind in self.kinds}, self.lines_max
        )

    @property
    def whitelist(self) -> tuple[str, ...]:
        """Name the fields of an order that this partner gets, and no other ever."""
        return self.layouts[Kind.ORDER].names

    def own_reason(self, code: str) -> str | None:
        """Translate a partner's reason code; None when it is in no table.

        An empty code is a missing reason, which is unknown too.
        """
        found = self.reasons.get(code, code)
        return found if found in CARD_REASONS else None


def load(text: str) -> Declaration:
    """Read a declaration.

    Raises:
        DeclarationError: not TOML, too long, or keys with wrong values: all of them are named.
    """
    if len(text.encode("utf-8", "surrogatepass")) > DECLARATION_BYTES_MAX:
        raise DeclarationError((f"longer than {DECLARATION_BYTES_MAX} bytes",))
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError((str(error),)) from error
    return _Loading(document).declaration()


class _Loading:
    """One pass over a document, gathering faults."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.faults: list[str] = []
        self.used: set[str] = set()

    def declaration(self) -> Declaration:
        signature, encryption = self._table("signature"), self._table("encryption")
        suite = signature.pick("suite", SUITES, None)
        made = Declaration(
            code=self._root.match("code", CODE),
            name_zh=self._root.text("name_zh", 60),
            name_en=self._root.text("name_en", 60),
            test=self._root.pick("environment", ("production", "test"), None) == "test",
            profile=Profile(
                self._root.pick("profile", ("fixed", "jsonl"), "fixed"),
                LINE_ENDS.get(self._root.pick("line_end", (*LINE_ENDS,), "lf"), b"\n"),
            ),
            kinds=self._kinds(),
            layouts=self._layouts(),
            suite=suite,
            keys=self._keys(signature, suite),
            encryption=encryption.pick("scheme", ("none", "pgp", "box"), "none"),
            encryption_key=encryption.text("key", DECLARATION_BYTES_MAX, ""),
            compression=self._root.pick("compression", ("none", "gzip"), "none"),
            on_reject=self._root.pick("on_reject", ON_REJECT, "record"),
            lines_max=self._root.number("lines_max", LINES_MAX, LINES_MAX),
            ack_hours=self._root.number("ack_hours", 24, 24 * 31),
            age_days=self._root.number("age_days", 30, 366),
            reasons=self._reasons(),
            remote=self._remote(),
        )
        if made.encryption != "none" and not made.encryption_key:
            self.faults.append("encryption.key: missing")
        if made.encryption == "box" and not _is_hex(made.encryption_key, 64):
            self.faults.append("encryption.key: expected 64 hex digits (X25519)")
        for table in (self._root, signature, encryption):
            self.faults += table.unknown()
        if self.faults:
            raise DeclarationError(tuple(self.faults))
        return made

    @property
    def _root(self) -> _Table:
        return _Table("", self.document, self.faults, self.used)

    def _table(self, name: str) -> _Table:
        self.used.add(name)
        found = self.document.get(name, {})
        if not isinstance(found, dict):
            self.faults.append(f"{name}: expected a table")
            found = {}
        return _Table(f"{name}.", found, self.faults, set())

    def _kinds(self) -> tuple[Kind, ...]:
        listed = self._root.texts("kinds")
        known = [kind for kind in INCOMING if kind in listed]
        self.faults += [
            f"kinds: unknown {name}; known: {', '.join(INCOMING)}"
            for name in listed
            if name not in [*INCOMING]
        ]
        # A partner can always say that it has got a file, or not.
        return tuple(dict.fromkeys((*known, Kind.ANSWER)))

    def _layouts(self) -> dict[Kind, Layout]:
        layouts = dict(LAYOUTS)
        table = self._table("layout")
        for name in table.values:
            if name not in [*Kind]:
                self.faults.append(f"layout.{name}: unknown kind; known: {', '.join(Kind)}")
                continue
            try:
                layouts[Kind(name)] = changed(Kind(name), table.texts(name))
            except ValueError as error:
                self.faults.append(f"layout.{error}")
        return layouts

    def _keys(self, signature: _Table, suite: str) -> tuple[str, ...]:
        keys = tuple(signature.texts("keys"))
        digits = KEY_HEX.get(suite)
        if not 1 <= len(keys) <= KEYS_MAX:
            self.faults.append(f"signature.keys: expected 1 to {KEYS_MAX}, found {len(keys)}")
        if digits is not None:
            self.faults += [
                f"signature.keys[{place}]: expected {digits} hex digits"
                for place, key in enumerate(keys)
                if not _is_hex(key, digits)
            ]
        elif suite == "pgp" and not all("PUBLIC KEY BLOCK" in key for key in keys):
            self.faults.append("signature.keys: expected armoured PGP public keys")
        return keys

    def _remote(self) -> Remote | None:
        if "sftp" not in self.document:
            return None
        table = self._table("sftp")
        made = Remote(
            table.text("host", 253),
            table.number("port", 22, 65_535),
            table.text("user", 64),
            table.text("host_key", 1000),
            table.text("give", 200, "in"),
            table.text("take", 200, "out"),
        )
        self.faults += table.unknown()
        return made

    def _reasons(self) -> dict[str, str]:
        table = self._table("reasons")
        for code, name in table.values.items():
            if not REASON.fullmatch(code) or name not in CARD_REASONS:
                known = ", ".join(CARD_REASONS)
                self.faults.append(f"reasons.{code}: expected one of {known}, found {name!r}")
        return {code: str(name) for code, name in table.values.items()}


@dataclass
class _Table:
    """A table of the document; notes which keys were asked for."""

    prefix: str
    values: dict[str, Any]
    faults: list[str]
    used: set[str]

    def _get(self, name: str, fallback: Any, right: Callable[[Any], bool], expected: str) -> Any:
        self.used.add(name)
        if name not in self.values and fallback is not None:
            return fallback
        found = self.values.get(name)
        if not right(found):
            what = "nothing" if found is None else repr(found)[:60]
            self.faults.append(f"{self.prefix}{name}: expected {expected}, found {what}")
            return fallback if fallback is not None else ""
        return found

    def match(self, name: str, pattern: re.Pattern[str]) -> str:
        return str(
            self._get(
                name,
                None,
                lambda v: isinstance(v, str) and bool(pattern.fullmatch(v)),
                pattern.pattern,
            )
        )

    def text(self, name: str, longest: int, fallback: str | None = None) -> str:
        return str(
            self._get(
                name,
                fallback,
                lambda v: isinstance(v, str) and 0 < len(v) <= longest,
                f"1 to {longest} characters",
            )
        )

    def pick(self, name: str, choices: tuple[str, ...], fallback: str | None) -> str:
        return str(self._get(name, fallback, lambda v: v in choices, " or ".join(choices)))

    def number(self, name: str, fallback: int, most: int) -> int:
        return int(
            self._get(
                name,
                fallback,
                lambda v: type(v) is int and 1 <= v <= most,
                f"1 to {most}",
            )
        )

    def texts(self, name: str) -> list[str]:
        found = self._get(
            name,
            None,
            lambda v: isinstance(v, list) and all(isinstance(part, str) for part in v),
            "a list of texts",
        )
        return list(found) if isinstance(found, list) else []

    def unknown(self) -> list[str]:
        return [
            f"{self.prefix}{name}: unknown; known: {', '.join(sorted(self.used))}"
            for name in self.values
            if name not in self.used
        ]


def _is_hex(text: str, length: int) -> bool:
    try:
        return len(binascii.unhexlify(text)) * 2 == length
    except ValueError:
        return False
