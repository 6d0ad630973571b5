# SPDX-License-Identifier: Apache-2.0
"""What other features use of issuing, in one place."""

from __future__ import annotations

from server.issuing import personal_data, restoring
from server.issuing.consents import Choice, consents, deregister, functions, set_consent
from server.issuing.events import CardEvent, Detail, apply
from server.issuing.exporting import OrderLine, mark_exported, ready_for_export
from server.issuing.history import History, person_history
from server.issuing.orders import NewOrder, may_order, order
from server.issuing.wording import Result

__all__ = [
    "CardEvent",
    "Choice",
    "Detail",
    "History",
    "NewOrder",
    "OrderLine",
    "Result",
    "apply",
    "consents",
    "deregister",
    "functions",
    "mark_exported",
    "may_order",
    "order",
    "person_history",
    "personal_data",
    "ready_for_export",
    "restoring",
    "set_consent",
]
