# SPDX-License-Identifier: Apache-2.0
"""A publisher with three keys, wheels to offer, and a server that can lie."""

from __future__ import annotations

import datetime as dt
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from keys.identity import Identity
from server.fleet.release_keys import ReleaseSigner
from server.fleet.release_repo import Release, Repository, RoleKeys
from terminal.errors import Refused, Unreachable
from terminal.releases.installing import Installer
from terminal.releases.mirror import Mirror
from terminal.transport import Request

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
NOW_MS = int(NOW.timestamp() * 1000)
DAY_MS = 86_400_000


def make_wheel(path: Path, mark: str, extra: dict[str, bytes] | None = None) -> Path:
    """Write a wheel with a program that is told apart by its mark."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("terminal/__init__.py", f'"""{mark}"""\n')
        wheel.writestr("terminal/__main__.py", f'print("{mark}")\n')
        wheel.writestr("server/secret.py", "x = 1\n")
        for name, body in (extra or {}).items():
            wheel.writestr(name, body)
    return path


@dataclass
class Lines:
    """A server that offers a folder; what it says of a file can be replaced, or its line cut."""

    folder: Path
    lies: dict[str, bytes | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    piece: int = 400
    cut_after: int | None = None

    def send(self, request: Request) -> bytes:
        """Answer one request."""
        self.asked.append(request.path)
        if self.cut_after is not None and len(self.asked) > self.cut_after:
            raise Unreachable("cut")
        path, _, query = request.path.removeprefix("/releases/").partition("?from=")
        name = path.rpartition("/")[2]
        if name in self.lies:
            body = self.lies[name]
        else:
            file = self.folder / path
            body = file.read_bytes() if file.exists() else None
        if body is None:
            raise Refused(404, "no such file")
        return body[int(query) :][: self.piece] if query else body


class Publisher:
    """Two people who sign releases together, and a key for the timestamp."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first, self.second, self.online = (
            ReleaseSigner(Identity.from_seed(bytes([n]) * 32)) for n in (1, 2, 3)
        )
        self.repo = Repository(folder / "repo")
        self.repo.begin(self.roles(), NOW)
        self.sign()

    def roles(self, *other: ReleaseSigner) -> dict[str, RoleKeys]:
        """Return who signs for what; with another pair of keys if given."""
        pair = other or (self.first, self.second)
        several = RoleKeys(tuple(public(signer) for signer in pair), 2)
        online = RoleKeys((public(self.online),))
        return {"root": several, "targets": several, "snapshot": online, "timestamp": online}

    def sign(self, *signers: ReleaseSigner) -> None:
        """Let everybody sign what there is to sign."""
        for signer in signers or (self.first, self.second, self.online):
            self.repo.sign(signer)

    def release(self, number: int, extra: dict[str, bytes] | None = None) -> None:
        """Offer a release."""
        wheel = make_wheel(self.folder / f"{number}.whl", f"release {number}", extra)
        self.repo.add(Release(wheel, number, f"0.{number}.0"), NOW)
        self.sign()

    def file(self, name: str) -> bytes:
        """Return a metadata file."""
        return (self.repo.metadata / name).read_bytes()

    def lines(self) -> Lines:
        """Return a server that offers the repository."""
        return Lines(self.repo.folder)


def public(signer: ReleaseSigner) -> str:
    """Return the public key in hex."""
    return str(signer.public_key.keyval["public"])


def box(folder: Path, publisher: Publisher, lines: Lines, complaint: str = "") -> Installer:
    """Return a terminal's installer that trusts the publisher's first root."""
    installer = Installer(folder, Mirror(lines), lambda _slot: complaint)
    if not installer.trust.established:
        installer.trust.establish(publisher.file("1.root.json"))
    return installer
