# SPDX-License-Identifier: Apache-2.0
"""Access rights as declarations: the byte, what it means in words, and whether it is met.

A right XY with X other than 0 wants the register of the current directory between Y and X; with
X = 0 the register of the master file must be at least Y (FMCOS 2.0 user manual 5.2). A proof of a
key or PIN sets the register to the state that the key names; power-up and SELECT of another
directory set it to 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from card.status_words import Text

ALWAYS = 0xF0
AFTER_ANY_PROOF = 0xF1
AFTER_DESK_KEY = 0xF2
AFTER_CONTROL_KEY = 0xFF
NEVER = 0xEF
UNUSED = 0x00  # where a file has no such right

CONTROL_STATE = 0x0F  # register after EXTERNAL AUTHENTICATE with the control key
DESK_STATE = 0x02  # and with the desk reading key

_SOURCE = "FMCOS 2.0 user manual 5.2"


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One right as the volunteer application uses it: byte, words, source."""

    right: int
    label: Text
    source: str = _SOURCE


RULES: tuple[AccessRule, ...] = (
    AccessRule(ALWAYS, Text("任何人", "always")),
    AccessRule(AFTER_ANY_PROOF, Text("任一密钥认证后", "after any key")),
    AccessRule(AFTER_DESK_KEY, Text("柜台密钥认证后", "after the desk key")),
    AccessRule(AFTER_CONTROL_KEY, Text("主控密钥认证后", "after the control key")),
    AccessRule(NEVER, Text("禁止", "never")),
    AccessRule(UNUSED, Text("不适用", "does not apply")),
)
_BY_RIGHT = {rule.right: rule for rule in RULES}


def words(right: int) -> Text:
    """Return a right in words, also one that the volunteer application does not use.

    >>> words(0xF2).en, words(0x95).en, words(0x12).en
    ('after the desk key', 'register 5 to 9', 'never')
    """
    known = _BY_RIGHT.get(right)
    if known is not None:
        return known.label
    high, low = right >> 4, right & 0x0F
    if high == 0:
        return Text(f"主文件状态不低于 {low:X}", f"master file's register at least {low:X}")
    if high < low:
        return Text("禁止", "never")
    return Text(f"状态 {low:X} 至 {high:X}", f"register {low:X} to {high:X}")


def meets(right: int, register: int, master_register: int = 0) -> bool:
    """Say whether security registers satisfy a right.

    Args:
        right: The byte of a file.
        register: Register of the current directory, 0 to F.
        master_register: Register of the master file, 0 to F.

    >>> meets(AFTER_DESK_KEY, DESK_STATE), meets(AFTER_CONTROL_KEY, DESK_STATE)
    (True, False)
    """
    high, low = right >> 4, right & 0x0F
    return master_register >= low if high == 0 else low <= register <= high
