# SPDX-License-Identifier: Apache-2.0
"""The page of a trace: whole by itself, readable, and deaf to what a hostile card puts into it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from card import trace_page
from card.commands import read_record_by_tag, select_name
from card.files import VOLUNTEER, VOLUNTEER_AID
from card.trace import Exchange, Tape, Trace


class _Reader(HTMLParser):
    """Collects tags with their attributes and the text outside style and script."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._mute = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._mute = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._mute = False

    def handle_data(self, data: str) -> None:
        if not self._mute:
            self.text.append(data)


def _tape(reader: str = "pcsc:X") -> Tape:
    trace = Trace(reader)
    trace.atr = bytes.fromhex("3B68")
    spec = VOLUNTEER.file(0x0019)
    assert spec.layout is not None
    trace.add(select_name(VOLUNTEER_AID).to_bytes(), b"", 0x9000)
    content = bytes.fromhex(spec.layout.vectors[1][0])
    trace.add(read_record_by_tag(spec.sfi, 0xAA).to_bytes(), content, 0x9000)
    trace.add(bytes.fromhex("0020000003123456"), b"", 0x63C2)
    return trace.tape()


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    return reader


def test_the_page_says_everything_in_two_languages() -> None:
    """Commands, fields, status and advice stand there; the PIN does not."""
    page = trace_page.page(_tape())
    text = " ".join(_read(page).text)

    assert "0019  复合应用记录 composite record" in text
    assert "activity" in text
    assert "63C2 认证失败，尚可重试数次 / authentication failed; some attempts are left" in text
    assert "take the card to the service desk" in text
    assert "123456" not in page


def test_the_page_loads_nothing() -> None:
    """No attribute points anywhere, and the policy forbids everything but its own two blocks."""
    tags = _read(trace_page.page(_tape())).tags
    policy = next(a["content"] for t, a in tags if a.get("http-equiv"))

    assert not [a for _, a in tags if {"src", "href", "action", "srcset", "data"} & set(a)]
    assert not [t for t, _ in tags if t in ("link", "img", "iframe", "object", "base", "form")]
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_the_page_is_made_for_phones_and_for_reading_aloud() -> None:
    """It has a viewport, a language, a labelled filter and collapsible exchanges."""
    tags = _read(trace_page.page(_tape())).tags

    assert ("html", {"lang": "zh-Hans"}) in tags
    assert any(a.get("name") == "viewport" for _, a in tags)
    assert any(t == "input" and a.get("aria-label") for t, a in tags)
    assert [t for t, _ in tags].count("details") == 3
    assert [a for t, a in tags if t == "details" and a.get("class") == "bad"] == [{"class": "bad"}]


def test_hostile_text_stays_text() -> None:
    """A reader's name or an error with markup is shown, not obeyed."""
    evil = "<script>alert(1)</script>"
    item = Exchange(0, evil, b"\0\x84\0\0\4", b"", 0, error=evil)
    tape = Tape((item,), reader=evil)
    tags = [tag for tag, _ in _read(trace_page.page(tape)).tags]

    assert tags.count("script") == 1


def test_a_revealed_trace_says_so(tmp_path: Path) -> None:
    """A page with secrets in it warns its reader, and is its owner's alone."""
    path = tmp_path / "x.html"
    trace_page.save(Tape((), revealed=True), path)

    assert "do not pass on" in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o077 == 0
