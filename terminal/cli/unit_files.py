# SPDX-License-Identifier: Apache-2.0
"""`yika-terminal units`: write the files that make systemd look after the program."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from terminal.cli.session import answer, json_option

# Where each file belongs on Debian and its relatives, below the root of the system.
PLACES = {
    "yika-terminal.service": "etc/systemd/system",
    "yika-terminal-update.service": "etc/systemd/system",
    "yika-terminal-update.timer": "etc/systemd/system",
    "yika-terminal.tmpfiles.conf": "etc/tmpfiles.d",
    "yika-terminal.sysusers.conf": "etc/sysusers.d",
    "60-yika.rules": "etc/udev/rules.d",
    "pcscd-yika.rules": "etc/polkit-1/rules.d",
}
SHORTER = {
    "yika-terminal.tmpfiles.conf": "yika-terminal.conf",
    "yika-terminal.sysusers.conf": "yika-terminal.conf",
}


@click.command()
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="/ for this machine, or the root of an image",
)
@json_option
def units(root: Path, *, as_json: bool) -> None:
    """Write service, timer, user, folders and device rules below a root.

    Example: yika-terminal units --root /
    """
    written = []
    for name, place in PLACES.items():
        target = root / place / SHORTER.get(name, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((files("terminal") / "units" / name).read_bytes())
        written.append(str(target))
    answer({"written": written}, as_json, "\n".join(written))


COMMANDS = (units,)
