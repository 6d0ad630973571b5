# SPDX-License-Identifier: Apache-2.0
"""The tap on the virtual card: six commands, proofs that verify, tears that heal."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from card import tap
from card.apdu import CommandApdu
from card.attempts import AttemptGuard
from card.bcd import bcd_datetime
from card.commands import CAPP_PURCHASE
from card.errors import (
    ApplicationLocked,
    AuthenticationFailed,
    BlankCard,
    CardRemoved,
    CounterExhausted,
    ForeignCard,
    KeyNotFound,
    LayoutError,
    MacRejected,
    ProtocolFault,
)
from card.layouts import NO_TAP, Composite
from card.operation import Connection, run
from card.psam import PsamCard
from card.secure_messaging import maced
from card.tap import CappInit, TapAnswer, TapRequest, initialize, presence, prove
from card.volunteer import (
    KIND_IN,
    KIND_OUT,
    CardFace,
    DeskKeys,
    Validity,
    VolunteerCard,
    read_composite,
    read_log,
    select,
)
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Moment, Tear
from keys.algorithm import Algorithm
from keys.psam import PurchaseRequest, SoftwarePsam
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from tests.contracts.connection_cards import (
    ASN,
    CHEAP,
    PASSPHRASE,
    PSAM_NO,
    Script,
    card_data,
    in_process,
    issue,
    issued_card,
    issued_psam,
)

NINE = 1_795_222_800  # 2026-11-21 09:00 in Shanghai
CHINA = 32
H8 = bytes.fromhex("0102030405060708")


@pytest.fixture
def card(store: FileKeyStore) -> VirtualCard:
    """A freshly issued card."""
    return issued_card(store)


@pytest.fixture
def psam(store: FileKeyStore) -> PsamCard:
    """A freshly issued PSAM."""
    return PsamCard(in_process(issued_psam(store)))


class Counting:
    """Counts the commands the SDK issues, not what the transport repeats."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.instructions: list[str] = []

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Count and pass on."""
        self.instructions.append(f"{apdu[1]:02X}")
        return self._inner.transmit(apdu)


def _request(psam: PsamCard | SoftwarePsam, utc_s: int = NINE) -> TapRequest:
    return TapRequest(psam, utc_s, CHINA, activity=101, h8=H8)


def _verify(store: FileKeyStore, answer: TapAnswer, utc_s: int, usage: KeyUsage) -> None:
    date, time = bcd_datetime(utc_s, CHINA)
    init, factor = answer.init, ASN[2:]
    session = store.card_key(usage, 1, factor).session(init.rand, init.card_ctr, answer.psam_seq)
    tac_key = store.card_key(KeyUsage.TAC, 1, factor)

    assert answer.proof.mac2 == session.mac2(0)
    assert answer.proof.tac == tac_key.tac4(PSAM_NO, answer.psam_seq, date, time)
    assert answer.cg2 == store.card_key(KeyUsage.PRESENCE, 1, factor).cg2(H8)


def test_a_tap_is_six_card_commands(card: VirtualCard, psam: PsamCard) -> None:
    """SELECT, READ RECORD, INTERNAL AUTHENTICATE, INITIALIZE, UPDATE CAPP, DEBIT: no more."""
    connection = Counting(in_process(card))

    facade = VolunteerCard(connection)
    facade.open_service()
    facade.clock_in(_request(psam))

    assert connection.instructions == ["A4", "B2", "88", "50", "DC", "54"]


def test_proofs_verify_at_the_issuer(
    store: FileKeyStore, card: VirtualCard, psam: PsamCard
) -> None:
    """TAC, MAC2 and CG2 are those the issuer computes from its master keys."""
    answer = VolunteerCard(in_process(card)).clock_in(_request(psam))

    _verify(store, answer, NINE, KeyUsage.PURCHASE_PSAM)


def test_a_software_psam_uses_its_own_key(
    store: FileKeyStore, card: VirtualCard, tmp_path: Path
) -> None:
    """With a PSAM in a file the proof is made under purchase key 2."""
    path = tmp_path / "psam"
    store.export_software_psam(path, PSAM_NO, PASSPHRASE, CHEAP)
    software = SoftwarePsam.open(path, PASSPHRASE)

    answer = VolunteerCard(in_process(card)).clock_in(_request(software))
    software.close()

    assert software.key_index == 2
    _verify(store, answer, NINE, KeyUsage.PURCHASE_SOFT)


@pytest.mark.parametrize("hardware", [True, False], ids=["hardware", "software"])
def test_a_card_with_sm4_keys_is_issued_and_tapped(
    sm4_store: FileKeyStore, tmp_path: Path, hardware: bool
) -> None:
    """Keys, proofs, MACs and cryptograms are SM4 throughout, and the card says so beforehand."""
    chip = VirtualCard()
    issue(sm4_store, chip, card_data(algorithm=Algorithm.SM4))
    path = tmp_path / "psam"
    sm4_store.export_software_psam(path, PSAM_NO, PASSPHRASE, CHEAP)
    psam: PsamCard | SoftwarePsam = (
        PsamCard(in_process(issued_psam(sm4_store)))
        if hardware
        else SoftwarePsam.open(path, PASSPHRASE)
    )

    volunteer = VolunteerCard(in_process(chip))
    answer = volunteer.clock_in(_request(psam))
    desk = (
        sm4_store.card_key(KeyUsage.DESK_READ, 1, ASN[2:]),
        sm4_store.card_key(KeyUsage.MAINTENANCE, 1, ASN[2:]),
    )

    usage = KeyUsage.PURCHASE_PSAM if hardware else KeyUsage.PURCHASE_SOFT
    _verify(sm4_store, answer, NINE, usage)
    assert volunteer.identity().cg_type == answer.init.cg_type == 2
    assert [record.card_ctr for record in volunteer.log(*desk)] == [0]


def test_keys_of_another_algorithm_than_the_card_says_are_refused(
    sm4_store: FileKeyStore,
) -> None:
    """A card that would name the wrong algorithm is never begun."""
    with pytest.raises(LayoutError):
        issue(sm4_store, VirtualCard(), card_data())


def test_an_unknown_algorithm_is_a_fault() -> None:
    """A card that names an algorithm nobody knows is not tapped blindly."""
    with pytest.raises(ProtocolFault):
        assert CappInit(0, 0, 1, 0x77, bytes(4)).cg_type


def test_identity_and_validity(card: VirtualCard) -> None:
    """The face says who, until when, and whether the card may be used on a day."""
    facade = VolunteerCard(in_process(card))
    face = facade.identity()

    assert face == CardFace(
        ASN, dt.date(2026, 11, 1), dt.date(2031, 10, 31), None, "王**", True, 1, 0
    )
    assert face.diversifier == ASN[2:]
    assert facade.validity(dt.date(2026, 10, 31)) is Validity.NOT_YET
    assert facade.validity(dt.date(2026, 11, 1)) is Validity.VALID
    assert facade.validity(dt.date(2031, 10, 31)) is Validity.VALID
    assert facade.validity(dt.date(2031, 11, 1)) is Validity.EXPIRED


def test_service_opens_and_closes(card: VirtualCard, psam: PsamCard) -> None:
    """After clocking in there is an open service with its inputs; after clocking out none."""
    facade = VolunteerCard(in_process(card))
    fresh = facade.open_service()
    answer = facade.clock_in(_request(psam))
    service = facade.open_service()
    facade.clock_out(_request(psam, NINE + 3600))

    assert fresh is None
    assert service == Composite(
        KIND_IN, CHINA, PSAM_NO, answer.psam_seq, answer.init.rand, 0, NINE, 101
    )
    assert facade.open_service() is None
    assert run(read_composite(), in_process(card)).kind == KIND_OUT


def test_log_is_read_with_macs(store: FileKeyStore, card: VirtualCard, psam: PsamCard) -> None:
    """The card's log comes newest first, under desk and maintenance keys."""
    facade = VolunteerCard(in_process(card))
    for minute in range(3):
        facade.clock_in(_request(psam, NINE + 60 * minute))
    desk = store.card_key(KeyUsage.DESK_READ, 1, ASN[2:])
    maintenance = store.card_key(KeyUsage.MAINTENANCE, 1, ASN[2:])

    log = facade.log(desk, maintenance)

    assert [record.card_ctr for record in log] == [2, 1, 0]
    assert {record.kind for record in log} == {CAPP_PURCHASE}
    assert [record.time.hex() for record in log] == ["090200", "090100", "090000"]


def test_log_needs_the_desk_key(store: FileKeyStore, card: VirtualCard) -> None:
    """Another card's desk key opens nothing and costs one attempt."""
    maintenance = store.card_key(KeyUsage.MAINTENANCE, 1, ASN[2:])
    wrong = DeskKeys(store.card_key(KeyUsage.DESK_READ, 1, bytes(8)), maintenance, ASN.hex())
    connection = in_process(card)
    run(select(), connection)

    with pytest.raises(AuthenticationFailed) as caught:
        run(read_log(wrong, AttemptGuard()), connection)

    assert caught.value.attempts_left == 2


def test_counter_and_psam_number_step(card: VirtualCard, psam: PsamCard) -> None:
    """Each tap uses a new card counter and a new PSAM number."""
    facade = VolunteerCard(in_process(card))

    answers = [facade.clock_in(_request(psam, NINE + n)) for n in range(3)]

    assert [answer.init.card_ctr for answer in answers] == [0, 1, 2]
    assert [answer.psam_seq for answer in answers] == [1, 2, 3]


def _steps(connection: Connection, psam: PsamCard) -> tuple[tap.CappInit, int, bytes]:
    run(select(), connection)
    init = run(initialize(1, psam.number), connection)
    date, time = bcd_datetime(NINE, CHINA)
    grant = psam.init_purchase(
        PurchaseRequest(init.rand, init.card_ctr, 0, CAPP_PURCHASE, date, time, 1, 0, ASN[2:])
    )
    record = Composite(KIND_IN, CHINA, psam.number, grant.psam_seq, init.rand, 0, NINE, 1)
    run(tap.update_cache(record), connection)
    return init, grant.psam_seq, grant.mac1


@pytest.mark.parametrize(
    ("moment", "happened"), [(Moment.BEFORE_COMMAND, False), (Moment.BEFORE_ANSWER, True)]
)
def test_a_torn_debit_is_told_by_its_proof(
    card: VirtualCard, psam: PsamCard, moment: Moment, happened: bool
) -> None:
    """A card pulled at DEBIT holds the proof exactly if it committed, with the composite record."""
    connection = in_process(card)
    init, psam_seq, mac1 = _steps(connection, psam)
    card.tear(Tear(ins=0x54, moment=moment))
    with pytest.raises(CardRemoved):
        run(tap.debit(psam_seq, *bcd_datetime(NINE, CHINA), mac1), connection)

    card.power_on()
    run(select(), connection)
    composite = run(read_composite(), connection)
    proof = run(prove(init.card_ctr), connection)

    assert (proof is not None) is happened
    assert (composite != NO_TAP) is happened
    if proof is not None:
        psam.credit_purchase(proof.mac2)


def test_only_the_latest_proof_is_kept(card: VirtualCard, psam: PsamCard) -> None:
    """The proof of the last tap comes back as it was given; an older one does not."""
    facade = VolunteerCard(in_process(card))
    facade.clock_in(_request(psam))
    latest = facade.clock_out(_request(psam, NINE + 60))

    assert run(prove(1), in_process(card)) == latest.proof
    assert run(prove(0), in_process(card)) is None


def test_a_wrong_mac1_commits_nothing(card: VirtualCard, psam: PsamCard) -> None:
    """The card refuses a debit that no PSAM authorised and stays as it was."""
    connection = in_process(card)
    before = card.memory.image.mf
    _, psam_seq, mac1 = _steps(connection, psam)
    wrong = bytes([mac1[0] ^ 1]) + mac1[1:]

    with pytest.raises(MacRejected):
        run(tap.debit(psam_seq, *bcd_datetime(NINE, CHINA), wrong), connection)

    card.reset()
    run(select(), connection)
    assert run(read_composite(), connection) == NO_TAP
    assert before is not None


def test_an_exhausted_counter_is_named(card: VirtualCard, psam: PsamCard) -> None:
    """At 65 535 the card refuses for good, and says so."""
    application = card.memory.image.mf.children[0x3F01]  # type: ignore[union-attr]
    purse = application.files[0x02].purse
    assert purse is not None
    purse.offline = 0xFFFF
    card.memory.commit()

    with pytest.raises(CounterExhausted):
        VolunteerCard(in_process(card)).clock_in(_request(psam))


def test_an_unknown_purchase_key_is_named(card: VirtualCard) -> None:
    """A card without the purchase key asked for says which fact failed."""
    connection = in_process(card)
    run(select(), connection)

    with pytest.raises(KeyNotFound):
        run(initialize(9, PSAM_NO), connection)


def test_a_blank_card_is_no_foreign_card() -> None:
    """A card without a master file is blank."""
    with pytest.raises(BlankCard):
        VolunteerCard(in_process(VirtualCard()))


@pytest.mark.parametrize("contactless", [False, True])
def test_a_psam_is_a_foreign_card(store: FileKeyStore, contactless: bool) -> None:
    """A chip with a master file but without the application is somebody else's."""
    with pytest.raises(ForeignCard):
        run(select(), in_process(issued_psam(store), contactless=contactless))


def test_a_blocked_application_is_not_foreign(store: FileKeyStore, card: VirtualCard) -> None:
    """An application that the issuer blocked is said to be blocked."""
    connection = in_process(card)
    run(select(), connection)
    maintenance = store.card_key(KeyUsage.MAINTENANCE, 1, ASN[2:])
    run(maced(CommandApdu(0x80, 0x1E, 0x00, 0x00), maintenance), connection)

    with pytest.raises(ApplicationLocked, match="blocked until unblocked"):
        run(select(), connection)


def test_another_issuer_is_foreign(card: VirtualCard) -> None:
    """The same application of another issuer is not accepted."""
    with pytest.raises(ForeignCard):
        run(select(issuer=bytes(8)), in_process(card))


@pytest.mark.parametrize(
    ("fci", "error"),
    [
        ("", ProtocolFault),
        ("6F05840101A500", BlankCard),
        ("6F0A840101A5059F0C02FFFF", BlankCard),
        ("6F0A840101A5059F0C020000", LayoutError),
        ("8400", ProtocolFault),
        ("6F0A84", ProtocolFault),
    ],
)
def test_strange_answers_to_select_are_named(fci: str, error: type[Exception]) -> None:
    """Whatever a card answers to SELECT becomes a named error, never a guess."""
    with pytest.raises(error):
        run(select(), Script(fci + "9000"))


def test_arguments_of_wrong_length_are_refused_before_the_card_sees_them() -> None:
    """Eight bytes for presence, six for a PSAM number."""
    with pytest.raises(LayoutError):
        run(presence(bytes(7)), Script())
    with pytest.raises(LayoutError):
        run(initialize(1, bytes(5)), Script())


def test_a_purse_with_money_is_not_tapped(psam: PsamCard) -> None:
    """The volunteer purse is always empty; anything else is a fault, before the PSAM counts."""
    script = Script("0102030405060708 9000", "00000001" + "00" * 11 + "9000")

    with pytest.raises(ProtocolFault):
        tap.tap(script, ASN[2:], KIND_IN, _request(psam))
