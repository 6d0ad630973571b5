# SPDX-License-Identifier: Apache-2.0
"""The two languages of the pages: Chinese first, English by a switch.

Texts in code and templates are English; `server/translations/zh.po` turns them into Chinese.
The catalogue is compiled in memory when the application starts, so the repository holds no
binary and nobody can forget to rebuild one.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, has_request_context, session
from flask_babel import (
    Babel,
    Domain,
    force_locale,
    format_date,
    format_timedelta,
    get_locale,
    gettext,
    ngettext,
)

TRANSLATIONS = Path(__file__).parents[1] / "translations"
LANGUAGES = {"zh": "zh_Hans_CN", "en": "en_GB"}  # what the address says → the locale it means
DEFAULT_LANGUAGE = "zh"
HTML_LANGUAGES = {"zh": "zh-CN", "en": "en"}
SESSION_KEY = "language"

# Flask-Babel ships no types, so this module is the only one that imports it.
__all__ = [
    "DEFAULT_LANGUAGE",
    "HTML_LANGUAGES",
    "LANGUAGES",
    "N_",
    "format_date",
    "format_timedelta",
    "gettext",
    "init_app",
    "language",
    "ngettext",
    "texts_of",
]


def N_(message: str) -> str:  # noqa: N802  (the name gettext tools look for)
    """Mark a text for translation where it is only kept; `gettext` it where it is shown."""
    return message


def compile_catalogue(path: Path) -> Translations:
    """Return the translations of one .po file.

    Raises:
        babel.messages.pofile.PoFileError: the file is not well formed.
    """
    with path.open("rb") as source:
        catalogue = read_po(source, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


class Catalogues(Domain):  # type: ignore[misc]  # flask_babel ships no types
    """Flask-Babel's source of translations, fed from memory instead of .mo files."""

    def __init__(self, by_locale: Mapping[str, NullTranslations]) -> None:
        super().__init__(domain="messages")
        self._by_locale = by_locale

    def get_translations(self) -> NullTranslations:
        """Return the translations of the request's language; English needs none."""
        return self._by_locale.get(str(get_locale()), NULL)


class PageBabel(Babel):  # type: ignore[misc]  # flask_babel ships no types
    """Flask-Babel with our catalogues."""

    @cached_property
    def domain_instance(self) -> Catalogues:
        """Compile every catalogue of the translations folder, once."""
        return Catalogues(
            {
                LANGUAGES[path.stem]: compile_catalogue(path)
                for path in sorted(TRANSLATIONS.glob("*.po"))
            }
        )


NULL = Translations()  # babel's Translations, because Flask-Babel calls its u-methods


def texts_of(wanted: str, *messages: str) -> list[str]:
    """Return messages in a language other than the request's, for pages that show both."""
    with force_locale(LANGUAGES[wanted]):
        return [str(gettext(message)) for message in messages]


def language() -> str:
    """Return the language of this request: "zh" or "en"."""
    chosen = session.get(SESSION_KEY) if has_request_context() else None
    return chosen if chosen in LANGUAGES else DEFAULT_LANGUAGE


def init_app(app: Flask) -> None:
    """Give the application its languages."""
    babel = PageBabel()
    babel.init_app(app, default_locale="zh_Hans_CN", locale_selector=lambda: LANGUAGES[language()])
    babel.domain_instance  # noqa: B018  (compile now: a broken catalogue must stop the start)
