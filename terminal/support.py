# SPDX-License-Identifier: Apache-2.0
"""A bundle for whoever helps from afar: what they need, and nothing that is anybody's secret.

Every text that goes in passes `masked`: secrets, serials and numbers of cards are cut to their last
four digits, whatever file they stand in. Of the journal only counts go in, never an event.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from terminal.files import write_whole

# The end of a log explains a failure; the rest is history.
LOG_TAIL_BYTES = 262_144
FILE_MAX = 1_048_576
SHOWN = 4
_SECRET_KEY = re.compile(
    r"pass(word|phrase)?|secret|token|pin|private|credential|cookie|authorization|\bkey\b|code",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"(?i)\b(pass(?:word|phrase)?|secret|token|pin|authorization|cookie|code)"
    r"(\w*)(\s*[=:]\s*)(\"[^\"\n]*\"|'[^'\n]*'|Yika-Terminal\s+\S+|Bearer\s+\S+|\S+)"
)
_PEM = re.compile(r"-----BEGIN [^-\n]+-----.*?(-----END [^-\n]+-----|\Z)", re.DOTALL)
# Pairing codes; hex of eight bytes and more; runs of digits as long as a serial, a phone, an ID.
_PAIRING = re.compile(
    r"\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b", re.I
)
_PROVISION = re.compile(r"(?i)\byika:\S+")
_HEX = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{12,}(?![0-9a-fA-F])")
_DIGITS = re.compile(r"(?<!\d)\d{8,17}[\dXx]?(?!\d)")
_NAME = re.compile(r"[\u3400-\u9fff]{1,3}\*{1,3}")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
# Times in milliseconds and seconds are what a log is for.
_TIME = re.compile(r"1[5-9]\d{8}(\d{3})?")
MASK = "***"


def masked(text: str) -> str:
    """Return the text without secrets; what is cut keeps its last four characters at most.

    >>> masked("token=ABCD-EFGH-JKMN card 00005949000000000017 at 1795223312000")
    'token=*** card …0017 at 1795223312000'
    """
    text = _PEM.sub(MASK, text)
    text = _SECRET_TEXT.sub(lambda m: f"{m[1]}{m[2]}{m[3]}{MASK}", text)
    for pattern in (_PROVISION, _PAIRING, _EMAIL, _NAME):
        text = pattern.sub(MASK, text)
    text = _HEX.sub(lambda m: m[0] if _TIME.fullmatch(m[0]) else "…" + m[0][-SHOWN:], text)
    return _DIGITS.sub(lambda m: m[0] if _TIME.fullmatch(m[0]) else "…" + m[0][-SHOWN:], text)


def masked_config(raw: str) -> str:
    r"""Return a configuration as JSON, secrets masked; one that does not parse is masked as text.

    >>> masked_config('[server]\nurl = "https://a"\npassword = "x"')
    '{"server": {"url": "https://a", "password": "***"}}'
    """
    try:
        document = tomllib.loads(raw)
    except tomllib.TOMLDecodeError:
        return masked(raw)
    return json.dumps(_masked_tree(document), ensure_ascii=False)


def _masked_tree(value: object, name: str = "") -> object:
    if isinstance(value, dict):
        return {key: _masked_tree(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_masked_tree(inner, name) for inner in value]
    if isinstance(value, str):
        return MASK if _SECRET_KEY.search(name) and value else masked(_without_login(value))
    return value


def _without_login(url: str) -> str:
    return re.sub(r"//[^/@\s]+@", f"//{MASK}@", url)


def tail_of(path: Path) -> str:
    """Return the end of a log, masked, from the first whole line on."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - LOG_TAIL_BYTES))
        raw = file.read(LOG_TAIL_BYTES)
    text = raw.decode("utf-8", errors="replace")
    if size > LOG_TAIL_BYTES:
        text = text.partition("\n")[2]
    return masked(text)


def write_bundle(target: Path, parts: Mapping[str, str | Mapping[str, Any]]) -> list[str]:
    """Write the parts into a gzipped tar file that its owner alone may read; return their names.

    Objects become JSON; every part is masked once more on its way in.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, part in parts.items():
            text = part if isinstance(part, str) else json.dumps(part, ensure_ascii=False, indent=1)
            body = masked(text).encode()[:FILE_MAX]
            entry = tarfile.TarInfo(f"yika-support/{name}")
            entry.size, entry.mode = len(body), 0o600
            archive.addfile(entry, io.BytesIO(body))
    write_whole(target, buffer.getvalue())
    return sorted(parts)
