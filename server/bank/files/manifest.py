# SPDX-License-Identifier: Apache-2.0
"""The manifest that is put down last: name, size and digest of a file, and who says so.

Whoever receives looks at manifests only: a file without one is still on its way. The signature is
over the manifest's canonical bytes, which name the digest of the file as it travels.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from server.bank.files.layout import Kind
from server.bank.files.reasons import FileRefused, Finding, shown

SUFFIX, PARTIAL = ".manifest", ".partial"
MANIFEST_BYTES_MAX = 16_384  # an armoured PGP signature has a few hundred
CONTEXT = b"yika/bank-file/1\0"
_NAME = re.compile(r"(YIKA|ACK|NAK)_([A-Za-z0-9-]{2,12})_([A-Z]{3})_([0-9]{8})\.dat", re.ASCII)
_HEX64 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name says."""

    partner: str
    kind: Kind
    sequence: int


def file_name(partner: str, kind: Kind, sequence: int, prefix: str = "YIKA") -> str:
    """Name a file.

    >>> file_name("BANK-1", Kind.ORDER, 7)
    'YIKA_BANK-1_ORD_00000007.dat'
    """
    return f"{prefix}_{partner}_{kind}_{sequence:08d}.dat"


def named(name: str) -> Named | None:
    """Read a file's name; None when it is none of the family.

    >>> named("YIKA_BANK-1_RES_00000007.dat"), named("../../etc/passwd")
    (Named(partner='BANK-1', kind=<Kind.RESULT: 'RES'>, sequence=7), None)
    """
    found = _NAME.fullmatch(name)
    if found is None or found[3] not in [*Kind]:
        return None
    return Named(found[2], Kind(found[3]), int(found[4]))


@dataclass(frozen=True, slots=True)
class Manifest:
    """One file as it travels."""

    name: str
    size: int
    sha256: str
    suite: str

    def signed_bytes(self) -> bytes:
        """Give the one byte form that is signed."""
        document = {"family": "YIKABANK", "version": "01", **asdict(self)}
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    def to_bytes(self, signature: str) -> bytes:
        """Write the manifest with its signature: hex, or armoured PGP."""
        document = {"family": "YIKABANK", "version": "01", **asdict(self), "signature": signature}
        return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"


def read(data: bytes) -> tuple[Manifest, str]:
    """Read a manifest and its signature; raise `FileRefused` (F01, F09) when it is none."""
    if len(data) > MANIFEST_BYTES_MAX:
        raise FileRefused(
            Finding("F01", 0, "size", f"<= {MANIFEST_BYTES_MAX} bytes", f"{len(data)} bytes")
        )
    try:
        found = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FileRefused(Finding("F01", 0, "", "JSON object", shown(data[:40]))) from error
    if not isinstance(found, dict):
        raise FileRefused(Finding("F01", 0, "", "JSON object", shown(data[:40])))
    for name, expected in (("family", "YIKABANK"), ("version", "01")):
        if found.get(name) != expected:
            raise FileRefused(Finding("F09", 0, name, expected, shown(found.get(name))))
    size, sha256 = found.get("size"), found.get("sha256")
    if type(size) is not int or not 0 <= size < 2**53:
        raise FileRefused(Finding("F01", 0, "size", "bytes", shown(size)))
    if not isinstance(sha256, str) or not _HEX64.fullmatch(sha256):
        raise FileRefused(Finding("F01", 0, "sha256", "64 hex digits", shown(sha256)))
    texts = {name: found.get(name) for name in ("name", "suite", "signature")}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise FileRefused(Finding("F01", 0, name, "text", shown(value)))
    return (
        Manifest(str(texts["name"]), size, sha256, str(texts["suite"])),
        str(texts["signature"]),
    )
