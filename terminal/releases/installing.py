# SPDX-License-Identifier: Apache-2.0
"""Bring the newest believed release into the spare slot, try it, and switch.

Order: download, compare, empty the spare slot, unpack, seal, try, switch. Before the switch
nothing that runs has changed; a cut at any step leaves the old version running, and the next call
does again what was not finished. Each step is announced to `at`, where a test may cut.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile, Targets

from terminal.files import FILE_MODE
from terminal.releases import archive, slots
from terminal.releases.faults import Fault, UpdateRefused
from terminal.releases.mirror import Mirror
from terminal.releases.slots import Switch
from terminal.releases.trust import Trust

METADATA = "metadata"
DOWNLOAD = "download.part"
LOCK = "update.lock"
KIND = "terminal"
# Ten times today's wheel.
RELEASE_SIZE_MAX = 32 * 1024 * 1024
# Left free on the disk beside archive and slot: the journal has the first claim.
ROOM_LEFT = 32 * 1024 * 1024
UNPACKED_FACTOR = 5  # Python source packs to a fifth


@dataclass(frozen=True, slots=True)
class Offer:
    """A release that is believed and newer than what runs."""

    release: int
    version: str
    target: TargetFile


def _nowhere(step: str) -> None:
    """Pass every step."""


@dataclass(frozen=True, slots=True)
class Installer:
    """The updates of one terminal; `probe` runs the self-test of the slot it is given."""

    folder: Path
    mirror: Mirror
    probe: Callable[[Path], str]
    at: Callable[[str], None] = _nowhere

    @property
    def trust(self) -> Trust:
        """Return the metadata this terminal believes."""
        return Trust(self.folder / METADATA)

    def check(self, signed_ms: int, *, retry: bool = False) -> Offer:
        """Return the newest release there is.

        Raises:
            UpdateRefused: There is none, it failed here before, or the repository lies.
            ServerError: It could not be asked.
        """
        with self._alone():
            return self._offer(signed_ms, retry=retry)

    def install(self, signed_ms: int, *, retry: bool = False) -> Switch:
        """Fetch, try and switch; the new version runs from the next start on, on trial.

        Raises: as `check`; UNHEALTHY when the new version fails its self-test.
        """
        with self._alone():
            offer = self._offer(signed_ms, retry=retry)
            self._download(offer)
            slot = slots.spare(self.folder)
            self._unpack(offer, self.folder / slot)
            self._try(offer, self.folder / slot)
            self.at("switch")
            switch = slots.begin_trial(self.folder, slot, offer.release)
            self.at("switched")
            (self.folder / DOWNLOAD).unlink(missing_ok=True)
            return switch

    def _offer(self, signed_ms: int, *, retry: bool) -> Offer:
        offer = newest(self.trust.refresh(self.mirror, signed_ms))
        switch = slots.load(self.folder)
        release, _ = slots.running(self.folder)
        if offer.release < switch.floor:
            raise UpdateRefused(Fault.ROLLBACK, f"release {offer.release}")
        if offer.release <= release:
            raise UpdateRefused(Fault.NOTHING, f"release {release}")
        if offer.release in switch.failed and not retry:
            raise UpdateRefused(Fault.FAILED_BEFORE, f"release {offer.release}")
        return offer

    def _download(self, offer: Offer) -> None:
        """Fetch the archive, or the rest of one begun earlier; what is wrong is thrown away."""
        target, path = offer.target, self.folder / DOWNLOAD
        free = shutil.disk_usage(self.folder).free
        if free < target.length * (1 + UNPACKED_FACTOR) + ROOM_LEFT:
            raise UpdateRefused(Fault.NO_ROOM, str(self.folder))
        have = path.stat().st_size if path.exists() else 0
        if have > target.length or (have == target.length and not _matches(target, path)):
            path.unlink()
            have = 0
        directory, _, name = target.path.rpartition("/")
        remote = f"{directory}/{target.hashes['sha256']}.{name}".lstrip("/")
        self.at("download")
        with path.open("ab") as file:

            def take(piece: bytes) -> None:
                self.at("piece")
                file.write(piece)
                file.flush()

            self.mirror.target(remote, target.length, have, take)
            os.fsync(file.fileno())
        self.at("compare")
        if not _matches(target, path):
            path.unlink()
            raise UpdateRefused(Fault.MIXED, name)

    def _unpack(self, offer: Offer, slot: Path) -> None:
        self.at("clear")
        archive.clear(slot)
        self.at("unpack")
        archive.unpack(self.folder / DOWNLOAD, slot, offer.release, offer.version)

    def _try(self, offer: Offer, slot: Path) -> None:
        self.at("try")
        complaint = self.probe(slot)
        if complaint:
            slots.mark_failed(self.folder, offer.release, complaint)
            raise UpdateRefused(Fault.UNHEALTHY, complaint)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise UpdateRefused(Fault.BUSY, str(self.folder)) from exc
            yield
        finally:
            os.close(handle)


def newest(targets: Targets) -> Offer:
    """Return the release with the highest number among the targets for terminals.

    Raises:
        UpdateRefused: There is none, or an entry that is no release.
    """
    offers = []
    for target in targets.targets.values():
        custom = target.custom if isinstance(target.custom, dict) else {}
        if custom.get("kind") != KIND:
            continue
        release, version = custom.get("release"), custom.get("version")
        sized = 0 < target.length <= RELEASE_SIZE_MAX and "sha256" in target.hashes
        if type(release) is not int or not isinstance(version, str) or not sized:
            raise UpdateRefused(Fault.BROKEN, target.path)
        offers.append(Offer(release, version, target))
    if not offers:
        raise UpdateRefused(Fault.NOTHING, "targets.json")
    return max(offers, key=lambda offer: offer.release)


def _matches(target: TargetFile, path: Path) -> bool:
    try:
        with path.open("rb") as file:
            target.verify_length_and_hashes(file)
    except LengthOrHashMismatchError:
        return False
    return True
