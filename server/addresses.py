# SPDX-License-Identifier: Apache-2.0
"""Where a message goes: looked up at the moment it leaves, with the reading on record."""

from __future__ import annotations

from sqlalchemy.orm import Session

from server.applications import services as applications
from server.outbox.models import OutboxMessage
from server.outbox.policy import Channel
from server.outbox.sender import Address
from server.people.personal import Reader
from server.runtime import Runtime

ACTOR = "outbox"


def address_of(runtime: Runtime) -> Address:
    """Return what finds a mobile number, or name and address for a letter; None without one."""

    def address(session: Session, row: OutboxMessage) -> str | None:
        if row.volunteer_id is None:
            return None
        reader = Reader(ACTOR, f"message:{row.kind}", runtime.clock.utc_ms())
        if row.channel == Channel.LETTER:
            fields = ("name", "address")
            known = applications.bank_record(
                session, runtime.store, row.volunteer_id, fields, reader
            )
            return "\n".join(str(known[name]) for name in fields)
        return applications.mobile(session, runtime.store, row.volunteer_id, reader)

    return address
