# SPDX-License-Identifier: Apache-2.0
"""The line of a letter survives paper, keyboards and scanners, and a misread one is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swipe.errors import FieldError
from swipe.invitation import Invitation, digest

WHOLE = Invitation(
    "https://yika.example.org:8443/a b",
    digest(b"key"),
    "K7QF-2M9C-XR04",
    "sha256/ab+/=",
    digest(b"r"),
)
GOOD = Invitation("https://yika.example.org", digest(b"key"), "K7QF-2M9C-XR04", "sha256/a+/=")


def test_a_letter_comes_back_as_it_was() -> None:
    """Every field survives the line, blanks around it do not matter."""
    assert Invitation.from_text(f"  {GOOD.to_text()}\r\n") == GOOD


@given(st.integers(0, len(GOOD.to_text()) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_one_misread_character_is_told(at: int, character: str) -> None:
    """Whichever character is misread as another, the line is refused."""
    text = GOOD.to_text()
    wrong = text[:at] + character + text[at + 1 :]
    if wrong.lower() == text.lower():
        return
    with pytest.raises(FieldError):
        Invitation.from_text(wrong)


@given(st.text(max_size=300))
def test_garbage_is_refused(text: str) -> None:
    """No text makes anything but its named error."""
    with pytest.raises(FieldError):
        Invitation.from_text(text)
    with pytest.raises(FieldError):
        Invitation.from_text(f"yika:1?{text}&x=00000000")


@pytest.mark.parametrize(
    "bad",
    [
        Invitation("ftp://h", digest(b""), "A"),
        Invitation("https://", digest(b""), "A"),
        Invitation('https://h/"x', digest(b""), "A"),
        Invitation("https://[", digest(b""), "A"),
        Invitation("https://h", "ABC", "A"),
        Invitation("https://h", digest(b""), "A" * 41),
        Invitation("https://h", digest(b""), "A", 'x"\ny = 1'),
        Invitation("https://h", digest(b""), "A", root_digest="zz"),
        Invitation("https://h/" + "a" * 1_000, digest(b""), "A"),
        WHOLE,
    ],
)
def test_what_could_do_harm_is_refused(bad: Invitation) -> None:
    """A well-formed line whose fields could not stand in a configuration is refused."""
    with pytest.raises(FieldError):
        Invitation.from_text(bad.to_text())
