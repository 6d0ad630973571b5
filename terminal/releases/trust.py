# SPDX-License-Identifier: Apache-2.0
"""Which releases are to be believed: the client workflow of The Update Framework (TUF 1.0, §5).

The roles root, timestamp, snapshot and targets are read with python-tuf's metadata API; the order
of the steps is that of the specification. One thing is our own: whether metadata has expired is
judged by the newest time that the server has signed, not by the device's clock, which anybody at
the box can set. A terminal that was off line for a year takes today's metadata all the same.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TypeVar

from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from terminal.files import sync_directory, write_whole
from terminal.releases.faults import Fault, UpdateRefused
from terminal.releases.mirror import Mirror

ROOT, TIMESTAMP, SNAPSHOT, TARGETS = "root", "timestamp", "snapshot", "targets"
# A root has a handful of keys, a timestamp one line; targets one line for each release kept.
SIZE_MAX = {ROOT: 65_536, TIMESTAMP: 16_384, SNAPSHOT: 65_536, TARGETS: 1_048_576}
# New roots taken in one go: ten years of a new one each month, and a bound on the work.
ROOTS_MAX = 128

Kind = TypeVar("Kind", Root, Timestamp, Snapshot, Targets)


class Trust:
    """The metadata this terminal believes, kept in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def established(self) -> bool:
        """Say whether there is a root to begin with."""
        return self._path(ROOT).exists()

    def establish(self, raw: bytes) -> int:
        """Take the first root, which somebody has compared by hand; return its version.

        Raises:
            UpdateRefused: It is no root signed by its own keys, or a root is trusted already.
        """
        if self.established:
            raise UpdateRefused(Fault.ROLLBACK, "root.json")
        root = _parse(ROOT, raw, Root)
        _verify(root.signed, ROOT, root)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(ROOT), raw)
        return root.signed.version

    def refresh(self, mirror: Mirror, signed_ms: int) -> Targets:
        """Follow the repository to its newest state and return the targets.

        Every file that has passed is kept before the next is asked for, so that a cut anywhere
        leaves a state from which the next call goes on.

        Args:
            mirror: Where the files come from.
            signed_ms: The newest time the server has signed, UTC milliseconds.

        Raises:
            UpdateRefused: What the repository shows is not to be believed.
            ServerError: It could not be asked.
        """
        if signed_ms <= 0:
            raise UpdateRefused(Fault.NO_TIME, TIMESTAMP)
        now = dt.datetime.fromtimestamp(signed_ms / 1000, dt.UTC)
        root = self._newest_root(mirror)
        _unexpired(root, ROOT, now)
        timestamp = self._timestamp(mirror, root)
        _unexpired(timestamp, TIMESTAMP, now)
        snapshot = self._snapshot(mirror, root, timestamp.snapshot_meta)
        _unexpired(snapshot, SNAPSHOT, now)
        targets = self._targets(mirror, root, snapshot.meta[f"{TARGETS}.json"])
        _unexpired(targets, TARGETS, now)
        return targets

    def held(self) -> Targets | None:
        """Return the targets believed last, or None."""
        kept = self._kept(TARGETS, Targets)
        return None if kept is None else kept.signed

    def _newest_root(self, mirror: Mirror) -> Root:
        kept = self._kept(ROOT, Root)
        if kept is None:
            raise UpdateRefused(Fault.NO_TRUST, "root.json")
        root = kept.signed
        for _ in range(ROOTS_MAX):
            name = f"{root.version + 1}.root.json"
            raw = mirror.metadata(name, SIZE_MAX[ROOT])
            if raw is None:
                return root
            fresh = _parse(ROOT, raw, Root)
            _verify(root, ROOT, fresh)
            _verify(fresh.signed, ROOT, fresh)
            if fresh.signed.version != root.version + 1:
                raise UpdateRefused(Fault.ROLLBACK, name)
            self._forget_replaced(root, fresh.signed)
            write_whole(self._path(ROOT), raw)
            root = fresh.signed
        raise UpdateRefused(Fault.ENDLESS, "root.json")

    def _forget_replaced(self, old: Root, new: Root) -> None:
        """Forget what replaced keys have signed: it may be numbered far ahead."""
        for role in (TIMESTAMP, SNAPSHOT):
            if set(old.roles[role].keyids) - set(new.roles[role].keyids):
                for name in (TIMESTAMP, SNAPSHOT):
                    self._path(name).unlink(missing_ok=True)
                sync_directory(self._folder)
                return

    def _timestamp(self, mirror: Mirror, root: Root) -> Timestamp:
        raw = _there(mirror.metadata("timestamp.json", SIZE_MAX[TIMESTAMP]), "timestamp.json")
        fresh = _parse(TIMESTAMP, raw, Timestamp)
        _verify(root, TIMESTAMP, fresh)
        held = self._believed(TIMESTAMP, root, Timestamp)
        if held is not None:
            before, after = held.snapshot_meta.version, fresh.signed.snapshot_meta.version
            if fresh.signed.version < held.version or after < before:
                raise UpdateRefused(Fault.ROLLBACK, "timestamp.json")
        write_whole(self._path(TIMESTAMP), raw)
        return fresh.signed

    def _snapshot(self, mirror: Mirror, root: Root, told: MetaFile) -> Snapshot:
        name = f"{told.version}.snapshot.json"
        raw = _there(mirror.metadata(name, _length(told, SNAPSHOT)), name)
        _fits(told, raw, name)
        fresh = _parse(SNAPSHOT, raw, Snapshot)
        _verify(root, SNAPSHOT, fresh)
        if fresh.signed.version != told.version or f"{TARGETS}.json" not in fresh.signed.meta:
            raise UpdateRefused(Fault.MIXED, name)
        held = self._believed(SNAPSHOT, root, Snapshot)
        for file, before in ({} if held is None else held.meta).items():
            after = fresh.signed.meta.get(file)
            if after is None or after.version < before.version:
                raise UpdateRefused(Fault.ROLLBACK, name)
        write_whole(self._path(SNAPSHOT), raw)
        return fresh.signed

    def _targets(self, mirror: Mirror, root: Root, told: MetaFile) -> Targets:
        name = f"{told.version}.targets.json"
        raw = _there(mirror.metadata(name, _length(told, TARGETS)), name)
        _fits(told, raw, name)
        fresh = _parse(TARGETS, raw, Targets)
        _verify(root, TARGETS, fresh)
        if fresh.signed.version != told.version:
            raise UpdateRefused(Fault.MIXED, name)
        write_whole(self._path(TARGETS), raw)
        return fresh.signed

    def _believed(self, role: str, root: Root, kind: type[Kind]) -> Kind | None:
        """Return what is held of a role, if today's root still stands behind it."""
        kept = self._kept(role, kind)
        if kept is None:
            return None
        try:
            _verify(root, role, kept)
        except UpdateRefused:
            return None
        return kept.signed

    def _kept(self, role: str, kind: type[Kind]) -> Metadata[Kind] | None:
        try:
            raw = self._path(role).read_bytes()
        except FileNotFoundError:
            return None
        return _parse(role, raw, kind)

    def _path(self, role: str) -> Path:
        return self._folder / f"{role}.json"


def _parse(role: str, raw: bytes, kind: type[Kind]) -> Metadata[Kind]:
    """Read metadata of a role and no other."""
    if len(raw) > SIZE_MAX[role]:
        raise UpdateRefused(Fault.ENDLESS, f"{role}.json")
    try:
        found: Metadata[Kind] = Metadata[Kind].from_bytes(raw)
    except (RepositoryError, RecursionError) as exc:
        raise UpdateRefused(Fault.BROKEN, f"{role}.json") from exc
    if not isinstance(found.signed, kind):
        raise UpdateRefused(Fault.BROKEN, f"{role}.json")
    return found


def _verify(root: Root, role: str, shown: Metadata[Kind]) -> None:
    """Refuse what does not carry as many of the root's signatures as the role needs."""
    try:
        root.verify_delegate(role, shown.signed_bytes, shown.signatures)
    except (UnsignedMetadataError, ValueError) as exc:
        raise UpdateRefused(Fault.SIGNATURE, f"{role}.json") from exc


def _unexpired(signed: Root | Timestamp | Snapshot | Targets, role: str, now: dt.datetime) -> None:
    if signed.is_expired(now):
        raise UpdateRefused(Fault.EXPIRED, f"{role}.json")


def _length(told: MetaFile, role: str) -> int:
    """Return how much to read at most: what was announced, within what such a file may have."""
    return min(told.length or SIZE_MAX[role], SIZE_MAX[role])


def _fits(told: MetaFile, raw: bytes, name: str) -> None:
    try:
        told.verify_length_and_hashes(raw)
    except LengthOrHashMismatchError as exc:
        raise UpdateRefused(Fault.MIXED, name) from exc


def _there(raw: bytes | None, name: str) -> bytes:
    if raw is None:
        raise UpdateRefused(Fault.MISSING, name)
    return raw
