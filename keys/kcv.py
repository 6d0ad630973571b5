# SPDX-License-Identifier: Apache-2.0
"""Key check values: three bytes that name a key without giving it away."""

from __future__ import annotations

from keys import _prims
from keys.algorithm import Algorithm


def kcv(key: bytes, algorithm: Algorithm | None = None) -> str:
    """Encrypt a block of zeros in ECB and give the left three bytes in hex.

    This is the check value of 3DES keys everywhere (EMV CPS, GlobalPlatform, FMCOS) and the usual
    one of SM4. For AES, ANSI X9.24-1:2017 annex A takes the CMAC of zeros instead; here AES keeps
    the ECB form, because that is what tokens give (PKCS #11, CKA_CHECK_VALUE) and both key stores
    are to show the same value. Compare with a partner's six digits only after asking which form.

    Without ``algorithm`` 32 bytes are AES, everything else 3DES (DES for 8 bytes).

    >>> kcv(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    '08D7B4'
    >>> kcv(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"), Algorithm.SM4)
    '2677F4'
    """
    if algorithm is None:
        algorithm = Algorithm.AES if len(key) == 32 else Algorithm.TDES
    return _prims.ecb(algorithm, key, bytes(algorithm.block_bytes))[:3].hex().upper()
