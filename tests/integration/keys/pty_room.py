# SPDX-License-Identifier: Apache-2.0
"""People at a pseudo-terminal: wait for a prompt, type, and keep what the screen showed."""

from __future__ import annotations

import codecs
import os
import pty
import re
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from keys.cli.terminal import CLEAR

# A loaded machine stretches three passphrases meanwhile; a hang is still found.
PATIENCE_S = 60.0
AGAIN_S = 5.0
PEOPLE = ("陈主任", "王芳", "李强", "赵敏")
# Components as three envelopes of an HSM's maker would bring them; test values.
AES_PARTS = (
    "0F1E2D3C4B5A69788796A5B4C3D2E1F00123456789ABCDEFFEDCBA9876543210",
    "A0B1C2D3E4F5061728394A5B6C7D8E9F13579BDF02468ACEECA86420FDB97531",
    "5A17C3E98B2D4F60719EAC38D5042B6F8890AB12CD34EF5667780123456789AB",
)
_SECRET = re.compile(r"S[1-3](?:-[0-9A-F]{4}){9}|(?:[0-9A-F]{4} ){3,}[0-9A-F]{4}")


class PtyRoom:
    """Run ``yika-keys`` at a terminal of its own."""

    def __init__(self, args: Sequence[str], folder: Path, **environment: str) -> None:
        self.screen = ""
        self._seen = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        root = str(Path(__file__).parents[3])
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": root,
            "LANG": "C.UTF-8",
            "PYTHONUTF8": "1",
            "TERM": "dumb",
            **environment,
        }
        self._pid, self._fd = pty.fork()
        if self._pid == 0:  # pragma: no cover - the other program
            # Whoever runs the tests in the background has ^C ignored; a terminal has not.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(folder)
            os.execve(sys.executable, [sys.executable, "-m", "keys.cli", *args], env)

    def expect(self, text: str) -> str:
        """Wait until ``text`` stands on the screen after what was expected last."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.screen[self._seen :]:
            if not self._more(deadline - time.monotonic()):
                raise AssertionError(f"no {text!r} on the screen:\n{self.screen[self._seen :]}")
        start = self._seen
        self._seen = self.screen.index(text, start) + len(text)
        return self.screen[start : self._seen]

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._fd, text.encode() + b"\n")

    def answer(self, prompt: str, text: str) -> None:
        """Wait for a prompt to be whole, then type."""
        self.expect(prompt)
        self.expect(": ")
        self.type(text)

    def copy(self) -> str:
        """Copy the secret on the screen to paper, press enter, and give the paper."""
        shown = self.expect("copied? press enter: ")
        self.type("")
        found = _SECRET.findall(shown)
        return str(found[-1])

    def interrupt(self) -> int:
        """Press ^C until the program ends, and give its exit status.

        A signal that comes just before Python begins to read a line is only looked at when the
        line is there; so the program is first seen asleep, and the key is pressed again at need.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not self._asleep() and time.monotonic() < deadline:
            time.sleep(0.01)
        while time.monotonic() < deadline:
            os.write(self._fd, b"\x03")
            while select.select([self._fd], [], [], AGAIN_S)[0]:
                if not self._more(0):
                    return self.close()
        return self.close()

    def close(self) -> int:
        """Wait for the program to end and give its exit status."""
        deadline = time.monotonic() + PATIENCE_S
        while self._more(deadline - time.monotonic()):
            pass
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _asleep(self) -> bool:
        state = Path(f"/proc/{self._pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        return state.split()[0] == "S"

    def _more(self, patience: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], max(patience, 0))
        if not ready:
            return False
        try:
            chunk = os.read(self._fd, 65536)
        except OSError:  # the other end is closed: EIO on Linux
            return False
        self.screen += self._decoder.decode(chunk).replace("\r", "")
        return bool(chunk)


def opening(room: PtyRoom) -> None:
    """Name the people in the room."""
    for prompt, name in zip(
        ("ceremony officer", "custodian 1", "custodian 2", "custodian 3"), PEOPLE, strict=True
    ):
        room.answer(prompt, name)


def typed_turn(room: PtyRoom, part: str) -> str:
    """Be one custodian who types a component, says yes, and takes a share away."""
    room.answer("your component", part)
    room.answer("again", part)
    room.answer("(y/n)", "y")
    share = room.copy()
    room.answer("type your share once", share)
    return share


def hold_typed(room: PtyRoom, parts: Sequence[str] = AES_PARTS) -> list[str]:
    """Hold a whole ceremony with typed components and give the shares."""
    opening(room)
    shares = [typed_turn(room, part) for part in parts]
    room.answer("type yes", "yes")
    return shares


def session(screen: str) -> str:
    """Give what was on the screen, with secrets blotted out and screens separated by a line."""
    blotted = _SECRET.sub(lambda found: re.sub(r"[0-9A-F]", "▒", found[0]), screen)
    return re.sub(r"\n*(?:" + re.escape(CLEAR) + r"\s*)+", "\n────────\n", blotted).strip("\n─")
