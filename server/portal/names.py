# SPDX-License-Identifier: Apache-2.0
"""A name or text that the database keeps in both languages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Name:
    """Chinese first; a missing English text falls back to the Chinese one.

    >>> Name("敬老院", "Care home").within("en"), Name("敬老院", "").within("en")
    ('Care home', '敬老院')
    """

    zh: str
    en: str

    def within(self, language: str) -> str:
        """Return the text of a language, "zh" or "en"."""
        return self.en or self.zh if language == "en" else self.zh or self.en
