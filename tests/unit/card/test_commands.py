# SPDX-License-Identifier: Apache-2.0
"""Commands as built: every one of them declared, and the document made of the declarations."""

from __future__ import annotations

from pathlib import Path

import pytest

from card import commands, purse_commands
from card.apdu import CommandApdu
from card.attempts import AttemptGuard
from card.command_document import render
from card.declared import COMMANDS, find, find_command
from card.operation import run
from card.pin import Pin, change_pin, reload_pin, unblock_pin, verify
from card.secure_messaging import with_mac
from keys.algorithm import Algorithm
from keys.usage import KeyUsage
from tests.contracts.connection_cards import Script
from tests.unit.card.wallets import handle

DOCUMENT = Path(__file__).parents[3] / "docs" / "spec" / "card-commands.md"
KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
CHALLENGE = bytes.fromhex("01020304")
ORDER = bytes(11)
TDES = Algorithm.TDES

BUILT: dict[str, CommandApdu] = {
    "SELECT by identifier": commands.select_fid(0x3F00),
    "SELECT by name": commands.select_name(b"12345"),
    "READ BINARY": commands.read_binary(0x15, 0, 30),
    "READ BINARY of the current file": commands.read_current(300, 30),
    "UPDATE BINARY": commands.update_binary(0x15, 0, b"a"),
    "UPDATE BINARY of the current file": commands.update_current(300, b"a"),
    "READ RECORD": commands.read_record(0x18, 1),
    "READ RECORD by tag": commands.read_record_by_tag(0x19, 0xAA),
    "UPDATE RECORD": commands.update_record(0x18, 1, b"a"),
    "UPDATE RECORD append": commands.append_cyclic(0x18, b"a"),
    "UPDATE RECORD by tag": commands.update_record_by_tag(0x19, b"a"),
    "APPEND RECORD": commands.append_record(0x19, b"a"),
    "GET CHALLENGE": commands.get_challenge(),
    "EXTERNAL AUTHENTICATE": commands.external_authenticate(1, bytes(8)),
    "INTERNAL AUTHENTICATE encrypt": commands.internal_authenticate(1, bytes(8)),
    "VERIFY": verify(0, b"12"),
    "CREATE FILE": commands.create_file(0x15, bytes.fromhex("A8001EF0F0FFFF")),
    "ERASE DF": commands.erase_df(),
    "WRITE KEY, add": commands.write_key(1, 1, bytes(21)),
    "WRITE KEY, replace": commands.write_key(0x39, 1, bytes(21)),
    "GET BALANCE": commands.get_balance(),
    "INITIALIZE FOR LOAD": purse_commands.initialize_load(2, ORDER),
    "INITIALIZE FOR PURCHASE": purse_commands.initialize_purchase(2, ORDER),
    "INITIALIZE FOR CASH WITHDRAW": purse_commands.initialize_cash(ORDER),
    "INITIALIZE FOR CAPP PURCHASE": commands.initialize_capp(1, 0, bytes(6)),
    "INITIALIZE FOR UPDATE": purse_commands.initialize_limit(bytes(7)),
    "INITIALIZE FOR UNLOAD": purse_commands.initialize_unload(ORDER),
    "CREDIT FOR LOAD": purse_commands.credit_load(ORDER),
    "DEBIT FOR PURCHASE": commands.debit_capp(1, bytes(4), bytes(3), bytes(4)),
    "DEBIT FOR UNLOAD": purse_commands.debit_unload(ORDER),
    "UPDATE OVERDRAW LIMIT": purse_commands.update_limit(bytes(14)),
    "UPDATE CAPP DATA CACHE by tag": commands.update_capp(0x19, b"a"),
    "GET TRANSACTION PROVE": commands.get_transaction_prove(1),
    "INIT SAM FOR PURCHASE": commands.init_sam_for_purchase(bytes(28)),
    "CREDIT SAM FOR PURCHASE": commands.credit_sam_for_purchase(bytes(4)),
}
MACED = {
    "CARD BLOCK": commands.card_block(),
    "APPLICATION BLOCK": commands.application_block(0),
    "APPLICATION UNBLOCK": commands.application_unblock(),
}


def test_the_document_is_what_the_declarations_say() -> None:
    """docs/spec/card-commands.md is made from the code and nothing else."""
    assert render() == DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BUILT)
def test_built_command_is_declared(name: str) -> None:
    """What a function builds is what the table says, and its parts fit."""
    command = BUILT[name]
    spec = find(command.to_bytes())

    assert spec is not None
    assert spec.name == name
    assert b"".join(spec.split_data(command).values()) == command.data


@pytest.mark.parametrize("name", MACED)
def test_blocking_equals_its_vector(name: str) -> None:
    """Blocking commands with their MAC are the declared vectors."""
    spec = next(spec for spec in COMMANDS if spec.name == name)
    key = handle(KeyUsage.MAINTENANCE, KEY, TDES)

    assert with_mac(MACED[name], key, CHALLENGE) == spec.vectors[0].command()


def test_pin_commands_equal_their_vectors() -> None:
    """CHANGE PIN, RELOAD PIN and PIN UNBLOCK as sent are the declared vectors."""
    pin = Pin(0x01, bytes.fromhex("1234"), "pin")
    sent = Script("9000", "9000", "01020304 9000", "9000")

    run(change_pin(pin, bytes.fromhex("5678"), AttemptGuard()), sent)
    run(reload_pin(pin, handle(KeyUsage.PIN_RELOAD, KEY, TDES), AttemptGuard()), sent)
    run(unblock_pin(pin, handle(KeyUsage.PIN_UNBLOCK, KEY, TDES), AttemptGuard()), sent)

    declared = [
        spec.vectors[0].command().to_bytes().hex().upper()
        for spec in COMMANDS
        if spec.name in ("CHANGE PIN", "RELOAD PIN", "PIN UNBLOCK")
    ]
    assert [apdu for apdu in sent.sent if not apdu.startswith("0084")] == declared


@pytest.mark.parametrize("name", ["UNLOAD", "LIMIT"])
def test_on_line_vectors_are_computed_right(name: str) -> None:
    """MACs of the computed vectors of unload and overdraft are those of their key."""
    begin, end = {
        "UNLOAD": ("INITIALIZE FOR UNLOAD", "DEBIT FOR UNLOAD"),
        "LIMIT": ("INITIALIZE FOR UPDATE", "UPDATE OVERDRAW LIMIT"),
    }[name]
    first, last = (
        next(spec for spec in COMMANDS if spec.name == wanted) for wanted in (begin, end)
    )
    order = first.split_data(first.vectors[0].command())
    answer = first.split_answer(first.vectors[0].command(), bytes.fromhex(first.vectors[0].answer))
    commit = last.split_data(last.vectors[0].command())
    session = handle(KeyUsage.UNLOAD, KEY, TDES).online_session(answer["random"], 1)
    about = {"UNLOAD": b"\x03", "LIMIT": b"\x07"}[name] + order["terminal"]
    amount = order.get("amount", commit.get("overdraft", b""))
    old = answer["balance"] + (order["amount"] if name == "UNLOAD" else answer["overdraft"])

    assert answer["mac1"] == session.mac4(old + about)
    assert commit["mac2"] == session.mac4(amount + about + commit["date"] + commit["time"])


def test_every_declaration_is_reached_by_its_own_vector() -> None:
    """No declaration hides another."""
    for spec in COMMANDS:
        for vector in spec.vectors:
            assert find_command(vector.command()) is spec
