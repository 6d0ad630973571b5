# SPDX-License-Identifier: Apache-2.0
"""A release repository in a folder: drafts, signatures of several people, and publication.

The layout is that of The Update Framework with consistent snapshots: `metadata/N.root.json`,
`N.targets.json`, `N.snapshot.json`, `timestamp.json`, and `targets/<sha256>.<name>`. What is not
signed enough lies under its final name as well; only `publish` looks at it as a terminal would.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from server.errors import Refused
from server.fleet.release_keys import public_key

ROLES = ("root", "targets", "snapshot", "timestamp")
# Root and targets are signed rarely and by several people; the timestamp says "nothing newer".
LIFETIME_DAYS = {"root": 730, "targets": 365, "snapshot": 365, "timestamp": 90}
KIND = "terminal"

AnyMetadata = Metadata[Any]


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """Who signs for a role: public keys in hex, and how many of them must."""

    keys: tuple[str, ...]
    threshold: int = 1


@dataclass(frozen=True, slots=True)
class Release:
    """A wheel to be offered to terminals."""

    wheel: Path
    number: int
    version: str


class Repository:
    """The files of one repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata = folder / "metadata"
        self.targets = folder / "targets"

    def begin(self, roles: dict[str, RoleKeys], now: dt.datetime) -> None:
        """Draft a root, the first or the next, and at the first the empty roles below it."""
        missing = [role for role in ROLES if not roles.get(role) or not roles[role].keys]
        weak = [r for r, k in roles.items() if not 1 <= k.threshold <= len(set(k.keys))]
        if missing or weak:
            named = ", ".join(missing + weak)
            raise Refused("roles", f"角色缺少密钥：{named}", f"too few keys for {named}")
        self.metadata.mkdir(parents=True, exist_ok=True)
        self.targets.mkdir(exist_ok=True)
        before = self.newest("root")
        root = Root(version=1 if before is None else before.signed.version + 1)
        for role, held in roles.items():
            for text in held.keys:
                root.add_key(public_key(text), role)
            root.roles[role].threshold = held.threshold
        root.expires = _after(now, "root")
        self._write(Metadata(root), f"{root.version}.root.json")
        if before is None:
            self._draft(Targets(), now)

    def add(self, release: Release, now: dt.datetime) -> str:
        """Draft targets that offer a wheel, with the roles that point at them; return its name."""
        targets = self._must("targets").signed
        known = [t.custom["release"] for t in targets.targets.values() if t.custom]
        if known and release.number <= max(known):
            raise Refused(
                "release-number", "发布号须大于以往", f"a release number above {max(known)} is due"
            )
        name = f"yika-terminal-{release.number}.whl"
        target = TargetFile.from_file(name, str(release.wheel), ["sha256"])
        target.unrecognized_fields["custom"] = {
            "kind": KIND, "release": release.number, "version": release.version,
        }  # fmt: skip
        shutil.copyfile(release.wheel, self.targets / f"{target.hashes['sha256']}.{name}")
        fresh = Targets(version=targets.version + 1, targets={**targets.targets, name: target})
        self._draft(fresh, now)
        return name

    def refresh(self, now: dt.datetime) -> None:
        """Draft a new timestamp, and a snapshot with it: there is nothing newer, said later."""
        self._point(self._must("targets").signed.version, now)

    def sign(self, signer: Signer) -> list[str]:
        """Add a signature to each newest file whose role the key belongs to; return their names."""
        signed = []
        root = self._must("root")
        for name, role, document in self._newest_files():
            mine = signer.public_key.keyid in root.signed.roles[role].keyids
            before = self._previous_root(root.signed.version) if role == "root" else None
            mine = mine or (
                before is not None and signer.public_key.keyid in before.signed.roles[role].keyids
            )
            if mine and signer.public_key.keyid not in document.signatures:
                document.sign(signer, append=True)
                self._write(document, name)
                signed.append(name)
        return signed

    def standing(self) -> list[dict[str, Any]]:
        """Return each role's newest file: version, expiry, and how many signatures are missing."""
        root = self._must("root").signed
        rows = []
        for name, role, document in self._newest_files():
            result = root.get_verification_result(role, document.signed_bytes, document.signatures)
            rows.append(
                {
                    "file": name,
                    "version": document.signed.version,
                    "expires": document.signed.expires.date().isoformat(),
                    "signed": len(result.signed),
                    "threshold": result.threshold,
                }
            )
        return rows

    def releases(self) -> list[dict[str, Any]]:
        """Return the releases offered, newest first."""
        targets = self._must("targets").signed
        rows = [
            {"name": t.path, "bytes": t.length, **(t.custom or {})}
            for t in targets.targets.values()
        ]
        return sorted(rows, key=lambda row: -int(row["release"]))

    def publish(self, to: Repository) -> None:
        """Copy what is signed enough to where the server offers it; the timestamp goes last.

        Raises:
            Refused: Signatures are missing, or what is offered already is newer.
        """
        short = [row["file"] for row in self.standing() if row["signed"] < row["threshold"]]
        if short:
            named = ", ".join(short)
            raise Refused("unsigned", f"签名不足：{named}", f"signatures are missing: {named}")
        held = to.newest("timestamp")
        if held is not None and held.signed.version > self._must("timestamp").signed.version:
            raise Refused("older", "已发布的更新", "what is offered already is newer")
        to.metadata.mkdir(parents=True, exist_ok=True)
        to.targets.mkdir(exist_ok=True)
        for source in sorted(self.targets.iterdir()):
            shutil.copyfile(source, to.targets / source.name)
        files = [path for path in self.metadata.glob("*.json") if path.name != "timestamp.json"]
        for source in (*sorted(files), self.metadata / "timestamp.json"):
            draft = to.metadata / f".{source.name}.new"
            shutil.copyfile(source, draft)
            draft.replace(to.metadata / source.name)

    def newest(self, role: str) -> AnyMetadata | None:
        """Return the newest file of a role."""
        found = self._name_of(role)
        return None if found is None else self._read(found)

    def _draft(self, targets: Targets, now: dt.datetime) -> None:
        targets.expires = _after(now, "targets")
        self._write(Metadata(targets), f"{targets.version}.targets.json")
        self._point(targets.version, now)

    def _point(self, targets_version: int, now: dt.datetime) -> None:
        before = self.newest("snapshot")
        version = 1 if before is None else before.signed.version + 1
        snapshot = Snapshot(
            version=version,
            expires=_after(now, "snapshot"),
            meta={"targets.json": MetaFile(version=targets_version)},
        )
        self._write(Metadata(snapshot), f"{version}.snapshot.json")
        held = self.newest("timestamp")
        timestamp = Timestamp(
            version=1 if held is None else held.signed.version + 1,
            expires=_after(now, "timestamp"),
            snapshot_meta=MetaFile(version=version),
        )
        self._write(Metadata(timestamp), "timestamp.json")

    def _newest_files(self) -> Iterator[tuple[str, str, AnyMetadata]]:
        for role in ROLES:
            name = self._name_of(role)
            if name is not None:
                yield name, role, self._read(name)

    def _name_of(self, role: str) -> str | None:
        if role == "timestamp":
            return "timestamp.json" if (self.metadata / "timestamp.json").exists() else None
        numbers = [
            int(path.name.partition(".")[0])
            for path in self.metadata.glob(f"*.{role}.json")
            if path.name.partition(".")[0].isdecimal()
        ]
        return f"{max(numbers)}.{role}.json" if numbers else None

    def _previous_root(self, version: int) -> AnyMetadata | None:
        name = f"{version - 1}.root.json"
        return self._read(name) if (self.metadata / name).exists() else None

    def _must(self, role: str) -> AnyMetadata:
        found = self.newest(role)
        if found is None:
            raise Refused(
                "no-repository",
                f"{self.folder} 还不是发布仓库，请先运行 release init",
                f"{self.folder} is no release repository yet: run release init",
            )
        return found

    def _read(self, name: str) -> AnyMetadata:
        try:
            document: AnyMetadata = Metadata.from_file(str(self.metadata / name))
        except RepositoryError as exc:
            raise Refused("metadata", f"{name} 无法识别", f"{name} cannot be read") from exc
        return document

    def _write(self, document: AnyMetadata, name: str) -> None:
        document.to_file(str(self.metadata / name))


def _after(now: dt.datetime, role: str) -> dt.datetime:
    return now.replace(microsecond=0) + dt.timedelta(days=LIFETIME_DAYS[role])
