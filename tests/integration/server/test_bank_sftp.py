# SPDX-License-Identifier: Apache-2.0
"""SFTP with OpenSSH's client: in pieces, resumed, answered; nobody sees another's folder."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from keys.store import FileKeyStore
from server.bank import partners, sftp, sftp_client
from server.bank.partners import Access
from server.db import Database
from server.errors import Refused
from tests.integration.server.bank_rig import CODE, BankRig, declaration

OTHER = "BANK-2"


class Served:
    """The SFTP server in a thread of its own, on a free port of loopback."""

    def __init__(self, rig: BankRig) -> None:
        self._rig = rig
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.port = 0

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(30)

    def _run(self) -> None:
        self._task = self._loop.create_task(self._serve())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _serve(self) -> None:
        acceptor, counter = await sftp.listen(self._rig.intake, "127.0.0.1", 0)
        self.port = acceptor.get_port()
        self._ready.set()
        async with acceptor:
            await counter.serve()


@pytest.fixture
def rig(sqlite_database: Database, key_store: FileKeyStore, tmp_path: Path) -> BankRig:
    """Two partners, each with its SSH key; the first has an order waiting."""
    rig = BankRig(sqlite_database, key_store, tmp_path / "data").populate()
    (tmp_path / "data").mkdir(exist_ok=True)
    with rig.database.writing() as session:
        partners.declare(session, rig.store, declaration(code=OTHER), "li", rig.clock.now_ms)
        for code in (CODE, OTHER):
            key = asyncssh.generate_private_key("ssh-ed25519")
            path = tmp_path / code
            path.write_bytes(key.export_private_key())
            path.chmod(0o600)
            public = key.export_public_key().decode()
            partners.set_access(session, code, Access(ssh_key=public), "li", rig.clock.now_ms)
    rig.orders(3)
    rig.export()
    return rig


@pytest.fixture
def served(rig: BankRig) -> Iterator[Served]:
    """A running server."""
    with Served(rig) as server:
        yield server


def sftp_batch(served: Served, key: Path, *lines: str, user: str = CODE) -> tuple[int, str]:
    """Run OpenSSH's client with a batch of commands; give its status and what it said."""
    command = [
        "sftp", "-q", "-b", "-", "-P", str(served.port), "-i", str(key), "-F", "/dev/null",
        "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
        "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", f"{user}@127.0.0.1",
    ]  # fmt: skip
    done = subprocess.run(
        command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_stock_client_uploads_in_pieces_resumes_and_fetches_the_answer(
    rig: BankRig, served: Served, tmp_path: Path
) -> None:
    """A cut upload goes on where it stopped; with the manifest the file is taken and answered."""
    bank = rig.bank()
    key, local = tmp_path / CODE, tmp_path / "local"
    local.mkdir()
    status, said = sftp_batch(served, key, f"lcd {local}", "cd out", "mget *")
    assert status == 0, said
    bank.take()
    bank.produce()
    name = f"YIKA_{CODE}_RES_00000001.dat"
    for part in (name, name + ".manifest"):
        (bank.home / "in" / part).rename(local / part)
    (local / "piece").write_bytes((local / name).read_bytes()[:300])

    first = sftp_batch(served, key, f"put {local}/piece in/{name}.partial")
    second = sftp_batch(
        served, key, f"reput {local}/{name} in/{name}.partial",
        f"rename in/{name}.partial in/{name}",
        f"put {local}/{name}.manifest in/{name}.manifest.partial",
        f"rename in/{name}.manifest.partial in/{name}.manifest",
    )  # fmt: skip
    answer = local / f"ACK_{CODE}_RES_00000001.dat"
    for _ in range(200):
        status, said = sftp_batch(served, key, f"get out/{answer.name} {answer}")
        if status == 0:
            break

    assert (first[0], second[0]) == (0, 0), first[1] + second[1]
    assert answer.read_bytes() == (bank.home / "out" / answer.name).read_bytes()
    assert set(rig.states().values()) == {"produced"}


def test_partner_cannot_see_another_partners_folder(
    rig: BankRig, served: Served, tmp_path: Path
) -> None:
    """Every way up or across ends at the partner's own root; nothing but `in` can be written."""
    key = tmp_path / OTHER
    stolen = tmp_path / "stolen"
    theirs = f"bank/{CODE}/out/YIKA_{CODE}_ORD_00000001.dat"
    tries = (
        f"ls ../{CODE}", f"get ../../{theirs} {stolen}", f"ls /bank/{CODE}",
        f"get /../../{theirs} {stolen}", f"get /etc/passwd {stolen}",
        "symlink / in/root", "ln /etc/passwd in/passwd", "mkdir more", "rmdir out",
        f"put {key} out/planted", f"put {key} planted", f"put {key} in/../out/planted",
        f"rename in/x ../{CODE}/in/x", "rm out/anything",
    )  # fmt: skip
    for line in tries:
        status, said = sftp_batch(served, key, line, user=OTHER)
        assert status != 0, (line, said)
    status, said = sftp_batch(served, key, "ls -a /", "ls in out", user=OTHER)

    assert status == 0
    assert CODE not in said
    assert not stolen.exists()
    assert not list((rig.root / "bank").rglob("planted"))


def test_strangers_and_partners_that_are_off_do_not_come_in(
    rig: BankRig, served: Served, tmp_path: Path
) -> None:
    """Another partner's key, an unknown name, and a partner switched off end at the door."""
    assert sftp_batch(served, tmp_path / OTHER, "ls")[0] != 0
    assert sftp_batch(served, tmp_path / CODE, "ls", user="nobody")[0] != 0
    with rig.database.writing() as session:
        partners.set_state(session, CODE, "off", "li", rig.clock.now_ms)

    assert sftp_batch(served, tmp_path / CODE, "ls")[0] != 0


def test_visit_to_a_partners_own_server_fetches_and_brings(rig: BankRig, tmp_path: Path) -> None:
    """As a client we take what is whole, leave the rest, and bring each file once."""
    bank = rig.bank()
    bank.take()
    bank.produce()
    theirs = tmp_path / "theirs"
    for folder in ("in", "out"):
        (theirs / folder).mkdir(parents=True)
    for path in list((bank.home / "in").iterdir()):
        path.rename(theirs / "out" / path.name)
    (theirs / "out" / f"YIKA_{CODE}_AUD_00000002.dat").write_bytes(b"no manifest yet")

    async def play() -> tuple[list[str], list[str], list[str]]:
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        mine = sftp_client.client_key(rig.root)
        authorized = asyncssh.import_authorized_keys(mine.export_public_key().decode())
        async with await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[host_key], authorized_client_keys=authorized,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(theirs).encode()),
        ) as acceptor:  # fmt: skip
            with rig.database.writing() as session:
                rig.declare_in(session, **{
                    "sftp.host": "127.0.0.1", "sftp.port": acceptor.get_port(),
                    "sftp.user": "yika", "sftp.host_key": host_key.export_public_key().decode(),
                })  # fmt: skip
            fetched, brought = await sftp_client.visit(rig.intake, CODE)
            _, again = await sftp_client.visit(rig.intake, CODE)
            return fetched, brought, again

    fetched, brought, again = asyncio.run(play())

    assert [name[-16:] for name in sorted(fetched)] == ["ANS_00000001.dat", "RES_00000001.dat"]
    assert brought == [f"YIKA_{CODE}_ORD_00000001.dat"]
    assert again == []
    assert [one.status for one in rig.collect()] == ["ACCP", "ACCP"]
    assert (theirs / "out" / f"YIKA_{CODE}_AUD_00000002.dat").exists()
    with pytest.raises(Refused):
        asyncio.run(sftp_client.visit(rig.intake, OTHER))
