# SPDX-License-Identifier: Apache-2.0
"""Questions to the server: what is signed, what is believed, and garbage that changes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.verify import verify
from swipe.requests import REQUEST_CONTEXT, request_message
from terminal.asking import Asker, document
from terminal.chain import Chain
from terminal.errors import BadAnswer, Refused, ServerError, Unreachable
from terminal.inquiry import Summary, ask
from terminal.settlement import Settlement, ask_settlement
from terminal.transport import Request
from tests.factories import TERMINAL_ID, make_identity
from tests.unit.terminal.chains import make_chain

ASN = bytes.fromhex("59490000000000000017")
SUMMARY = {"today_min": 90, "total_min": 1200, "level": 2, "coins": "20.0", "state": "active"}
EQUAL = {"state": "equal", "n_in": 3, "n_out": 2, "n_rej": 1, "missing": []}


@dataclass
class Line:
    """A transport that gives the same answer to everything and keeps what was asked."""

    answer: bytes | ServerError
    requests: list[Request] = field(default_factory=list)

    def send(self, request: Request) -> bytes:
        """Answer."""
        self.requests.append(request)
        if isinstance(self.answer, ServerError):
            raise self.answer
        return self.answer


def line(answer: Any) -> Line:
    """Return a transport that answers with a JSON document."""
    return Line(json.dumps(answer).encode())


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The chain of a terminal that has just been enrolled."""
    return make_chain(tmp_path_factory.mktemp("terminal"))


def test_a_question_is_signed(chain: Chain) -> None:
    """Method, path, time and body are signed with the terminal's key."""
    wire = line({})
    Asker(chain, wire).post("/status", {"unsent": 3})
    (request,) = wire.requests
    utc_ms, _, signature = request.authorization.removeprefix("Yika-Terminal ").partition(".")
    message = request_message("POST", request.path, int(utc_ms), request.body)

    assert request.path == f"/api/v1/terminals/{TERMINAL_ID}/status"
    assert json.loads(request.body) == {"unsent": 3}
    public_key = make_identity().public_key
    assert verify(public_key, bytes.fromhex(signature), REQUEST_CONTEXT, message)


def test_a_summary_is_read(chain: Chain) -> None:
    """Minutes, level, coins and the card's state, asked for by the card's serial."""
    wire = line(SUMMARY)

    assert ask(wire, chain, ASN) == Summary(90, 1200, 2, "20.0", "active")
    assert wire.requests[0].path.endswith(f"/cards/{ASN.hex()}/summary")


@pytest.mark.parametrize("error", [Unreachable("no route"), Refused(404), BadAnswer("x")])
def test_without_an_answer_there_is_no_summary(chain: Chain, error: ServerError) -> None:
    """A server that is away or knows no such card leaves the terminal to its own knowledge."""
    assert ask(Line(error), chain, ASN) is None


def test_a_serial_of_nobody_is_not_asked_for(chain: Chain) -> None:
    """A serial with hex letters stands in no path."""
    wire = line(SUMMARY)

    assert ask(wire, chain, b"\xff" * 10) is None
    assert wire.requests == []


def test_a_settlement_is_read(chain: Chain) -> None:
    """Totals and missing ranges, as the server counts them."""
    missing = line({**EQUAL, "state": "incomplete", "missing": [[4, 6], [9, 9]]})

    assert ask_settlement(Asker(chain, line(EQUAL)), 12) == Settlement("equal", 3, 2, 1, ())
    found = ask_settlement(Asker(chain, missing), 12)
    assert (found.equal, found.missing) == (False, ((4, 6), (9, 9)))
    assert missing.requests[0].path.endswith("/settlements/12")


@pytest.mark.parametrize(
    "change",
    [
        {"state": "fine"},
        {"state": 1},
        {"n_in": -1},
        {"n_out": "2"},
        {"n_rej": True},
        {"missing": [[6, 4]]},
        {"missing": [[1]]},
        {"missing": [["1", 2]]},
        {"missing": {}},
        {"missing": [[1, 1]] * 1001},
    ],
)
def test_a_settlement_of_another_form_is_named(chain: Chain, change: dict[str, Any]) -> None:
    """A member of another type or out of bounds makes the whole answer one not understood."""
    with pytest.raises(BadAnswer, match=next(iter(change))):
        ask_settlement(Asker(chain, line({**EQUAL, **change})), 12)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*SUMMARY, *EQUAL, "x"]), inner, max_size=8)
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_garbage_is_a_named_fault(chain: Chain, raw: bytes) -> None:
    """Whatever comes back, there is either a checked answer or the one named fault."""
    summary = ask(Line(raw), chain, ASN)
    assert summary is None or 0 <= summary.today_min <= 1440
    try:
        found = ask_settlement(Asker(chain, Line(raw)), 1)
    except BadAnswer:
        return
    assert found.state in {"equal", "unequal", "incomplete"}


def test_deep_and_large_documents_are_refused() -> None:
    """Brackets without end and megabytes of JSON are not read."""
    with pytest.raises(BadAnswer):
        document(b"[" * 100_000)
    with pytest.raises(BadAnswer, match="bytes of JSON"):
        document(b'{"a": "' + b"x" * 300_000 + b'"}')
