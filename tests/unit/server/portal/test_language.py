# SPDX-License-Identifier: Apache-2.0
"""Chinese first, English by a switch, and nothing left untranslated."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages.pofile import read_po

from server.portal.language import TRANSLATIONS, compile_catalogue
from server.portal.rules_table import RULES
from server.reconciliation.storing import RULES_LAST
from server.reconciliation.wording_table import DETAILS
from tests.unit.server.portal.conftest import Visitor

ROOT = Path(__file__).parents[4]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")
LANGUAGE_LINK = re.compile(r'<a class="lang".*?</a>')


def load_messages_script() -> ModuleType:
    """Load script/messages, which has no .py ending."""
    loader = importlib.machinery.SourceFileLoader("messages", str(ROOT / "script" / "messages"))
    spec = importlib.util.spec_from_loader("messages", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_every_text_is_translated() -> None:
    """The Chinese catalogue holds every text of code and templates, and only those."""
    script = load_messages_script()
    catalogue = script.updated()

    assert script.untranslated(catalogue) == []
    assert script.rendered(catalogue) == script.CATALOGUE.read_bytes()


def test_translations_are_chinese_and_keep_their_placeholders() -> None:
    """A translation has the same placeholders as its text and is really Chinese."""
    with (TRANSLATIONS / "zh.po").open("rb") as source:
        messages = [message for message in read_po(source) if message.id]

    for message in messages:
        english = message.id if isinstance(message.id, str) else message.id[-1]
        assert message.string
        chinese = message.string if isinstance(message.string, str) else message.string[0]

        assert sorted(PLACEHOLDER.findall(english)) == sorted(PLACEHOLDER.findall(chinese))
        assert CHINESE.search(chinese) or english == ", "


def test_catalogue_compiles_in_memory() -> None:
    """The catalogue that is shipped as text becomes translations when the server starts."""
    catalogue = compile_catalogue(TRANSLATIONS / "zh.po")

    assert catalogue.ugettext("Sign out") == "退出"


def test_every_rule_is_explained() -> None:
    """No rule that can touch somebody's time is without words."""
    assert set(range(1, RULES_LAST + 1)) - set(RULES) == set()
    assert set(DETAILS) - set(RULES) == set()


def test_pages_are_chinese_until_the_switch_is_used(visitor: Visitor) -> None:
    """Whatever language the browser asks for, the first page is Chinese."""
    answer = visitor.client.get("/", headers={"Accept-Language": "en-US,en"})

    assert '<html lang="zh-CN">' in answer.text
    assert "怎样使用" in answer.text


def test_switch_stays_and_leads_back(visitor: Visitor) -> None:
    """The switch changes the language for all later pages and shows the same page again."""
    answer = visitor.get("/language/en?next=/sign-in")

    assert answer.location == "/sign-in"
    assert '<html lang="en">' in visitor.get("/sign-in").text
    visitor.come_as("zhang")
    assert "My hours" in visitor.get("/me").text
    visitor.leave()
    assert "Volunteer sign-in" in visitor.get("/").text


def test_unknown_language_changes_nothing(visitor: Visitor) -> None:
    """An invented language leaves the pages as they are."""
    visitor.get("/language/tlh")

    assert '<html lang="zh-CN">' in visitor.get("/").text


@pytest.mark.parametrize("who", ["zhang", "leader", "admin"])
def test_english_pages_hold_no_chinese_words(visitor: Visitor, who: str) -> None:
    """In English only names of people, places and the brand stay Chinese."""
    ids = visitor.scene.ids
    visitor.get("/language/en")
    visitor.come_as(who)
    pages = {
        "zhang": ["/me", "/password"],
        "leader": [
            f"/sites/{ids['care']}",
            f"/sites/{ids['care']}/exceptions/{ids['exception-wang']}",
        ],
        "admin": ["/terminals", "/volunteers", f"/volunteers/{ids['li']}", "/sites"],
    }
    for address in pages[who]:
        text = LANGUAGE_LINK.sub("", visitor.get(address).text)
        for name in ("义卡", ">义<", "张**", "李**", "王**", "陈*"):
            text = text.replace(name, "")

        assert CHINESE.findall(text) == []


@pytest.mark.parametrize("who", ["zhang", "leader", "staff"])
def test_chinese_pages_hold_no_english_sentences(visitor: Visitor, who: str) -> None:
    """In Chinese no two English words follow each other, whatever the page shows."""
    ids = visitor.scene.ids
    visitor.come_as(who)
    pages = {
        "zhang": ["/me", "/password"],
        "leader": [f"/sites/{ids['care']}"],
        "staff": ["/terminals", "/volunteers", f"/volunteers/{ids['li']}"],
    }
    for address in pages[who]:
        body = visitor.get(address).text.split("<body>")[1]
        words = re.sub(r"<[^>]+>", "\n", body)

        assert re.findall(r"[A-Za-z]{2,} [A-Za-z]{2,}", words) == []
