# SPDX-License-Identifier: Apache-2.0
"""An application as typed becomes values, or faults field by field. Pure: no clock, no database.

Every way in gives the same form: the pages, the desk, a partner's program, an imported file.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from server.applications import documents
from server.applications.documents import Document, DocumentKind
from server.applications.policy import (
    ADDRESS_LENGTH_MAX,
    ADDRESS_LENGTH_MIN,
    Carrier,
    Fault,
    Rules,
    clean_name,
    is_old_enough,
    mobile,
    needs_guardian,
)
from server.people.policy import is_preliminary_number, is_volunteer_number

AGE_MAX = 120  # an older birth date is a slip of the finger


@dataclass(frozen=True, slots=True)
class Form:
    """An application as typed; every field a text, "" where nothing was typed."""

    name: str = ""
    birth: str = ""
    document_kind: str = DocumentKind.MAINLAND_ID
    document_number: str = ""
    mobile: str = ""
    address: str = ""
    emergency_name: str = ""
    emergency_mobile: str = ""
    guardian_number: str = ""
    carrier: str = Carrier.DEBIT
    branch_code: str = ""

    def __repr__(self) -> str:
        """Say nothing of what was typed."""
        return "Form(…)"


@dataclass(frozen=True, slots=True)
class Clean:
    """A form without faults, as it is kept."""

    name: str
    birth: dt.date
    document: Document
    mobile: str
    address: str
    emergency_name: str
    emergency_mobile: str
    guardian_number: str
    carrier: Carrier
    branch_code: str
    minor: bool

    def __repr__(self) -> str:
        """Say nothing of it."""
        return "Clean(…)"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a form comes to: its values when it has no fault, its faults, its warnings."""

    clean: Clean | None
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]


def check(form: Form, rules: Rules, today: dt.date) -> Checked:
    """Check every field of a form and return all that is wrong with it at once.

    >>> check(Form(name="王小明"), Rules(), dt.date(2026, 11, 21)).faults[0].code
    'document-length'
    """
    name = clean_name(form.name)
    found: list[Fault | None] = [
        None if name else Fault("name", "name", "姓名不合要求", "this is no name of a person"),
        *_document_faults(form, rules, today),
        *_mobile_faults(form),
        _address_fault(form),
        _carrier_fault(form, rules, today),
        _guardian_fault(form, rules, today),
    ]
    faults = tuple(fault for fault in found if fault is not None and not fault.warning)
    warnings = tuple(fault for fault in found if fault is not None and fault.warning)
    clean = None if faults else _clean(form, rules, today)
    return Checked(clean, faults, warnings)


def document_of(form: Form) -> Document | None:
    """Return the document of a form in its kept form, None when its kind is unknown."""
    if form.document_kind not in set(DocumentKind):
        return None
    return Document(DocumentKind(form.document_kind), documents.normal(form.document_number))


def birth_of(form: Form) -> dt.date | None:
    """Return the birth date: that of the document where it has one, else what was typed."""
    document = document_of(form)
    inside = documents.birth_of(document) if document else None
    return inside or _typed_date(form.birth)


def _clean(form: Form, rules: Rules, today: dt.date) -> Clean:
    document, birth = document_of(form), birth_of(form)
    own, other = mobile(form.mobile), mobile(form.emergency_mobile)
    name, emergency = clean_name(form.name), clean_name(form.emergency_name)
    assert document
    assert birth
    assert own
    assert other
    assert name
    assert emergency
    return Clean(
        name=name,
        birth=birth,
        document=document,
        mobile=own,
        address=" ".join(form.address.split()),
        emergency_name=emergency,
        emergency_mobile=other,
        guardian_number=form.guardian_number.strip().upper(),
        carrier=Carrier(form.carrier),
        branch_code=form.branch_code.strip(),
        minor=needs_guardian(birth, today, rules),
    )


def _document_faults(form: Form, rules: Rules, today: dt.date) -> list[Fault | None]:
    document = document_of(form)
    if document is None:
        return [Fault("document_kind", "document-kind", "证件类型不对", "no such kind of document")]
    wrong = documents.fault_of(document, today)
    if wrong is not None:
        return [Fault("document_number", wrong.code, wrong.zh, wrong.en)]
    inside, typed = documents.birth_of(document), _typed_date(form.birth)
    if inside and form.birth.strip() and typed != inside:
        return [
            Fault(
                "birth", "birth-differs", "出生日期与证件号码不一致",
                "the birth date differs from that in the document's number",
            )
        ]  # fmt: skip
    return [_age_fault(inside or typed, rules, today)]


def _age_fault(birth: dt.date | None, rules: Rules, today: dt.date) -> Fault | None:
    if birth is None or not dt.timedelta(0) <= today - birth <= dt.timedelta(days=366 * AGE_MAX):
        return Fault("birth", "birth", "请填写出生日期", "give the birth date, such as 2008-05-17")
    if is_old_enough(birth, rules.age_min, today, rules):
        return None
    return Fault(
        "birth",
        "too-young",
        f"须年满 {rules.age_min} 周岁",
        f"one must be {rules.age_min} years old",
    )


def _mobile_faults(form: Form) -> list[Fault | None]:
    own, other = mobile(form.mobile), mobile(form.emergency_mobile)
    zh, en = "手机号须为 11 位，或以 + 和国家代码开头", "11 digits, or + and the country code"
    emergency = clean_name(form.emergency_name)
    return [
        None if own else Fault("mobile", "mobile", zh, en),
        None
        if emergency
        else Fault("emergency_name", "emergency-name", "请填写紧急联系人", "name somebody"),
        None if other else Fault("emergency_mobile", "mobile", zh, en),
        Fault(
            "emergency_mobile", "same-mobile", "紧急联系人的手机与本人相同",
            "the emergency contact has the applicant's own number", warning=True,
        )
        if own and own == other
        else None,
    ]  # fmt: skip


def _address_fault(form: Form) -> Fault | None:
    length = len(" ".join(form.address.split()))
    if ADDRESS_LENGTH_MIN <= length <= ADDRESS_LENGTH_MAX:
        return None
    return Fault(
        "address",
        "address",
        f"地址须为 {ADDRESS_LENGTH_MIN} 至 {ADDRESS_LENGTH_MAX} 个字",
        f"an address has {ADDRESS_LENGTH_MIN} to {ADDRESS_LENGTH_MAX} characters",
    )


def _carrier_fault(form: Form, rules: Rules, today: dt.date) -> Fault | None:
    if form.carrier not in set(Carrier):
        return Fault("carrier", "carrier", "请选择借记卡或贷记卡", "choose debit or credit")
    birth = birth_of(form)
    if form.carrier != Carrier.CREDIT or birth is None:
        return None
    if is_old_enough(birth, rules.credit_age_min, today, rules):
        return None
    least = rules.credit_age_min
    return Fault(
        "carrier", "credit-age", f"未满 {least} 周岁只能选择借记卡",
        f"under {least} years only a debit card can be chosen",
    )  # fmt: skip


def _guardian_fault(form: Form, rules: Rules, today: dt.date) -> Fault | None:
    number = form.guardian_number.strip().upper()
    if number:
        if is_volunteer_number(number) or is_preliminary_number(number):
            return None
        return Fault(
            "guardian_number", "guardian-number", "监护人的义工号不对",
            "this is no volunteer's number",
        )  # fmt: skip
    birth = birth_of(form)
    if birth is None or not needs_guardian(birth, today, rules):
        return None
    until = rules.guardian_until
    return Fault(
        "guardian_number", "guardian-missing", f"未满 {until} 周岁须填写监护人的义工号",
        f"under {until} years a guardian must be named by volunteer number",
    )  # fmt: skip


def _typed_date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        return None
