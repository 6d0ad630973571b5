# SPDX-License-Identifier: Apache-2.0
"""Personalisation: plan, review, apply, journal; safe to run again after a cut at any command.

The order makes every state of the card either "not issued yet" or "issued": files are filled with
the application switched off, the transport keys are replaced, and the last write switches the
application on. What a run finds done it leaves alone, so a second run writes nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from card.attempts import AttemptGuard
from card.card_keys import CARD_USAGES, CardKeys
from card.content_steps import FillBinary, FillRecord, MakeFile, PatchByte, WriteKey
from card.directory_steps import MakeDirectory, OpenDirectory, ReplaceControlKey
from card.drivers import VOLUNTEER_NEEDS, Capability, probe_driver, require
from card.errors import (
    AuthenticationFailed,
    CardError,
    IssuedOtherwise,
    LayoutError,
    ReadBackMismatch,
    StatusError,
    WrongCard,
    status_error,
)
from card.files import Directory, FileKind
from card.inspection import BLOCKED, CardState, Finding, inspect
from card.issuing_errors import (
    ApplicationBlocked,
    CardSwapped,
    ForeignDialect,
    Reached,
    stopped,
)
from card.operation import LIVE, Operation, Outside
from card.profile import ENABLED, NOT_ENABLED, STANDARD, CardData, Profile
from card.read_back import UNPROVED, read_back
from card.status_words import Text
from card.step import Progress, Step
from keys.algorithm import Algorithm
from keys.usage import KeyUsage

__all__ = [
    "CARD_USAGES",
    "CardData",
    "CardKeys",
    "CardState",
    "Finding",
    "Issue",
    "Plan",
    "PlannedCommand",
    "Profile",
    "inspect",
    "personalise",
    "plan",
]

_PUBLIC = 0x0015
_SWITCH_OFFSET = 8  # application type, the byte that enables
_SELECT, _GET_BALANCE = 0xA4, 0x5C
_UNKNOWN_CLASS = 0x6E00
_MARK_CONTEXT = b"yika/plan/1\0"
_H8_BYTES = 8


@dataclass(frozen=True, slots=True)
class PlannedCommand:
    """One command of a plan as people see it: keys and personal data masked."""

    step_zh: str
    step_en: str
    apdu: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps for one card, and what it will hold."""

    data: CardData
    keys: CardKeys
    profile: Profile
    steps: tuple[Step, ...]
    contents: dict[int, bytes]

    @property
    def mark(self) -> str:
        """Return sixteen hex digits that stand for data and keys.

        The presence key goes into them, so nobody without the key store can try out names.
        """
        hashed = hashlib.sha256(_MARK_CONTEXT + self.profile.name.encode() + b"\0")
        for fid, content in sorted(self.contents.items()):
            hashed.update(fid.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content)
        for usage in CARD_USAGES:
            hashed.update(self.keys[usage].kcv.encode())
        return self.keys[KeyUsage.PRESENCE].cg2(hashed.digest()[:_H8_BYTES]).hex()

    @property
    def writes(self) -> int:
        """Return how many commands change a blank card that gets all of it."""
        return sum(step.writes for step in self.steps)

    def show(self) -> list[PlannedCommand]:
        """Return the commands a blank card will get, in order."""
        return [
            PlannedCommand(step.label.zh, step.label.en, apdu)
            for step in self.steps
            for apdu in step.show(self.keys)
        ]


@dataclass(frozen=True, slots=True)
class Issue:
    """How a personalisation ended: what was found, and how many commands changed the card.

    `unproved` names the keys whose value a card proves only in a counted transaction
    (`card.read_back`).
    """

    asn: bytes
    found: CardState
    writes: int
    unproved: tuple[KeyUsage, ...] = UNPROVED


class Journal(Protocol):
    """What is told how a run goes: `card.issue_journal.IssueJournal`."""

    @property
    def replaces(self) -> bool:
        """Whether a card of this serial was thrown away before."""
        ...

    def begin(self, mark: str, state: str) -> None:
        """Note the beginning; raise where the card cannot be the one begun before."""
        ...

    def step(self, number: int, label: str, writes: int) -> None:
        """Note a step that is done."""
        ...

    def stopped(self, error: CardError) -> None:
        """Note why the run ended early."""
        ...

    def done(self, found: str) -> None:
        """Note that the card is issued."""
        ...


class _NoJournal:
    replaces = False

    def begin(self, mark: str, state: str) -> None:
        pass

    def step(self, number: int, label: str, writes: int) -> None:
        pass

    def stopped(self, error: CardError) -> None:
        pass

    def done(self, found: str) -> None:
        pass


def plan(data: CardData, keys: CardKeys, profile: Profile = STANDARD) -> Plan:
    """Work out every step before the card is touched.

    Raises:
        LayoutError: A value does not fit its field.
    """
    if keys[KeyUsage.PRESENCE].algorithm is not data.algorithm:
        raise LayoutError("algorithm", f"the card's keys are not {data.algorithm.value}")
    contents = data.contents(profile)
    off = bytearray(contents[_PUBLIC])
    off[_SWITCH_OFFSET] = NOT_ENABLED
    mf, application = profile.master_file, profile.application
    steps: list[Step] = [
        MakeDirectory(mf),
        OpenDirectory(mf),
        MakeDirectory(application),
        OpenDirectory(application),
        *(WriteKey(application, spec) for spec in application.other_keys),
        *_file_steps(application, {**contents, _PUBLIC: bytes(off)}),
        ReplaceControlKey(application),
        OpenDirectory(mf, again=True),
        ReplaceControlKey(mf),
        OpenDirectory(application, again=True),
        PatchByte(application.file(_PUBLIC), _SWITCH_OFFSET, ENABLED),
    ]
    return Plan(data, keys, profile, tuple(steps), contents)


def _file_steps(application: Directory, contents: dict[int, bytes]) -> list[Step]:
    steps: list[Step] = []
    for spec in application.files:
        steps.append(MakeFile(spec))
        content = contents.get(spec.fid)
        if content is not None:
            fill = FillBinary if spec.kind is FileKind.TRANSPARENT else FillRecord
            steps.append(fill(spec, content))
    return steps


def personalise(
    data: CardData,
    keys: CardKeys,
    profile: Profile = STANDARD,
    guard: AttemptGuard | None = None,
    journal: Journal | None = None,
    outside: Outside = LIVE,
) -> Operation[Issue]:
    """Issue a card: write what is missing, then read everything back.

    Args:
        data: What the card says of its holder.
        keys: The card's keys, derived from its serial.
        profile: Chip class and file map.
        guard: Where attempts left are remembered; a fresh one by default.
        journal: What is told of the run; nothing by default.
        outside: Where random bytes come from.

    Raises:
        WrongCard: The card already bears another serial.
        IssuedOtherwise: The card was issued before with other data or keys.
        GuardRefused, KeyDisagrees: A key would be tried against the guard; nothing was sent.
        CapabilityMissing: The card's operating system lacks what the application needs.
        IssuingStopped: The card refused a step; the class says why.
        CardSwapped, PlanChanged: This is not the card, or not the plan, that was begun.
        ReadBackMismatch: The card does not hold what was written.
        StatusError: The card refused while it was looked at or read back.
    """
    job = plan(data, keys, profile)
    journal = journal or _NoJournal()
    progress = Progress(keys, data.asn.hex().upper(), guard or AttemptGuard())
    try:
        issue = yield from _issue(job, progress, journal, outside)
    except CardError as exc:
        journal.stopped(exc)
        raise
    journal.done(issue.found.value)
    return issue


def _issue(job: Plan, progress: Progress, journal: Journal, outside: Outside) -> Operation[Issue]:
    asn, profile = job.data.asn, job.profile
    found = yield from inspect(profile)
    if found.public is not None and found.public.asn != asn:
        raise WrongCard(asn, found.public.asn)
    if found.blocked:
        at_start = Reached(0, len(job.steps), job.steps[0].label, 0)
        raise ApplicationBlocked(at_start, status_error(BLOCKED[0], _SELECT))
    if found.public is None:
        yield from _require_driver(job)
    else:
        application = profile.application
        name, final = progress.key_name(application), progress.final_key(application)
        progress.guard.check_version(name, found.public.key_version, final)
    journal.begin(job.mark, found.state.value)
    if found.state is CardState.BLANK and journal.replaces:
        # Before its first write: a run cut after that would try the key of the card it replaces.
        progress.guard.new_card(progress.name)
    if found.state is CardState.ISSUED:
        try:
            yield from read_back(profile, job.contents, progress, outside)
        except (ReadBackMismatch, AuthenticationFailed) as exc:
            raise IssuedOtherwise(_difference(exc)) from exc
        return Issue(asn, found.state, 0)
    progress.late = found.state is CardState.FILLED
    for number, step in enumerate(job.steps, 1):
        before = progress.writes
        try:
            yield from step.run(progress)
        except StatusError as exc:
            reached = Reached(number, len(job.steps), step.label, progress.writes)
            yield from _look_for_another_card(job, reached)
            raise stopped(reached, exc) from exc
        journal.step(number, step.label.en, progress.writes - before)
    yield from read_back(profile, job.contents, progress, outside)
    return Issue(asn, found.state, progress.writes)


def _require_driver(job: Plan) -> Operation[None]:
    """Refuse a card whose operating system lacks what the application needs, before any write.

    Raises:
        ForeignDialect: No driver knows this card.
        CapabilityMissing: Its driver cannot do what the profile needs.
    """
    driver = yield from probe_driver()
    if driver is None:
        at_start = Reached(0, len(job.steps), job.steps[0].label, 0)
        raise ForeignDialect(at_start, status_error(_UNKNOWN_CLASS, _GET_BALANCE))
    needs = dict(VOLUNTEER_NEEDS)
    if job.data.algorithm is Algorithm.SM4:
        needs[Capability.SM4] = Text("密钥为 SM4", "to hold SM4 keys")
    require(job.profile.name, driver.name, driver.capabilities, needs)


def _look_for_another_card(job: Plan, reached: Reached) -> Operation[None]:
    """After a refusal: is this still the card the run began on?

    Raises:
        CardSwapped: It bears another serial, or is blank although this run has written to it.
    """
    found = yield from inspect(job.profile)
    expected = job.data.asn.hex().upper()
    if found.public is not None and found.public.asn != job.data.asn:
        raise CardSwapped(expected, found.public.asn.hex().upper())
    if found.state is CardState.BLANK and reached.writes:
        raise CardSwapped(f"{expected} ({reached.writes} writes)", found.state.value)


def _difference(error: CardError) -> str:
    return error.what if isinstance(error, ReadBackMismatch) else "key"
