# SPDX-License-Identifier: Apache-2.0
"""A working key does what its usage allows, gives the purse's values, and shows no byte."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keys import purse
from keys.errors import WrongPurpose
from keys.usage import CARD_KEYS, PURCHASE_USAGE, KeyUsage
from keys.working import TRANSPORT_KEY, SessionKey, WorkingKey

KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
NO, DATE, TIME = (bytes.fromhex(text) for text in ("001122334455", "20261121", "090000"))


def _key(usage: KeyUsage) -> WorkingKey:
    return WorkingKey(usage, 1, KEY)


def test_purchase_key_makes_mac1_and_mac2() -> None:
    """The worked composite purchase comes out through the handle."""
    session = _key(KeyUsage.PURCHASE_PSAM).session(bytes.fromhex("584633C9"), 0, 0)

    assert session.mac1(0, 9, NO, DATE, TIME).hex().upper() == "8E8147AA"
    assert session.mac2(0).hex().upper() == "A0564210"


def test_tac_key_makes_the_tac() -> None:
    """The worked composite TAC comes out through the handle."""
    assert _key(KeyUsage.TAC).tac4(NO, 0, DATE, TIME).hex().upper() == "B79C7329"


def test_presence_key_makes_cg2() -> None:
    """CG2 is 3DES of h8."""
    assert _key(KeyUsage.PRESENCE).cg2(bytes(8)) == purse.cg2(KEY, bytes(8))


def test_wrapping_gives_the_psam_key_load() -> None:
    """A key record of 20 bytes is padded and encrypted as in the published PSAM load."""
    control = _key(KeyUsage.PSAM_CONTROL)
    wrapped = control.wrap_for_card(bytes.fromhex("220000"), _key(KeyUsage.PURCHASE_PSAM))

    assert wrapped.hex().upper() == "DCC0BB5793ABFCA2CA8C1624822F6E01A86A0B5CBED191DD"
    assert (
        control.mac4(bytes.fromhex("5D72B3FD00000000"), bytes.fromhex("84D400001C") + wrapped)
        .hex()
        .upper()
        == "8A9D4ADB"
    )


def test_wrapping_does_not_pad_whole_blocks() -> None:
    """A record that fills its blocks gets no block of padding."""
    wrapped = _key(KeyUsage.CONTROL).wrap_for_card(bytes(7), _key(KeyUsage.TAC))

    assert len(wrapped) == 24


OPERATIONS: dict[str, Callable[[WorkingKey], object]] = {
    "encrypt": lambda key: key.encrypt(bytes(8)),
    "mac4": lambda key: key.mac4(bytes(8), b""),
    "wrap_for_card": lambda key: key.wrap_for_card(b"", key),
    "session": lambda key: key.session(bytes(4), 0, 0),
    "tac4": lambda key: key.tac4(NO, 0, DATE, TIME),
    "cg2": lambda key: key.cg2(bytes(8)),
    "cryptogram": lambda key: key.cryptogram(bytes(4)),
    "encipher": lambda key: key.encipher(b"1"),
    "decipher": lambda key: key.decipher(_key(KeyUsage.CONTROL).encipher(b"1")),
    "online_session": lambda key: key.online_session(bytes(4), 0),
    "tac_over": lambda key: key.tac_over(b""),
    "reload_mac4": lambda key: key.reload_mac4(b"1"),
}
_CONTROL = {"encrypt", "encipher", "cryptogram", "mac4", "wrap_for_card"}
ALLOWED = {
    KeyUsage.CONTROL: _CONTROL,
    KeyUsage.CARD_CONTROL: _CONTROL,
    KeyUsage.PSAM_CONTROL: _CONTROL,
    KeyUsage.DESK_READ: {"encrypt", "encipher", "cryptogram"},
    KeyUsage.MAINTENANCE: {"mac4", "encipher", "decipher"},
    KeyUsage.PURCHASE_PSAM: {"session"},
    KeyUsage.PURCHASE_SOFT: {"session"},
    KeyUsage.TAC: {"tac4", "tac_over"},
    KeyUsage.PRESENCE: {"cg2"},
    KeyUsage.PERSONAL_DATA: set(),
    KeyUsage.KEY_BLOCK: set(),
    KeyUsage.SERVER_IDENTITY: set(),
    KeyUsage.PIN_UNBLOCK: {"encrypt", "encipher", "mac4"},
    KeyUsage.PIN_RELOAD: {"reload_mac4"},
    KeyUsage.LOAD: {"online_session"},
    KeyUsage.UNLOAD: {"online_session"},
    KeyUsage.OVERDRAFT: {"online_session"},
}


@pytest.mark.parametrize("usage", KeyUsage)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_key_serves_one_purpose(usage: KeyUsage, operation: str) -> None:
    """Each usage may do what the table says; all else raises WrongPurpose with both names."""
    key = _key(usage)
    if operation in ALLOWED[usage]:
        assert OPERATIONS[operation](key)
        return

    with pytest.raises(WrongPurpose, match=f"{usage.value} key may not {operation}"):
        OPERATIONS[operation](key)


def test_repr_shows_usage_version_and_kcv_only() -> None:
    """Neither handle prints key bytes."""
    key = _key(KeyUsage.TAC)

    assert repr(key) == f"KeyHandle(tac, version=1, 3des, kcv={key.kcv})"
    assert KEY.hex() not in repr(key).lower()
    assert repr(SessionKey(KEY[:8])) == "SessionKey()"


def test_transport_key_is_the_public_one() -> None:
    """The transport key is 16 bytes FF, recognised by its check value."""
    assert TRANSPORT_KEY.kcv == "CAAAAF"


def test_card_keys_have_places_of_their_own() -> None:
    """No two keys of the application share type and id; the MF's control key lives elsewhere."""
    slots = [
        (slot.key_type, slot.key_id)
        for usage, slot in CARD_KEYS.items()
        if usage is not KeyUsage.CARD_CONTROL
    ]

    assert len(slots) == len(set(slots))
    assert {index & 0x7F for index in PURCHASE_USAGE} == {
        CARD_KEYS[usage].key_id for usage in PURCHASE_USAGE.values()
    }
