# SPDX-License-Identifier: Apache-2.0
"""Refusals of applications; each carries its facts.

Refused
├── Faulty           fields are wrong; all of them at once
├── Duplicate        the person is known already
└── Unmet            conditions of approval are not met
"""

from __future__ import annotations

from server.applications.policy import Condition, Fault
from server.errors import Refused


class Faulty(Refused):
    """One or more fields of an application are wrong."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        zh = "；".join(fault.zh for fault in faults)
        super().__init__(faults[0].code, zh, "; ".join(fault.en for fault in faults))
        self.faults = faults


class Duplicate(Refused):
    """Somebody with the same document is known; `masked` is their number, most of it hidden."""

    def __init__(self, masked: str) -> None:
        super().__init__(
            "duplicate-person",
            f"此证件已有登记，编号 {masked}；遗失请凭编号补办",
            f"this document is registered under {masked}: ask for it to be restored by number",
        )
        self.masked = masked


class Unmet(Refused):
    """An approval is blocked; `unmet` says by what."""

    def __init__(self, unmet: tuple[Condition, ...]) -> None:
        zh = "；".join(one.zh for one in unmet)
        super().__init__(
            "conditions-unmet",
            f"尚未满足：{zh}",
            f"not met: {'; '.join(one.en for one in unmet)}",
        )
        self.unmet = unmet
