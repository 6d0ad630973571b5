# SPDX-License-Identifier: Apache-2.0
"""Nothing of a key, a PIN or a name lies in the database or in a log after work at the desk."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from card.errors import CardRemoved
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cards import wallet
from keys.algorithm import Algorithm
from server.desk.services import PinWish
from server.people.services import register_card
from tests.unit.card.wallets import wallet_chip
from tests.unit.server.desk.office import Office, pull


def forms(secret: bytes) -> Iterator[bytes]:
    """Give a secret as bytes, as hex in both cases, and as base64 without its end."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield base64.b64encode(secret)[:16]


def stored(office: Office) -> bytes:
    """Return every byte of the database's files."""
    path = Path(str(office.database.url.database))
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def keys_of(chip: VirtualCard) -> list[bytes]:
    """Return the keys a card holds, application and master file."""
    mf = chip.memory.image.mf
    assert mf is not None
    files = [file for df in (mf, *mf.children.values()) for file in df.files.values()]
    return [key.value for file in files for key in file.keys]


def test_no_key_and_no_name_is_kept(office: Office, capfd: pytest.CaptureFixture[str]) -> None:
    """Of a card that was cut once and finished, the files hold neither its keys nor its name."""
    job, chip = office.create("issue", "wang"), VirtualCard()
    with pytest.raises(CardRemoved):
        office.lay(job, chip, meanwhile=pull(chip, 70))
    assert office.lay(job, chip).state == "done"
    office.lay(office.create("read"), chip)

    said = capfd.readouterr()
    files = stored(office) + said.out.encode() + said.err.encode()
    keys = keys_of(chip)
    assert len(keys) >= 8
    assert [key for key in keys for form in forms(key) if form in files] == []
    for name in ("王小明".encode(), "王小明".encode("gb18030")):
        assert [form for form in forms(name) if form in files] == []
    assert job.reference.encode() in files, "it was this database"


def test_no_pin_is_kept(office: Office, capfd: pytest.CaptureFixture[str]) -> None:
    """A PIN is changed at the desk; afterwards it is nowhere, and the transcript is crosses."""
    chip = wallet_chip(Algorithm.TDES)
    asn = "59490000000000000077"
    with office.database.writing() as session:
        register_card(session, office.numbers["chen"], asn, 1, "test", office.now_ms)
    old, new = wallet.PIN.hex(), "271828"
    wish = PinWish(wallet.NAME.hex(), 0, new, old)
    job = office.create("pin-change", asn=asn, pin=wish)

    told = office.lay(job, chip)

    said = capfd.readouterr()
    files = stored(office) + said.out.encode() + said.err.encode()
    assert told.state == "done"
    assert office.job(job.reference).sealed is None
    # Three bytes stand somewhere by chance; with what surrounds them in the command they do not.
    sent = f"{old}ff{new}"
    assert [form for form in forms(bytes.fromhex(sent)) if form in files] == []
    assert f'"new": "{new}"'.encode() not in files
    assert "×".encode() in files
