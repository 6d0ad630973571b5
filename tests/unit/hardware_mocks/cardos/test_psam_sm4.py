# SPDX-License-Identifier: Apache-2.0
"""The virtual PSAM with SM4 keys: loading, granting and changing hands, by another's formulas."""

from __future__ import annotations

from hardware_mocks.cardos.psam import VirtualPsam, dump, load
from keys import purse
from keys.algorithm import Algorithm
from tests.unit.hardware_mocks.cardos import issuing

SM4 = Algorithm.SM4
RAND, CTR, WHEN = bytes.fromhex("584633C9"), b"\x00\x05", bytes.fromhex("20261121090000")
REQUEST = RAND + CTR + bytes(4) + b"\x09" + WHEN + b"\x01\x04" + issuing.ASN[2:]


def _write(session: issuing.Session, control: bytes, header: bytes, record: bytes) -> int:
    """Load a key under an SM4 control key and return the status word."""
    sealed = purse.wrap_ecb(control, record, algorithm=SM4)
    iv = session.ok("0084000004").ljust(SM4.block_bytes, b"\x00")
    signed = header + bytes((len(sealed) + 4,)) + sealed
    return session(signed + purse.secure_mac(control, signed, iv, algorithm=SM4)[:4])[1]


def test_sm4_psam_grants_what_an_sm4_card_expects() -> None:
    """Purchase and control keys marked 04 are loaded and used as SM4."""
    psam = VirtualPsam()
    session = issuing.Session(psam.transmit)
    session.ok(b"\x00\xd6\x96\x00\x06" + issuing.PSAM_NO)
    session.ok("00A4000002DF01")
    record = bytes.fromhex("220104") + issuing.PSAM_MASTER
    assert session.write_key(issuing.TRANSPORT, 0x01, 0x01, record)[1] == 0x9000
    control = bytes.fromhex("390104") + issuing.CONTROL
    assert session.write_key(issuing.TRANSPORT, 0x39, 0x00, control)[1] == 0x9000
    again = bytes.fromhex("220204") + issuing.PSAM_MASTER
    header = bytes.fromhex("84D40102")

    assert session.write_key(issuing.CONTROL, 0x01, 0x02, again)[1] == 0x6988
    assert _write(session, issuing.CONTROL, header, again) == 0x9000
    assert load(dump(psam.memory.image)) == psam.memory.image

    grant = session.ok(b"\x80\x70\x00\x00\x1c" + REQUEST)
    key = purse.diversify(issuing.PSAM_MASTER, issuing.ASN[2:], algorithm=SM4)
    sk = purse.session_key(key, RAND, 5, 1, algorithm=SM4)
    mac1 = purse.mac1(sk, 0, 9, issuing.PSAM_NO, WHEN[:4], WHEN[4:], algorithm=SM4)
    assert grant == (1).to_bytes(4, "big") + mac1
    session.ok(b"\x80\x72\x00\x00\x04" + purse.mac2(sk, 0, algorithm=SM4))


def test_algorithm_of_the_card_must_be_loaded() -> None:
    """A PSAM with 3DES keys alone refuses a card of SM4."""
    psam = VirtualPsam()
    session = issuing.Session(psam.transmit)
    issuing.personalise_psam(session)
    session.ok("00A4000002DF01")

    assert session(b"\x80\x70\x00\x00\x1c" + REQUEST)[1] == 0x9403
