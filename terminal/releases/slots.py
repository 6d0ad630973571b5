# SPDX-License-Identifier: Apache-2.0
"""Two slots for the scripts, and one small file that says which of them runs.

`switch.json` is replaced whole; that replacement is the moment of an update, and of a return.
A slot counts only with a manifest beside it that names every file and its hash, and the manifest
is written last. `base` is what was installed by hand: always there, and never written here.
"""

from __future__ import annotations

import hashlib
import json
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

    def spare(self) -> str:
        """Return the slot that a new release goes into.

        >>> Switch().spare(), Switch(active="a").spare(), Switch(active="b", previous="a").spare()
        ('a', 'b', 'a')
        """
        return "b" if self.active == "a" else "a"


def load(folder: Path) -> Switch:
    """Read the switch; what cannot be read means the base, which always runs."""
    try:
        document: dict[str, Any] = json.loads((folder / SWITCH).read_bytes())
        switch = Switch(**{**document, "failed": tuple(document.get("failed", ()))})
    except (OSError, ValueError, TypeError, AttributeError):
        return Switch()
    known = (BASE, *SLOTS)
    if switch.active not in known or switch.previous not in known:
        return Switch()
    return switch


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


def choose(folder: Path) -> Path | None:
    """Return the folder of the slot to start now, None for the base; count a start on trial.

    Called once at each start, before anything of a release runs. A slot whose files are not what
    its manifest says is passed over. A disk that takes no data does not keep a terminal from
    starting: then nothing is counted.
    """
    switch = load(folder)
    try:
        if switch.trial and switch.starts >= STARTS_MAX:
            switch = go_back(folder, f"{switch.active} did not come up in {STARTS_MAX} starts")
        elif switch.trial:
            switch = replace(switch, starts=switch.starts + 1)
            save(folder, switch)
    except OSError:
        pass
    for slot in (switch.active, switch.previous):
        if slot == BASE:
            return None
        if is_intact(folder / slot):
            return folder / slot
    return None


def read_manifest(slot: Path) -> Manifest | None:
    """Return a slot's manifest, or None if there is none that can be read."""
    try:
        with (slot / MANIFEST).open("rb") as file:
            document = json.loads(file.read(MANIFEST_SIZE_MAX))
        return Manifest(int(document["release"]), str(document["version"]), document["files"])
    except (OSError, ValueError, TypeError, KeyError):
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


def running(folder: Path) -> tuple[int, str]:
    """Return release number and version of the active slot; 0 and "" for the base."""
    switch = load(folder)
    manifest = None if switch.active == BASE else read_manifest(folder / switch.active)
    return (0, "") if manifest is None else (manifest.release, manifest.version)
