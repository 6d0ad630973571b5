# SPDX-License-Identifier: Apache-2.0
"""What others use of applications: hand one in, look at its conditions, decide, make cards.

Every function works inside the caller's unit of work and writes its audit line there.
"""

from __future__ import annotations

from server.applications import personal_data
from server.applications.branches import Branch, open_branches
from server.applications.checking import Form
from server.applications.deciding import (
    approve,
    conditions,
    refresh,
    reject,
    withdraw,
)
from server.applications.entering import Submission, Submitted, Via, submit
from server.applications.errors import Duplicate, Faulty, Unmet
from server.applications.ordering import (
    Choice,
    Orderable,
    choose,
    freeze,
    orderable,
    recognise,
)
from server.applications.policy import Agreement, Carrier, Channel, Condition, Rules, State
from server.applications.records import BANK_FIELDS, bank_record, mobile, newest, photo
from server.applications.settings import (
    By,
    accept,
    current_rules,
    current_texts,
    current_versions,
    missing_agreements,
    set_rules,
)

__all__ = [
    "BANK_FIELDS",
    "Agreement",
    "Branch",
    "By",
    "Carrier",
    "Channel",
    "Choice",
    "Condition",
    "Duplicate",
    "Faulty",
    "Form",
    "Orderable",
    "Rules",
    "State",
    "Submission",
    "Submitted",
    "Unmet",
    "Via",
    "accept",
    "approve",
    "bank_record",
    "choose",
    "conditions",
    "current_rules",
    "current_texts",
    "current_versions",
    "freeze",
    "missing_agreements",
    "mobile",
    "newest",
    "open_branches",
    "orderable",
    "personal_data",
    "photo",
    "recognise",
    "refresh",
    "reject",
    "set_rules",
    "submit",
    "withdraw",
]
