# SPDX-License-Identifier: Apache-2.0
"""Begin from a printed letter: read or scan it, and write the configuration that it tells."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from swipe.errors import FieldError
from swipe.invitation import SCHEME, Invitation, digest
from terminal.config import Config, load
from terminal.devices.protocols import Scanner
from terminal.errors import ConfigError, TerminalError
from terminal.files import write_whole
from terminal.releases.mirror import Mirror
from terminal.releases.trust import SIZE_MAX, Trust
from terminal.transport import Transport

# Somebody walks to the box with the letter and holds it before the scanner.
SCAN_S = 120.0
LOOK_S = 0.05
FIRST_ROOT = "1.root.json"
_BEGINNING = """\
# Written by yika-terminal provision from the letter; see docs/terminal-install.md for the rest.
[server]
url = "{url}"
"""


def is_letter(text: str) -> bool:
    """Say whether a text is the line of a letter and not a bare pairing code.

    >>> is_letter(" yika:1?u=x"), is_letter("K7QF-2M9C-XR04")
    (True, False)
    """
    return text.strip().startswith(SCHEME)


def read_letter(text: str) -> Invitation:
    """Read the line of a letter.

    Raises:
        ConfigError: It was misread, or is none.
    """
    try:
        return Invitation.from_text(text)
    except FieldError as exc:
        raise ConfigError("入网单 letter", str(exc)) from exc


def scan_letter(scanner: Scanner, now: Callable[[], float] = time.monotonic) -> str:
    """Wait until the scanner reads a letter; other codes are passed over.

    Raises:
        ConfigError: None came in two minutes.
    """
    end = now() + SCAN_S
    while now() < end:
        for code in scanner.codes():
            text = code.decode("utf-8", errors="replace")
            if is_letter(text):
                return text
        time.sleep(LOOK_S)
    raise ConfigError("入网单 letter", "没有扫到 · nothing was scanned")


def settle_config(
    path: Path | None, invitation: Invitation, environ: Mapping[str, str] = os.environ
) -> Config:
    """Return the configuration that goes with a letter; where there is no file yet it is written.

    A file that is there is never changed: a server other than the letter's is named instead.

    Raises:
        ConfigError: The file names another server, or cannot be written.
    """
    if path is not None and not path.exists():
        _write(path, invitation)
    config = load(path, environ)
    wanted = (invitation.url, invitation.tls_pin or config.server.pin)
    if (config.server.url.rstrip("/"), config.server.pin) != wanted:
        where = "configuration" if path is None else str(path)
        pin = f' pin = "{invitation.tls_pin}"' if invitation.tls_pin else ""
        raise ConfigError(where, f'the letter says [server] url = "{invitation.url}"{pin}')
    return config


def trust_releases(config: Config, invitation: Invitation, transport: Transport) -> bool:
    """Take the publisher's first root that the letter names; return whether it is trusted now.

    A server that offers none, or another, is no reason not to enrol: taps need no updates.
    """
    trust = Trust(config.update_dir / "metadata")
    if trust.established or not invitation.root_digest:
        return trust.established
    try:
        raw = Mirror(transport).metadata(FIRST_ROOT, SIZE_MAX["root"])
        if raw is None or digest(raw) != invitation.root_digest:
            return False
        trust.establish(raw)
    except (TerminalError, OSError):
        return False
    return True


def _write(path: Path, invitation: Invitation) -> None:
    text = _BEGINNING.format(url=invitation.url)
    if invitation.tls_pin:
        text += f'pin = "{invitation.tls_pin}"\n'
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())  # a cut leaves no half of it, which would be refused
    except OSError as exc:
        raise ConfigError(str(path), exc.strerror or str(exc)) from exc
