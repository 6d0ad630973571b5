# SPDX-License-Identifier: Apache-2.0
"""Unpack a release, a wheel, into a slot: our packages only, with limits, manifest last."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from terminal.files import sync_directory, write_whole
from terminal.releases.faults import Fault, UpdateRefused
from terminal.releases.slots import MANIFEST

# What runs on a terminal; a wheel holds the server too, which stays in the archive.
PACKAGES = frozenset({"card", "emv", "keys", "swipe", "terminal"})
FILES_MAX = 5_000
UNPACKED_MAX = 64 * 1024 * 1024
NAME_MAX = 200
PIECE = 65_536
# What wheels are made of; other ways to pack are other libraries, with other ways to fail.
COMPRESSIONS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def unpack(archive: Path, slot: Path, release: int, version: str) -> int:
    """Fill an empty slot from a wheel and seal it with its manifest; return the number of files.

    Raises:
        UpdateRefused: ARCHIVE, ENDLESS or BROKEN; the slot has no manifest then.
        OSError: The disk refuses.
    """
    files: dict[str, str] = {}
    left = UNPACKED_MAX
    try:
        with zipfile.ZipFile(archive) as wheel:
            for member in _members(wheel):
                target = slot / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                digest, size = _copy(wheel, member, target, left)
                files[member.filename] = digest
                left -= size
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as exc:
        raise UpdateRefused(Fault.BROKEN, archive.name) from exc
    if "terminal/__main__.py" not in files:
        raise UpdateRefused(Fault.ARCHIVE, "terminal/__main__.py")
    for folder in {(slot / name).parent for name in files}:
        sync_directory(folder)
    document = {"release": release, "version": version, "files": files}
    write_whole(slot / MANIFEST, json.dumps(document).encode())
    return len(files)


def clear(slot: Path) -> None:
    """Empty a slot; its manifest goes first, so that half a slot is never taken for one."""
    (slot / MANIFEST).unlink(missing_ok=True)
    if slot.exists():
        sync_directory(slot)
        shutil.rmtree(slot)
    slot.mkdir(parents=True)
    sync_directory(slot.parent)


def _members(wheel: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the files to unpack; a wheel with a name that leads elsewhere is refused whole."""
    listed = wheel.infolist()
    if len(listed) > FILES_MAX:
        raise UpdateRefused(Fault.ENDLESS, wheel.filename or "")
    for member in listed:
        path = PurePosixPath(member.filename)
        kind = stat.S_IFMT(member.external_attr >> 16)
        plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
        if (
            not path.parts
            or path.is_absolute()
            or ".." in path.parts
            or "\\" in member.filename
            or "\0" in member.filename
            or len(member.filename) > NAME_MAX
            or not plain
            or member.compress_type not in COMPRESSIONS
        ):
            raise UpdateRefused(Fault.ARCHIVE, member.filename[:NAME_MAX])
    return [
        member
        for member in listed
        if not member.is_dir() and PurePosixPath(member.filename).parts[0] in PACKAGES
    ]


def _copy(
    wheel: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int
) -> tuple[str, int]:
    """Copy one file durably; count what really comes out, whatever the archive claims."""
    digest, size = hashlib.sha256(), 0
    with wheel.open(member) as source, target.open("wb") as file:
        while piece := source.read(PIECE):
            size += len(piece)
            if size > left:
                raise UpdateRefused(Fault.ENDLESS, member.filename)
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size
