# SPDX-License-Identifier: Apache-2.0
"""Personalisation: plan, show, apply, read back; safe to run again after a cut at any command.

The order makes every state of the card either "not issued yet" or "issued": files are filled with
the application switched off, the transport keys are replaced, and the last write switches the
application on. What a run finds done it leaves alone, so a second run writes nothing.
"""

from __future__ import annotations

import enum
import secrets
from dataclasses import dataclass

from card.attempts import AttemptGuard
from card.card_keys import CARD_USAGES, CardKeys
from card.commands import get_balance, select_fid, select_name
from card.content_steps import FillBinary, FillRecord, MakeFile, PatchByte, WriteKey
from card.directory_steps import MakeDirectory, OpenDirectory, ReplaceControlKey
from card.errors import (
    AuthenticationFailed,
    BlankCard,
    CardError,
    IssuedOtherwise,
    LayoutError,
    ReadBackMismatch,
    WrongCard,
)
from card.file_access import read_file
from card.files import Directory, FileKind
from card.layouts import PUBLIC_DATA, PublicData
from card.operation import Operation, exchange
from card.profile import ENABLED, NOT_ENABLED, STANDARD, CardData, Profile
from card.status_words import OK
from card.step import Progress, Step
from card.tap import initialize, presence
from card.volunteer import DeskKeys, authenticate_desk, public_data, read_composite
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
_NO_MF = (0x6A81, 0x6A82)
_TEST_PSAM = bytes(6)  # a purchase begun with it and never finished leaves no trace


class CardState(enum.Enum):
    """How far a card is: no master file, no filled application, not switched on yet, in use.

    A card of somebody else, or one whose application is blocked, looks STARTED too: it has a
    master file and does not let the application be selected. No key of it is known to us, and
    one wrong attempt ends the run.
    """

    BLANK = "blank"
    STARTED = "started"
    FILLED = "filled"
    ISSUED = "issued"


@dataclass(frozen=True, slots=True)
class Finding:
    """What anybody can see of a card's state, without keys."""

    state: CardState
    public: PublicData | None = None


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

    def show(self) -> list[PlannedCommand]:
        """Return the commands a blank card will get, in order."""
        return [
            PlannedCommand(step.label.zh, step.label.en, apdu)
            for step in self.steps
            for apdu in step.show(self.keys)
        ]


@dataclass(frozen=True, slots=True)
class Issue:
    """How a personalisation ended: what was found, and how many commands changed the card."""

    asn: bytes
    found: CardState
    writes: int


def plan(data: CardData, keys: CardKeys, profile: Profile = STANDARD) -> Plan:
    """Work out every step before the card is touched.

    Raises:
        LayoutError: A value does not fit its field.
    """
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


def inspect(profile: Profile = STANDARD) -> Operation[Finding]:
    """Look how far a card is, without keys and without changing it."""
    response = yield select_fid(profile.master_file.fid)
    if response.sw in _NO_MF:
        return Finding(CardState.BLANK)
    response = yield select_name(profile.application.name)
    if response.sw != OK:
        return Finding(CardState.STARTED)
    try:
        public = public_data(response.data)
    except (BlankCard, LayoutError):
        return Finding(CardState.STARTED)
    issued = public.application_type == ENABLED
    return Finding(CardState.ISSUED if issued else CardState.FILLED, public)


def personalise(
    data: CardData,
    keys: CardKeys,
    profile: Profile = STANDARD,
    guard: AttemptGuard | None = None,
) -> Operation[Issue]:
    """Issue a card: write what is missing, then read everything back.

    Args:
        data: What the card says of its holder.
        keys: The card's keys, derived from its serial.
        profile: Chip class and file map.
        guard: Where attempts left are remembered; a fresh one by default.

    Raises:
        WrongCard: The card already bears another serial.
        IssuedOtherwise: The card was issued before with other data or keys.
        GuardRefused: A key has too few attempts left.
        ReadBackMismatch: The card does not hold what was written.
        StatusError: The card refused a command.
    """
    job = plan(data, keys, profile)
    progress = Progress(keys, data.asn.hex().upper(), guard or AttemptGuard())
    found = yield from inspect(profile)
    if found.public is not None and found.public.asn != data.asn:
        raise WrongCard(data.asn, found.public.asn)
    if found.state is CardState.ISSUED:
        try:
            yield from _verify(job, progress)
        except (ReadBackMismatch, AuthenticationFailed) as exc:
            raise IssuedOtherwise(_difference(exc)) from exc
        return Issue(data.asn, found.state, 0)
    progress.late = found.state is CardState.FILLED
    for step in job.steps:
        yield from step.run(progress)
    yield from _verify(job, progress)
    return Issue(data.asn, found.state, progress.writes)


def _difference(error: CardError) -> str:
    return error.what if isinstance(error, ReadBackMismatch) else "key"


def _verify(job: Plan, progress: Progress) -> Operation[None]:
    """Read back what can be read and use every key that can be used without a trace."""
    application = job.profile.application
    response = yield from exchange(select_name(application.name))
    if public_data(response.data) != PUBLIC_DATA.parse(job.contents[_PUBLIC]):
        raise ReadBackMismatch("0015")
    yield from progress.prove(application, progress.final_key(application))
    for spec in application.files:
        if spec.kind is FileKind.TRANSPARENT:
            due = job.contents[spec.fid]
            content = yield from read_file(spec, len(due), job.keys[KeyUsage.MAINTENANCE])
            if content != due:
                raise ReadBackMismatch(f"{spec.fid:04X}")
    yield from read_composite()
    if any((yield from exchange(get_balance())).data):
        raise ReadBackMismatch("balance")
    yield from _verify_keys(job, progress)


def _verify_keys(job: Plan, progress: Progress) -> Operation[None]:
    keys = job.keys
    challenge = secrets.token_bytes(8)
    answer = yield from presence(challenge)
    if answer != keys[KeyUsage.PRESENCE].cg2(challenge):
        raise ReadBackMismatch(KeyUsage.PRESENCE.value)
    for spec in job.profile.application.keys:
        if spec.usage in (KeyUsage.PURCHASE_PSAM, KeyUsage.PURCHASE_SOFT):
            init = yield from initialize(spec.key_id, _TEST_PSAM)
            if init.key_version != keys.version:
                raise ReadBackMismatch(spec.usage.value)
        elif spec.usage is KeyUsage.DESK_READ:
            desk = DeskKeys(keys[spec.usage], keys[KeyUsage.MAINTENANCE], progress.name)
            yield from authenticate_desk(desk, progress.guard)
