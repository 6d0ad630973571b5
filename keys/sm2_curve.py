# SPDX-License-Identifier: Apache-2.0
"""The curve sm2p256v1 (GB/T 32918.5) in Jacobian coordinates: multiples of points, no secrets.

A point is ``(x, y)``; inside, ``(X, Y, Z)`` with x = X/Z², y = Y/Z³ and Z = 0 at infinity. The
multiples of a fixed point come from a comb of signed 6-bit digits (43 additions, no doubling),
those of any other point from its window of odd multiples.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

Point = tuple[int, int]
Jacobian = tuple[int, int, int]
Comb = list[list[Point]]

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G: Point = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
BITS = 256
# 43 rows of 32 points for the generator; a key that many signatures are checked with gets 65 rows
# of 8, which cost a fifth to make and half again as many additions.
G_WIDTH = 6
KEY_WIDTH = 4
_WNAF_WIDTH = 5
_INFINITY: Jacobian = (1, 1, 0)
# A point that many signatures are checked with keeps its comb: a terminal's key, about 100 kB.
_COMBS_KEPT = 64


def on_curve(point: Point) -> bool:
    """Say whether a point lies on the curve."""
    x, y = point
    return 0 <= x < P and 0 <= y < P and (y * y - x * x * x - A * x - B) % P == 0


def root(x: int) -> int | None:
    """Give one y of an x on the curve, None when there is none (P is 3 modulo 4)."""
    if not 0 <= x < P:
        return None
    y = pow(x * x * x + A * x + B, (P + 1) // 4, P)
    return y if on_curve((x, y)) else None


def double(point: Jacobian) -> Jacobian:
    """Give twice a point, with a = -3."""
    x, y, z = point
    zz, yy = z * z % P, y * y % P
    beta = 4 * x * yy % P
    alpha = 3 * (x - zz) * (x + zz) % P
    x3 = (alpha * alpha - 2 * beta) % P
    return x3, (alpha * (beta - x3) - 8 * yy * yy) % P, 2 * y * z % P


def add(left: Jacobian, right: Point) -> Jacobian:
    """Add an affine point to a Jacobian one."""
    x1, y1, z1 = left
    x2, y2 = right
    if not z1:
        return x2, y2, 1
    zz = z1 * z1 % P
    h = (x2 * zz - x1) % P
    r = (y2 * z1 * zz - y1) % P
    if not h:
        return _INFINITY if r else double(left)
    hh = h * h % P
    hhh, v = h * hh % P, x1 * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return x3, (r * (v - x3) - y1 * hhh) % P, z1 * h % P


def affine(point: Jacobian) -> Point | None:
    """Give a point's x and y, None for the point at infinity."""
    x, y, z = point
    if not z:
        return None
    inverse = pow(z, -1, P)
    square = inverse * inverse % P
    return x * square % P, y * square * inverse % P


def _all_affine(points: list[Jacobian]) -> list[Point]:
    """Give x and y of many finite points with one inversion (Montgomery's trick)."""
    products, running = [], 1
    for _, _, z in points:
        products.append(running)
        running = running * z % P
    inverse = pow(running, -1, P)
    result: list[Point] = []
    for (x, y, z), before in zip(reversed(points), reversed(products), strict=True):
        own = inverse * before % P
        inverse = inverse * z % P
        square = own * own % P
        result.append((x * square % P, y * square * own % P))
    return result[::-1]


def make_comb(point: Point, width: int) -> Comb:
    """Give, for every digit place i, the multiples 1..2^(width-1) of 2^(width·i) times a point."""
    rows, half = BITS // width + 1, 1 << (width - 1)
    table: Comb = []
    base = point
    for _ in range(rows):
        row: list[Jacobian] = [(*base, 1)]
        row.append(double(row[0]))
        while len(row) < half:
            row.append(add(row[-1], base))
        done = _all_affine([*row, double(row[-1])])
        table.append(done[:half])
        base = done[half]  # 2 · 2^(width-1) times the base of this row
    return table


@lru_cache(maxsize=1)
def _generator() -> Comb:
    return make_comb(G, G_WIDTH)


@lru_cache(maxsize=_COMBS_KEPT)
def comb_of(point: Point) -> Comb:
    """Give the comb of a point that many signatures are checked with, made once."""
    return make_comb(point, KEY_WIDTH)


def from_comb(table: Comb, width: int, k: int, start: Jacobian = _INFINITY) -> Jacobian:
    """Add k times a comb's point to ``start``; k is below 2^257, its digits at most 2^(width-1)."""
    mask, half, whole = (1 << width) - 1, 1 << (width - 1), 1 << width
    total = start
    for row in table:
        digit = k & mask
        k >>= width
        if digit > half:
            x, y = row[whole - digit - 1]
            total = add(total, (x, P - y))
            k += 1
        elif digit:
            total = add(total, row[digit - 1])
    return total


def times_g(k: int) -> Jacobian:
    """Multiply the generator."""
    return from_comb(_generator(), G_WIDTH, k)


def times(k: int, point: Point) -> Jacobian:
    """Multiply any point: one doubling a bit, one addition of an odd multiple every sixth."""
    twice = affine(double((*point, 1)))
    if twice is None:
        raise AssertionError("the curve has no point of order two")
    odd: list[Jacobian] = [(*point, 1)]
    while len(odd) < 1 << (_WNAF_WIDTH - 2):
        odd.append(add(odd[-1], twice))
    window = _all_affine(odd)
    total = _INFINITY
    for digit in reversed(list(_wnaf(k))):
        total = double(total)
        if digit > 0:
            total = add(total, window[digit >> 1])
        elif digit < 0:
            x, y = window[-digit >> 1]
            total = add(total, (x, P - y))
    return total


def _wnaf(k: int) -> Iterator[int]:
    """Write k in signed odd digits, lowest first, at least four zeros between two of them."""
    half, whole = 1 << (_WNAF_WIDTH - 1), 1 << _WNAF_WIDTH
    while k:
        digit = 0
        if k & 1:
            digit = k & (whole - 1)
            digit -= whole if digit >= half else 0
            k -= digit
        k >>= 1
        yield digit


def joint(s: int, t: int, point: Point, *, keep: bool = False) -> Jacobian:
    """Give s·G + t·point; with ``keep`` the point's comb is made and kept for the next time."""
    start = from_comb(comb_of(point), KEY_WIDTH, t) if keep else times(t, point)
    return from_comb(_generator(), G_WIDTH, s, start)
