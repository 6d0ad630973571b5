# SPDX-License-Identifier: Apache-2.0
"""The comparison of a closed period: when it is asked for, and what comes of each answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.asking import Asker
from terminal.chain import Chain
from terminal.courier import Job
from terminal.errors import Refused
from terminal.modes.comparison import Comparison
from terminal.transport import Request
from tests.unit.terminal.chains import make_chain

EQUAL = {"state": "equal", "n_in": 3, "n_out": 2, "n_rej": 1, "missing": []}


class Server:
    """A server that gives one answer, or none."""

    def __init__(self) -> None:
        self.answer: object = None
        self.asked: list[str] = []

    def send(self, request: Request) -> bytes:
        """Answer, or refuse as one that does not know the CLOSE."""
        self.asked.append(request.path)
        if self.answer is None:
            raise Refused(404)
        return json.dumps(self.answer).encode()


class Counter:
    """A terminal that has closed a period, with a server to ask."""

    def __init__(self, chain: Chain) -> None:
        self.chain, self.server = chain, Server()
        self.again: list[tuple[int, int]] = []
        self.notices: list[Job] = []
        chain.journal.state.closed = (9, 3, 2, 1)
        chain.journal.state.covered = 9
        self.comparison = Comparison(
            lambda _cfg, _hot: list(self.notices),
            Asker(chain, self.server),
            chain.journal,
            lambda first, last: self.again.append((first, last)),
        )

    def round(self) -> None:
        """Do one exchange."""
        for job in self.comparison(0, 0):
            job()


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    """A terminal whose last CLOSE, number 9, is acknowledged."""
    chain = make_chain(tmp_path)
    yield Counter(chain)
    chain.journal.close()


def test_equal_is_asked_for_once(counter: Counter) -> None:
    """Once both sides agree there is nothing more to ask."""
    counter.server.answer = EQUAL
    counter.round()
    counter.round()
    found = counter.comparison.found(9)

    assert found is not None
    assert found.equal
    assert len(counter.server.asked) == 1


def test_nothing_is_asked_before_the_close_has_arrived(counter: Counter) -> None:
    """As long as the CLOSE is not acknowledged, the server cannot compare."""
    counter.chain.journal.state.covered = 8
    counter.round()

    assert counter.server.asked == []


def test_no_period_no_question(counter: Counter) -> None:
    """A terminal that never settled asks nothing."""
    counter.chain.journal.state.closed = None
    counter.round()

    assert counter.server.asked == []


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"state": "fine"}, EQUAL | {"missing": [[2, 1]]}, EQUAL | {"n_in": -1}]
)
def test_a_strange_answer_is_asked_for_again(counter: Counter, answer: object) -> None:
    """A refusal or garbage settles nothing, resends nothing, and holds no notices up."""
    done: list[str] = []
    counter.notices.append(lambda: done.append("notice"))
    counter.server.answer = answer
    counter.round()
    counter.round()

    assert counter.comparison.found(9) is None
    assert counter.again == []
    assert len(counter.server.asked) == 2
    assert done == ["notice", "notice"]


def test_missing_ranges_are_sent_again(counter: Counter) -> None:
    """What the server misses is named to the uplink, and the comparison asked for again."""
    counter.server.answer = EQUAL | {"state": "incomplete", "missing": [[2, 3], [5, 5]]}
    counter.round()
    counter.server.answer = EQUAL
    counter.round()
    found = counter.comparison.found(9)

    assert counter.again == [(2, 3), (5, 5)]
    assert found is not None
    assert found.equal


def test_an_answer_is_for_one_close(counter: Counter) -> None:
    """The next period's settlement is a question of its own."""
    counter.server.answer = EQUAL
    counter.round()
    counter.chain.journal.state.closed = (20, 1, 1, 0)

    assert counter.comparison.found(20) is None
