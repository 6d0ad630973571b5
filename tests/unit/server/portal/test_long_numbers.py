# SPDX-License-Identifier: Apache-2.0
"""Numbers in addresses and forms that no row can have are no fault of the server."""

from __future__ import annotations

import pytest

from tests.unit.server.portal.conftest import Visitor

LONG = "9" * 40


@pytest.mark.parametrize(
    ("who", "address"),
    [
        ("staff", f"/bank/file?id={LONG}"),
        ("staff", f"/bank/answer?id={LONG}"),
        ("staff", f"/applications?before={LONG}"),
        ("staff", f"/messages?before={LONG}"),
        ("zhang", f"/me/requests?interval={LONG}"),
    ],
)
def test_an_over_long_number_is_answered(visitor: Visitor, who: str, address: str) -> None:
    """The page comes without it, or is not found; nothing reaches the database."""
    visitor.come_as(who)
    assert visitor.get(address).status_code in (200, 404)
