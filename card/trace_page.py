# SPDX-License-Identifier: Apache-2.0
"""A trace as one HTML page: nothing is loaded from anywhere, one may mail it or open it on a phone.

The page carries its style and a filter of a few lines of script; its policy forbids everything
else. Whatever came from a card or a reader is escaped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from html import escape
from pathlib import Path

from card.decode import Described, Line, describe_tape
from card.trace import Exchange, Spans, Tape
from keys.files import write_private

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 0 .8rem; }
header { position: sticky; top: 0; background: Canvas; padding: .6rem 0; }
h1 { font-size: 1.1rem; margin: 0; }
input { font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; }
label.only { display: inline-block; padding: .4rem 0; }
label.only input { width: auto; }
.note { color: GrayText; margin: .2rem 0; }
details { border-left: .3rem solid #3a8f5a; margin: .4rem 0; padding: .2rem .6rem; }
details.bad { border-color: #c0392b; }
summary { cursor: pointer; overflow-wrap: anywhere; }
code { font: .85rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
mark { background: #999; color: #999; }
dl { display: grid; grid-template-columns: minmax(8rem, 14rem) 1fr; gap: .1rem .8rem; margin: .4rem 0; }
dt { color: GrayText; } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr; } }
@media print { header { position: static; } details { break-inside: avoid; } }
"""  # noqa: E501 - lines of a style sheet

_SCRIPT = """
const words = document.getElementById('words'), bad = document.getElementById('bad');
function sift() {
  const wanted = words.value.toLowerCase();
  let shown = 0;
  for (const item of document.querySelectorAll('details')) {
    const fits = item.textContent.toLowerCase().includes(wanted)
      && (!bad.checked || item.classList.contains('bad'));
    item.hidden = !fits;
    shown += fits;
  }
  document.getElementById('shown').textContent = shown;
}
words.addEventListener('input', sift);
bad.addEventListener('change', sift);
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def save(tape: Tape, path: Path) -> None:
    """Write a tape as a page to a file that only its owner may read."""
    write_private(path, page(tape).encode("utf-8"), replace=True)


def page(tape: Tape) -> str:
    """Return a tape as a whole HTML page.

    >>> "<script src" in page(Tape(()))
    False
    """
    began = dt.datetime.fromtimestamp(tape.started_us / 1e6, dt.UTC)
    secrets = (
        "含密钥、口令与个人信息，勿外传 / keys, PINs and personal data are in here: do not pass on"
        if tape.revealed
        else "密钥、口令与个人信息已遮盖 / keys, PINs and personal data are masked"
    )
    items = "".join(
        _item(number, item, found) for number, (item, found) in enumerate(describe_tape(tape), 1)
    )
    return (
        '<!doctype html>\n<html lang="zh-Hans"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>卡片通信记录 Card trace</title><style>{_STYLE}</style></head><body>\n"
        "<header><h1>卡片通信记录 · Card trace</h1>"
        '<input id="words" type="search" aria-label="筛选 filter" '
        'placeholder="筛选 filter: READ, 9000, 余额 …">'
        '<label class="only"><input id="bad" type="checkbox"> '
        "只看失败 only what failed</label></header>\n"
        f'<p class="note">{escape(tape.reader) or "-"} · ATR {tape.atr.hex().upper() or "-"} · '
        f"{began:%Y-%m-%d %H:%M:%S} UTC · "
        f'<span id="shown">{len(tape.exchanges)}</span> / {len(tape.exchanges)}<br>{secrets}</p>\n'
        f"<main>{items}</main>\n<script>{_SCRIPT}</script></body></html>\n"
    )


def _item(number: int, item: Exchange, found: Described) -> str:
    kind = "" if found.fine else ' class="bad"'
    label = f"{found.label.zh} / {found.label.en}"
    head = f"{number} · {item.t_us / 1000:.1f} ms · {escape(found.name)} {escape(label)}"
    if found.file is not None:
        head += f" · <b>{found.file.fid:04X}</b> {escape(' '.join(found.file.label))}"
    return (
        f"<details{kind}><summary>{head}<br>{escape(found.verdict())}</summary>\n"
        f"<p><code>&gt; {_bytes(item.command, item.hidden_command)}</code><br>"
        f"<code>&lt; {_bytes(item.answer, item.hidden_answer)} {item.sw:04X}</code></p>\n"
        f"<dl>{''.join(_lines(found))}</dl></details>\n"
    )


def _lines(found: Described) -> Iterator[str]:
    rows: list[Line] = [*found.sent, *found.received]
    for line in rows:
        label = f"{line.label.zh} {line.label.en}"
        yield f"<dt>{escape(label)}</dt><dd>{escape(line.value)}</dd>"
    if found.status is not None and found.status.advice.en:
        advice = found.status.advice
        yield f"<dt>建议 advice</dt><dd>{escape(advice.zh)} / {escape(advice.en)}</dd>"
    if found.source:
        yield f"<dt>依据 source</dt><dd>{escape(found.source)}</dd>"


def _bytes(data: bytes, hidden: Spans) -> str:
    """Return bytes as hex, hidden runs as a bar."""
    out: list[str] = []
    at = 0
    for start, size in hidden:
        out += [data[at:start].hex().upper(), f"<mark>{'•' * min(size, 16)}</mark>"]
        at = start + size
    return "".join([*out, data[at:].hex().upper()])
