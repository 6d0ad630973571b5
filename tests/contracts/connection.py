# SPDX-License-Identifier: Apache-2.0
"""What every connection to a volunteer card owes its caller, as checks that any of them can run.

A `Rig` is one way to reach a card: in process, over PC/SC, over a serial line, from a cassette.
Every check of `SUITE` takes one, with a freshly issued test card in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest

from card.apdu import CommandApdu
from card.attempts import AttemptGuard
from card.bcd import bcd_datetime
from card.commands import (
    get_challenge,
    read_binary,
    read_record_by_tag,
    select_name,
)
from card.errors import CardRemoved, MuteCard, SecurityNotSatisfied, StatusError
from card.file_access import read_file, write_file
from card.files import VOLUNTEER, VOLUNTEER_AID
from card.operation import Connection, exchange, fetch, run
from card.secure_messaging import Proof, authenticate
from card.tap import TapRequest
from card.volunteer import (
    DeskKeys,
    VolunteerCard,
    authenticate_desk,
    public_data,
    read_composite,
    select,
)
from keys.psam import Psam
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import ASN

NINE = 1_795_222_800  # 2026-11-21 09:00 in Shanghai
CHINA = 32
H8 = bytes.fromhex("0102030405060708")
HOLDER_SFI, HOLDER_BYTES = 0x16, 128
PHOTO_FID = 0x001B


class Rig(Protocol):
    """A way to reach one issued card."""

    store: FileKeyStore

    def power(self) -> Connection:
        """Take the card's power away, give it back, and connect."""
        ...

    def psam(self) -> Psam:
        """Return a PSAM of the same issuer."""
        ...

    def pull(self) -> None:
        """Take the card away from a connection."""
        ...

    def hush(self) -> None:
        """Let the card fall silent from the next command on, though it lies there."""
        ...


Check = Callable[[Rig], None]


def check_identity(rig: Rig) -> None:
    """The card behind it is the test card."""
    assert run(select(), rig.power()).asn == ASN


def check_whole_answers(rig: Rig) -> None:
    """Answers arrive whole whatever Le was sent: exact, too big, or none."""
    connection = rig.power()
    fci = run(exchange(select_name(VOLUNTEER_AID)), connection).data
    without_le = CommandApdu(0x00, 0xA4, 0x04, 0x00, VOLUNTEER_AID)
    composite = run(read_composite(), connection)
    by_00 = run(fetch(read_record_by_tag(0x19, 0xAA), 32), connection)

    assert public_data(fci).asn == ASN
    assert run(exchange(without_le), connection).data == fci
    assert by_00 == composite.to_bytes()
    assert len(run(fetch(read_binary(0x15, 0, 56), 56), connection)) == 56


def check_refusals(rig: Rig) -> None:
    """Status words arrive as they are, and the connection goes on after them."""
    connection = rig.power()
    run(select(), connection)
    with pytest.raises(SecurityNotSatisfied):
        run(exchange(read_binary(HOLDER_SFI, 0, HOLDER_BYTES)), connection)
    with pytest.raises(StatusError) as caught:
        run(exchange(CommandApdu(0x00, 0xFE, 0x00, 0x00)), connection)

    assert caught.value.sw == 0x6D00
    assert len(run(fetch(get_challenge(8), 8), connection)) == 8


def check_secure_messaging(rig: Rig) -> None:
    """Authentication and MACs survive the way: the log of a tap is read under the desk's keys."""
    card = VolunteerCard(rig.power())
    psam = rig.psam()
    card.clock_in(TapRequest(psam, NINE, CHINA, 101, H8))
    keys = _desk_keys(rig)
    latest = card.log(keys.read, keys.maintenance)[0]

    assert latest.psam_no == psam.number
    assert (latest.date, latest.time) == bcd_datetime(NINE, CHINA)


def check_long_data(rig: Rig) -> None:
    """The longest file of the card is written and read back, in the longest commands there are."""
    connection = rig.power()
    keys, guard = _desk_keys(rig), AttemptGuard()
    control = Proof(0x00, rig.store.card_key(KeyUsage.CONTROL, 1, ASN[2:]), "control")
    spec = VOLUNTEER.file(PHOTO_FID)
    content = bytes(number * 7 & 0xFF for number in range(spec.size))
    run(select(), connection)
    run(authenticate(control, guard), connection)
    run(write_file(spec, content, keys.maintenance), connection)
    run(select(), connection)
    run(authenticate_desk(keys, guard), connection)

    assert run(read_file(spec, spec.size, keys.maintenance), connection) == content


def check_tap(rig: Rig) -> None:
    """A whole tap runs through, and its proofs are those the issuer computes."""
    psam = rig.psam()
    card = VolunteerCard(rig.power())
    answer = card.clock_in(TapRequest(psam, NINE, CHINA, 101, H8))
    service = card.open_service()

    tac = rig.store.card_key(KeyUsage.TAC, 1, ASN[2:])
    presence = rig.store.card_key(KeyUsage.PRESENCE, 1, ASN[2:])
    expected = tac.tac4(psam.number, answer.psam_seq, *bcd_datetime(NINE, CHINA))

    assert service is not None
    assert service.psam_seq == answer.psam_seq
    assert answer.proof.tac == expected
    assert answer.cg2 == presence.cg2(H8)


def check_power_forgets(rig: Rig) -> None:
    """Power away and back, nothing selected or proved is left, and what was written stays."""
    before = run(select(), rig.power())
    connection = rig.power()

    with pytest.raises(StatusError):
        run(exchange(read_binary(0x15, 0, 56)), connection)
    assert run(select(), connection) == before


def check_removal(rig: Rig) -> None:
    """A card taken away between two commands is CardRemoved, at once and from then on."""
    connection = rig.power()
    run(select(), connection)
    rig.pull()
    for _ in range(2):
        with pytest.raises(CardRemoved):
            run(read_composite(), connection)


def check_mute(rig: Rig) -> None:
    """A card that falls silent is mute or gone, whichever the reader can tell; never a hang."""
    connection = rig.power()
    run(select(), connection)
    rig.hush()
    with pytest.raises((MuteCard, CardRemoved)):
        run(read_composite(), connection)


SUITE: tuple[Check, ...] = (
    check_identity,
    check_whole_answers,
    check_refusals,
    check_secure_messaging,
    check_long_data,
    check_tap,
    check_power_forgets,
    check_removal,
    check_mute,
)


def _desk_keys(rig: Rig) -> DeskKeys:
    return DeskKeys(
        rig.store.card_key(KeyUsage.DESK_READ, 1, ASN[2:]),
        rig.store.card_key(KeyUsage.MAINTENANCE, 1, ASN[2:]),
        ASN.hex().upper(),
    )
