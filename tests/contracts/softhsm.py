# SPDX-License-Identifier: Apache-2.0
"""Tokens of SoftHSM2 for tests, each test with one of its own, and a way to break sessions."""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
from pathlib import Path

import pkcs11

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN, SO_PIN = "482915", "70316482"
_numbers = itertools.count(1)


def configure(folder: Path) -> None:
    """Keep tokens in a folder; to be called before the library is loaded, once in a process."""
    (folder / "tokens").mkdir()
    file = folder / "softhsm2.conf"
    file.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n", "utf-8")
    os.environ["SOFTHSM2_CONF"] = str(file)


def new_token() -> str:
    """Set up a token and give its label; the library looks for tokens only when it starts."""
    label = f"test-{os.getpid()}-{next(_numbers)}"
    command = ["softhsm2-util", "--init-token", "--free", "--label", label]
    subprocess.run(
        [*command, "--pin", PIN, "--so-pin", SO_PIN], check=True, capture_output=True, timeout=60
    )
    pkcs11.lib(MODULE).reinitialize()
    return label


def lose_sessions(slot: int) -> None:
    """Close all sessions with a slot behind the back of the program, as a pulled HSM does."""
    assert ctypes.CDLL(MODULE).C_CloseAllSessions(ctypes.c_ulong(slot)) == 0
