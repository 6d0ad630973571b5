# SPDX-License-Identifier: Apache-2.0
"""A leader's decision on an exception, handed to reconciliation in one unit of work."""

from __future__ import annotations

from server.errors import Refused
from server.portal.display import instant
from server.portal.forms import Decision, wall_time
from server.portal.services.exceptions import find_exception
from server.reconciliation.corrections import Said, Signer
from server.reconciliation.services import approve, reject
from server.runtime import Runtime


def said_now(runtime: Runtime, actor: str, reason: str) -> Said:
    """Return a word of somebody, now, to be signed with the server's identity."""
    signer = Signer(runtime.identity, runtime.config.identity.key_id)
    return Said(actor, reason, runtime.clock.utc_ms(), signer)


def decide(runtime: Runtime, site: int, number: int, form: Decision, actor: str) -> None:
    """Approve or reject an exception of a site; the times typed are wall times of that site.

    Raises:
        NotFound: the site has no such exception.
        Refused: it is settled already, or the time is not within what a rule allows.
    """
    said = said_now(runtime, actor, form.reason)
    with runtime.database.writing() as session:
        row = find_exception(session, site, number)
        if not row.open:
            raise Refused("exception-settled", "这条异常已经处理过了", "it is settled already")
        if not form.approve:
            reject(session, number, said)
            return
        start, end = wall_time(form.start), wall_time(form.end)
        assert start is not None, "the form was checked"
        assert end is not None, "the form was checked"
        approve(
            session,
            number,
            (instant(start, row.zone), instant(end, row.zone)),
            said,
        )
