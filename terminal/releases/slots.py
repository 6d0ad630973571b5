# SPDX-License-Identifier: Apache-2.0
"""Two slots for the scripts, and one small file that says which of them runs.

`switch.json` is replaced whole; that replacement is the moment of an update, and of a return.
A slot counts only with a manifest beside it that names every file and its hash, and the manifest
is written last. `base` is what was installed by hand: always there, and never written here.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from terminal.files import write_whole

BASE = "base"
SLOTS = ("a", "b")
SWITCH = "switch.json"
MANIFEST = "RELEASE.json"
# A program that did not reach its first self-checks in three starts will not in the fourth.
STARTS_MAX = 3
# Releases that failed here, newest last; older ones are below the floor anyway.
FAILED_MAX = 16
MANIFEST_SIZE_MAX = 1_048_576
SLOT_VARIABLE = "YIKA_RELEASE_SLOT"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a slot holds: the release's number and version, each file with its SHA-256 in hex."""

    release: int
    version: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Switch:
    """Which slot runs, which ran before, and whether the one that runs is still on trial.

    Attributes:
        floor: The highest release that has proven itself here; nothing below it is installed.
        failed: Releases that did not; they are not tried again by themselves.
        note: What happened last, for people.
    """

    active: str = BASE
    previous: str = BASE
    trial: bool = False
    starts: int = 0
    floor: int = 0
    failed: tuple[int, ...] = ()
    note: str = ""


def load(folder: Path) -> Switch:
    """Read the switch; what cannot be read means the base, which always runs."""
    try:
        document: dict[str, Any] = json.loads((folder / SWITCH).read_bytes())
        switch = Switch(**{**document, "failed": tuple(document.get("failed", ()))})
    except (OSError, ValueError, TypeError, AttributeError):
        return Switch()
    known = (BASE, *SLOTS)
    named = switch.active in known and switch.previous in known
    counted = all(type(number) is int for number in (switch.starts, switch.floor, *switch.failed))
    return switch if named and counted and type(switch.trial) is bool else Switch()


def save(folder: Path, switch: Switch) -> None:
    """Replace the switch, durably."""
    write_whole(folder / SWITCH, json.dumps(asdict(switch), ensure_ascii=False).encode())


def begin_trial(folder: Path, slot: str, release: int) -> Switch:
    """Let a slot run from the next start on, for a few starts, until it is confirmed."""
    switch = load(folder)
    fresh = replace(
        switch,
        active=slot,
        previous=switch.active if switch.active != slot else switch.previous,
        trial=True,
        starts=0,
        failed=tuple(number for number in switch.failed if number != release),
        note=f"release {release} on trial",
    )
    save(folder, fresh)
    return fresh


def confirm(folder: Path) -> Switch:
    """End the trial: the program that runs has passed its self-checks."""
    switch = load(folder)
    if not switch.trial:
        return switch
    manifest = read_manifest(folder / switch.active)
    release = 0 if manifest is None else manifest.release
    fresh = replace(
        switch, trial=False, starts=0, floor=max(switch.floor, release),
        note=f"release {release} confirmed",
    )  # fmt: skip
    save(folder, fresh)
    return fresh


def go_back(folder: Path, why: str) -> Switch:
    """Return to the version before, for good unless a newer release comes."""
    switch = load(folder)
    manifest = read_manifest(folder / switch.active) if switch.active != BASE else None
    failed = switch.failed
    if manifest is not None:
        failed = (*(n for n in failed if n != manifest.release), manifest.release)[-FAILED_MAX:]
    fresh = Switch(
        active=switch.previous, previous=BASE, floor=switch.floor, failed=failed, note=why
    )
    save(folder, fresh)
    return fresh


def mark_failed(folder: Path, release: int, why: str) -> None:
    """Remember a release that failed its check before it ever ran."""
    switch = load(folder)
    failed = (*(number for number in switch.failed if number != release), release)
    save(folder, replace(switch, failed=failed[-FAILED_MAX:], note=why))


def choose(folder: Path, *, counts: bool = True) -> Path | None:
    """Return the folder of the slot to start now, None for the base; count a start on trial.

    Called once at each start, before anything of a release runs; `counts` is false for a command
    that is not the program. A disk that takes no data does not keep a terminal from starting, nor
    from going back: then nothing is counted, and the next start decides alike.
    """
    switch = load(folder)
    slot = next_up(folder, switch)
    with suppress(OSError):
        if _is_spent(switch):
            go_back(folder, f"{switch.active} did not come up in {STARTS_MAX} starts")
        elif switch.trial and counts:
            save(folder, replace(switch, starts=switch.starts + 1))
    return None if slot == BASE else folder / slot


def next_up(folder: Path, switch: Switch) -> str:
    """Return which slot a start would run: one on trial for too long, or damaged, is passed over.

    Damaged is a slot whose files are not what its manifest says.
    """
    wanted = (switch.previous,) if _is_spent(switch) else (switch.active, switch.previous)
    return next((slot for slot in wanted if slot == BASE or is_intact(folder / slot)), BASE)


def spare(folder: Path) -> str:
    """Return the slot that a new release goes into: not the one that a start would run."""
    return "b" if next_up(folder, load(folder)) == "a" else "a"


def _is_spent(switch: Switch) -> bool:
    return switch.trial and switch.starts >= STARTS_MAX


def read_manifest(slot: Path) -> Manifest | None:
    """Return a slot's manifest, or None if there is none that can be read."""
    try:
        with (slot / MANIFEST).open("rb") as file:
            document = json.loads(file.read(MANIFEST_SIZE_MAX))
        files = {str(name): str(digest) for name, digest in document["files"].items()}
        return Manifest(int(document["release"]), str(document["version"]), files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def is_intact(slot: Path) -> bool:
    """Say whether a slot holds every file of its manifest, byte for byte."""
    manifest = read_manifest(slot)
    if manifest is None or not manifest.files:
        return False
    try:
        return all(
            hashlib.sha256((slot / name).read_bytes()).hexdigest() == digest
            for name, digest in manifest.files.items()
        )
    except OSError:
        return False


def release_of(folder: Path, slot: str) -> tuple[int, str]:
    """Return release number and version of a slot; 0 and "" for the base."""
    manifest = read_manifest(folder / slot) if slot in SLOTS else None
    return (0, "") if manifest is None else (manifest.release, manifest.version)


def running(folder: Path) -> tuple[int, str]:
    """Return release number and version of the slot that a start would run."""
    return release_of(folder, next_up(folder, load(folder)))
