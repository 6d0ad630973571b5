# SPDX-License-Identifier: Apache-2.0
"""Two people's decision against the guard, as `--allow` and `--by`: once, and kept in a journal."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from card.attempts import AttemptGuard, Consent
from card.issue_journal import IssueJournal

TWO = 2  # people decide against the guard
JOURNAL_SUFFIX = ".journal"  # the folder of the cards' journals, beside the key store

Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What was said against the guard on the command line; empty if nothing was.

    Attributes:
        keys: Names of keys, as the guard's refusal tells them.
        people: NAME:REASON of each who decides.
    """

    keys: tuple[str, ...] = ()
    people: tuple[str, ...] = ()

    def decide(self, guard: AttemptGuard, journal: Callable[[], IssueJournal]) -> None:
        """Keep the decision, before any key is tried.

        Raises:
            NotTwoPeople: One person, or a reason that is none.
            click.UsageError: Keys without two people, or people without a key.
        """
        if not self.keys and not self.people:
            return
        split = [person.partition(":") for person in self.people]
        if len(split) != TWO or not self.keys:
            raise click.UsageError("--allow KEY needs --by NAME:REASON twice")
        (one, _, first), (two, _, second) = split
        consent = Consent((one, two), (first, second))
        kept = journal()
        for key in self.keys:
            kept.decided(key, consent)
            guard.allow(key, consent)


def consent_options(command: Command) -> Command:
    """Give a command `--allow` and `--by`, and hand it them as `allowance`."""

    @click.option("--allow", "allowed", metavar="KEY", multiple=True,
                  help="Try this key in spite of the guard; needs --by twice.")  # fmt: skip
    @click.option("--by", "people", metavar="NAME:REASON", multiple=True,
                  help="Who decides, and why; two different people.")  # fmt: skip
    @functools.wraps(command)
    def wrapped(*args: Any, **rest: Any) -> Any:
        allowance = Allowance(rest.pop("allowed"), rest.pop("people"))
        return command(*args, allowance=allowance, **rest)

    return wrapped
