# SPDX-License-Identifier: Apache-2.0
"""docs/key-hierarchy.md, made from the tables: `python -m keys.hierarchy_document`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from keys.handle import PURPOSES
from keys.hierarchy import HIERARCHY, LEVELS, KeyRow
from keys.usage import SCHEME_USAGES

_HEAD = """\
# Key hierarchy · 密钥体系

Made by `python -m keys.hierarchy_document` from the tables in `keys/hierarchy.py`; a test holds it
equal. 本文由 `python -m keys.hierarchy_document` 生成，与代码一致由测试保证。

## Storeys · 层级
"""

_DERIVATION = """
One storey down: K' = 3DES(K, f) ‖ 3DES(K, ~f) for 3DES, K' = SM4(K, f ‖ ~f) for SM4, where f is
the factor of 8 bytes and ~f its complement; each storey does it once more. A region or an issuer
gets its keys as key blocks (`KeyStore.export_block` with a factor); a root never leaves its store.

## Issuer keys · 发卡方密钥
"""

_NOTES = """
Index is key type and key id on the card (hexadecimal). The first algorithm is what a key is made
for unless told otherwise. Years is the cryptoperiod: the longest time from generation to the
retirement date. Block is usage and mode of use in a key block (X9.143; numeric usages are
proprietary there). A key that leaves, leaves inside a key block or wrapped for a PSAM, never in
clear; all others stay in their store for life. Keys marked ○ are for purse applications of other
users of the SDK: the volunteer's application has none of them, so its balance is 0 for ever.

## What a key may do · 用途

A handle of a key has the operations of its purpose and no other: another one is an error of the
type checker and an error when it happens (`WrongPurpose`).
"""

_LIFE = """
## Life of a version · 版本的一生

| state | new cards | cards already issued, verification | how it is reached |
|---|---|---|---|
| active 在用 | yes | yes | generated, imported or rotated in beside the older ones |
| retiring 待停用 | no: `KeyRetired` | yes | `retire` gave it a date |
| retired 已停用 | no | no: `KeyExpired` | the date has come (midnight UTC); another date moves it |

A card says which version it carries (the composite purchase answers with it), every event repeats
it, and the server verifies all versions that serve. A card's key version names its algorithm too:
a rotation may change from 3DES to SM4.

## Identities · 身份密钥

| key | algorithm | made | lives | replaced by |
|---|---|---|---|---|
| terminal's 终端签名密钥 | Ed25519 or SM2 | there | on the terminal | one it has cross-signed |
| server's receipts 回执签名密钥 | Ed25519 | there | in its folder | a new number in receipts |

They are pairs of which the private half never moves; nothing is derived from them.
"""


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _storeys() -> Iterator[str]:
    yield _line(("storey", "holder", "its keys are"))
    yield "|---|---|---|"
    for level in LEVELS:
        name = f"{level.label_en} {level.label_zh}"
        yield _line((name, level.holder, level.comes_from))


def _key(row: KeyRow) -> str:
    mark = "" if row.usage in SCHEME_USAGES else "○ "
    return _line(
        (
            f"{mark}`{row.usage.value}`",
            f"{row.label_en} {row.label_zh}",
            row.index,
            ", ".join(algorithm.value for algorithm in row.algorithms),
            row.owner,
            str(row.years),
            row.held_below,
            f"{row.tr31_usage} {row.tr31_mode}",
            "wrapped" if row.exportable else "never",
            row.source,
        )
    )


def _keys() -> Iterator[str]:
    yield _line(
        ("usage", "key", "index", "algorithms", "owner", "years", "derived keys live in",
         "block", "leaves", "source")
    )  # fmt: skip
    yield "|" + "---|" * 10
    yield from (_key(row) for row in HIERARCHY)


def _purposes() -> Iterator[str]:
    yield _line(("usage", "its card keys may"))
    yield "|---|---|"
    for row in HIERARCHY:
        purpose = PURPOSES.get(row.usage)
        abilities = [base for base in purpose.__mro__[1:-1] if base.__doc__] if purpose else []
        words = [(base.__doc__ or "").removeprefix("May ").rstrip(".") for base in abilities]
        yield _line((f"`{row.usage.value}`", "; ".join(words) or "nothing: no key is derived"))


def document() -> str:
    """Give the text of docs/key-hierarchy.md."""
    parts = (_HEAD, *_storeys(), _DERIVATION, *_keys(), _NOTES, *_purposes(), _LIFE.rstrip("\n"))
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
