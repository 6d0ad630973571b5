# SPDX-License-Identifier: Apache-2.0
"""Take an application in: one record whatever way it came, one person once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.applications import records, settings
from server.applications.branches import day_of, is_open
from server.applications.checking import Checked, Clean, Form, check
from server.applications.documents import TAIL_LENGTH
from server.applications.errors import Duplicate, Faulty
from server.applications.models import Application, ApplicationPhoto
from server.applications.photos import Photo, read_photo
from server.applications.policy import ENDED_STATES, Agreement, Channel, Fault, State
from server.applications.records import Contact, Details
from server.applications.settings import By
from server.errors import Refused
from server.outbox.services import Message, queue
from server.people import audit, personal
from server.people.applicants import NewApplicant, add_applicant
from server.people.models import Volunteer
from server.people.services import find_volunteer
from server.structure.models import Organisation

ACTOR_LENGTH_MAX = 64
MASK_HEAD, MASK_TAIL = 2, 3
MASK_UNSEEN = "…"  # of somebody whose application is being filed at this moment
NAMESAKES_MAX = 5  # more than a clerk compares


@dataclass(frozen=True, slots=True)
class Submission:
    """A whole application: the form, the photo's file, accepted versions, the organisation."""

    form: Form
    photo: bytes = field(repr=False)
    accepted: Mapping[Agreement, int]
    organisation_id: int | None = None


@dataclass(frozen=True, slots=True)
class Via:
    """The way an application came: channel and who entered it; `with_code` lets them sign in."""

    channel: Channel
    actor: str
    with_code: bool = True


@dataclass(frozen=True, slots=True)
class Submitted:
    """What came of it. `code` is the one-time sign-in code, shown only now."""

    application_id: int
    volunteer_id: int
    number: str
    code: str = field(repr=False)
    warnings: tuple[Fault, ...] = ()


def submit(
    session: Session, store: KeyStore, given: Submission, via: Via, now_ms: int
) -> Submitted:
    """Take an application in and give the person a preliminary number.

    Raises:
        Faulty: fields are wrong, the photo does not fit, or something was not accepted.
        Duplicate: the document belongs to somebody who is registered or has applied.
    """
    checked, photo = _examine(session, given, now_ms)
    clean = checked.clean
    assert clean is not None
    warnings = list(checked.warnings)
    key = records.fingerprints(session, store)
    document = records.document_fingerprint(key, clean.document)
    person = records.person_fingerprint(key, clean.name, clean.birth)
    _refuse_known(session, document)
    warnings += namesakes(session, person, document)
    if photo.maybe_upscaled:
        warnings.append(
            Fault("photo", "photo-upscaled", "照片可能经过放大", "the photo may be enlarged", True)
        )
    filing = _Filing(session, store, via, now_ms)
    volunteer, code = filing.person(clean, document)
    application = filing.application(volunteer, given, clean, (document, person))
    filing.photo(volunteer, application.id, photo)
    by = By(via.actor, now_ms)
    settings.accept(session, volunteer.id, given.accepted, via.channel, by)
    audit.record(
        session, now_ms, via.actor, "application.submitted", f"application:{application.id}",
        number=volunteer.number, channel=via.channel, warnings=[one.code for one in warnings],
    )  # fmt: skip
    queue(
        session,
        Message(
            "application.received", volunteer.id, f"application.received/{application.id}",
            {"number": volunteer.number},
        ),
        now_ms,
    )  # fmt: skip
    return Submitted(application.id, volunteer.id, volunteer.number, code, tuple(warnings))


def namesakes(session: Session, person: bytes, document: bytes) -> list[Fault]:
    """Return a warning for each other application of the same name and birth date."""
    rows = session.execute(
        sa.select(Application.id, Volunteer.number)
        .join(Volunteer, Volunteer.id == Application.volunteer_id)
        .where(
            Application.person_fingerprint == person,
            Application.document_fingerprint != document,
            Application.state.not_in(ENDED_STATES),
        )
        .order_by(Application.id)
        .limit(NAMESAKES_MAX)
    ).all()
    return [
        Fault(
            "name",
            "namesake",
            f"同名同生日的人已有登记：{masked(number)}",
            f"somebody of this name and birth date is registered: {masked(number)}",
            warning=True,
        )
        for _, number in rows
    ]


def masked(number: str) -> str:
    """Return a number that its owner recognises and nobody can copy.

    >>> masked("1234567895")
    '12*****895'
    """
    stars = "*" * (len(number) - MASK_HEAD - MASK_TAIL)
    return f"{number[:MASK_HEAD]}{stars}{number[-MASK_TAIL:]}"


def _examine(session: Session, given: Submission, now_ms: int) -> tuple[Checked, Photo]:
    """Look at everything that can be wrong and say it at once."""
    today = day_of(now_ms)
    checked = check(given.form, settings.current_rules(session), today)
    faults = list(checked.faults)
    faults += _missing(session, given)
    branch = given.form.branch_code.strip() or None
    if not is_open(session, branch, today):
        faults.append(
            Fault("branch_code", "branch", "请选择开放的领证网点", "choose a branch that is open")
        )
    faults += _unknown_organisation(session, given.organisation_id)
    photo = None
    try:
        photo = read_photo(given.photo)
    except Faulty as wrong:
        faults += wrong.faults
    if faults or photo is None:
        raise Faulty(tuple(faults))
    return checked, photo


def _missing(session: Session, given: Submission) -> list[Fault]:
    wanted = settings.current_versions(session)
    return [
        Fault(
            kind, "not-accepted", "请阅读并接受现行条款", "read and accept the present version"
        )
        for kind in Agreement
        if kind in wanted and given.accepted.get(kind) != wanted[kind]
    ]  # fmt: skip


def _unknown_organisation(session: Session, organisation_id: int | None) -> list[Fault]:
    if organisation_id is None:
        return []
    found = session.get(Organisation, organisation_id)
    if found is not None and found.closed_ms is None:
        return []
    return [Fault("organisation", "organisation", "没有这个组织", "no such organisation")]


def _refuse_known(session: Session, document: bytes) -> None:
    """Refuse somebody who is known by this document."""
    number = session.scalar(
        sa.select(Volunteer.number)
        .join(Application, Application.volunteer_id == Volunteer.id)
        .where(
            Application.document_fingerprint == document,
            Application.state.not_in(ENDED_STATES),
        )
    )
    if number is not None:
        raise Duplicate(masked(number))


def _guardian(session: Session, number: str, now_ms: int) -> Volunteer:
    """Return the guardian: somebody known who needs none."""
    try:
        found = find_volunteer(session, number)
    except Refused:
        found = None
    if found is None or (found.minor_until_ms or 0) > now_ms or found.erased_ms is not None:
        wrong = Fault(
            "guardian_number", "guardian-unknown", "没有可任监护人的这个义工号",
            "no volunteer of age has this number",
        )  # fmt: skip
        raise Faulty((wrong,))
    return found


@dataclass(frozen=True, slots=True)
class _Filing:
    """One application on its way into the database."""

    session: Session
    store: KeyStore
    via: Via
    now_ms: int

    def person(self, clean: Clean, document: bytes) -> tuple[Volunteer, str]:
        """Return the person: a new one, or the one whose earlier application ended."""
        guardian_id = None
        if clean.guardian_number:
            guardian_id = _guardian(self.session, clean.guardian_number, self.now_ms).id
        before = self.session.scalar(
            sa.select(Volunteer)
            .join(Application, Application.volunteer_id == Volunteer.id)
            .where(Application.document_fingerprint == document, Volunteer.erased_ms.is_(None))
            .order_by(Application.id.desc())
            .limit(1)
        )
        if before is not None:
            before.guardian_id = guardian_id or before.guardian_id
            return before, ""
        new = NewApplicant(clean.name, clean.birth, guardian_id, self.via.with_code)
        return add_applicant(self.session, self.store, new, self.via.actor, self.now_ms)

    def application(
        self, volunteer: Volunteer, given: Submission, clean: Clean, prints: tuple[bytes, bytes]
    ) -> Application:
        """Write the application; `prints` are those of document and person."""
        contact = Contact(clean.emergency_name, clean.emergency_mobile)
        details = Details(clean.document, clean.mobile, clean.address, contact)
        key = personal.key_of(self.session, self.store, volunteer)
        row = Application(
            volunteer_id=volunteer.id,
            preliminary_number=volunteer.number,
            state=State.SUBMITTED,
            carrier=clean.carrier,
            branch_code=clean.branch_code or None,
            organisation_id=given.organisation_id,
            document_kind=clean.document.kind,
            document_tail=clean.document.number[-TAIL_LENGTH:],
            document_fingerprint=prints[0],
            person_fingerprint=prints[1],
            channel=self.via.channel,
            entered_by=self.via.actor[:ACTOR_LENGTH_MAX],
            submitted_ms=self.now_ms,
            changed_ms=self.now_ms,
            **records.seal_details(key, volunteer.id, details),
        )
        try:
            with self.session.begin_nested():
                self.session.add(row)
        except sa.exc.IntegrityError as error:
            # Somebody else has just filed the same document: the database decides who was first.
            raise Duplicate(MASK_UNSEEN) from error
        return row

    def photo(self, volunteer: Volunteer, application_id: int, photo: Photo) -> None:
        """Keep a photo, sealed."""
        key = personal.key_of(self.session, self.store, volunteer)
        self.session.add(
            ApplicationPhoto(
                application_id=application_id,
                sealed=key.seal(photo.jpeg, records.place_of(volunteer.id, "photo")),
                sha256=photo.sha256,
                width=photo.width,
                height=photo.height,
                maybe_upscaled=photo.maybe_upscaled,
                at_ms=self.now_ms,
            )
        )
