# SPDX-License-Identifier: Apache-2.0
"""Rules of structure: codes of regions, what lies below what. Pure: values in, values out.

Codes are those of GB/T 2260 (province, city, county: six digits) and of the national statistics
(town or street: nine digits). What is below a region begins with its digits.
"""

from __future__ import annotations

PROVINCE, CITY, COUNTY, TOWN = LEVELS = (1, 2, 3, 4)
COUNTY_DIGITS, TOWN_DIGITS = 6, 9
# How many digits tell the regions of a level apart.
_SIGNIFICANT = {PROVINCE: 2, CITY: 4, COUNTY: 6, TOWN: 9}


def level(code: str) -> int | None:
    """Return the level of a region's code, None for what is none.

    >>> [level(code) for code in ("440000", "440300", "440304", "440304001", "44", "440304000")]
    [1, 2, 3, 4, None, None]
    """
    if not (code.isascii() and code.isdigit()) or code.startswith("00"):
        return None
    if len(code) == TOWN_DIGITS:
        return TOWN if code[6:] != "000" and level(code[:6]) in (CITY, COUNTY) else None
    if len(code) != COUNTY_DIGITS:
        return None
    if code[2:] == "0000":
        return PROVINCE
    if code[4:] == "00":
        return CITY
    return COUNTY if code[2:4] != "00" else None


def stem(code: str) -> str:
    """Return the digits that all codes below a region begin with; its own for what is no code.

    >>> stem("440000"), stem("440300"), stem("440304"), stem("440304001")
    ('44', '4403', '440304', '440304001')
    """
    found = level(code)
    return code[: _SIGNIFICANT[found]] if found else code


def lies_within(code: str, region: str) -> bool:
    """Tell whether a region is another one or below it.

    >>> lies_within("440304001", "440300"), lies_within("440300", "440304")
    (True, False)
    >>> lies_within("", "440300"), lies_within("440300", "")
    (False, False)
    """
    return bool(code) and bool(region) and code.startswith(stem(region))


def parent(code: str) -> str:
    """Return the code one level up, "" above a province.

    >>> parent("440304001"), parent("440304"), parent("440300"), parent("440000")
    ('440304', '440300', '440000', '')
    >>> parent("441900003")
    '441900'
    """
    found = level(code)
    if found == TOWN:
        return code[:6]
    if found == COUNTY:
        return code[:4] + "00"
    return code[:2] + "0000" if found == CITY else ""


def path(code: str) -> tuple[str, ...]:
    """Return a region's code and those above it, the highest first.

    >>> path("440304001")
    ('440000', '440300', '440304', '440304001')
    """
    above = parent(code) if code else ""
    return (*path(above), code) if above else ((code,) if code else ())
