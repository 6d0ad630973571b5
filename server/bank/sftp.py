# SPDX-License-Identifier: Apache-2.0
"""The SFTP server for partners: each sees its own two folders and nothing else of the machine.

A partner signs on with its code and its SSH key. It writes in `in`, reads everywhere, and may take
away its own files of `in`. As soon as a manifest has its name the file is received; the answer is
in `out`. There is no shell, no forwarding, no link and no other folder.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import structlog
from asyncssh import (
    FXF_APPEND,
    FXF_CREAT,
    FXF_TRUNC,
    FXF_WRITE,
    SFTPAttrs,
    SFTPPermissionDenied,
    SFTPServer,
)

from keys.files import write_private
from server.bank import partners
from server.bank.files.manifest import SUFFIX
from server.bank.intake import Intake, collect
from server.bank.wire import FILE_BYTES_MAX
from server.errors import Refused

HOST_KEY = "sftp-host-key"
FILES_MAX = 1_000  # in a partner's folder; a partner sends some ten a day
LOGIN_TIMEOUT_S = 30
_WRITING = FXF_WRITE | FXF_CREAT | FXF_TRUNC | FXF_APPEND

log = structlog.get_logger("yika.bank.sftp")


class Gate(asyncssh.SSHServer):
    """Let a partner in by its key."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def begin_auth(self, _username: str) -> bool:
        """Ask everybody for a key."""
        return True

    def public_key_auth_supported(self) -> bool:
        """Keys only: there are no passwords here."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Tell whether this is the key of an active partner of this code."""
        with self._intake.database.reading() as session:
            try:
                row = partners.get(session, username).row
            except Refused:
                return False
            if row.state != "active" or not row.ssh_key:
                return False
            known = asyncssh.import_public_key(row.ssh_key)
        return key.public_data == known.public_data


class Room(SFTPServer):
    """One partner's view: `in` to write, `out` to read."""

    def __init__(
        self,
        channel: asyncssh.SSHServerChannel[Any],
        intake: Intake,
        arrived: Callable[[str], None],
    ) -> None:
        self._code = str(channel.get_extra_info("username"))
        self._home = intake.folders.home(self._code)
        self._arrived = arrived
        super().__init__(channel, chroot=str(self._home).encode())

    def open(self, path: bytes, pflags: int, _attrs: SFTPAttrs) -> Any:
        """Open a file; for writing only in `in`."""
        if pflags & _WRITING:
            self._own(path)
            if pflags & FXF_CREAT and len(list((self._home / "in").iterdir())) >= FILES_MAX:
                raise SFTPPermissionDenied(f"more than {FILES_MAX} files: wait for the answers")
        return super().open(path, pflags, SFTPAttrs(permissions=0o600))

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Write at a place, up to the most that a file may have."""
        if offset + len(data) > FILE_BYTES_MAX:
            raise SFTPPermissionDenied(f"a file has at most {FILE_BYTES_MAX} bytes")
        written = super().write(file_obj, offset, data)
        assert isinstance(written, int)
        return written

    def close(self, file_obj: Any) -> None:
        """Close a file; a manifest under its own name means that a file is whole."""
        name, writable = file_obj.name, file_obj.writable()
        super().close(file_obj)
        text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        if writable and text.endswith(SUFFIX):
            self._arrived(self._code)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Give a file of `in` another name in `in`."""
        self._own(oldpath)
        self._own(newpath)
        super().rename(oldpath, newpath)
        if newpath.endswith(SUFFIX.encode()):
            self._arrived(self._code)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Rename, in place of what had the name."""
        self._own(oldpath)
        self._own(newpath)
        super().posix_rename(oldpath, newpath)
        if newpath.endswith(SUFFIX.encode()):
            self._arrived(self._code)

    def remove(self, path: bytes) -> None:
        """Take a file of `in` away."""
        self._own(path)
        super().remove(path)

    def setstat(self, path: bytes, _attrs: SFTPAttrs) -> None:
        """Leave owners, modes and times as they are: a client may ask, and hears no error."""
        self._own(path)

    def lsetstat(self, path: bytes, _attrs: SFTPAttrs) -> None:
        """Leave them as they are."""
        self._own(path)

    def fsetstat(self, _file: object, _attrs: SFTPAttrs) -> None:
        """Leave them as they are."""

    def mkdir(self, _path: bytes, _attrs: SFTPAttrs) -> None:
        """Refuse."""
        raise SFTPPermissionDenied("there are two folders here")

    def rmdir(self, _path: bytes) -> None:
        """Refuse."""
        raise SFTPPermissionDenied("there are two folders here")

    def symlink(self, _old: bytes, _new: bytes) -> None:
        """Refuse: a link could lead out."""
        raise SFTPPermissionDenied("no links")

    def link(self, _old: bytes, _new: bytes) -> None:
        """Refuse."""
        raise SFTPPermissionDenied("no links")

    @staticmethod
    def _own(path: bytes) -> None:
        """Refuse a path that is not a file right in `in`."""
        folder, name = posixpath.split(posixpath.normpath(b"/" + path.lstrip(b"/")))
        if folder != b"/in" or not name:
            raise SFTPPermissionDenied("write into the folder in")


class Counter:
    """Receive files of one partner after the other, away from the network's thread."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._waiting: asyncio.Queue[str] = asyncio.Queue()

    def arrived(self, code: str) -> None:
        """Note that a partner has put something down."""
        self._waiting.put_nowait(code)

    async def serve(self) -> None:
        """Receive what comes, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            code = await self._waiting.get()
            try:
                outcomes = await loop.run_in_executor(None, collect, self._intake, code)
            except Refused as refused:
                log.warning("bank_refused", partner=code, code=refused.code)
                continue
            for one in outcomes:
                log.info("bank_file", partner=code, name=one.name, status=one.status)


async def listen(intake: Intake, host: str, port: int) -> tuple[asyncssh.SSHAcceptor, Counter]:
    """Open the server; return the acceptor, and the counter whose `serve` is to be run."""
    counter = Counter(intake)
    acceptor = await asyncssh.listen(
        host,
        port,
        server_factory=lambda: Gate(intake),
        server_host_keys=[host_key(intake.folders.root)],
        sftp_factory=lambda channel: Room(channel, intake, counter.arrived),
        allow_scp=False,
        agent_forwarding=False,
        login_timeout=LOGIN_TIMEOUT_S,
        encoding=None,
    )
    return acceptor, counter


def host_key(root: Path) -> asyncssh.SSHKey:
    """Give the server's host key, made the first time."""
    path = root / HOST_KEY
    if not path.exists():
        made = asyncssh.generate_private_key("ssh-ed25519")
        write_private(path, made.export_private_key(), replace=False)
    return asyncssh.read_private_key(str(path))


def checked_key(text: str) -> str:
    """Return an SSH public key in one line; raise `Refused` when it is none."""
    try:
        return asyncssh.import_public_key(text).export_public_key().decode().strip()
    except asyncssh.KeyImportError as error:
        raise Refused("ssh-key", "不是 SSH 公钥", "not an SSH public key") from error
