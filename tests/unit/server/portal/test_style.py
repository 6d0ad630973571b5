# SPDX-License-Identifier: Apache-2.0
"""The style sheet: readable in light and dark, nothing fetched, nothing unused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[4] / "server"
CSS = (SERVER / "static" / "yika.css").read_text("utf-8")
TEMPLATES = "\n".join(path.read_text("utf-8") for path in (SERVER / "templates").glob("*.html"))

TEXT_ON_GROUND = [
    ("ink", "paper"), ("ink", "surface"), ("ink", "sunken"), ("ink", "grey-soft"),
    ("ink", "amber-soft"), ("ink", "red-soft"), ("ink", "pine-soft"),
    ("ink-soft", "paper"), ("ink-soft", "surface"), ("ink-soft", "sunken"),
    ("ink-soft", "amber-soft"),
    ("pine", "paper"), ("pine", "surface"), ("pine", "pine-soft"), ("on-pine", "pine"),
    ("on-pine", "pine-hover"), ("on-hero", "hero"), ("on-seal", "seal"), ("seal", "surface"),
    ("amber", "amber-soft"), ("red", "surface"), ("red", "red-soft"), ("blue", "blue-soft"),
    ("violet", "violet-soft"),
]  # fmt: skip
EDGE_ON_GROUND = [("line-strong", "surface"), ("seal", "paper"), ("seal", "surface")]


def colours(dark: bool) -> dict[str, str]:
    """Return the colour variables, in the dark those that change replaced."""
    light_block, dark_block = re.findall(r":root \{(.*?)\}", CSS, re.S)[:2]
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light_block))
    return found | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark_block if dark else ""))


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_formula_is_the_standards() -> None:
    """Black on white is 21 to 1."""
    assert round(contrast("#000000", "#ffffff"), 2) == 21


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("text", "ground"), TEXT_ON_GROUND)
def test_text_can_be_read(text: str, ground: str, dark: bool) -> None:
    """Every text has at least 4.5 to 1 on its ground, in light and dark."""
    palette = colours(dark)

    assert contrast(palette[text], palette[ground]) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("edge", "ground"), EDGE_ON_GROUND)
def test_edges_and_focus_can_be_seen(edge: str, ground: str, dark: bool) -> None:
    """Borders of fields and the ring of the focus have at least 3 to 1."""
    palette = colours(dark)

    assert contrast(palette[edge], palette[ground]) >= 3


def test_style_sheet_fetches_nothing() -> None:
    """No import and no address in the style sheet."""
    assert "@import" not in CSS
    assert "url(" not in CSS


def test_every_class_of_the_templates_is_styled() -> None:
    """A class in a template that the style sheet does not know is a slip of the pen."""
    used = {
        name
        for attribute in re.findall(r'class="([^"{]*)', TEMPLATES)
        for name in attribute.split()
    }
    known = set(re.findall(r"\.([a-z][\w-]*)", re.sub(r"/\*.*?\*/", "", CSS, flags=re.S)))

    assert used - known == set()


def test_every_style_is_used() -> None:
    """A class in the style sheet that no template has is dead."""
    known = set(re.findall(r"\.([a-z][\w-]*)", re.sub(r"/\*.*?\*/", "", CSS, flags=re.S)))
    words = set(re.findall(r"[\w-]+", TEMPLATES))

    assert known - words - {"good", "bad"} == set()
