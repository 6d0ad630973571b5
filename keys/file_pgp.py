# SPDX-License-Identifier: Apache-2.0
"""Sign, check, encrypt and decrypt files as OpenPGP (RFC 9580) does, by the gpg program.

GnuPG runs as a process of its own in a private home that lives as long as the `with` block. The
agent that it starts is ended by its process id. What grows beyond a limit while it is unpacked is
cut off there: a compressed packet may name any length.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from keys.errors import BadPublicKey, BadSeal, KeysError

PROGRAM = "gpg"
CHUNK = 1 << 16
TIMEOUT_S = 600  # for one file; the largest takes seconds
_FINGERPRINT = re.compile(r"^fpr:{9}([0-9A-F]{40}):", re.MULTILINE)
_PID = re.compile(r"^D (\d+)$", re.MULTILINE)


class PgpMissing(KeysError):
    """Report that the gpg program is not installed."""

    def __str__(self) -> str:
        return "the program gpg is missing: install gnupg"


class PgpTooLarge(KeysError):
    """Report content that grows beyond its limit when it is decrypted."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(limit)

    def __str__(self) -> str:
        return f"more than {self.limit} bytes when decrypted"


class PgpHome:
    """A private GnuPG home with some keys."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    @contextlib.contextmanager
    def opened(cls) -> Iterator[PgpHome]:
        """Make an empty home; it is removed at the end, and its agent ended."""
        if shutil.which(PROGRAM) is None:
            raise PgpMissing
        # Short, because the path of the agent's socket may not exceed 107 bytes.
        folder = Path(tempfile.mkdtemp(prefix="yk-pgp-", dir="/tmp"))
        home = cls(folder)
        try:
            yield home
        finally:
            home._end_agent()
            shutil.rmtree(folder, ignore_errors=True)

    def make(self, name: str) -> str:
        """Make a key pair for signing and encrypting; return its fingerprint."""
        arguments = ("--quick-generate-key", name, "future-default", "default", "never")
        self._run("--passphrase", "", *arguments)
        return self.fingerprints()[-1]

    def add(self, armoured: str) -> str:
        """Add a public or secret key; return its fingerprint.

        Raises:
            BadPublicKey: It is no key.
        """
        before = set(self.fingerprints())
        self._run("--import", data=armoured.encode())
        listed = self.fingerprints()
        new = [one for one in listed if one not in before]
        if not new and not before:
            raise BadPublicKey("OpenPGP")
        return new[0] if new else listed[-1]

    def fingerprints(self) -> list[str]:
        """Name the primary keys of the home."""
        done = self._run("--with-colons", "--list-keys")
        found: list[str] = []
        for part in re.split(r"^pub:", done.stdout.decode(), flags=re.MULTILINE)[1:]:
            match = _FINGERPRINT.search(part)
            if match:
                found.append(match[1])
        return found

    def public(self, fingerprint: str) -> str:
        """Give a public key, armoured."""
        return self._run("--armor", "--export", fingerprint).stdout.decode()

    def secret(self, fingerprint: str) -> bytes:
        """Give a secret key, armoured, for the key store to seal at once."""
        return self._run("--passphrase", "", "--armor", "--export-secret-keys", fingerprint).stdout

    def sign(self, data: bytes, fingerprint: str) -> str:
        """Give a detached, armoured signature."""
        done = self._run("--armor", "--local-user", fingerprint, "--detach-sign", data=data)
        if done.returncode:
            raise BadSeal
        return done.stdout.decode()

    def verify(self, signature: str, data: bytes) -> str | None:
        """Return the fingerprint of the key that signed, None for a wrong or unknown one."""
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".asc") as file:
            file.write(signature.encode("ascii", "replace"))
            file.flush()
            done = self._run("--status-fd", "1", "--verify", file.name, "-", data=data)
        found = re.search(r"^\[GNUPG:\] VALIDSIG .*?([0-9A-F]{40})$", done.stdout.decode(), re.M)
        return found[1] if found and done.returncode == 0 else None

    def encrypt(self, source: Path, target: Path, fingerprint: str) -> None:
        """Encrypt a file to a key."""
        done = self._run(
            "--trust-model", "always", "--recipient", fingerprint,
            "--output", str(target), "--encrypt", str(source),
        )  # fmt: skip
        if done.returncode:
            raise BadSeal

    def decrypt(self, source: Path, target: BinaryIO, limit: int) -> int:
        """Decrypt a file; return its size.

        Raises:
            BadSeal: It is for another key, changed, or no OpenPGP.
            PgpTooLarge: It has more than ``limit`` bytes; the program was ended.
        """
        command = [*self._command(), "--decrypt", str(source)]
        with subprocess.Popen(  # noqa: S603 - a fixed program with arguments of our own
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            size = 0
            while chunk := process.stdout.read(CHUNK):
                size += len(chunk)
                if size > limit:
                    process.kill()
                    raise PgpTooLarge(limit)
                target.write(chunk)
            if process.wait(TIMEOUT_S):
                raise BadSeal
        return size

    def _command(self) -> list[str]:
        return [
            PROGRAM, "--homedir", str(self._folder), "--batch", "--no-tty", "--yes", "--quiet",
            "--no-auto-key-retrieve", "--pinentry-mode", "loopback",
        ]  # fmt: skip

    def _run(self, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603 - a fixed program with arguments of our own
            [*self._command(), *arguments],
            input=data,
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
        )

    def _end_agent(self) -> None:
        if not (self._folder / "S.gpg-agent").exists():
            return
        asked = subprocess.run(  # noqa: S603 - a fixed program with arguments of our own
            ["gpg-connect-agent", "--homedir", str(self._folder), "--no-autostart",  # noqa: S607
             "GETINFO pid", "/bye"],
            capture_output=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
        found = _PID.search(asked.stdout.decode())
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(found[1]), signal.SIGTERM)
