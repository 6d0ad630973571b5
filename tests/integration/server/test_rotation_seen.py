# SPDX-License-Identifier: Apache-2.0
"""Keys are rotated in another process while the server runs; it proves cards of the new ones."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from card.card_keys import CARD_USAGES, CardKeys
from card.operation import run
from card.personalise import CardData, personalise
from hardware_mocks.cardos.cos import VirtualCard
from keys.custody import KeyStore, open_store
from keys.identity import Suite
from keys.psam import SoftwarePsam
from keys.store import FileKeyStore
from keys.usage import SCHEME_USAGES, KeyUsage
from server.db import Database
from server.ingest.verdicts import Verdict
from server.people.policy import volunteer_number
from server.people.services import register_card
from swipe.kinds import EventType
from terminal.tap import present
from tests.contracts import softhsm
from tests.factories import CARD_ASN, CHEAP, PASSPHRASE, UTC_S, make_identity
from tests.integration.server.rig import NOW_MS, Rig, volunteer
from tests.integration.server.test_suites import InProcess, Post
from tests.integration.terminal.bench import SOFT_NUMBER, connect
from tests.unit.terminal.clocks import HandClock

NEW_ASN = bytes.fromhex("00005949000000000021")
NEW_OWNER = volunteer_number(900_000_002)
ROTATION = """
import os, sys
from keys.custody import open_store
from keys.usage import KeyUsage
store = open_store(sys.argv[1], os.environ["SECRET"])
for name in sys.argv[2:]:
    assert store.rotate(KeyUsage(name)).version == 2
store.close()
"""


def _named(kind: str, folder: Path) -> tuple[str, str]:
    """Make an empty store of a kind; give its name and its passphrase or PIN."""
    if kind == "file":
        FileKeyStore.create(folder / "issuer.keys", PASSPHRASE, CHEAP)
        return str(folder / "issuer.keys"), PASSPHRASE
    softhsm.configure(folder)
    label = softhsm.new_token()
    return f"pkcs11:{softhsm.MODULE}?token={label}&audit={folder}/hsm.audit", softhsm.PIN


def _issue(store: KeyStore, asn: bytes, version: int) -> VirtualCard:
    data = CardData(
        asn=asn,
        valid_from=dt.date(2026, 1, 1),
        valid_to=dt.date(2030, 12, 31),
        masked_name="林**",
        name="林晓燕",
        volunteer_number="1000000004",
        key_version=version,
    )
    card = VirtualCard()
    keys = CardKeys.from_store(store.for_new_cards(), asn, version)
    run(personalise(data, keys), connect(card))
    return card


def _post(tmp_path: Path, database: Database, server_store: KeyStore, desk: KeyStore) -> Post:
    """Put the server up with its store, and a terminal with a PSAM from the desk's."""
    # The rig makes no events of its own here; the server takes any store.
    store = cast("FileKeyStore", server_store)
    rig = Rig(database, store, server_identity=make_identity("server"))
    rig.populate()
    with database.writing() as session:
        session.add(volunteer(NEW_OWNER))
        session.flush()
        register_card(session, NEW_OWNER, NEW_ASN.hex(), 2, "li", NOW_MS)
    desk.export_software_psam(tmp_path / "psam", SOFT_NUMBER, PASSPHRASE, CHEAP)
    psam = SoftwarePsam.open(tmp_path / "psam", PASSPHRASE)
    transport = InProcess(rig.app(tmp_path / "server").test_client())
    post = Post(rig, tmp_path / "pos", psam, transport, HandClock(UTC_S))
    post.enrol(Suite.ED25519)
    return post


@pytest.mark.parametrize("kind", ["file", "token"])
def test_cards_of_a_rotated_key_are_proven_without_a_restart(
    kind: str, tmp_path: Path, sqlite_database: Database
) -> None:
    """The server's store knows version 1; another process adds 2; taps of both are proven."""
    name, secret = _named(kind, tmp_path)
    server_store = open_store(name, secret)
    for usage in SCHEME_USAGES:
        server_store.generate(usage)
    assert not server_store.has(KeyUsage.TAC, 2)

    usages = [usage.value for usage in CARD_USAGES]
    subprocess.run(
        [sys.executable, "-c", ROTATION, name, *usages],
        check=True, timeout=120, env={**os.environ, "SECRET": secret},
    )  # fmt: skip
    desk = open_store(name, secret)
    post = _post(tmp_path, sqlite_database, server_store, desk)
    for card in (_issue(desk, CARD_ASN, 1), _issue(desk, NEW_ASN, 2)):
        station = post.station()
        post.clock.advance(3600)
        present(station.desk(post.psam, training=False), connect(card))
        station.journal.close()
    post.sync()

    taps = [verdict for event, verdict in post.verdicts().values() if event < EventType.OPEN]
    assert taps == [Verdict.OK, Verdict.OK]
