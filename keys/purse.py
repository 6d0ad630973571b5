# SPDX-License-Identifier: Apache-2.0
"""The formulas of the PBOC electronic purse, on plain bytes.

JR/T 0025.1 (electronic purse) as the FMCOS 2.0 user manual spells it: diversification, session
key, MAC1, MAC2, TAC; and CG2, the answer of INTERNAL AUTHENTICATE. Whoever holds a key by a handle
(``keys.working``) calls the same formulas through it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from keys import _prims
from keys.errors import BadKeyLength

CAPP_PURCHASE = 0x09
QUARTER_HOUR_S = 900


def _sized(what: str, value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise BadKeyLength(what, size, len(value))
    return value


def diversify(master16: bytes, factor8: bytes) -> bytes:
    """Derive a 16-byte key: 3DES(master, factor) ‖ 3DES(master, complement of factor).

    >>> master = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    >>> diversify(master, bytes.fromhex("1122334455667788")).hex().upper()
    '496BD7A3513644533100B54E71196528'
    """
    _sized("master key", master16, 16)
    _sized("diversifier", factor8, 8)
    return _prims.des_ecb(master16, factor8 + bytes(b ^ 0xFF for b in factor8))


def session_key(key16: bytes, rand4: bytes, card_ctr: int, psam_seq: int) -> bytes:
    """Derive the purchase session key: 3DES(key, random ‖ card counter ‖ low 16 bits of PSAM).

    >>> key = bytes.fromhex("11223344556677888877665544332211")
    >>> session_key(key, bytes.fromhex("11223344"), 0, 1).hex().upper()
    '003238ABC57659DD'
    """
    _sized("purchase key", key16, 16)
    block = _sized("card random", rand4, 4) + card_ctr.to_bytes(2) + (psam_seq & 0xFFFF).to_bytes(2)
    return _prims.des_ecb(key16, block)


def des_mac4(key8: bytes, data: bytes) -> bytes:
    """Compute the purse MAC: single DES CBC, zero IV, padding 80 00.., left 4 bytes.

    >>> data = bytes.fromhex("000010000600112233445520120229135100")
    >>> des_mac4(bytes.fromhex("003238ABC57659DD"), data).hex().upper()
    'F15CAB75'
    """
    return _prims.des_cbc_last(_sized("session key", key8, 8), _prims.pad80(data))[:4]


def mac1(sk8: bytes, amount: int, kind: int, psam_no6: bytes, date4: bytes, time3: bytes) -> bytes:
    """Compute MAC1, by which the PSAM proves itself to the card.

    >>> no, date, time = map(bytes.fromhex, ("001122334455", "20120229", "135100"))
    >>> mac1(bytes.fromhex("003238ABC57659DD"), 0x1000, 6, no, date, time).hex().upper()
    'F15CAB75'
    """
    data = amount.to_bytes(4) + kind.to_bytes(1) + _sized("PSAM number", psam_no6, 6)
    return des_mac4(sk8, data + _sized("date", date4, 4) + _sized("time", time3, 3))


def mac2(sk8: bytes, amount: int) -> bytes:
    """Compute MAC2, by which the card proves itself to the PSAM.

    >>> mac2(bytes.fromhex("003238ABC57659DD"), 0x1000).hex().upper()
    '56988A13'
    """
    return des_mac4(sk8, amount.to_bytes(4))


def tac_key(dtk16: bytes) -> bytes:
    """Fold the TAC key: left half xor right half.

    >>> tac_key(bytes.fromhex("00112233445566778899AABBCCDDEEFF")).hex()
    '8888888888888888'
    """
    left, right = _sized("TAC key", dtk16, 16)[:8], dtk16[8:]
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def tac_input(
    amount: int, kind: int, psam_no6: bytes, psam_seq: int, date4: bytes, time3: bytes
) -> bytes:
    """Lay out the 22 bytes under the TAC of a purchase."""
    head = amount.to_bytes(4) + kind.to_bytes(1) + _sized("PSAM number", psam_no6, 6)
    return head + psam_seq.to_bytes(4) + _sized("date", date4, 4) + _sized("time", time3, 3)


def tac(  # noqa: PLR0913, PLR0917 - the inputs are the standard's
    dtk16: bytes,
    amount: int,
    kind: int,
    psam_no6: bytes,
    psam_seq: int,
    date4: bytes,
    time3: bytes,
) -> bytes:
    """Compute the transaction cryptogram TAC of a purchase.

    >>> key = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    >>> no, date, time = map(bytes.fromhex, ("001122334455", "20261121", "090000"))
    >>> tac(key, 0, 9, no, 0, date, time).hex().upper()
    'B79C7329'
    """
    data = tac_input(amount, kind, psam_no6, psam_seq, date4, time3)
    return des_mac4(tac_key(dtk16), data)


def cg2(key16: bytes, h8: bytes) -> bytes:
    """Compute CG2, the answer to INTERNAL AUTHENTICATE over h8: 3DES in encrypt mode.

    >>> key = bytes.fromhex("11223344556677888877665544332211")
    >>> cg2(key, bytes.fromhex("1122334400000001")).hex().upper()
    '003238ABC57659DD'
    """
    return _prims.des_ecb(_sized("presence key", key16, 16), _sized("h8", h8, 8))


def retail_mac(key16: bytes, data: bytes, iv8: bytes) -> bytes:
    """Compute the 8-byte MAC of ISO/IEC 9797-1 algorithm 3, padding method 2, with an IV.

    DES under the left half chains all blocks; the last one is decrypted under the right half and
    encrypted under the left again. Secure messaging takes the left 4 bytes.

    >>> key = bytes.fromhex("AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBB")
    >>> retail_mac(key, b"hello world", bytes(8)).hex().upper()
    '2BC2D9EDE0CF31F6'
    """
    left, right = _sized("MAC key", key16, 16)[:8], key16[8:]
    last = _prims.des_cbc_last(left, _prims.pad80(data), _sized("IV", iv8, 8))
    return _prims.des_ecb(left, _prims.des_ecb_decrypt(right, last))


def bcd_datetime(utc_s: int, tz_q: int) -> tuple[bytes, bytes]:
    """Give date (YYYYMMDD) and time (hhmmss) in BCD for the card.

    ``utc_s`` counts seconds since 1970 UTC, ``tz_q`` the zone in signed quarter hours; the card is
    sent exactly this local second.

    >>> [part.hex() for part in bcd_datetime(1_795_222_800, 32)]
    ['20261121', '090000']
    """
    zone_s = QUARTER_HOUR_S * tz_q
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=utc_s + zone_s)
    text = local.strftime("%Y%m%d%H%M%S")
    return bytes.fromhex(text[:8]), bytes.fromhex(text[8:])
