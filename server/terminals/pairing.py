# SPDX-License-Identifier: Apache-2.0
"""The pairing code of a terminal: short enough to be read out, long enough not to be guessed.

Twelve characters of Crockford's base 32 are 60 bits: who tries a thousand codes a second for the
whole week of a code's life finds one with a chance of one in a thousand million.
"""

from __future__ import annotations

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: nothing is misread
CODE_LENGTH = 12
GROUP = 4
_MISREAD = str.maketrans("OIL", "011", "- ")


def new_code() -> str:
    """Make a code in groups of four.

    >>> len(new_code())
    14
    """
    text = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    return "-".join(text[at : at + GROUP] for at in range(0, CODE_LENGTH, GROUP))


def normalised(text: str) -> str:
    """Undo what people do to a code: small letters, spaces, letters for digits.

    >>> normalised("k7qf 2m9c-xro4")
    'K7QF2M9CXR04'
    """
    return text.strip().upper().translate(_MISREAD)
