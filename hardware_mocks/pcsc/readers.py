# SPDX-License-Identifier: Apache-2.0
"""Names, slots and ports of the virtual readers, and their configuration for pcscd.

A reader is one stanza of two slots on two neighbouring ports. Each stanza has a copy of the
driver of its own: two stanzas on one copy overwrite each other's slots.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardware_mocks.pcsc.errors import NotInstalled

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
SERIAL_DRIVER = Path("/usr/lib/pcsc/drivers/serial/libccidtwin.so")

DEMO_READERS = ("Yika Desk", "Yika POS A", "Yika POS B")

# Clear of 35963 and 35964, which Debian's own vpcd stanza takes in a pcscd of the system.
FIRST_PORT = 36001
SLOTS_PER_READER = 2
POS_PREFIX = "pos-"


@dataclass(frozen=True, slots=True)
class ReaderSlot:
    """One slot: its name here, its name in PC/SC, its port, antenna or contacts."""

    name: str
    reader: str
    port: int
    contactless: bool

    @property
    def option(self) -> str:
        """How the card host is told about the slot."""
        return f"{self.name}={self.port}" + (":contactless" if self.contactless else "")


def slots_of(readers: Sequence[str], first_port: int = FIRST_PORT) -> list[ReaderSlot]:
    """Lay out the slots of the readers, in the order of the readers.

    A reader "… POS x" is a terminal: an antenna (pos-x) and a PSAM socket (psam-x). Any other
    has an antenna (name-0) and contacts (name-1).

    >>> [slot.name for slot in slots_of(DEMO_READERS)]
    ['desk-0', 'desk-1', 'pos-a', 'psam-a', 'pos-b', 'psam-b']
    >>> slots_of(DEMO_READERS)[3].reader
    'Yika POS A 00 01'
    """
    slots = []
    for number, reader in enumerate(readers):
        name = reader.removeprefix("Yika ").lower().replace(" ", "-")
        if name.startswith(POS_PREFIX):
            names = (name, "psam-" + name.removeprefix(POS_PREFIX))
        else:
            names = (name + "-0", name + "-1")
        port = first_port + SLOTS_PER_READER * number
        slots += [
            ReaderSlot(names[0], f"{reader} 00 00", port, contactless=True),
            ReaderSlot(names[1], f"{reader} 00 01", port + 1, contactless=False),
        ]
    return slots


def driver_name(reader: str) -> str:
    """Return the file name of a reader's own copy of the driver.

    >>> driver_name("Yika POS A")
    'yika-pos-a.so'
    """
    return reader.lower().replace(" ", "-") + ".so"


def configuration(readers: Sequence[str], drivers: Path, first_port: int = FIRST_PORT) -> str:
    """Return the text of a reader.conf with one stanza for each reader."""
    stanzas = []
    for number, reader in enumerate(readers):
        port = first_port + SLOTS_PER_READER * number
        stanzas.append(
            f'FRIENDLYNAME "{reader}"\n'
            f"DEVICENAME /dev/null:{port}\n"
            f"LIBPATH {drivers / driver_name(reader)}\n"
            f"CHANNELID {port}\n"
        )
    return "\n".join(stanzas)


def write_configuration(readers: Sequence[str], folder: Path) -> Path:
    """Write a configuration folder for `pcscd -c` with its driver copies; return the folder.

    Raises:
        NotInstalled: the driver vpcd is not on this machine.
    """
    if not DRIVER.exists():
        raise NotInstalled("vsmartcard-vpcd")
    drivers, conf = folder / "drivers", folder / "conf"
    drivers.mkdir(parents=True, exist_ok=True)
    conf.mkdir(exist_ok=True)
    for reader in readers:
        shutil.copyfile(DRIVER, drivers / driver_name(reader))
    # All stanzas in one file: several files are read in the order of the directory.
    (conf / "yika").write_text(configuration(readers, drivers), encoding="utf-8")
    return conf


def write_serial_configuration(readers: Mapping[str, Path], conf: Path) -> None:
    """Add serial CCID readers, by name and device, to a configuration folder.

    Debian's pcscd brings their driver; it speaks to a GemPC Twin.

    Raises:
        NotInstalled: the driver is not on this machine.
    """
    if not SERIAL_DRIVER.exists():
        raise NotInstalled("libccid")
    stanzas = [
        f'FRIENDLYNAME "{name}"\nDEVICENAME {device}:GemPCTwin\nLIBPATH {SERIAL_DRIVER}\n'
        f"CHANNELID {number}\n"
        for number, (name, device) in enumerate(readers.items(), 1)
    ]
    with (conf / "yika").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(stanzas))


def installation(readers: Sequence[str], folder: Path) -> list[str]:
    """Write a reader.conf for the system's pcscd and return the commands that install it."""
    system = Path("/usr/local/lib/yika-readers")
    folder.mkdir(parents=True, exist_ok=True)
    conf = folder / "yika-readers.conf"
    conf.write_text(configuration(readers, system), encoding="utf-8")
    copies = [f"sudo cp {DRIVER} {system / driver_name(reader)}" for reader in readers]
    return [
        f"sudo mkdir -p {system}",
        *copies,
        f"sudo cp {conf} /etc/reader.conf.d/yika",
        "sudo systemctl restart pcscd",
    ]
