# SPDX-License-Identifier: Apache-2.0
"""Error pages: both languages, what happened, what to do next."""

from __future__ import annotations

import sqlalchemy as sa
from flask import abort
from flask_openapi.openapi import OpenAPI

from server.portal.views.access import public
from tests.unit.server.portal.conftest import Visitor


def test_unknown_address_is_told_in_both_languages(visitor: Visitor) -> None:
    """A 404 is a page in Chinese and English with a way back."""
    answer = visitor.get("/nowhere")

    assert answer.status_code == 404
    for part in (
        "没有这个页面",
        "请从首页重新开始。",
        "There is nothing at this address",
        'href="/"',
    ):
        assert part in answer.text


def test_language_of_the_reader_comes_first(visitor: Visitor) -> None:
    """After the switch the English text leads and the Chinese one follows."""
    visitor.get("/language/en")
    text = visitor.get("/nowhere").text

    assert text.index("There is nothing at this address") < text.index("没有这个页面")


def test_signed_in_people_stay_signed_in_on_error_pages(visitor: Visitor) -> None:
    """The menu of an error page is that of the person who is signed in."""
    visitor.come_as("zhang")

    assert "我的时长" in visitor.get("/nowhere").text


def test_api_keeps_its_problem_documents(visitor: Visitor) -> None:
    """Below /api/ a machine reads JSON, never a page."""
    answer = visitor.get("/api/v1/nowhere")

    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


def test_fault_of_ours_is_a_page_that_gives_nothing_away(app: OpenAPI, visitor: Visitor) -> None:
    """An unexpected exception becomes a 500 page without its text."""

    @public
    def broken() -> str:
        raise ZeroDivisionError("inner detail")

    app.view_functions["portal.home"] = broken
    app.config["PROPAGATE_EXCEPTIONS"] = False

    answer = visitor.get("/")

    assert answer.status_code == 500
    assert "系统出了问题" in answer.text
    assert "inner detail" not in answer.text


def test_unreachable_database_is_a_503_with_retry_after(app: OpenAPI, visitor: Visitor) -> None:
    """When the database cannot be used, the page says that nothing is lost and when to return."""

    @public
    def broken() -> str:
        raise sa.exc.OperationalError("select 1", {}, Exception("locked"))

    app.view_functions["portal.home"] = broken

    answer = visitor.get("/")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    assert "已保存的数据不会丢失" in answer.text


def test_every_status_has_its_own_words(app: OpenAPI, visitor: Visitor) -> None:
    """403, 404, 429, 500 and 503 tell five different things."""
    titles = set()
    for status in (403, 404, 429, 500, 503):
        app.view_functions["portal.home"] = public(lambda status=status: abort(status))
        text = visitor.get("/").text
        titles.add(text.split("<h1>")[1].split("</h1>")[0])

    assert len(titles) == 5
