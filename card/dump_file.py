# SPDX-License-Identifier: Apache-2.0
"""A card's dump as YAML: every field with its label, signed if one likes.

Text is always quoted, so that no reader takes a card number for a number. The signature is Ed25519
over the document without it, as JSON with sorted keys and no spaces: the layout of the YAML and
its comments are not signed. A file is read strictly: aliases, tags and unknown names are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import yaml

from card.dump import CardDump
from card.dump_document import Document, from_document, to_document
from card.errors import DumpRefused
from card.files import VOLUNTEER, FileSpec
from card.status_words import Text
from keys.errors import KeysError
from keys.files import write_private
from keys.verify import verify

CONTEXT = b"yika-card-dump-1"
FILE_BYTES_MAX = 1 << 18  # a full card is about 12 KB

_DAMAGED = Text("签名不符：内容已改动", "the signature is wrong: the content was changed")
_UNSIGNED = Text("未签名，或不是所要求的签名人", "not signed, or not by whom it should be")


class Signer(Protocol):
    """Whoever signs: `keys.identity.Identity`."""

    public_key: bytes

    def sign(self, context: bytes, data: bytes) -> bytes:
        """Return the signature over ``context ‖ data``."""
        ...


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which could make a small file huge."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "an alias", None)
        return super().compose_node(parent, index)


def dumps(dump: CardDump, signer: Signer | None = None) -> str:
    """Return a dump as YAML, signed if a signer is given."""
    document = to_document(dump)
    if signer is not None:
        signature = signer.sign(CONTEXT, _canonical(document))
        document["signature"] = {
            "public_key": signer.public_key.hex().upper(),
            "ed25519": signature.hex().upper(),
        }
    return "\n".join(_lines(document)) + "\n"


def loads(text: str, signed_by: bytes | None = None) -> CardDump:
    """Read a dump from YAML. A signature that is there must be right.

    Args:
        text: The file's text.
        signed_by: Public key that must have signed it; None takes any signer and none.

    Raises:
        DumpRefused: It is no dump of this version, or its signature is wrong or missing.
    """
    document = _parse(text)
    signature = document.pop("signature", None) if isinstance(document, dict) else None
    if signature is not None or signed_by is not None:
        _check(document, signature, signed_by)
    return from_document(document)


def save(dump: CardDump, path: Path, signer: Signer | None = None) -> None:
    """Write a dump to a file that only its owner may read."""
    write_private(path, dumps(dump, signer).encode("utf-8"), replace=True)


def load(path: Path, signed_by: bytes | None = None) -> CardDump:
    """Read a dump from a file.

    Raises:
        DumpRefused: As `loads` says, or it is too big or no text.
        OSError: It cannot be read.
    """
    if path.stat().st_size > FILE_BYTES_MAX:
        raise DumpRefused(Text("文件过大", f"more than {FILE_BYTES_MAX} bytes"))
    try:
        return loads(path.read_text(encoding="utf-8"), signed_by)
    except UnicodeDecodeError as exc:
        raise DumpRefused(Text("不是文本", "not text")) from exc


def _parse(text: str) -> Any:
    if len(text) > FILE_BYTES_MAX:
        raise DumpRefused(Text("文件过大", f"more than {FILE_BYTES_MAX} bytes"))
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader, made stricter
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise DumpRefused(Text("不是合规的 YAML", "not proper YAML")) from exc


def _check(document: Document, signature: Any, signed_by: bytes | None) -> None:
    try:
        public = bytes.fromhex(signature["public_key"])
        signed = bytes.fromhex(signature["ed25519"])
    except (TypeError, KeyError, ValueError) as exc:
        raise DumpRefused(_UNSIGNED) from exc
    if signed_by is not None and public != signed_by:
        raise DumpRefused(_UNSIGNED)
    try:
        genuine = verify(public, signed, CONTEXT, _canonical(document))
    except (KeysError, TypeError, ValueError, RecursionError) as exc:
        raise DumpRefused(_DAMAGED) from exc
    if not genuine:
        raise DumpRefused(_DAMAGED)


def _canonical(document: Document) -> bytes:
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8")


def _lines(document: Document) -> Iterator[str]:
    """Yield the document as YAML lines with labels as comments."""
    for name, value in document.items():
        if name != "files":
            yield from _entry(name, value, 0)
            continue
        yield "files:"
        for fid, found in value.items():
            spec = VOLUNTEER.file(int(fid, 16))
            yield f"  {_scalar(fid)}:  # {spec.label.zh} / {spec.label.en}"
            for key, inner in found.items():
                yield from _entry(key, inner, 4, _labels(spec))


def _labels(spec: FileSpec) -> dict[str, str]:
    if spec.layout is None:
        return {}
    fields = spec.layout.fields
    return {
        field.name: f"{field.label.zh} / {field.label.en}"
        for field in fields
        if field.name is not None
    }


def _entry(
    name: str, value: Any, indent: int, labels: dict[str, str] | None = None
) -> Iterator[str]:
    pad = " " * indent
    label = f"  # {labels[name]}" if labels and name in labels else ""
    if isinstance(value, dict):
        yield f"{pad}{name}:"
        for key, inner in value.items():
            yield from _entry(key, inner, indent + 2, labels)
    elif isinstance(value, list):
        yield f"{pad}{name}:" if value else f"{pad}{name}: []"
        for item in value:
            first, *rest = (line for key in item for line in _entry(key, item[key], indent + 4))
            yield f"{pad}  - {first.lstrip()}"
            yield from rest
    else:
        yield f"{pad}{name}: {_scalar(value)}{label}"


def _scalar(value: Any) -> str:
    """Return a value as YAML on one line, text always in double quotes.

    >>> _scalar("00000000000000000017"), _scalar(5), _scalar(None), _scalar(True)
    ('"00000000000000000017"', '5', 'null', 'true')
    """
    if not isinstance(value, str):
        return json.dumps(value)
    plain = (
        char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08X}"
        for char in value
    )
    return f'"{"".join(plain)}"'
