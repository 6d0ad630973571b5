# SPDX-License-Identifier: Apache-2.0
"""The stack starts fast, refuses with the command to type, and ends exactly what it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hardware_mocks.cardhost.client import Hand
from hardware_mocks.pcsc import PcscStack
from hardware_mocks.pcsc.errors import StackFailed
from hardware_mocks.pcsc.stack import SOCKET_VARIABLE
from tests.integration.pcsc.clients import Context

pytestmark = pytest.mark.pcsc

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 60.0
POS = "Yika POS B 00 00"
GET_CHALLENGE = bytes.fromhex("0084000004")


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def _wait_gone(pids: Sequence[int]) -> None:
    deadline = time.monotonic() + 10.0
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still there: {[p for p in pids if _alive(p)]}"
        time.sleep(0.02)


def test_starts_fast_and_ends_all(stack: PcscStack, tmp_path: Path) -> None:
    """A stack is up within two seconds, and after stop nothing of it is left."""
    assert stack.slots  # a running one does not disturb
    start = time.monotonic()
    other = PcscStack(["Yika Other"], tmp_path, private=True).start()
    seconds = time.monotonic() - start
    inside = int(other.environment[SOCKET_VARIABLE].split("/")[2])
    pids = [inside, *_children(inside)]
    other.stop()
    other.stop()

    assert seconds < 2.0
    assert len(pids) == 3
    _wait_gone(pids)


def test_nothing_is_open_to_the_network(stack: PcscStack) -> None:
    """The ports of the readers do not exist in the ordinary network."""
    for slot in stack.slots.values():
        with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
            probe.connect(("127.0.0.1", slot.port))


def test_pcscd_stopped_and_started(
    stack: PcscStack, hand: Hand, new_card: Callable[[], str]
) -> None:
    """After a stop and a start of pcscd a new context sees the card that stayed in its slot."""
    hand.insert("pos-b", new_card())
    with Context() as context:
        context.wait(POS, present=True)
    stack.stop_pcscd()
    with pytest.raises(StackFailed, match="does not run"):
        stack.stop_pcscd()
    stack.start_pcscd()
    with pytest.raises(StackFailed, match="runs already"):
        stack.start_pcscd()

    with Context() as context:
        link = context.connect(POS)
        assert link.transmit(GET_CHALLENGE)[-2:] == b"\x90\x00"
        link.close()


def test_pcscd_killed_leaves_a_stale_socket(
    stack: PcscStack, hand: Hand, new_card: Callable[[], str]
) -> None:
    """The socket file of a killed pcscd is replaced by the next one."""
    hand.insert("pos-b", new_card())
    stack.kill_pcscd()
    stack.start_pcscd()

    with Context() as context:
        link = context.connect(POS)
        assert link.transmit(GET_CHALLENGE)[-2:] == b"\x90\x00"
        link.close()


def test_the_stack_adopted_before_is_used_again(stack: PcscStack, tmp_path: Path) -> None:
    """A stack adopted for a moment gives its clients back to the one before it."""
    other = PcscStack(["Yika Other"], tmp_path, private=True)
    with other, other.adopted(), Context() as context:
        meanwhile = context.readers()
    with Context() as context:
        afterwards = context.readers()

    assert all(name.startswith("Yika Other") for name in meanwhile)
    assert sorted(afterwards) == sorted(slot.reader for slot in stack.slots.values())


ORPHAN = """
import sys, time
from pathlib import Path
from hardware_mocks.pcsc import PcscStack
stack = PcscStack(["Yika Orphan"], Path(sys.argv[1]), private=True).start()
print(stack.environment["PCSCLITE_CSOCK_NAME"].split("/")[2], flush=True)
time.sleep(600)
"""


def test_stack_ends_with_its_parent(stack: PcscStack, tmp_path: Path) -> None:
    """When the program that started the stack is killed, the stack ends by itself."""
    assert stack.slots
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        inside = int(parent.stdout.readline())
        pids = [inside, *_children(inside)]
        parent.send_signal(signal.SIGKILL)
        parent.wait()

    assert len(pids) == 3
    _wait_gone(pids)


def test_stack_ends_when_its_keeper_is_killed(stack: PcscStack, tmp_path: Path) -> None:
    """Even SIGKILL of the process inside the namespace leaves neither pcscd nor card host."""
    assert stack.slots
    other = PcscStack(["Yika Other"], tmp_path, private=True).start()
    inside = int(other.environment[SOCKET_VARIABLE].split("/")[2])
    pids = _children(inside)
    os.kill(inside, signal.SIGKILL)

    _wait_gone(pids)
    other.stop()


def test_failed_start_says_why_and_leaves_nothing(stack: PcscStack, tmp_path: Path) -> None:
    """A card host that cannot listen ends the start with its reason."""
    assert stack.slots
    (tmp_path / "cards.sock").mkdir()
    other = PcscStack(["Yika Other"], tmp_path, private=True)

    with pytest.raises(StackFailed, match="cardhost ended with status 1"):
        other.start()


OWN_MOUNTS = ("unshare", "-n", "-m", "--propagation", "private", "sh", "-ec")


def _in_own_mounts(script: str, *arguments: str, prefix: Sequence[str] = ()) -> str:
    """Run a script where /run/pcscd is its own, so that it may play the whole machine."""
    shell = 'mount -t tmpfs none /run/pcscd && ip link set lo up && exec "$@"'
    done = subprocess.run(
        [*OWN_MOUNTS, shell, "sh", *prefix, sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != SOCKET_VARIABLE},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ORDINARY = """
import socket, subprocess, sys
from pathlib import Path
from hardware_mocks.pcsc import PcscStack
from hardware_mocks.pcsc.errors import SystemPcscdRuns
work = Path(sys.argv[1])
with PcscStack(workdir=work) as stack:
    print(subprocess.run(["opensc-tool", "-l"], capture_output=True, text=True).stdout)
    print(stack.environment, stack.inside(["x"]), len(stack.needs()))
    with socket.socket() as probe:
        print(probe.connect_ex(("127.0.0.1", stack.slots["pos-a"].port)))
    try:
        PcscStack(workdir=work / "second").start()
    except SystemPcscdRuns as exc:
        print(exc.command.rpartition(" ")[0])
print(Path("/run/pcscd/pcscd.comm").exists())
"""


def test_ordinary_stack(stack: PcscStack, tmp_path: Path) -> None:
    """Clients find the socket in its place, the network finds no port, a second one is refused."""
    assert stack.slots
    shown = _in_own_mounts(ORDINARY, str(tmp_path))

    assert shown.count("Yika") == 6
    assert "{} ['x'] 2" in shown
    assert "111" in shown.split()  # ECONNREFUSED
    assert "sudo kill" in shown
    assert shown.endswith("False\n")


STALE = """
import subprocess, sys, time
from pathlib import Path
from hardware_mocks.pcsc import PcscStack
old = subprocess.Popen(["pcscd", "-f", "-c", sys.argv[1]], stdout=subprocess.DEVNULL)
while not Path("/run/pcscd/pcscd.pid").exists() or not Path("/run/pcscd/pcscd.comm").exists():
    time.sleep(0.01)
old.kill()
old.wait()
with PcscStack(["Yika Desk"], Path(sys.argv[1])) as stack:
    print(subprocess.run(["opensc-tool", "-l"], capture_output=True, text=True).stdout)
"""


def test_leftovers_of_a_killed_system_pcscd(stack: PcscStack, tmp_path: Path) -> None:
    """Socket and pid file of a pcscd that was killed do not count as one that runs."""
    assert stack.slots

    assert "Yika Desk 00 01" in _in_own_mounts(STALE, str(tmp_path))


SYSTEM = """
import subprocess, sys, time
from pathlib import Path
from hardware_mocks.pcsc import PcscStack, DEMO_READERS
from hardware_mocks.pcsc.errors import ReadersMissing, SystemPcscdMissing
from hardware_mocks.pcsc.plan import SOCKET, listening
from hardware_mocks.pcsc.readers import write_configuration
work = Path(sys.argv[1])
def attempt():
    try:
        with PcscStack(workdir=work, system_pcscd=True) as stack:
            with stack.hand() as hand:
                hand.blank("v01")
                hand.insert("pos-a", "v01")
                return "works", "firewall" in stack.needs()[1]
    except SystemPcscdMissing as exc:
        return "missing", "pcscd.socket" in str(exc)
    except ReadersMissing as exc:
        return len(exc.missing), exc.commands
def pcscd(conf):
    process = subprocess.Popen(["pcscd", "-f", "-c", str(conf)], stdout=subprocess.DEVNULL)
    while not listening(SOCKET):
        time.sleep(0.02)
    return process
print(attempt())
(work / "empty").mkdir()
system = pcscd(work / "empty")
print(attempt())
system.terminate()
system.wait()
system = pcscd(write_configuration(DEMO_READERS, work / "own"))
print(attempt())
print(system.poll())
system.terminate()
system.wait()
"""


def test_system_pcscd(stack: PcscStack, tmp_path: Path) -> None:
    """The system's pcscd is used where it has the readers, and told how to get them where not."""
    assert stack.slots
    shown = _in_own_mounts(SYSTEM, str(tmp_path)).splitlines()

    assert shown[0] == "('missing', True)"
    assert shown[1].startswith("(6, ('sudo mkdir -p /usr/local/lib/yika-readers'")
    assert "yika-pos-b.so" in shown[1]
    assert "/etc/reader.conf.d/yika" in shown[1]
    assert shown[2:] == ["('works', True)", "None"]  # and the system's pcscd is left running
    conf = (tmp_path / "yika-readers.conf").read_text(encoding="utf-8")
    assert conf.count("LIBPATH /usr/local/lib/yika-readers/") == 3


REFUSED = """
import os, sys
from pathlib import Path
from hardware_mocks.pcsc import PcscStack, PcscError
if int(sys.argv[2]) != os.getuid():
    os.setuid(int(sys.argv[2]))
try:
    PcscStack(workdir=Path(sys.argv[1])).start()
except PcscError as exc:
    print(type(exc).__name__, exc)
"""


def test_without_root(tmp_path: Path) -> None:
    """Whoever is not root is told what needs root, before anything is tried."""
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, str(tmp_path), "65534"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert done.stdout.startswith("NeedsRoot"), done.stderr
    assert "unshare -n" in done.stdout
    assert "sudo" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_without_namespaces(stack: PcscStack, tmp_path: Path) -> None:
    """Where the machine permits no namespace the stack says so and starts nothing."""
    assert stack.slots
    shown = _in_own_mounts(
        REFUSED,
        str(tmp_path),
        "0",
        prefix=["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"],
    )

    assert shown.startswith("NamespacesNotPermitted")
    assert "--system-pcscd" in shown
