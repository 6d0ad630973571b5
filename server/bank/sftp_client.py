# SPDX-License-Identifier: Apache-2.0
"""Visit a partner's own SFTP server: fetch its files, bring ours; each whole before its name."""

from __future__ import annotations

from pathlib import Path

import asyncssh

from keys.files import write_private
from server.bank import partners
from server.bank.files.declaration import Remote
from server.bank.files.manifest import PARTIAL, SUFFIX, named
from server.bank.intake import Intake
from server.bank.wire import FILE_BYTES_MAX
from server.errors import Refused

CLIENT_KEY = "sftp-client-key"
CONNECT_TIMEOUT_S = 30


def client_key(root: Path) -> asyncssh.SSHKey:
    """Give the key that we sign on with everywhere, made the first time."""
    path = root / CLIENT_KEY
    if not path.exists():
        made = asyncssh.generate_private_key("ssh-ed25519")
        write_private(path, made.export_private_key(), replace=False)
    return asyncssh.read_private_key(str(path))


async def visit(intake: Intake, code: str) -> tuple[list[str], list[str]]:
    """Fetch what a partner has for us, bring what we have for it; return the names of both.

    What was fetched is taken away there only when it is whole here; what was brought stays in our
    folder, and is brought again only when it is not there any more.

    Raises:
        Refused: the partner declared no server, or it cannot be reached.
    """
    with intake.database.reading() as session:
        remote = partners.get(session, code).declared.remote
    if remote is None:
        raise Refused("no-sftp", "该银行未声明 SFTP 服务器", f"{code} declared no SFTP server")
    known = asyncssh.import_known_hosts(_known_hosts(remote))
    try:
        async with (
            asyncssh.connect(
                remote.host,
                remote.port,
                username=remote.user,
                client_keys=[client_key(intake.folders.root)],
                known_hosts=known,
                connect_timeout=CONNECT_TIMEOUT_S,
                agent_path=None,
                config=None,
            ) as connection,
            connection.start_sftp_client() as sftp,
        ):
            fetched = await _fetch(sftp, remote, intake.folders.inbox(code))
            brought = await _bring(sftp, remote, intake.folders.outbox(code))
    except (OSError, asyncssh.Error) as error:
        raise Refused(
            "sftp", f"无法连接 {remote.host}：{error}", f"{remote.host}: {error}"
        ) from error
    return fetched, brought


def _known_hosts(remote: Remote) -> str:
    name = remote.host if remote.port == 22 else f"[{remote.host}]:{remote.port}"
    return f"{name} {remote.host_key}\n"


async def _fetch(sftp: asyncssh.SFTPClient, remote: Remote, inbox: Path) -> list[str]:
    fetched = []
    for note in sorted(str(name) for name in await sftp.listdir(remote.take)):
        name = note.removesuffix(SUFFIX)
        if note == name or named(name) is None:
            continue
        there = f"{remote.take}/{name}"
        if ((await sftp.stat(there)).size or 0) > FILE_BYTES_MAX:
            continue
        for part in (name, note):
            draft = inbox / (part + PARTIAL)
            await sftp.get(f"{remote.take}/{part}", str(draft))
            draft.replace(inbox / part)
        await sftp.remove(f"{remote.take}/{note}")
        await sftp.remove(there)
        fetched.append(name)
    return fetched


async def _bring(sftp: asyncssh.SFTPClient, remote: Remote, outbox: Path) -> list[str]:
    brought = []
    there = {str(name) for name in await sftp.listdir(remote.give)}
    for note in sorted(outbox.glob("*" + SUFFIX)):
        name = note.name.removesuffix(SUFFIX)
        if note.name in there or (outbox / f".{note.name}.brought").exists():
            continue
        for part in (name, note.name):
            draft = f"{remote.give}/{part}{PARTIAL}"
            await sftp.put(str(outbox / part), draft)
            await sftp.posix_rename(draft, f"{remote.give}/{part}")
        (outbox / f".{note.name}.brought").touch()
        brought.append(name)
    return brought
