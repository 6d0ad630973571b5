# SPDX-License-Identifier: Apache-2.0
"""Four lines of text as 128×64 pixels: each character once from a font, then from memory.

A line of at most 16 columns is drawn with characters of 16×16 (Hanzi) and 8×16; a longer one with
12×12 and 6×12, of which 20 columns have room. A gap between left and right text is narrowed first.
The font is whatever is configured (Noto Sans CJK, SIL Open Font License 1.1, of the package
`fonts-noto-cjk`); nothing of it is kept or shipped.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from terminal.errors import ConfigError
from terminal.screen import COLUMNS, LINES, width

WIDTH, HEIGHT = 128, 64
LINE_HEIGHT = HEIGHT // LINES
WIDE_COLUMNS = 16
BIG, SMALL = 16, 12  # pixels of a Hanzi; a Latin letter has half the width
THRESHOLD = 110  # of 255; thin strokes of small Hanzi stay, their insides do not fill
BASELINE = 0.86  # of the height; a Hanzi reaches a little below it
FACES_MAX = 32  # of a font collection; Noto Sans CJK has ten
GLYPHS_MAX = 4_096  # of 32 bytes; more than a site's names and words ever need
PICTURE_SIZE = WIDTH * HEIGHT // 8


class Raster:
    """Draw screens with one font.

    Raises:
        ConfigError: the font file is missing or is no font.
    """

    def __init__(self, font: Path) -> None:
        try:
            face = best_face(font)
            self._fonts = {size: ImageFont.truetype(str(font), size, face) for size in (BIG, SMALL)}
        except OSError as exc:
            raise ConfigError("[display] font", f"{font}: {exc}") from exc
        self._glyph = lru_cache(GLYPHS_MAX)(self._drawn)

    def picture(self, lines: tuple[str, ...]) -> bytes:
        """Return 1 024 bytes: row by row, the left pixel in the highest bit, 1 is dark."""
        image = Image.new("1", (WIDTH, HEIGHT))
        for number, line in enumerate(lines[:LINES]):
            self._line(image, line, number * LINE_HEIGHT)
        return image.tobytes()

    def _line(self, image: Image.Image, line: str, top: int) -> None:
        text = narrowed(line)
        size = BIG if width(text) <= WIDE_COLUMNS else SMALL
        x, y = 0, top + (LINE_HEIGHT - size) // 2
        for char in text:
            if char != " ":
                image.paste(self._glyph(char, size), (x, y))
            x += size // 2 * width(char)

    def _drawn(self, char: str, size: int) -> Image.Image:
        """Draw one character into its cell; what the font does not have is its empty box."""
        room = (size // 2 * width(char), size)
        font = self._fonts[size]
        left, _, right, _ = (round(edge) for edge in font.getbbox(char))
        ink = max(right - left, 1)
        cell = Image.new("L", (max(ink, room[0]), size))
        at = ((cell.width - ink) // 2 - left, round(size * BASELINE))
        ImageDraw.Draw(cell).text(at, char, fill=255, font=font, anchor="ls")
        if ink > room[0]:  # of a font whose Latin letters are wider than half a Hanzi
            cell = cell.resize(room)
        return cell.point(lambda value: 255 if value > THRESHOLD else 0).convert("1")


def best_face(font: Path) -> int:
    """Return the face of a collection to draw with: of fixed width and simplified Chinese.

    Raises:
        OSError: this is no font.
    """
    ranked = []
    for face in range(FACES_MAX):
        try:
            name = " ".join(filter(None, ImageFont.truetype(str(font), BIG, face).getname()))
        except OSError:
            if not face:
                raise
            break
        ranked.append(("Mono" in name and "SC" in name, " SC" in name, -face))
    return -max(ranked)[2]


def narrowed(line: str) -> str:
    """Take columns out of the widest gap of a line until it has 16, if the gap allows it.

    >>> narrowed("签到 IN        09:02")
    '签到 IN    09:02'
    >>> narrowed("离开请再刷 TAP TO GO")
    '离开请再刷 TAP TO GO'
    """
    text = line.rstrip()
    spare = width(text) - WIDE_COLUMNS
    gaps = sorted(re.finditer(" {2,}", text), key=lambda gap: len(gap[0]))
    if spare <= 0 or not gaps or len(gaps[-1][0]) - 1 < spare:
        return text[:COLUMNS]
    start, end = gaps[-1].span()
    return text[:start] + " " * (end - start - spare) + text[end:]
