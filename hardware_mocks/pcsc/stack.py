# SPDX-License-Identifier: Apache-2.0
"""Starts and ends the virtual readers as one thing, and refuses clearly where it cannot."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from hardware_mocks.cardhost.client import Hand
from hardware_mocks.pcsc import system
from hardware_mocks.pcsc.errors import (
    NamespacesNotPermitted,
    NeedsRoot,
    NotInstalled,
    ReadersMissing,
    StackFailed,
    SystemPcscdMissing,
    SystemPcscdRuns,
)
from hardware_mocks.pcsc.plan import SOCKET, START_TIMEOUT_S, STOP_TIMEOUT_S, Plan
from hardware_mocks.pcsc.readers import (
    DEMO_READERS,
    installation,
    slots_of,
    write_configuration,
    write_serial_configuration,
)

# libpcsclite looks here before it takes /run/pcscd/pcscd.comm.
SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"

ROOT = Path(__file__).resolve().parents[2]

NEEDS = (
    "虚拟读卡器需要 root:unshare -n(专用网络,外面连不到虚拟卡)和 /run/pcscd(PC/SC 的套接字)。",
    (
        "Virtual readers need root: unshare -n (a private network: no cards for the outside)"
        " and /run/pcscd (the socket of PC/SC)."
    ),
)

# The two programs inside may each take their time to start; and once again to stop.
ANSWER_TIMEOUT_S = 2 * START_TIMEOUT_S
END_TIMEOUT_S = 3 * STOP_TIMEOUT_S


class PcscStack:
    """pcscd with virtual readers and the card host that fills them.

    Args:
        readers: names of the readers, two slots each (`hardware_mocks.pcsc.readers.slots_of`).
        workdir: folder for card images (cards/), logs, configuration and control socket.
        private: hide the socket of pcscd too, for tests; see `environment` and `inside`.
        system_pcscd: use the pcscd that runs already; it must know the readers.
        serial: serial CCID readers too, by name and device, through pcscd's own driver for them.
    """

    def __init__(
        self,
        readers: Sequence[str] = DEMO_READERS,
        workdir: Path = Path(),
        *,
        private: bool = False,
        system_pcscd: bool = False,
        serial: Mapping[str, Path] | None = None,
    ) -> None:
        self.readers = tuple(readers)
        self.workdir = workdir.resolve()
        self.cards = self.workdir / "cards"
        self.control = self.workdir / "cards.sock"
        self.slots = {slot.name: slot for slot in slots_of(self.readers)}
        self._private = private
        self._system = system_pcscd
        self._serial = dict(serial or {})
        self._process: subprocess.Popen[str] | None = None

    def needs(self) -> tuple[str, ...]:
        """Say beforehand, in Chinese and English, what needs root or leaves something open."""
        if not self._system:
            return NEEDS
        ports = sorted(slot.port for slot in self.slots.values())
        span = f"{ports[0]}–{ports[-1]}"
        return (
            f"注意:系统的 vpcd 在所有网卡上监听端口 {span},请用防火墙挡住。",
            f"Note: the system's vpcd listens on all addresses; keep ports {span} firewalled.",
        )

    def start(self) -> Self:
        """Bring everything up; when it returns, clients see the readers.

        Raises:
            PcscError: it cannot; the text ends with what to type.
        """
        if self._system:
            self._check_system()
        else:
            self._check_own()
        self.cards.mkdir(parents=True, exist_ok=True)
        self._launch()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def reader_of(self, slot: str) -> str:
        """Return the PC/SC name of the reader that a slot belongs to."""
        return self.slots[slot].reader

    def hand(self) -> Hand:
        """Return a connection to the card host; the caller closes it."""
        return Hand(self.control)

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs in its environment; empty unless the stack is private."""
        if not self._private or self._process is None:
            return {}
        return {SOCKET_VARIABLE: f"/proc/{self._process.pid}/root{SOCKET}"}

    @contextlib.contextmanager
    def adopted(self) -> Iterator[None]:
        """Make this very process a client of a private stack, its later children included.

        libpcsclite reads the name of the socket once in the life of a process; so the name is
        a link that stays, and each stack that is adopted re-points it until it is let go.
        """
        target = self.environment.get(SOCKET_VARIABLE)
        if target is None:
            yield
            return
        link = _socket_link()
        before = os.environ.get(SOCKET_VARIABLE)
        target_before = os.readlink(link) if link.is_symlink() else None
        _point(link, target)
        os.environ[SOCKET_VARIABLE] = str(link)
        try:
            yield
        finally:
            if target_before is not None:
                _point(link, target_before)
            if before is None:
                del os.environ[SOCKET_VARIABLE]
            else:
                os.environ[SOCKET_VARIABLE] = before

    def inside(self, argv: Sequence[str]) -> list[str]:
        """Return a command line that runs a client where it sees the readers."""
        if not self._private or self._process is None:
            return list(argv)
        return ["nsenter", "-t", str(self._process.pid), "-n", "-m", "--", *argv]

    def stop_pcscd(self) -> None:
        """End pcscd alone, as an administrator does; the cards stay in their slots."""
        self._command("stop")

    def kill_pcscd(self) -> None:
        """End pcscd by SIGKILL, so that its socket file stays behind."""
        self._command("kill")

    def start_pcscd(self) -> None:
        """Start pcscd again after `stop_pcscd` or `kill_pcscd`."""
        self._command("start")

    def stop(self) -> None:
        """End exactly what was started; harmless when nothing runs."""
        process, self._process = self._process, None
        if process is None:
            return
        _pipe(process.stdin).close()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # Its session is its own: pcscd and the card host are in this group, nobody else.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        _pipe(process.stdout).close()

    def _check_own(self) -> None:
        if os.geteuid() != 0:
            raise NeedsRoot("\n".join(NEEDS))
        for program in ("pcscd", "unshare"):
            if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
                raise NotInstalled(program)
        if not self._private and system.pcscd_runs():
            raise SystemPcscdRuns(system.stop_command())
        tried = subprocess.run(
            ["unshare", *self._namespaces, "true"], capture_output=True, text=True, check=False
        )
        if tried.returncode:
            raise NamespacesNotPermitted(tried.stderr.strip())

    def _check_system(self) -> None:
        if not system.pcscd_runs():
            raise SystemPcscdMissing
        present = system.reader_names()
        missing = [slot.reader for slot in self.slots.values() if slot.reader not in present]
        if missing:
            raise ReadersMissing(missing, installation(self.readers, self.workdir))

    @property
    def _namespaces(self) -> list[str]:
        return ["-n", "-m", "--propagation", "private"] if self._private else ["-n"]

    def _plan(self) -> Plan:
        cardhost = [sys.executable, "-m", "hardware_mocks.cardhost", "serve"]
        cardhost += ["--control", str(self.control), "--cards", str(self.cards)]
        for slot in self.slots.values():
            cardhost += ["--slot", slot.option]
        pcscd = None
        if not self._system:
            conf = write_configuration(self.readers, self.workdir / "readers")
            if self._serial:
                write_serial_configuration(self._serial, conf)
            pcscd = [shutil.which("pcscd") or "/usr/sbin/pcscd", "-f", "-c", str(conf)]
        return Plan(pcscd, cardhost, str(self.control), str(self.workdir), self._private)

    def _launch(self) -> None:
        plan = self.workdir / "stack.json"
        plan.write_text(json.dumps(asdict(self._plan())), encoding="utf-8")
        prefix = [] if self._system else ["unshare", *self._namespaces, "--"]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        log = self.workdir / "stack.log"
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "hardware_mocks.pcsc.inside", str(plan)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                bufsize=1,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
        try:
            self._expect_ok()
        except BaseException:
            self.stop()
            raise

    def _command(self, line: str) -> None:
        if self._process is None:
            raise StackFailed("it does not run", self.workdir / "stack.log")
        _pipe(self._process.stdin).write(line + "\n")
        self._expect_ok()

    def _expect_ok(self) -> None:
        process = self._process
        assert process is not None
        stdout = _pipe(process.stdout)
        ready, _, _ = select.select([stdout], [], [], ANSWER_TIMEOUT_S)
        answer = stdout.readline().strip() if ready else "error no answer in time"
        if answer != "ok":
            reason = answer.removeprefix("error ") or "it ended without a word"
            raise StackFailed(reason, self.workdir / "stack.log")


@functools.cache
def _socket_link() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="yika-pcsc-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / "pcscd.comm"


def _point(link: Path, target: str) -> None:
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    fresh.replace(link)


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
