# SPDX-License-Identifier: Apache-2.0
"""The bitmap: from lines to pixels to the controller's memory, and the development screen."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from hardware_mocks.bitmap import St7920
from terminal import screen
from terminal.config_sections import DisplaySection
from terminal.devices.mirror import Mirror, frame_lines, pixels
from terminal.devices.patterns import LIGHTS, TONES
from terminal.devices.raster import PICTURE_SIZE, Raster, narrowed
from terminal.devices.st7920 import ROW_BYTES, ROWS, row_update, start_up
from terminal.display import NoDisplay
from terminal.errors import ConfigError
from terminal.policy import Say
from terminal.screen import COLUMNS, Led, Note, Tone, width
from terminal.wording_table import ACCEPTED_WORDS, SHEETS

RASTER = Raster(Path(DisplaySection().font))
NOTE = Note(clock="09:02", name="林**", place="公园导览 Park guide")


@pytest.mark.parametrize("say", [*ACCEPTED_WORDS, *SHEETS, Say.DUPLICATE], ids=lambda say: say.name)
def test_no_word_is_lost_on_the_narrow_display(say: Say) -> None:
    """What is narrowed loses spaces alone."""
    for line in screen.message(say, NOTE).lines:
        assert narrowed(line).replace(" ", "") == line.replace(" ", "")
        assert width(narrowed(line)) <= COLUMNS


def test_the_controller_holds_what_was_drawn() -> None:
    """Every byte of the picture arrives in the panel's memory, in its place."""
    picture = RASTER.picture(screen.message(Say.IN, NOTE).lines)
    panel = St7920()
    panel.feed(start_up())
    for row in range(ROWS):
        panel.feed(row_update(row, picture[row * ROW_BYTES : (row + 1) * ROW_BYTES]))

    assert len(picture) == PICTURE_SIZE
    assert panel.picture() == picture
    assert panel.faults == 0


def test_different_words_are_different_pictures() -> None:
    """No two messages look the same."""
    pictures = [
        RASTER.picture(screen.message(say, NOTE).lines) for say in (*ACCEPTED_WORDS, *SHEETS)
    ]

    assert len(set(pictures)) == len(pictures)
    assert RASTER.picture(("", "", "", "")) == bytes(PICTURE_SIZE)


def test_a_missing_font_stops_the_start(tmp_path: Path) -> None:
    """A font that is not there, or is none, is named."""
    (tmp_path / "x.ttf").write_bytes(b"no font")
    for name in ("none.ttf", "x.ttf"):
        with pytest.raises(ConfigError, match=name):
            Raster(tmp_path / name)


@pytest.mark.parametrize("say", list(SHEETS), ids=lambda say: say.name)
def test_the_window_mirrors_the_frame(say: Say) -> None:
    """The lines in the window are those decoded from the frame's bytes."""
    shown = screen.message(say, NOTE)

    assert tuple(frame_lines(shown)) == shown.lines


def test_the_window_shows_both_displays_light_and_tone() -> None:
    """Text, pixels, the lamp's name and the tone's stand in the window, once for each screen."""
    window = io.StringIO()
    mirror = Mirror(NoDisplay(), window, RASTER)
    shown = screen.message(Say.OUT, NOTE)
    mirror.show(shown)
    length = len(window.getvalue())
    mirror.show(shown)
    mirror.close()
    text = window.getvalue()

    assert len(text) == length
    assert "签退 OUT" in text
    assert "GREEN_TWICE" in text
    assert "♪ OUT" in text
    assert pixels(RASTER.picture(shown.lines))[0] in text


def test_every_tone_and_light_has_a_pattern() -> None:
    """Nothing that a screen can ask for is silent or dark by mistake; IN and OUT differ."""
    assert set(TONES) == set(Tone)
    assert set(LIGHTS) == set(Led)
    assert all(steps for tone, steps in TONES.items() if tone is not Tone.NONE)
    assert len({TONES[tone] for tone in Tone}) == len(Tone)
