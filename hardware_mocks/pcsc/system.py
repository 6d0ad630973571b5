# SPDX-License-Identifier: Apache-2.0
"""What the machine itself offers: its pcscd, its readers, and the way to stop them."""

from __future__ import annotations

from pathlib import Path

from hardware_mocks.pcsc.plan import PID_FILE, SOCKET, listening

SYSTEMD = Path("/run/systemd/system")


def pcscd_runs() -> bool:
    """Whether a pcscd of the system (or systemd on its behalf) accepts clients."""
    return listening(SOCKET)


def stop_command() -> str:
    """Return the one command that stops the system's pcscd."""
    if SYSTEMD.is_dir():
        return "sudo systemctl stop pcscd.socket pcscd.service"
    try:
        pid = int(PID_FILE.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return "sudo killall pcscd"
    return f"sudo kill {pid}"


def reader_names() -> list[str]:
    """Return the names of the readers that PC/SC knows; none where it does not answer."""
    # Imported here: pyscard needs the PC/SC library, which a machine without readers lacks.
    from smartcard.pcsc.PCSCExceptions import (  # noqa: PLC0415 (see above)
        EstablishContextException,
        ListReadersException,
    )
    from smartcard.System import readers  # noqa: PLC0415 (see above)

    try:
        return [str(reader) for reader in readers()]
    except (EstablishContextException, ListReadersException):
        return []
