# SPDX-License-Identifier: Apache-2.0
"""Every kind of file under every protection, with either algorithm: written, read, refused."""

from __future__ import annotations

import pytest

from hardware_mocks.cardos.algorithms import DES, SM4
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cards import wallet
from hardware_mocks.cards.cashier import Cashier
from keys import purse
from keys.algorithm import Algorithm

FID, SFI = 0x1D, 0x1D
BODY = bytes.fromhex("AA0E") + bytes(range(14))  # a record of its own tag and length as well
KINDS = {0x28: "0010", 0x2A: "0210", 0x2C: "0040", 0x2E: "0210"}
PLAIN, MACED, SEALED, BOTH = 0x00, 0x80, 0x40, 0xC0
WRITES = {0x28: (0xD6, 0x80 | SFI, 0x00), 0x2A: (0xE2, 0x00, SFI << 3 | 4)}
READS = {0x28: (0xB0, 0x80 | SFI, 0x00), 0x2A: (0xB2, 0x01, SFI << 3 | 4)}
PLAIN_READS, MACED_READS = 0xFF, 0x7F


@pytest.fixture(params=[Algorithm.TDES, Algorithm.SM4], ids=["3des", "sm4"])
def cashier(request: pytest.FixtureRequest) -> Cashier:
    """A purse card, its control key proven, in which files are made."""
    card = VirtualCard(contactless=True)
    wallet.issue(card, SM4 if request.param is Algorithm.SM4 else DES)
    cashier = Cashier(card, request.param)
    cashier.select()
    cashier.authenticate()
    return cashier


def _create(cashier: Cashier, kind: int, line: int, last: int) -> None:
    header = bytes((kind | line,)) + bytes.fromhex(KINDS[kind]) + bytes((0xF0, 0xF0, 0xFF, last))
    assert cashier.send(bytes((0x80, 0xE0, 0x00, FID, 7)) + header)[1] == 0x9000


def _write(cashier: Cashier, kind: int, line: int) -> int:
    head = bytes(WRITES.get(kind, WRITES[0x2A]))
    if not line:
        return cashier.send(b"\x00" + head + bytes((len(BODY),)) + BODY)[1]
    data = BODY
    if line & SEALED:
        data = purse.wrap_ecb(wallet.MAINTENANCE, BODY, algorithm=cashier.algorithm)
    return cashier.protected(wallet.MAINTENANCE, b"\x04" + head, data)[1]


@pytest.mark.parametrize("last", [PLAIN_READS, MACED_READS], ids=["plain", "maced"])
@pytest.mark.parametrize("line", [PLAIN, MACED, SEALED, BOTH], ids=["00", "80", "40", "C0"])
@pytest.mark.parametrize("kind", KINDS, ids=["binary", "fixed", "variable", "cyclic"])
def test_written_and_read(cashier: Cashier, kind: int, line: int, last: int) -> None:
    """What goes in under the file's protection comes out under it; the other way is refused."""
    _create(cashier, kind, line, last)
    head = bytes(READS.get(kind, READS[0x2A]))
    assert _write(cashier, kind, line) == 0x9000
    if line:
        unprotected = b"\x00" + bytes(WRITES.get(kind, WRITES[0x2A])) + b"\x01\xaa"
        assert cashier.send(unprotected)[1] == 0x6987
    plain = cashier.send(b"\x00" + head + b"\x10")
    if last == PLAIN_READS:
        assert plain == (BODY, 0x9000)
        assert cashier.protected(wallet.MAINTENANCE, b"\x04" + head)[1] == 0x6900
        return
    assert plain[1] == 0x6987
    answer, sw = cashier.protected(wallet.MAINTENANCE, b"\x04" + head)
    assert sw == 0x9000
    data = answer[:-4]
    if line & SEALED:
        assert data == purse.wrap_ecb(wallet.MAINTENANCE, BODY, algorithm=cashier.algorithm)
    else:
        assert data == BODY
