# SPDX-License-Identifier: Apache-2.0
"""`yika-card load|purchase` on a purse card issued with keys of the store."""

from __future__ import annotations

import json

import pytest

from card.card_keys import TRANSPORT_KEY_BYTES
from card.commands import select_name, write_key
from card.operation import Connection, exchange, run
from card.secure_messaging import write_wrapped
from hardware_mocks.cardos.cos import VirtualCard
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from keys.working import TRANSPORT_KEY
from tests.contracts.connection_cards import in_process, issued_card
from tests.unit.card.virtual_reader import invoke, readers_with

AID = bytes.fromhex("A00000000386980701")
SERIAL = bytes.fromhex("00000000000000000033")
FACE = bytes(8) + b"\x01\x01" + SERIAL + bytes.fromhex("20260101 20361231 0000")
SCRIPT = (
    "80E03F000D38FFFFF0F001FFFFFFFFFFFFFF",
    "80E03F011138 0FFFF0F095FFFF" + AID.hex(),
    "00A40400 09" + AID.hex(),
    "80E00000073F010095F0FFFF",
    "80E000150728001EF0F0FFFF",
    "80E00018072E0A17F0EFFFFF",
    "80E00002072F0208F000FF18",
    "00D695001E" + FACE.hex(),
)
KEYS = {
    KeyUsage.LOAD: (1, "FFF0FF0100"),
    KeyUsage.PURCHASE_SOFT: (1, "FEF0FF0100"),
    KeyUsage.TAC: (0, "F4F0FF0100"),
}
TERMINAL = ("--terminal", "001122334455")


def _issue(connection: Connection, store: FileKeyStore) -> None:
    for apdu in SCRIPT:
        _, sw = connection.transmit(bytes.fromhex(apdu))
        assert sw == 0x9000 or sw >> 8 == 0x61, apdu
    control = bytes.fromhex("39F0FF0F33") + TRANSPORT_KEY_BYTES
    run(exchange(write_key(1, 0, control)), connection)
    run(exchange(select_name(AID)), connection)
    for usage, (key_id, header) in KEYS.items():
        key = store.card_key(usage, 1, SERIAL[2:])
        run(write_wrapped(1, key_id, bytes.fromhex(header), key, TRANSPORT_KEY), connection)


@pytest.fixture
def chip(store: FileKeyStore) -> VirtualCard:
    """A purse card of this store, empty."""
    card = VirtualCard()
    _issue(in_process(card), store)
    card.reset()
    return card


def test_value_is_loaded_and_spent(chip: VirtualCard, store: FileKeyStore) -> None:
    """Loading adds, buying takes; both speak JSON and name the card's counters."""
    readers = readers_with(desk=chip)
    loaded = invoke(readers, "load", "1000", *TERMINAL, "--yes", "--json", store=store)
    paid = invoke(
        readers, "purchase", "250", *TERMINAL, "--seq", "7", "--yes", "--json", store=store
    )

    log = invoke(readers, "log", "--application", AID.hex(), "--json")

    assert loaded.exit_code == 0, loaded.output
    assert [row["amount"] for row in json.loads(log.stdout)["log"]] == [250, 1000]
    assert json.loads(loaded.stdout)["balance"] == 1000
    assert json.loads(paid.stdout) == {
        **json.loads(paid.stdout),
        "before": 1000,
        "balance": 750,
        "serial": SERIAL.hex(),
    }


def test_money_moves_only_after_a_yes(chip: VirtualCard, store: FileKeyStore) -> None:
    """Without a confirmation nothing is sent; a program has to say `--yes`."""
    readers = readers_with(desk=chip)
    refused = invoke(readers, "load", "5", *TERMINAL, text="n\n", store=store)
    asked = invoke(readers, "load", "5", *TERMINAL, text="y\n", store=store)
    silent = invoke(readers, "load", "5", *TERMINAL, "--json", store=store)

    assert refused.exit_code == 1
    assert "0 → 5" in asked.stdout
    assert silent.exit_code == 2


def test_too_little_money_is_one_line(chip: VirtualCard, store: FileKeyStore) -> None:
    """The card refuses, the balance stays."""
    readers = readers_with(desk=chip)
    done = invoke(readers, "purchase", "1", *TERMINAL, "--seq", "1", "--yes", store=store)

    assert done.exit_code == 1
    assert "9401" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_other_cards_are_refused(store: FileKeyStore) -> None:
    """A volunteer card has no such application; wrong hex is wrong usage."""
    readers = readers_with(desk=issued_card(store))
    volunteer = invoke(readers, "load", "1", *TERMINAL, "--yes", store=store)
    odd = invoke(readers, "load", "1", *TERMINAL, "--yes", "--application", "zz", store=store)

    assert volunteer.exit_code == 1
    assert odd.exit_code == 2
