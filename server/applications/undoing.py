# SPDX-License-Identifier: Apache-2.0
"""Take an import back, until somebody has used what it made.

Numbers and transfers stay: a number is never given twice and the ledger forgets nothing. The
minutes go back by transfers of their own, the people's data goes with their keys.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.applications.entering import masked
from server.applications.models import Application, VolunteerImport, VolunteerImportLine
from server.applications.policy import State
from server.applications.settings import By
from server.errors import Refused
from server.people import audit, sign_in
from server.people.models import CODE, Card, SealedPersonKey, Volunteer
from server.timebank.models import Account, Entry, Transfer
from server.timebank.orders import reverse

SHOWN_MAX = 5
PIECE = 500
MASK = "已撤销"
_Ward = sa.orm.aliased(Volunteer)


def undo(session: Session, import_id: int, by: By) -> VolunteerImport:
    """Undo an import as a whole.

    Raises:
        Refused: there is no such import, it was undone, or somebody of it has done something
            since: a card, a sign-in, a transfer, a change of their data.
    """
    row = session.get(VolunteerImport, import_id, with_for_update=True)
    if row is None or row.undone_ms is not None:
        raise Refused("no-import", "没有可撤销的导入", f"no import {import_id} to undo")
    people = list(
        session.scalars(
            sa.select(VolunteerImportLine.volunteer_id)
            .where(VolunteerImportLine.import_id == import_id)
            .order_by(VolunteerImportLine.line)
        )
    )
    if used := _used(session, people, row):
        shown = ", ".join(masked(number) for number in used[:SHOWN_MAX])
        raise Refused(
            "import-used",
            f"已有人使用，不能撤销：{shown}",
            f"somebody has used it already: {shown}",
        )
    for transfer_id in _transfers(session, people):
        reverse(session, f"import-undo:{import_id}:{transfer_id}", transfer_id, by.now_ms, by.actor)
    for low in range(0, len(people), PIECE):
        _forget(session, people[low : low + PIECE], by)
    row.undone_by, row.undone_ms = by.actor, by.now_ms
    session.flush()
    audit.record(
        session, by.now_ms, by.actor, "volunteers.import-undone", f"volunteer-import:{import_id}",
        lines=row.lines, minutes=row.minutes, reason=by.reason,
    )  # fmt: skip
    return row


def _used(session: Session, people: list[int], row: VolunteerImport) -> list[str]:
    """Return the numbers of people for whom anything happened since the import."""
    found: list[str] = []
    for low in range(0, len(people), PIECE):
        part = people[low : low + PIECE]
        has_card = sa.select(Card.id).where(Card.volunteer_id == Volunteer.id).exists()
        has_ward = sa.select(sa.literal(1)).where(_Ward.guardian_id == Volunteer.id).exists()
        moved = (
            sa.select(Transfer.id)
            .where(Transfer.person == Volunteer.id, Transfer.kind != "opening")
            .exists()
        )
        touched = (
            sa.select(Application.id)
            .where(
                Application.volunteer_id == Volunteer.id,
                sa.or_(
                    Application.changed_ms != row.at_ms,
                    Application.frozen_ms.is_not(None),
                    Application.state != State.APPROVED,
                ),
            )
            .exists()
        )
        begun = sa.or_(Volunteer.code_ms.is_not(None), Volunteer.secret_kind != CODE)
        statement = sa.select(Volunteer.number).where(
            Volunteer.id.in_(part), sa.or_(has_card, has_ward, moved, touched, begun)
        )
        found += session.scalars(statement.order_by(Volunteer.number))
    return found


def _transfers(session: Session, people: list[int]) -> list[int]:
    """Return the transfers that brought the people's minutes."""
    found: list[int] = []
    for low in range(0, len(people), PIECE):
        statement = (
            sa.select(Transfer.id)
            .join(Entry, Entry.transfer_id == Transfer.id)
            .join(Account, Account.id == Entry.account_id)
            .where(
                Transfer.kind == "opening",
                Account.kind == "volunteer",
                Account.owner.in_(people[low : low + PIECE]),
            )
        )
        found += session.scalars(statement.order_by(Transfer.id))
    return found


def _forget(session: Session, people: list[int], by: By) -> None:
    """Destroy the keys of people and close their applications."""
    apart = {"synchronize_session": "fetch"}
    session.execute(
        sa.delete(SealedPersonKey).where(SealedPersonKey.volunteer_id.in_(people)),
        execution_options=apart,
    )
    session.execute(
        sa.update(Volunteer)
        .where(Volunteer.id.in_(people))
        .values(
            sealed_name=b"", sealed_birth=b"", masked_name=MASK, guardian_id=None,
            secret_hash=sign_in.hash_of_nobody(), code_ms=None, erased_ms=by.now_ms,
        ),
        execution_options=apart,
    )  # fmt: skip
    session.execute(
        sa.update(Application)
        .where(Application.volunteer_id.in_(people))
        .values(
            state=State.WITHDRAWN, document_fingerprint=None, person_fingerprint=None,
            document_tail="", sealed_document=b"", sealed_mobile=b"", sealed_address=b"",
            sealed_emergency=b"", changed_ms=by.now_ms,
        ),
        execution_options=apart,
    )  # fmt: skip
