# SPDX-License-Identifier: Apache-2.0
"""What every connection to a volunteer card owes its caller, as checks that any of them can run.

Each check takes a connection to a freshly powered, issued test card.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from card.apdu import CommandApdu
from card.bcd import bcd_datetime
from card.commands import get_challenge, read_binary, read_record_by_tag, select_name
from card.errors import SecurityNotSatisfied, StatusError
from card.files import VOLUNTEER_AID
from card.operation import Connection, exchange, fetch, run
from card.tap import TapRequest
from card.volunteer import VolunteerCard, public_data, read_composite, select
from keys.psam import Psam
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import ASN

NINE = 1_795_222_800  # 2026-11-21 09:00 in Shanghai
CHINA = 32
H8 = bytes.fromhex("0102030405060708")

Check = Callable[[Connection], None]


def check_identity(connection: Connection) -> None:
    """The card behind it is the test card."""
    assert run(select(), connection).asn == ASN


def check_whole_answers(connection: Connection) -> None:
    """Answers arrive whole whatever Le was sent: exact, too big, or none."""
    fci = run(exchange(select_name(VOLUNTEER_AID)), connection).data
    without_le = CommandApdu(0x00, 0xA4, 0x04, 0x00, VOLUNTEER_AID)
    composite = run(read_composite(), connection)
    by_00 = run(fetch(read_record_by_tag(0x19, 0xAA), 32), connection)

    assert public_data(fci).asn == ASN
    assert run(exchange(without_le), connection).data == fci
    assert by_00 == composite.to_bytes()
    assert len(run(fetch(read_binary(0x15, 0, 56), 56), connection)) == 56


def check_refusals(connection: Connection) -> None:
    """Status words arrive as they are, and the connection goes on after them."""
    run(select(), connection)
    with pytest.raises(SecurityNotSatisfied):
        run(exchange(read_binary(0x16, 0, 128)), connection)
    with pytest.raises(StatusError) as caught:
        run(exchange(CommandApdu(0x00, 0xFE, 0x00, 0x00)), connection)

    assert caught.value.sw == 0x6D00
    assert len(run(fetch(get_challenge(8), 8), connection)) == 8


CHECKS: tuple[Check, ...] = (check_identity, check_whole_answers, check_refusals)


def check_tap(connection: Connection, psam: Psam, store: FileKeyStore) -> None:
    """A whole tap runs through, and its proofs are those the issuer computes."""
    card = VolunteerCard(connection)
    answer = card.clock_in(TapRequest(psam, NINE, CHINA, 101, H8))
    service = card.open_service()

    tac = store.card_key(KeyUsage.TAC, 1, ASN[2:])
    presence = store.card_key(KeyUsage.PRESENCE, 1, ASN[2:])
    expected = tac.tac4(psam.number, answer.psam_seq, *bcd_datetime(NINE, CHINA))

    assert service is not None
    assert service.psam_seq == answer.psam_seq
    assert answer.proof.tac == expected
    assert answer.cg2 == presence.cg2(H8)


def check_power_forgets(power_again: Callable[[], Connection]) -> None:
    """Power away and back, nothing selected or proved is left, and what was written stays."""
    before = run(select(), power_again())
    connection = power_again()

    with pytest.raises(StatusError):
        run(exchange(read_binary(0x15, 0, 56)), connection)
    assert run(select(), connection) == before
