# SPDX-License-Identifier: Apache-2.0
"""A leader's decision on an exception, handed to reconciliation in one unit of work."""

from __future__ import annotations

from server.db import Database
from server.errors import Refused
from server.portal.display import instant
from server.portal.forms import Decision, wall_time
from server.portal.services.exceptions import find_exception
from server.reconciliation.services import approve, reject


def decide(
    database: Database, site: int, number: int, form: Decision, actor: str, now_ms: int
) -> None:
    """Approve or reject an exception of a site; the times typed are wall times of that site.

    Raises:
        NotFound: the site has no such exception.
        Refused: it is settled already, or the time is not within what a rule allows.
    """
    with database.writing() as session:
        row = find_exception(session, site, number)
        if not row.open:
            raise Refused("exception-settled", "这条异常已经处理过了", "it is settled already")
        if not form.approve:
            reject(session, number, actor, form.reason, now_ms)
            return
        start, end = wall_time(form.start), wall_time(form.end)
        assert start is not None, "the form was checked"
        assert end is not None, "the form was checked"
        approve(
            session,
            number,
            (instant(start, row.zone), instant(end, row.zone)),
            actor,
            form.reason,
            now_ms,
        )
