# SPDX-License-Identifier: Apache-2.0
"""Error pages: what happened and what to do next, in both languages."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy.exc
from flask import Blueprint, Response, make_response, render_template
from flask_wtf.csrf import CSRFError

from server.errors import Problem
from server.portal.errors import NotFound, TooManyAttempts
from server.portal.language import HTML_LANGUAGES, N_, language, texts_of
from server.portal.views import access


@dataclass(frozen=True, slots=True)
class ErrorText:
    """English texts of one kind of error."""

    title: str
    happened: str
    next_step: str


@dataclass(frozen=True, slots=True)
class ShownError:
    """The texts of an error in one language, ready for the page."""

    html_lang: str
    title: str
    happened: str
    next_step: str


UNCLEAR = ErrorText(
    N_("This request could not be understood"),
    N_("The form was incomplete or the address was wrong."),
    N_("Go back, check what you entered, and send it again."),
)
EXPIRED = ErrorText(
    N_("This form is too old"),
    N_("You were signed out or signed in again since it was opened. Nothing was saved."),
    N_("Go back, load the page again and send the form once more."),
)
TEXTS = {
    400: UNCLEAR,
    403: ErrorText(
        N_("This page is not for you to open"),
        N_("Your role or your site does not include it."),
        N_("If it should, ask an administrator to change your role; otherwise go back."),
    ),
    404: ErrorText(
        N_("There is nothing at this address"),
        N_("The address is mistyped, or what it showed is no longer there."),
        N_("Begin again at the start page."),
    ),
    405: UNCLEAR,
    413: ErrorText(
        N_("Too much was sent"),
        N_("The form is larger than the server accepts."),
        N_("Shorten the text and send it again."),
    ),
    429: ErrorText(
        N_("Too many tries"),
        N_("The secret was wrong too often. To protect the account, tries are paused."),
        N_("Wait a quarter of an hour, then try again; the service desk can give you a new code."),
    ),
    500: ErrorText(
        N_("Something went wrong on our side"),
        N_("The error has been recorded. Your taps and hours are not affected."),
        N_("Try again in a few minutes; if it stays, tell the service desk what you did."),
    ),
    503: ErrorText(
        N_("The service is paused for a moment"),
        N_("The database cannot be reached or written now. Nothing stored is lost."),
        N_("Try again in a few minutes. Terminals keep their taps until then."),
    ),
}


def register(pages: Blueprint) -> None:
    """Answer the pages' own errors with pages."""
    pages.register_error_handler(TooManyAttempts, _too_many)
    pages.register_error_handler(NotFound, _not_found)
    pages.register_error_handler(CSRFError, _form_too_old)


def page_of_problem(problem: Problem) -> Response:
    """Return the error page of a problem."""
    if problem.status == 404:
        _find_person()
    other = UNCLEAR if problem.status < 500 else TEXTS[500]
    return _page(problem.status, TEXTS.get(problem.status, other), problem.retry_after_s)


def _find_person() -> None:
    # An unknown address runs no guard; the page still shows who is signed in, if it can be known.
    try:
        access.principal()
    except sqlalchemy.exc.SQLAlchemyError:
        return


def _too_many(error: TooManyAttempts) -> Response:
    return _page(429, TEXTS[429], error.retry_after_s)


def _not_found(_error: NotFound) -> Response:
    return _page(404, TEXTS[404])


def _form_too_old(_error: CSRFError) -> Response:
    return _page(400, EXPIRED)


def _page(status: int, text: ErrorText, retry_after_s: int = 0) -> Response:
    order = sorted(HTML_LANGUAGES, key=lambda code: code != language())
    shown = [
        ShownError(HTML_LANGUAGES[code], *texts_of(code, text.title, text.happened, text.next_step))
        for code in order
    ]
    response = make_response(render_template("error.html", status=status, texts=shown), status)
    if retry_after_s:
        response.headers["Retry-After"] = str(retry_after_s)
    return response
