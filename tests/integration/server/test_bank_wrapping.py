# SPDX-License-Identifier: Apache-2.0
"""Profiles, suites and encryption in every agreed form: a card's way with each of them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hardware_mocks.partner.files import Form
from hardware_mocks.partner.wrapping import PgpSigner, Signer, Sm2Signer
from keys import file_box
from keys.errors import BadSeal
from keys.file_box import BoxKey
from keys.file_pgp import PgpHome
from keys.store import FileKeyStore
from server.db import Database
from tests.integration.server.bank_rig import CODE, SEED, BankRig

BOX = bytes(range(1, 33))


def round_trip(rig: BankRig) -> None:
    """Send an order, take the result, read the answer."""
    rig.orders(4)
    rig.export()
    bank = rig.bank(rejects=0.3)
    assert bank.take() == 4
    bank.produce()
    (answered, outcome) = rig.collect()

    assert (answered.status, outcome.status, outcome.accepted) == ("ACCP", "ACCP", 4)
    assert bank.answers()[f"ACK_{CODE}_RES_00000001.dat"][0]["status"] == "ACCP"
    assert "correction" in rig.states().values()


@pytest.mark.parametrize(
    ("changes", "form", "wrapped"),
    [
        ({"profile": "jsonl"}, Form("jsonl"), {}),
        ({"line_end": "crlf"}, Form("fixed", b"\r\n"), {}),
        ({"compression": "gzip"}, Form(), {"compressed": True}),
        ({"encryption.scheme": "box", "encryption.key": BoxKey(BOX).public_key.hex(),
          "compression": "gzip"}, Form(), {"compressed": True, "box": BOX}),
    ],
    ids=["json lines", "crlf", "gzip", "box and gzip"],
)  # fmt: skip
def test_every_form_carries_a_card(
    sqlite_database: Database,
    key_store: FileKeyStore,
    tmp_path: Path,
    changes: dict[str, Any],
    form: Form,
    wrapped: dict[str, Any],
) -> None:
    """Order, answer, result and our answer go both ways in each agreed form."""
    rig = BankRig(sqlite_database, key_store, tmp_path, form=form, wrapped=dict(wrapped))
    rig.populate(**changes)
    if "box" in wrapped:
        rig.wrapped["box_to"] = rig.box_to

    round_trip(rig)


@contextlib.contextmanager
def signed_by(suite: str) -> Iterator[tuple[Signer, str]]:
    """Give a bank's signer of a suite, and its public key as a declaration has it."""
    if suite == "sm2":
        signer: Signer = Sm2Signer(SEED)
        yield signer, signer.public
        return
    with PgpHome.opened() as home:
        own = home.make("bank@example.org")
        yield PgpSigner(home._folder, own), home.public(own)


@pytest.mark.parametrize("suite", ["sm2", "pgp"])
def test_every_suite_is_checked_by_another_library(
    sqlite_database: Database, key_store: FileKeyStore, tmp_path: Path, suite: str
) -> None:
    """SM2 by gmalg and OpenPGP by gpg accept our signatures, and we theirs; a stranger's fails."""
    with signed_by(suite) as (signer, public):
        rig = BankRig(sqlite_database, key_store, tmp_path, signer=signer)
        rig.populate(**{"signature.suite": suite, "signature.keys": [public]})
        if isinstance(signer, PgpSigner):
            with PgpHome.opened():
                signer._run("--import", data=signer.platform.encode())
        round_trip(rig)
        bank = rig.bank()
        name = f"YIKA_{CODE}_RES_00000002.dat"
        note = bank.wrapping.manifest(name, b"x").replace(b'"size": 1', b'"size": 2')
        (bank.home / "in" / name).write_bytes(b"xx")
        (bank.home / "in" / (name + ".manifest")).write_bytes(note)

        (outcome,) = rig.collect()

        assert outcome.finding is not None
        assert outcome.finding.code in ("F03", "F04")


def test_pgp_encryption_and_its_limits(tmp_path: Path) -> None:
    """What is encrypted to a key opens with it, stops at the limit, and opens with no other."""
    source, target, back = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    source.write_bytes(b"0" * 100_000)
    with PgpHome.opened() as home, PgpHome.opened() as other:
        own = home.make("yika@example.org")
        other.make("other@example.org")
        home.encrypt(source, target, own)
        with back.open("wb") as file:
            assert home.decrypt(target, file, 100_000) == 100_000
        with back.open("wb") as file, pytest.raises(Exception, match="more than 99999 bytes"):
            home.decrypt(target, file, 99_999)
        with back.open("wb") as file, pytest.raises(BadSeal):
            other.decrypt(target, file, 100_000)


def test_box_that_was_cut_or_changed_does_not_open(tmp_path: Path) -> None:
    """Every cut at a block and every flipped byte of a box of several blocks is noticed."""
    key = BoxKey(BOX)
    sealed = io.BytesIO()
    file_box.encrypt(io.BytesIO(bytes(2 * file_box.BLOCK + 5)), sealed, key.public_key)
    data = sealed.getvalue()
    broken = [data[: 40 + file_box.BLOCK + 16], data[:-1], data[:40], data + b"x", b"", data[:8]]
    broken += [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in (0, 9, 41, 2_000_000)]

    out = io.BytesIO()
    assert key.open(io.BytesIO(data), out, 1 << 22) == len(out.getvalue()) == 2 * file_box.BLOCK + 5
    for one in broken:
        with pytest.raises(BadSeal):
            key.open(io.BytesIO(one), io.BytesIO(), 1 << 22)
    with pytest.raises(BadSeal):
        BoxKey(SEED).open(io.BytesIO(data), io.BytesIO(), 1 << 22)
