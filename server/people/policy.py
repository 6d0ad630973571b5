# SPDX-License-Identifier: Apache-2.0
"""Rules about people: volunteer numbers, card serials, masked names, the age of minors."""

from __future__ import annotations

import datetime as dt

# Nine digits of sequence; the tenth is the check digit.
SEQUENCE_MAX = 999_999_999
NUMBER_LENGTH = 10
# An applicant's number: a letter, so that nobody takes it for a volunteer's.
PRELIMINARY_LETTER = "Y"
PRELIMINARY_MAX = 99_999_999
ASN_DIGITS = 20
# "YI" in ASCII, so that a serial is recognisable as one of ours; the rest counts.
ASN_PREFIX = "5949"
ASN_SEQUENCE_MAX = 10 ** (ASN_DIGITS - len(ASN_PREFIX)) - 1
# From the fourteenth birthday on a volunteer may serve without a guardian.
ADULT_FOR_SERVICE_YEARS = 14
MASK_LENGTH_MAX = 3


def check_digit(digits: str) -> str:
    """Return the ISO 7064 MOD 11,10 check digit of a string of decimal digits.

    >>> check_digit("0794")
    '5'
    """
    product = 10
    for digit in digits:
        total = (product + int(digit)) % 10 or 10
        product = total * 2 % 11
    return str((11 - product) % 10)


def volunteer_number(sequence: int) -> str:
    """Return the 10-digit number of a sequence value: nine digits and the check digit.

    >>> volunteer_number(1)
    '0000000014'
    """
    if not 1 <= sequence <= SEQUENCE_MAX:
        message = f"sequence {sequence} does not fit nine digits"
        raise ValueError(message)
    digits = f"{sequence:09d}"
    return digits + check_digit(digits)


def is_volunteer_number(text: str) -> bool:
    """Tell whether a text is ten ASCII digits with a right check digit.

    >>> is_volunteer_number("0000000014"), is_volunteer_number("0000000015")
    (True, False)
    """
    if len(text) != NUMBER_LENGTH or not (text.isascii() and text.isdigit()):
        return False
    return check_digit(text[:-1]) == text[-1]


def preliminary_number(sequence: int) -> str:
    """Return the number of an applicant: Y, eight digits of sequence, the check digit.

    It is as long as a volunteer's number and can never be taken for one.

    >>> preliminary_number(1), is_volunteer_number(preliminary_number(1))
    ('Y000000011', False)
    """
    if not 1 <= sequence <= PRELIMINARY_MAX:
        message = f"sequence {sequence} does not fit eight digits"
        raise ValueError(message)
    digits = f"{sequence:08d}"
    return PRELIMINARY_LETTER + digits + check_digit(digits)


def is_preliminary_number(text: str) -> bool:
    """Tell whether a text is an applicant's number with a right check digit.

    >>> is_preliminary_number("Y000000011"), is_preliminary_number("0000000014")
    (True, False)
    """
    digits = text[1:]
    if len(text) != NUMBER_LENGTH or not (digits.isascii() and digits.isdigit()):
        return False
    return text[0] == PRELIMINARY_LETTER and check_digit(digits[:-1]) == digits[-1]


def card_serial(sequence: int) -> str:
    """Return the application serial of the n-th card: 20 decimal digits, opaque to readers.

    >>> card_serial(7)
    '59490000000000000007'
    """
    if not 1 <= sequence <= ASN_SEQUENCE_MAX:
        message = f"sequence {sequence} does not fit a card serial"
        raise ValueError(message)
    return f"{ASN_PREFIX}{sequence:0{ASN_DIGITS - len(ASN_PREFIX)}d}"


def is_card_serial(text: str) -> bool:
    """Tell whether a text is a card serial as stored: 20 decimal digits.

    >>> is_card_serial("59490000000000000007"), is_card_serial("5949")
    (True, False)
    """
    return len(text) == ASN_DIGITS and text.isascii() and text.isdigit()


def mask_name(name: str) -> str:
    """Return a name as pages and cards show it: the first character, then stars.

    >>> mask_name("欧阳娜娜"), mask_name("王"), mask_name("Alice Smith")
    ('欧***', '王', 'A***')
    """
    return name[:1] + "*" * min(len(name) - 1, MASK_LENGTH_MAX)


def minor_until(birth: dt.date, zone: dt.tzinfo) -> dt.datetime:
    """Return the instant from which a volunteer may serve alone: the fourteenth birthday, 0 h.

    Who was born on 29 February has the birthday of a common year on 1 March, the later day.

    >>> minor_until(dt.date(2012, 2, 29), dt.UTC).isoformat()
    '2026-03-01T00:00:00+00:00'
    """
    year = birth.year + ADULT_FOR_SERVICE_YEARS
    try:
        day = birth.replace(year=year)
    except ValueError:
        day = dt.date(year, 3, 1)
    return dt.datetime(day.year, day.month, day.day, tzinfo=zone)
