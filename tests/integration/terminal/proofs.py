# SPDX-License-Identifier: Apache-2.0
"""Recompute a tap's proofs from the event alone, as a server does."""

from __future__ import annotations

from keys.store import FileKeyStore
from keys.usage import PURCHASE_USAGE, KeyUsage
from swipe.event import Event, core_digest


def tac_of(store: FileKeyStore, event: Event) -> bytes:
    """Return the TAC the card must have answered."""
    key = store.card_key(KeyUsage.TAC, event.key_ver, event.card_asn[2:])
    return key.tac4(event.psam_no, event.psam_seq, *event.bcd())


def mac2_of(store: FileKeyStore, event: Event, dpk_idx: int) -> bytes:
    """Return the MAC2 the card must have answered to a PSAM of this key index."""
    key = store.card_key(PURCHASE_USAGE[dpk_idx], event.key_ver, event.card_asn[2:])
    return key.session(event.card_rand, event.card_ctr, event.psam_seq).mac2(0)


def cg2_of(store: FileKeyStore, event: Event) -> bytes:
    """Return the CG2 the card must have answered."""
    key = store.card_key(KeyUsage.PRESENCE, event.key_ver, event.card_asn[2:])
    return key.cg2(core_digest(event))


def all_hold(store: FileKeyStore, event: Event) -> bool:
    """Say whether all three proofs of a tap are right."""
    found = (event.tac, event.mac2, event.cg2)
    return found == (
        tac_of(store, event),
        mac2_of(store, event, event.dpk_idx),
        cg2_of(store, event),
    )
