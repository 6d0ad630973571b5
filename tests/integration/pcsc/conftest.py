# SPDX-License-Identifier: Apache-2.0
"""One stack of pcscd and virtual cards for all tests of this folder."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardware_mocks.cardhost.client import Hand
from hardware_mocks.pcsc import PcscStack
from hardware_mocks.pcsc.errors import NamespacesNotPermitted, NeedsRoot
from tests.integration.pcsc.clients import Context, copy_card, issue_card, issue_psam


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PcscStack]:
    """A running private stack; tests are skipped only where the machine forbids namespaces."""
    stack = PcscStack(workdir=tmp_path_factory.mktemp("pcsc"), private=True)
    try:
        stack.start()
    except (NeedsRoot, NamespacesNotPermitted) as exc:
        pytest.skip(str(exc))
    with stack.adopted():
        yield stack
    stack.stop()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image of an issued card."""
    path = tmp_path_factory.mktemp("template") / "issued.card"
    issue_card(path)
    return path


@pytest.fixture
def hand(stack: PcscStack) -> Iterator[Hand]:
    """A connection to the card host; every slot is empty, and known to be, when the test begins."""
    with stack.hand() as hand, Context() as context:
        for slot in stack.slots.values():
            context.wait(slot.reader, present=False)
        yield hand
        for name in stack.slots:
            hand.remove(name)


@pytest.fixture
def context(stack: PcscStack) -> Iterator[Context]:
    """A PC/SC context of the private stack."""
    assert stack.environment
    with Context() as context:
        yield context


@pytest.fixture
def new_card(stack: PcscStack, template: Path) -> Callable[[], str]:
    """Return a maker of issued cards; each gets a name of its own."""
    numbers = itertools.count(1)

    def make() -> str:
        while (path := stack.cards / f"v{next(numbers)}.card").exists():
            pass
        copy_card(template, path)
        return path.stem

    return make


@pytest.fixture
def psam_card(stack: PcscStack) -> str:
    """The name of an issued PSAM; it keeps its counter from test to test."""
    path = stack.cards / "psam-a.card"
    if not path.exists():
        issue_psam(path)
    return path.stem
