# SPDX-License-Identifier: Apache-2.0
"""The formulas of the PBOC electronic purse, on plain bytes, in both suites.

JR/T 0025.1 (electronic purse) as the FMCOS 2.0 user manual spells it: diversification, session
key, MAC1, MAC2, TAC; and CG2, the answer of INTERNAL AUTHENTICATE. Whoever holds a key by a handle
(``keys.working``) calls the same formulas through it.

The SM4 forms are those of the second suite's cards (algorithm byte 04): one block of 16 bytes
where 3DES has two of 8, SM4-CBC where 3DES has DES-CBC, and the TAC key used as it is, unfolded.
They are known from reader code of such cards, not from a printed standard.
"""

from __future__ import annotations

import functools
import time

from keys import _prims
from keys.algorithm import Algorithm
from keys.errors import BadKeyLength, BadSeal, UnsupportedAlgorithm

CAPP_PURCHASE = 0x09
QUARTER_HOUR_S = 900
_DAY_S = 86_400
_BCD = tuple(16 * (number // 10) + number % 10 for number in range(60))
MAC_BYTES = 4
# One length byte goes before a secure message; with padding and MAC it must still fit an APDU.
PLAIN_MAX = 239


def _sized(what: str, value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise BadKeyLength(what, size, len(value))
    return value


def _card_cipher(algorithm: Algorithm) -> bool:
    """Say whether the cipher is SM4; raise ``UnsupportedAlgorithm`` for one no purse knows."""
    if algorithm is Algorithm.AES:
        raise UnsupportedAlgorithm(algorithm.value, "serve a purse")
    return algorithm is Algorithm.SM4


def _complement(data: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in data)


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def diversify(master16: bytes, factor8: bytes, *, algorithm: Algorithm = Algorithm.TDES) -> bytes:
    """Derive a 16-byte key from a factor: E(factor ‖ complement of factor) under the master.

    3DES takes the two halves as two blocks, SM4 as one.

    >>> master = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    >>> diversify(master, bytes.fromhex("1122334455667788")).hex().upper()
    '496BD7A3513644533100B54E71196528'
    >>> diversify(master, bytes.fromhex("1122334455667788"), algorithm=Algorithm.SM4).hex().upper()
    '5A9F65876227746D95606233700543A9'
    """
    _card_cipher(algorithm)
    _sized("master key", master16, 16)
    _sized("diversifier", factor8, 8)
    return _prims.ecb(algorithm, master16, factor8 + _complement(factor8))


def session_input(rand4: bytes, card_ctr: int, psam_seq: int) -> bytes:
    """Lay out the 8 bytes under a purchase's session key: random ‖ counter ‖ low 16 bits of PSAM.

    >>> session_input(bytes.fromhex("11223344"), 0, 0x10001).hex()
    '1122334400000001'
    """
    low = (psam_seq & 0xFFFF).to_bytes(2)
    return _sized("card random", rand4, 4) + card_ctr.to_bytes(2) + low


def session_key(
    key16: bytes,
    rand4: bytes,
    card_ctr: int,
    psam_seq: int,
    *,
    algorithm: Algorithm = Algorithm.TDES,
) -> bytes:
    """Derive the purchase session key: 8 bytes in the 3DES suite, 16 in the SM4 suite.

    >>> key = bytes.fromhex("11223344556677888877665544332211")
    >>> session_key(key, bytes.fromhex("11223344"), 0, 1).hex().upper()
    '003238ABC57659DD'
    """
    data = session_input(rand4, card_ctr, psam_seq)
    return process_key(key16, data, algorithm=algorithm)


def process_key(key16: bytes, data8: bytes, *, algorithm: Algorithm = Algorithm.TDES) -> bytes:
    """Derive a session key from any 8 bytes: a load uses random ‖ online counter ‖ 80 00.

    >>> key = bytes.fromhex("11223344556677888877665544332211")
    >>> process_key(key, bytes.fromhex("1122334400008000")).hex().upper()
    '9B1D924E05595603'
    """
    _sized("purchase key", key16, 16)
    _sized("session key input", data8, 8)
    if _card_cipher(algorithm):
        return _prims.ecb(algorithm, key16, data8 + _complement(data8))
    return _prims.ecb(algorithm, key16, data8)


def des_mac4(key8: bytes, data: bytes) -> bytes:
    """Compute the purse MAC: single DES CBC, zero IV, padding 80 00.., left 4 bytes.

    >>> data = bytes.fromhex("000010000600112233445520120229135100")
    >>> des_mac4(bytes.fromhex("003238ABC57659DD"), data).hex().upper()
    'F15CAB75'
    """
    return _prims.des_cbc_last(_sized("session key", key8, 8), _prims.pad80(data))[:MAC_BYTES]


def mac4(session: bytes, data: bytes, *, algorithm: Algorithm = Algorithm.TDES) -> bytes:
    """Compute the purse MAC under a session key of either suite.

    CBC with zero IV and padding 80 00.., left 4 bytes: single DES for 8 bytes of key, SM4 for 16.
    """
    if not _card_cipher(algorithm):
        return des_mac4(session, data)
    _sized("session key", session, 16)
    block = algorithm.block_bytes
    padded = _prims.pad80(data, block)
    return _prims.cbc(algorithm, session, padded, bytes(block))[-block:][:MAC_BYTES]


def mac1(  # noqa: PLR0913 - the inputs are the standard's
    session: bytes,
    amount: int,
    kind: int,
    psam_no6: bytes,
    date4: bytes,
    time3: bytes,
    *,
    algorithm: Algorithm = Algorithm.TDES,
) -> bytes:
    """Compute MAC1, by which the PSAM proves itself to the card.

    >>> no, date, time = map(bytes.fromhex, ("001122334455", "20120229", "135100"))
    >>> mac1(bytes.fromhex("003238ABC57659DD"), 0x1000, 6, no, date, time).hex().upper()
    'F15CAB75'
    """
    data = amount.to_bytes(4) + kind.to_bytes(1) + _sized("PSAM number", psam_no6, 6)
    data += _sized("date", date4, 4) + _sized("time", time3, 3)
    return mac4(session, data, algorithm=algorithm)


def mac2(session: bytes, amount: int, *, algorithm: Algorithm = Algorithm.TDES) -> bytes:
    """Compute MAC2, by which the card proves itself to the PSAM.

    >>> mac2(bytes.fromhex("003238ABC57659DD"), 0x1000).hex().upper()
    '56988A13'
    """
    return mac4(session, amount.to_bytes(4), algorithm=algorithm)


def tac_key(dtk16: bytes, *, algorithm: Algorithm = Algorithm.TDES) -> bytes:
    """Give the key that makes the TAC: 3DES folds left half xor right half, SM4 takes it whole.

    >>> tac_key(bytes.fromhex("00112233445566778899AABBCCDDEEFF")).hex()
    '8888888888888888'
    """
    _sized("TAC key", dtk16, 16)
    return dtk16 if _card_cipher(algorithm) else _xor(dtk16[:8], dtk16[8:])


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
    *,
    algorithm: Algorithm = Algorithm.TDES,
) -> bytes:
    """Compute the transaction cryptogram TAC of a purchase.

    >>> key = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    >>> no, date, time = map(bytes.fromhex, ("001122334455", "20261121", "090000"))
    >>> tac(key, 0, 9, no, 0, date, time).hex().upper()
    'B79C7329'
    """
    data = tac_input(amount, kind, psam_no6, psam_seq, date4, time3)
    return mac4(tac_key(dtk16, algorithm=algorithm), data, algorithm=algorithm)


def cg2(key16: bytes, h8: bytes, *, algorithm: Algorithm = Algorithm.TDES) -> bytes:
    """Compute CG2, the answer to INTERNAL AUTHENTICATE over h8 in encrypt mode.

    3DES encrypts the one block; SM4 encrypts h8 with eight zeros behind it and xors the halves.

    >>> key = bytes.fromhex("11223344556677888877665544332211")
    >>> cg2(key, bytes.fromhex("1122334400000001")).hex().upper()
    '003238ABC57659DD'
    """
    _sized("presence key", key16, 16)
    return _eight(key16, _sized("h8", h8, 8), algorithm)


def cryptogram(key: bytes, challenge: bytes, *, algorithm: Algorithm = Algorithm.TDES) -> bytes:
    """Compute the 8-byte answer of EXTERNAL AUTHENTICATE to a challenge of 4 or 8 bytes.

    A short challenge has zeros put behind it. 3DES encrypts the one block (DES for 8 bytes of
    key); SM4 encrypts the challenge with zeros up to 16 bytes and xors the halves.

    >>> key = bytes.fromhex("0102030405060708")
    >>> cryptogram(key, bytes.fromhex("BB83BFF3")).hex().upper()
    '74B0047DD681D96C'
    """
    if len(challenge) not in {4, 8}:
        raise BadKeyLength("challenge", 8, len(challenge))
    return _eight(key, challenge.ljust(8, b"\0"), algorithm)


def _eight(key: bytes, block8: bytes, algorithm: Algorithm) -> bytes:
    if not _card_cipher(algorithm):
        return _prims.ecb(algorithm, key, block8)
    whole = _prims.ecb(algorithm, key, block8 + bytes(8))
    return _xor(whole[:8], whole[8:])


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


def secure_mac(
    key16: bytes, data: bytes, iv: bytes, *, algorithm: Algorithm = Algorithm.TDES
) -> bytes:
    """Compute one whole block of MAC for secure messaging, of which commands take the left 4 bytes.

    3DES: the retail MAC. SM4: the last block of SM4-CBC over the data padded with 80 00... The IV
    is the card's challenge; zeros are put behind it up to one block.

    >>> key = bytes.fromhex("AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBB")
    >>> secure_mac(key, b"hello world", bytes(4)).hex().upper()
    '2BC2D9EDE0CF31F6'
    """
    block = algorithm.block_bytes
    iv = iv.ljust(block, b"\0")
    if not _card_cipher(algorithm):
        return retail_mac(key16, data, iv)
    _sized("MAC key", key16, 16)
    return _prims.cbc(algorithm, key16, _prims.pad80(data, block), iv)[-block:]


def wrap_ecb(key: bytes, plain: bytes, *, algorithm: Algorithm = Algorithm.TDES) -> bytes:
    """Encrypt a secure message for a card: ECB(length (1) ‖ plain ‖ padding).

    Padding 80 00.. is added only when the length is not already a multiple of the block
    (FMCOS 2.0 user manual, secure messaging).

    >>> control = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    >>> wrap_ecb(control, bytes.fromhex("220000") + control).hex().upper()
    'DCC0BB5793ABFCA2CA8C1624822F6E01A86A0B5CBED191DD'
    """
    _card_cipher(algorithm)
    if not 1 <= len(plain) <= PLAIN_MAX:
        raise BadKeyLength("secure message", PLAIN_MAX, len(plain))
    message = len(plain).to_bytes(1) + plain
    if len(message) % algorithm.block_bytes:
        message = _prims.pad80(message, algorithm.block_bytes)
    return _prims.ecb(algorithm, key, message)


def unwrap_ecb(key: bytes, sealed: bytes, *, algorithm: Algorithm = Algorithm.TDES) -> bytes:
    """Decrypt a secure message of a card and check its length and padding.

    Raises:
        BadSeal: No whole blocks, or length and padding do not agree: another key, or no card.

    >>> control = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    >>> unwrap_ecb(control, wrap_ecb(control, b"abc"))
    b'abc'
    """
    _card_cipher(algorithm)
    if not sealed or len(sealed) % algorithm.block_bytes:
        raise BadSeal
    message = _prims.ecb_decrypt(algorithm, key, sealed)
    end = 1 + message[0]
    due = message[:end]
    if len(due) % algorithm.block_bytes:
        due = _prims.pad80(due, algorithm.block_bytes)
    if not message[0] or end > len(message) or due != message:
        raise BadSeal
    return message[1:end]


def bcd_datetime(utc_s: int, tz_q: int) -> tuple[bytes, bytes]:
    """Give date (YYYYMMDD) and time (hhmmss) in BCD for the card.

    ``utc_s`` counts seconds since 1970 UTC, ``tz_q`` the zone in signed quarter hours; the card is
    sent exactly this local second.

    >>> [part.hex() for part in bcd_datetime(1_795_222_800, 32)]
    ['20261121', '090000']
    """
    day, second = divmod(utc_s + QUARTER_HOUR_S * tz_q, _DAY_S)
    minute = second // 60
    packed = bytes((_BCD[minute // 60], _BCD[minute % 60], _BCD[second % 60]))
    return _bcd_date(day), packed


@functools.lru_cache(maxsize=8)  # a terminal asks for today, over and over
def _bcd_date(day: int) -> bytes:
    """Give the date in BCD of a day counted from 1970-01-01."""
    return bytes.fromhex("{:04d}{:02d}{:02d}".format(*time.gmtime(day * _DAY_S)[:3]))
