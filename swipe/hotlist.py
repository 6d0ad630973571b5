# SPDX-License-Identifier: Apache-2.0
"""The hotlist: which cards are reported lost or revoked, exact, signed, and sent as changes.

The server numbers its cards densely, so the listed ones are a bitmap over those numbers, written
as the lengths of its runs. A serial of another prefix, or with digits that are none, is listed
whole. The server signs a statement: version, times, count, and the SHA-256 of the set. What
follows the statement is the way there: everything (from the empty set), or the cards whose bit
differs from an older version. Both end at the same digest, so a delta needs no signature of its
own, and whoever holds the result can hand it on.
"""

from __future__ import annotations

import hashlib
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from keys.identity import Identity
from keys.verify import SIGNATURE_SIZE, same, verify
from swipe.errors import BadSignature, FieldError, TooMany, WrongLength, WrongMagic

HOTLIST_MAGIC = b"YIKAHOT2"
HOTLIST_CONTEXT = b"yika/hotlist/2\0"
ASN_SIZE = 10
# "YI": the first two bytes of every serial this scheme gave out; 16 decimal digits follow.
OWN_PREFIX = b"YI"
NUMBER_MAX = 10**16 - 1
# One card in ten reported lost in a region of two million, each a run of its own.
MAX_RUNS = 200_000
# Cards of other schemes reported here: a handful; this is a list by mistake.
MAX_FOREIGN = 10_000
LENGTH_BYTES_MAX = 8  # 56 bits hold every number
MAX_RUN_BYTES = 2 * MAX_RUNS * LENGTH_BYTES_MAX

# magic, version, key id, built and expires (ms since 1970 UTC), cards, SHA-256 of the set
STATEMENT = struct.Struct(">8sIIQQQ32s")
# the version it is a change of (0: of the empty set), bytes of runs, number of foreign serials
WAY = struct.Struct(">III")
HOTLIST_SIZE_MAX = (
    STATEMENT.size + SIGNATURE_SIZE + WAY.size + MAX_RUN_BYTES + MAX_FOREIGN * ASN_SIZE
)


@dataclass(frozen=True, slots=True)
class CardSet:
    """A set of serials: own ones by the edges of the runs of their numbers, foreign ones whole.

    `edges` rise; the first of each pair is listed, the second no more.
    """

    edges: array[int] = field(default_factory=lambda: array("Q"))
    foreign: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, serials: Iterable[bytes]) -> CardSet:
        """Return the set of some serials of 10 bytes."""
        own, foreign = set(), set()
        for serial in serials:
            number = own_number(serial)
            if number is None:
                foreign.add(serial)
            else:
                own.add(number)
        numbers = np.array(sorted(own), dtype=np.uint64)
        edges = np.setxor1d(numbers, numbers + np.uint64(1))
        return cls(array("Q", edges.tobytes()), tuple(sorted(foreign)))

    def __contains__(self, serial: bytes) -> bool:
        """Say whether a serial of 10 bytes is in the set."""
        number = own_number(serial)
        if number is None:
            return serial in self.foreign
        return bool(bisect_right(self.edges, number) % 2)

    def __len__(self) -> int:
        """Return how many serials there are."""
        return sum(self.edges[1::2]) - sum(self.edges[::2]) + len(self.foreign)

    def __xor__(self, other: CardSet) -> CardSet:
        """Return the serials that are in one of the two sets only."""
        edges = np.setxor1d(
            np.frombuffer(self.edges, dtype=np.uint64), np.frombuffer(other.edges, dtype=np.uint64)
        )
        foreign = sorted(set(self.foreign) ^ set(other.foreign))
        return CardSet(array("Q", edges.tobytes()), tuple(foreign))

    def to_bytes(self) -> bytes:
        """Give the lengths of the runs and the foreign serials, as they follow `WAY`."""
        if len(self.edges) > 2 * MAX_RUNS:
            raise TooMany("runs in a hotlist", MAX_RUNS, len(self.edges) // 2)
        if len(self.foreign) > MAX_FOREIGN:
            raise TooMany("foreign serials in a hotlist", MAX_FOREIGN, len(self.foreign))
        return _lengths(self.edges) + b"".join(self.foreign)

    def digest(self) -> bytes:
        """Return SHA-256 over the number of foreign serials (4) and `to_bytes`."""
        return hashlib.sha256(len(self.foreign).to_bytes(4) + self.to_bytes()).digest()


def own_number(serial: bytes) -> int | None:
    """Return the number in a serial of this scheme, None for any other.

    >>> own_number(bytes.fromhex("59490000000000000017"))
    17
    >>> own_number(bytes.fromhex("5949000000000000001f")) is None
    True
    """
    if len(serial) != ASN_SIZE:
        raise FieldError("serial", f"has {ASN_SIZE} bytes")
    digits = serial.hex()[2 * len(OWN_PREFIX) :]
    return int(digits) if serial.startswith(OWN_PREFIX) and digits.isdecimal() else None


@dataclass(frozen=True, slots=True)
class HotlistBitmap:
    """A version of the hotlist; `signature` is the server's over the statement about it.

    Times are milliseconds since 1970 UTC; `expires_ms` 0 means never.
    """

    version: int
    built_ms: int
    cards: CardSet = field(default_factory=CardSet)
    expires_ms: int = 0
    key_id: int = 0
    signature: bytes = b""

    def __contains__(self, serial: bytes) -> bool:
        """Say whether a card is listed, by its serial of 10 bytes."""
        return serial in self.cards

    def signed(self, identity: Identity) -> HotlistBitmap:
        """Return the same hotlist with a signature."""
        return replace(self, signature=identity.sign(HOTLIST_CONTEXT, self._statement()))

    def to_bytes(self) -> bytes:
        """Give the notice that needs nothing before it."""
        return self._notice(0, self.cards)

    def since(self, held: HotlistBitmap) -> bytes:
        """Give the notice for a terminal that holds an older version: what differs from it."""
        return self._notice(held.version, self.cards ^ held.cards)

    @classmethod
    def from_bytes(
        cls, data: bytes, server_public_key: bytes, held: HotlistBitmap | None = None
    ) -> HotlistBitmap:
        """Read and check a notice; one that is a change is applied to the hotlist `held`.

        Whether the version is older than what is held is the caller's to judge.

        Raises:
            BadSignature, WrongMagic, WrongLength, TooMany: Of the statement or of its length.
            FieldError: A change of another version, a length that is none, or another result
                than the server signed.
        """
        if data[:8] != HOTLIST_MAGIC:
            raise WrongMagic("hotlist", data[:8])
        head = STATEMENT.size + SIGNATURE_SIZE
        if len(data) < head + WAY.size:
            raise WrongLength("hotlist", head + WAY.size, len(data))
        statement, signature = data[: STATEMENT.size], data[STATEMENT.size : head]
        if not verify(server_public_key, signature, HOTLIST_CONTEXT, statement):
            raise BadSignature("hotlist")
        _, version, key_id, built_ms, expires_ms, count, digest = STATEMENT.unpack(statement)
        base, cards = _way(data[head:])
        if base:
            if held is None or held.version != base:
                raise FieldError("base", f"a change of version {base}, which is not held")
            cards ^= held.cards
        if len(cards) != count or not same(cards.digest(), digest):
            raise FieldError("digest", "the list is not the one that was signed")
        return cls(version, built_ms, cards, expires_ms, key_id, signature)

    def _statement(self) -> bytes:
        return STATEMENT.pack(
            HOTLIST_MAGIC, self.version, self.key_id, self.built_ms, self.expires_ms,
            len(self.cards), self.cards.digest(),
        )  # fmt: skip

    def _notice(self, base: int, way: CardSet) -> bytes:
        if len(self.signature) != SIGNATURE_SIZE:
            raise FieldError("signature", "not signed yet")
        body = way.to_bytes()
        runs = len(body) - ASN_SIZE * len(way.foreign)
        head = WAY.pack(base, runs, len(way.foreign))
        return self._statement() + self.signature + head + body


def _way(data: bytes) -> tuple[int, CardSet]:
    """Read what follows the signature: the base, and the cards to be changed."""
    base, run_bytes, foreign_count = WAY.unpack_from(data)
    if run_bytes > MAX_RUN_BYTES:
        raise TooMany("bytes of runs", MAX_RUN_BYTES, run_bytes)
    if foreign_count > MAX_FOREIGN:
        raise TooMany("foreign serials in a hotlist", MAX_FOREIGN, foreign_count)
    end = WAY.size + run_bytes
    if len(data) != end + foreign_count * ASN_SIZE:
        raise WrongLength("hotlist", end + foreign_count * ASN_SIZE, len(data))
    foreign = tuple(data[at : at + ASN_SIZE] for at in range(end, len(data), ASN_SIZE))
    if any(a >= b for a, b in pairwise(foreign)):
        raise FieldError("foreign", "not sorted, or one stands twice")
    if any(own_number(serial) is not None for serial in foreign):
        raise FieldError("foreign", "a serial of this scheme")
    return base, CardSet(_edges(data[WAY.size : end]), foreign)


def _lengths(edges: array[int]) -> bytes:
    """Write the distance of each edge from the one before, 7 bits a byte, low ones first."""
    out = bytearray()
    before = 0
    for edge in edges:
        left = edge - before
        before = edge
        while left > 0x7F:
            out.append(left & 0x7F | 0x80)
            left >>= 7
        out.append(left)
    return bytes(out)


def _edges(data: bytes) -> array[int]:
    """Read what `_lengths` wrote; only the shortest form of each length counts."""
    edges = array("Q")
    at = length = shift = 0
    for byte in data:
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            if shift >= 7 * LENGTH_BYTES_MAX:
                raise FieldError("runs", "a length has too many bytes")
            continue
        if (byte == 0 and shift > 7) or (length == 0 and edges):
            raise FieldError("runs", "a length of nothing")
        at += length
        if at > NUMBER_MAX + 1:
            raise FieldError("runs", "beyond the last number")
        edges.append(at)
        length = shift = 0
    if shift or len(edges) % 2:
        raise FieldError("runs", "cut in the middle")
    if len(edges) > 2 * MAX_RUNS:
        raise TooMany("runs in a hotlist", MAX_RUNS, len(edges) // 2)
    return edges
