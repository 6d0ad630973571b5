# SPDX-License-Identifier: Apache-2.0
"""What a plain ISO card remembers: a tree of files, PINs and authentication keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from hardware_mocks.cardos.state import NotAnImage, seal, unseal

MF_FID = 0x3F00

# File descriptor bytes (ISO/IEC 7816-4 table 14).
DIRECTORY = 0x38
TRANSPARENT = 0x01
LINEAR_FIXED = 0x02
LINEAR_VARIABLE = 0x04
CYCLIC = 0x06
RECORDS = (LINEAR_FIXED, LINEAR_VARIABLE, CYCLIC)

# Security attribute bytes of this card: always, after PIN n, after key n, never.
ALWAYS, NEVER = 0x00, 0xFF
PIN_PROVEN, KEY_PROVEN = 0x10, 0x20


@dataclass(slots=True)
class Secret:
    """A PIN with its unblocking code, or an authentication key; three tries each."""

    value: bytes = field(repr=False)
    unblock: bytes = field(default=b"", repr=False)
    tries: int = 3
    left: int = 3
    unblock_left: int = 3


@dataclass(slots=True)
class Node:
    """A file or a directory; `read` of a directory is its right to create and delete."""

    fid: int
    descriptor: int
    size: int = 0
    record: int = 0
    name: bytes = b""
    sfi: int = 0
    read: int = ALWAYS
    write: int = ALWAYS
    body: bytes = b""
    records: list[bytes] = field(default_factory=list)
    children: dict[int, Node] = field(default_factory=dict)

    @property
    def directory(self) -> bool:
        """Whether the node holds others."""
        return self.descriptor == DIRECTORY

    def walk(self) -> Iterator[Node]:
        """Yield the node and everything below it."""
        yield self
        for child in self.children.values():
            yield from child.walk()


@dataclass(slots=True)
class IsoImage:
    """Everything a plain card keeps without power."""

    uid: bytes
    mf: Node
    pins: dict[int, Secret] = field(default_factory=dict)
    keys: dict[int, Secret] = field(default_factory=dict)
    memory: int = 8192


def dump(image: IsoImage) -> bytes:
    """Return the written form of a card."""
    return seal({"kind": "iso", **asdict(image)})


def load(written: bytes) -> IsoImage:
    """Rebuild a card from its written form.

    Raises:
        NotAnImage: the bytes were not written by `dump`.

    >>> image = IsoImage(b"YIKA", Node(MF_FID, DIRECTORY), pins={1: Secret(b"1234")})
    >>> load(dump(image)) == image
    True
    """
    content = unseal(written)
    if content.get("kind") != "iso":
        reason = f"a {content.get('kind')}, not a plain card"
        raise NotAnImage(reason)
    return IsoImage(
        bytes.fromhex(content["uid"]),
        _node(content["mf"]),
        _secrets(content["pins"]),
        _secrets(content["keys"]),
        content["memory"],
    )


def _node(raw: dict[str, Any]) -> Node:
    children = [_node(item) for item in raw.pop("children").values()]
    raw["name"], raw["body"] = bytes.fromhex(raw["name"]), bytes.fromhex(raw["body"])
    raw["records"] = [bytes.fromhex(record) for record in raw["records"]]
    return Node(**raw, children={child.fid: child for child in children})


def _secrets(raw: dict[str, Any]) -> dict[int, Secret]:
    secrets = {}
    for number, item in raw.items():
        value, unblock = bytes.fromhex(item.pop("value")), bytes.fromhex(item.pop("unblock"))
        secrets[int(number)] = Secret(value, unblock, **item)
    return secrets
