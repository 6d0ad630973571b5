# SPDX-License-Identifier: Apache-2.0
"""Test cards by name: each a state that a terminal or a desk must know what to do with.

>>> card("minor").powered
True
>>> sorted(NAMES)[:3]
['blocked', 'blocked-for-good', 'counter-near-end']
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from card.card_keys import CardKeys
from card.errors import CardRemoved
from card.operation import run
from card.personalise import personalise
from card.profile import REDUCED, STANDARD, CardData
from hardware_mocks.cardos import messaging, security, state
from hardware_mocks.cardos.algorithms import DES, SM4, Algorithm
from hardware_mocks.cardos.cos import VirtualCard
from hardware_mocks.cardos.tear import Moment, Tear
from hardware_mocks.cards import fleet, wallet
from hardware_mocks.cards.connection import connect
from hardware_mocks.cards.keyring import SM4_VERSION, TDES_VERSION, keyring
from keys.store import FileKeyStore

# Serials of named cards are those of a fleet nobody makes so large.
_FIRST_NUMBER = 900_000
_APPLICATION = STANDARD.application.fid
_PURSE_FID = 0x0002
_HALF_WAY_WRITES = 12
_BIRTH = dt.date(2014, 5, 4)
_FILLER_BYTES = 32_000


@dataclass(frozen=True, slots=True)
class Named:
    """One entry of the deck.

    Attributes:
        zh: What the card is, in Chinese.
        en: The same in English.
        make: Builds its image with a store's keys.
        kind: "volunteer", "purse", "blank" or "foreign": what a reader may expect on it.
    """

    zh: str
    en: str
    make: Callable[[FileKeyStore], bytes]
    kind: str = "volunteer"


def data_of(name: str) -> CardData:
    """Return the data that a named volunteer card was (or is to be) issued with.

    Raises:
        KeyError: there is no card of this name.
    """
    version = SM4_VERSION if name == "sm4" else TDES_VERSION
    data = fleet.member(_FIRST_NUMBER + list(NAMES).index(name), version)
    special: dict[str, dict[str, Any]] = {
        "minor": {
            "birth_date": _BIRTH,
            "minor_rules": True,
            "guardian_mobile": "13800138000",
            "guardian_number": "1000000004",
        },
        "expired": {"valid_from": dt.date(2020, 1, 1), "valid_to": dt.date(2025, 12, 31)},
        "not-yet-valid": {"valid_from": dt.date(2030, 1, 1), "valid_to": dt.date(2034, 12, 31)},
    }
    return replace(data, **special.get(name, {}))


def card(
    name: str, store: FileKeyStore | None = None, *, contactless: bool = False
) -> VirtualCard:
    """Return a named card in RAM, a new one at each call.

    Args:
        name: One of `NAMES`.
        store: Whose keys it carries; the test keyring by default. "sm4" needs a version 2 of
            SM4 keys.
        contactless: With an antenna instead of contacts.

    Raises:
        KeyError: there is no card of this name.
    """
    return VirtualCard.of(written(name, store or keyring()), contactless=contactless)


def save(name: str, path: Path, store: FileKeyStore | None = None) -> None:
    """Write a named card's image where a card host finds it."""
    path.write_bytes(written(name, store or keyring()))


@cache
def written(name: str, store: FileKeyStore) -> bytes:
    """Return the image of a named card, made once for each store."""
    return NAMES[name].make(store)


def _issued(name: str) -> Callable[[FileKeyStore], bytes]:
    return lambda store: fleet.issue(data_of(name), store)


def _changed(
    name: str, change: Callable[[state.CardImage], object]
) -> Callable[[FileKeyStore], bytes]:
    """Make a card that was issued and then went through something."""

    def make(store: FileKeyStore) -> bytes:
        image = state.load(fleet.issue(data_of(name), store))
        change(image)
        return state.dump(image)

    return make


def _application(image: state.CardImage) -> state.Df:
    assert image.mf is not None
    return image.mf.children[_APPLICATION]


def _count_to(counter: int) -> Callable[[state.CardImage], None]:
    def change(image: state.CardImage) -> None:
        purse = _application(image).files[_PURSE_FID].purse
        assert purse is not None
        purse.offline = counter

    return change


def _block(how: int) -> Callable[[state.CardImage], None]:
    def change(image: state.CardImage) -> None:
        _application(image).block = how

    return change


def _tries_left(left: int) -> Callable[[state.CardImage], None]:
    """Leave so many tries to the application's control key."""

    def change(image: state.CardImage) -> None:
        key = _application(image).key(*messaging.CONTROL)
        assert key is not None
        key.fourth = key.fourth & 0xF0 | left

    return change


def _end_card(image: state.CardImage) -> None:
    image.blocked = True


def _fresh(_store: FileKeyStore) -> bytes:
    return state.dump(VirtualCard(uid=b"NEW\x01").memory.image)


def _half_issued(store: FileKeyStore) -> bytes:
    """Pull a card off in the middle of its issuing."""
    chip = VirtualCard(uid=b"NEW\x02")
    chip.tear(Tear(write=_HALF_WAY_WRITES, moment=Moment.HALF_WRITTEN))
    data = data_of("half-issued")
    keys = CardKeys.from_store(store, data.asn, data.key_version)
    try:
        run(personalise(data, keys), connect(chip))
    except CardRemoved:
        chip.power_on()
    return state.dump(chip.memory.image)


def _wallet(algorithm: Algorithm, tries: int | None = None) -> Callable[[FileKeyStore], bytes]:
    def make(_store: FileKeyStore) -> bytes:
        chip = VirtualCard(uid=b"EP\x00\x01")
        wallet.issue(chip, algorithm)
        mf = chip.memory.image.mf
        pin = mf.children[wallet.FID].key(security.PIN, 0x00) if mf else None
        assert pin is not None
        if tries is not None:
            pin.fourth = pin.fourth & 0xF0 | tries
        return state.dump(chip.memory.image)

    return make


def _foreign(_store: FileKeyStore) -> bytes:
    """Make a transit card: its own name, a file 15, nothing of ours."""
    chip = VirtualCard(uid=b"SZT\x01")
    for apdu in (
        "80E03F000D38FFFFF0F001FFFFFFFFFFFFFF",
        "80E010010F380FFFF0F095FFFF5041592E535A54",
        "00A40000021001",
        "80E000150728001EF0F0FFFF",
        "00D695001E" + "FD21000051800000A344C21320170314202703140101000000000000000000"[:60],
    ):
        answer = chip.transmit(bytes.fromhex(apdu))
        assert answer[-2] in (0x90, 0x61), apdu
    return state.dump(chip.memory.image)


def _full(_store: FileKeyStore) -> bytes:
    """Make a blank whose memory another application has taken."""
    chip = VirtualCard(uid=b"FULL")
    size = f"{_FILLER_BYTES:04X}"
    for apdu in (
        "80E03F000D38FFFFF0F001FFFFFFFFFFFFFF",
        f"80E04F0110 38{size}F0F0FFFFFF" + b"FULLCARD".hex(),
    ):
        assert chip.transmit(bytes.fromhex(apdu)) == bytes.fromhex("9000"), apdu
    return state.dump(chip.memory.image)


NAMES: dict[str, Named] = {
    "fresh": Named("空白卡", "blank, as delivered", _fresh, "blank"),
    "half-issued": Named("发卡中断", "pulled off while it was issued", _half_issued, "blank"),
    "issued": Named("已发卡", "issued, never tapped", _issued("issued")),
    "minor": Named("未成年人", "a minor's, with guardian", _issued("minor")),
    "expired": Named("已过期", "past its last day", _issued("expired")),
    "not-yet-valid": Named("未生效", "before its first day", _issued("not-yet-valid")),
    "blocked": Named("应用临时锁定", "application blocked", _changed("blocked", _block(1))),
    "blocked-for-good": Named(
        "应用永久锁定", "application blocked for good", _changed("blocked-for-good", _block(2))
    ),
    "dead": Named("卡片锁定", "card blocked", _changed("dead", _end_card)),
    "counter-worn": Named(
        "计数器将满，应换卡", "due for replacement", _changed("counter-worn", _count_to(60_000))
    ),
    "counter-near-end": Named(
        "计数器只剩一次", "one tap left", _changed("counter-near-end", _count_to(0xFFFE))
    ),
    "counter-used-up": Named(
        "计数器已用尽", "no tap left", _changed("counter-used-up", _count_to(0xFFFF))
    ),
    "key-nearly-blocked": Named(
        "主控密钥只剩一次",
        "one try of the control key",
        _changed("key-nearly-blocked", _tries_left(1)),
    ),
    "key-blocked": Named(
        "主控密钥已锁", "control key locked", _changed("key-blocked", _tries_left(0))
    ),
    "sm4": Named("国密卡", "issued with SM4 keys", _issued("sm4")),
    "reduced": Named(
        "8 KB 芯片", "on an 8 KB chip", lambda s: fleet.issue(data_of("reduced"), s, REDUCED)
    ),
    "wallet": Named("通用钱包", "a general purse", _wallet(DES), "purse"),
    "wallet-sm4": Named("国密钱包", "a general purse with SM4 keys", _wallet(SM4), "purse"),
    "pin-blocked": Named("口令已锁", "a purse whose PIN is blocked", _wallet(DES, 0), "purse"),
    "foreign": Named("外来卡", "somebody else's transit card", _foreign, "foreign"),
    "full": Named("存储已满", "a blank without room", _full, "blank"),
}
