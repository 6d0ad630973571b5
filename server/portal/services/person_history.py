# SPDX-License-Identifier: Apache-2.0
"""A person's whole history on one page: application, cards, hours, ledger, messages, audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.applications.models import Application
from server.db import Database
from server.issuing.history import person_history
from server.people import audit
from server.people.models import Audit, Volunteer
from server.portal.display import local, masked_number
from server.portal.errors import NotFound
from server.portal.names import Name
from server.portal.services.cards import Asker, OrderPage, order_page
from server.portal.services.lookup import CardRow
from server.portal.services.messages import MessageRow, messages_of
from server.portal.services.places import DEFAULT_ZONE_QUARTERS
from server.reconciliation.models import ServiceInterval
from server.structure.organisations import place_of_volunteer
from server.timebank.models import Account, Entry, Transfer
from server.timebank.services import balance

NEWEST = 20  # of each kind that may be long; the exports have all
ASN_SHOWN = 4

FUNCTIONS = {
    "identity": Name("身份识别", "identity"),
    "timekeeping": Name("服务计时", "time keeping"),
    "training": Name("培训记录", "training"),
    "insurance": Name("保险", "insurance"),
    "finance": Name("金融", "finance"),
    "health": Name("医疗", "health"),
    "transit": Name("交通", "transit"),
    "travel": Name("旅游", "travel"),
    "social": Name("社交", "social"),
    "offers": Name("优惠", "offers"),
}

APPLICATION_WORDS = {
    "draft": Name("草稿", "draft"),
    "submitted": Name("已提交", "submitted"),
    "training": Name("培训中", "in training"),
    "ready": Name("待审批", "ready for a decision"),
    "approved": Name("已批准", "approved"),
    "rejected": Name("未通过", "rejected"),
    "withdrawn": Name("已撤回", "withdrawn"),
    "online": Name("在线", "online"),
    "staff": Name("柜台代录", "at the desk"),
    "call": Name("电话", "by telephone"),
    "app": Name("手机应用", "by an app"),
    "terminal": Name("终端", "at a terminal"),
    "import": Name("批量导入", "imported"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of hours, ledger or audit trail: when, what, how much, by whom."""

    at: datetime
    what: str
    more: str
    figure: str = ""


@dataclass(frozen=True, slots=True)
class ApplicationLine:
    """The newest application: when, how far it is, by which channel."""

    submitted: date
    state: Name
    channel: Name


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Everything about a person, newest first; nothing that identifies beyond the masks."""

    id: int
    masked_name: str
    masked_number: str
    taken_in: date
    left: date | None
    erased: bool
    minutes: int
    application: ApplicationLine | None
    orders: list[OrderPage]
    cards: list[CardRow]
    functions: list[tuple[Name, bool]]
    hours: list[Line]
    ledger: list[Line]
    messages: list[MessageRow]
    trail: list[Line]


def read_history(
    database: Database, volunteer_id: int, asker: Asker, with_trail: bool, now_ms: int
) -> HistoryPage:
    """Read a person's history; the reading is itself on the audit trail.

    Raises:
        NotFound: there is nobody, or out of reach.
    """
    with database.writing() as session:
        person = session.get(Volunteer, volunteer_id)
        if person is None or not (
            asker.everywhere or asker.reaches(place_of_volunteer(session, volunteer_id))
        ):
            raise NotFound
        audit.record(
            session, now_ms, asker.actor, "volunteer.history-viewed", f"volunteer:{person.number}"
        )
        known = person_history(session, volunteer_id)
        orders = [order_page(session, one.order, person) for one in known.orders]
        cards = [
            CardRow(
                card.id, f"**** {card.asn[-ASN_SHOWN:]}", card.state, card.reason or "",
                _moment(card.issued_ms).date(),
            )
            for card in known.cards
        ]  # fmt: skip
        subjects = [f"volunteer:{person.number}"]
        subjects += [f"cardorder:{one.order.order_no}" for one in known.orders]
        subjects += [f"card:{card.asn}" for card in known.cards]
        return HistoryPage(
            id=person.id,
            masked_name=person.masked_name,
            masked_number=masked_number(person.number),
            taken_in=_moment(person.created_ms).date(),
            left=_moment(known.left.at_ms).date() if known.left else None,
            erased=person.erased_ms is not None,
            minutes=balance(session, person.id),
            application=_application(session, person.id),
            orders=orders,
            cards=cards,
            functions=[(FUNCTIONS[name], on) for name, on in known.functions.items()],
            hours=_hours(session, person.id),
            ledger=_ledger(session, person.id),
            messages=messages_of(session, person.id, NEWEST),
            trail=_trail(session, subjects) if with_trail else [],
        )


def _application(session: Session, person: int) -> ApplicationLine | None:
    row = session.scalar(
        sa.select(Application)
        .where(Application.volunteer_id == person)
        .order_by(Application.id.desc())
        .limit(1)
    )
    if row is None:
        return None
    words = APPLICATION_WORDS
    return ApplicationLine(
        _moment(row.submitted_ms).date(),
        words.get(row.state, Name(row.state, "")),
        words.get(row.channel, Name(row.channel, "")),
    )


def _hours(session: Session, person: int) -> list[Line]:
    rows = session.scalars(
        sa.select(ServiceInterval)
        .where(ServiceInterval.person == person, ServiceInterval.current)
        .order_by(ServiceInterval.start_ms.desc())
        .limit(NEWEST)
    )
    return [
        Line(_moment(row.start_ms), row.state, row.grade, str(row.credited_minutes)) for row in rows
    ]


def _ledger(session: Session, person: int) -> list[Line]:
    rows = session.execute(
        sa.select(Transfer.at_ms, Transfer.kind, Transfer.ref, Entry.minutes)
        .join(Entry, Entry.transfer_id == Transfer.id)
        .join(Account, Account.id == Entry.account_id)
        .where(Account.kind == "volunteer", Account.owner == person)
        .order_by(Transfer.id.desc())
        .limit(NEWEST)
    )
    return [Line(_moment(row.at_ms), row.kind, "", str(row.minutes)) for row in rows]


def _trail(session: Session, subjects: list[str]) -> list[Line]:
    rows = session.scalars(
        sa.select(Audit).where(Audit.subject.in_(subjects)).order_by(Audit.id.desc()).limit(NEWEST)
    )
    return [Line(_moment(row.at_ms), row.action, row.actor) for row in rows]


def _moment(at_ms: int) -> datetime:
    return local(at_ms, DEFAULT_ZONE_QUARTERS)
