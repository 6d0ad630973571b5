# SPDX-License-Identifier: Apache-2.0
"""The whole API under requests made from its own description: never a server error.

Each answer is also held against the description: its status is listed there and its type fits, and
every refusal is a problem document in both languages. The gate tries the same requests each time;
`YIKA_HYPOTHESIS=search` tries others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from server.exchange import accounts
from server.exchange.accounts import NewAccount
from server.exchange.policy import Scope
from server.people import services
from server.people.services import NewUser
from tests.integration.server.rig import NOW_MS, Rig

EXAMPLES = 12  # requests to each route, half of them against its description
DOCUMENT = "/api/v1/openapi.json"
# Whoever breaks the form of a request may hear any of these, listed for the route or not.
ANYWHERE = {400, 404, 405, 406, 413, 415, 422}


@pytest.fixture
def api(sqlite_rig: Rig, tmp_path: Path) -> tuple[Any, str]:
    """The schema bound to a server with some events, and the token of an account."""
    sqlite_rig.receipt(sqlite_rig.chain(5))
    app = sqlite_rig.app(tmp_path)
    with sqlite_rig.database.writing() as session:
        services.add_user(session, NewUser("wang", "staff"), "a good password", "root", NOW_MS)
        new = NewAccount("fuzzer", list(Scope))
        _, token = accounts.create(session, new, "wang", NOW_MS)
    return schemathesis.openapi.from_wsgi(DOCUMENT, app), token


def attempts(operation: Any, token: str, seen: set[int]) -> Callable[[], None]:
    """Give a property: requests to one route, and what must hold of each answer."""
    known = {int(code) for code in operation.definition.raw["responses"] if code.isdigit()}
    valid, invalid = (
        operation.as_strategy(mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    )

    @settings(max_examples=EXAMPLES, phases=[Phase.generate])
    @given(data=st.data(), breaks=st.booleans())
    def attempt(data: st.DataObject, breaks: bool) -> None:
        case = data.draw(invalid if breaks else valid)
        answer = case.call(headers={"Authorization": f"Bearer {token}"})
        said = f"{operation.label}: {answer.status_code} {answer.content[:300]!r}"
        assert answer.status_code < 500, said
        assert answer.status_code in known | ANYWHERE, said
        if answer.status_code >= 400:
            document = json.loads(answer.content)
            assert document["status"] == answer.status_code, said
            assert document["detail"], said
            assert document["detail_zh"], said
        seen.add(answer.status_code)

    return attempt


def test_no_request_is_a_server_error(api: tuple[Any, str]) -> None:
    """Valid and invalid requests to every route end in an answer that the description knows."""
    schema, token = api
    seen: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        attempts(operation, token, seen.setdefault(operation.label, set()))()

    assert len(seen) >= 15
    assert all(seen.values())
    assert any(200 in codes for codes in seen.values())
