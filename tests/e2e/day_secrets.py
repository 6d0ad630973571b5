# SPDX-License-Identifier: Apache-2.0
"""Every secret that a demonstration day used, and the files in which it may be."""

from __future__ import annotations

import base64
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from keys.custody import KeyStore, open_store
from keys.surroundings import Surroundings
from keys.usage import PURCHASE_USAGE, SCHEME_USAGES, UNDERIVED, KeyUsage
from swipe.event import Event
from tests.e2e.leaks import Secret

_PUBLIC = "ff" * 16  # the transport key of blank cards
_PURSE_CARD = 1
_PEM_BODY = re.compile(r"-----BEGIN PRIVATE KEY-----\s+(.+?)\s+-----END", re.DOTALL)
# The lines between the address of the pages and the card on the desk: role, name, word.
_INVITATION = re.compile(r"pages: http\S+\n(.*?)看卡", re.DOTALL)
_SIGN_IN = re.compile(r"^  \S+ +\S+ +(\S+)", re.MULTILINE)


def day_secrets(folder: Path, said: Path, passphrase: str) -> list[Secret]:
    """Gather masters, card keys, working keys, private keys, passphrases and sign-in words."""
    around = Surroundings("test", folder.parent / "test.audit")
    store = open_store(str(folder / "keys.yks"), passphrase, around)
    return [
        Secret("passphrase", passphrase.encode()),
        *_masters(store, folder),
        *_on_chips(folder),
        *_derived(store, folder),
        *_private_keys(folder),
        *_sign_ins(said),
    ]


def _masters(store: KeyStore, folder: Path) -> Iterator[Secret]:
    """Give every master key of the store, by the back door of its own class."""
    psams = frozenset((folder / "cards").glob("psam-*.card"))
    for usage in SCHEME_USAGES:
        info = store.info(usage, 1)
        home = psams if usage is KeyUsage.PURCHASE_PSAM else frozenset()
        yield Secret(f"master {info.name}", store._key(info), home)


def _on_chips(folder: Path) -> Iterator[Secret]:
    """Give the keys of all cards and PSAMs as their images hold them."""
    images = sorted((folder / "cards").glob("*.card"))
    for image in images:
        values = re.findall(r'"(?:value|control)":"([0-9a-f]{32,})"', image.read_text("utf-8"))
        for number, value in enumerate(set(values) - {_PUBLIC}):
            yield Secret(f"key {number} of {image.name}", bytes.fromhex(value), frozenset(images))


def _derived(store: KeyStore, folder: Path) -> Iterator[Secret]:
    """Derive what was in memory while proofs were made: card keys, TAC keys, session keys."""
    images = frozenset((folder / "cards").glob("*.card"))
    events = list(_taps(folder))
    for asn in {event.card_asn for event in events}:
        for usage in set(SCHEME_USAGES) - UNDERIVED - {KeyUsage.PSAM_CONTROL}:
            key = store.card_key(usage, 1, asn[2:])
            yield Secret(f"{usage.value} of {asn.hex()}", key._key, images)
            if usage is KeyUsage.TAC:
                folded = bytes(a ^ b for a, b in zip(key._key[:8], key._key[8:], strict=True))
                yield Secret(f"folded TAC key of {asn.hex()}", folded)
    for event in events:
        purchase = store.card_key(PURCHASE_USAGE[event.dpk_idx], 1, event.card_asn[2:])
        session = purchase.session(event.card_rand, event.card_ctr, event.psam_seq)
        yield Secret(f"session key of tap {event.seq}", session._key)


def _taps(folder: Path) -> Iterator[Event]:
    database = sqlite3.connect(folder / "server" / "yika.db")
    try:
        for (raw,) in database.execute("SELECT raw FROM event"):
            event = Event.from_bytes(raw)
            if event.card_kind == _PURSE_CARD and event.dpk_idx in PURCHASE_USAGE:
                yield event
    finally:
        database.close()


def _private_keys(folder: Path) -> Iterator[Secret]:
    for path in folder.rglob("*.pem"):
        found = _PEM_BODY.search(path.read_text("utf-8"))
        assert found is not None, path
        # PKCS #8 of Ed25519 ends with the 32 bytes of the private key (RFC 8410).
        yield Secret(f"private key {path}", base64.b64decode(found[1])[-32:], frozenset({path}))
    web = folder / "server" / "web-secret"
    text = web.read_text("utf-8").strip()
    yield Secret("web secret", text.encode(), frozenset({web}))
    yield Secret("web secret as bytes", bytes.fromhex(text), frozenset({web}))


def _sign_ins(said: Path) -> Iterator[Secret]:
    """Give the words for the pages, which the run shows to whoever started it and nowhere else."""
    invitation = _INVITATION.search(said.read_text("utf-8"))
    assert invitation is not None
    words = _SIGN_IN.findall(invitation[1])
    assert len(words) > 3
    for number, word in enumerate(words):
        yield Secret(f"sign-in {number}", word.encode(), frozenset({said}))
