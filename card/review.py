# SPDX-License-Identifier: Apache-2.0
"""What a plan would change on the card that lies there, found without writing.

Without a guard no key is used, and protected files are only found to be there. With one, the desk
key is proved to a card that bears the plan's serial and key version, and every file is compared.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any

from card.attempts import AttemptGuard
from card.commands import select_fid, select_name
from card.content_steps import FillBinary, FillRecord, MakeFile, look_at
from card.directory_steps import MakeDirectory
from card.file_access import UNWRITTEN, read_file
from card.files import FileKind, FileSpec
from card.inspection import CardState, Finding, inspect
from card.layouts import PUBLIC_DATA
from card.memory_map import MemoryMap, memory_map
from card.operation import Operation
from card.personalise import Plan
from card.status_words import OK, Text
from card.step import Step
from card.volunteer import DeskKeys, authenticate_desk
from keys.usage import KeyUsage

_NO_FILE = 0x6A82
_NO_RECORD = 0x6A83
_PUBLIC = 0x0015
# A dry run never says "issued": what it finds is put in other words.
_STATES = {
    CardState.BLANK: Text("空白", "blank"),
    CardState.STARTED: Text("已开始", "started"),
    CardState.FILLED: Text("已写入，未启用", "filled, not switched on"),
    CardState.ISSUED: Text("已在用", "in use"),
}


class FileState(enum.Enum):
    """How a file on the card compares with the plan."""

    MISSING = "missing"
    EMPTY = "empty"
    EQUAL = "equal"
    DIFFERS = "differs"
    THERE = "there"  # it exists; its content needs a key to be read


@dataclass(frozen=True, slots=True)
class FileDifference:
    """One file: how it compares, and for a readable one the names of fields that differ."""

    fid: int
    label: Text
    state: FileState
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """What a plan would do.

    Attributes:
        plan: The plan.
        found: How far the card is.
        files: Each file of the application.
        writes_max: Commands that would change the card, at most.
        memory: What the chip's memory is used for afterwards.
    """

    plan: Plan
    found: Finding
    files: tuple[FileDifference, ...]
    writes_max: int
    memory: MemoryMap

    def document(self) -> dict[str, Any]:
        """Return the review as plain values, keys and personal data masked."""
        return {
            "dry_run": True,
            "asn": self.plan.data.asn.hex().upper(),
            "profile": self.plan.profile.name,
            "card": _STATES[self.found.state]._asdict(),
            "files": [
                {
                    "fid": f"{row.fid:04X}",
                    **row.label._asdict(),
                    "state": row.state.value,
                    "fields": list(row.fields),
                }
                for row in self.files
            ],
            "writes_max": self.writes_max,
            "memory": self.memory.document(),
            "commands": [
                {"zh": line.step_zh, "en": line.step_en, "apdu": line.apdu}
                for line in self.plan.show()
            ],
        }

    def lines(self) -> list[str]:
        """Return the review for people."""
        shown: list[str] = []
        step = ""
        for line in self.plan.show():
            if line.step_en != step:
                step = line.step_en
                shown.append(f"{line.step_zh} / {line.step_en}")
            shown.append(f"    {line.apdu}")
        shown += ["", "文件 / files"]
        for row in self.files:
            fields = f" ({', '.join(row.fields)})" if row.fields else ""
            shown.append(f"    {row.fid:04X} {row.label.zh} / {row.label.en}: "
                         f"{row.state.value}{fields}")  # fmt: skip
        shown += ["", "空间 / memory", *(f"    {line}" for line in self.memory.lines()), ""]
        state = _STATES[self.found.state]
        shown.append(f"卡片 / card: {state.zh} / {state.en}; "
                     f"写入 / writes: ≤ {self.writes_max}")  # fmt: skip
        return shown


def review_blank(plan: Plan) -> Review:
    """Review a plan for a blank card, with no card at hand."""
    files = tuple(
        FileDifference(spec.fid, spec.label, FileState.MISSING)
        for spec in plan.profile.application.files
    )
    found = Finding(CardState.BLANK)
    return Review(plan, found, files, plan.writes, memory_map(plan.profile))


def review(plan: Plan, guard: AttemptGuard | None = None) -> Operation[Review]:
    """Review a plan at a card; nothing is written.

    Args:
        plan: The plan.
        guard: Where attempts left are remembered; without it no key is used.

    Raises:
        GuardRefused, KeyDisagrees: The desk key would be tried against the guard.
        AuthenticationFailed: The desk key is not the card's.
    """
    found = yield from inspect(plan.profile)
    if found.state is CardState.BLANK:
        return review_blank(plan)
    application = plan.profile.application
    yield select_fid(plan.profile.master_file.fid)
    selected = (yield select_name(application.name)).sw == OK
    opened = selected and guard is not None and _ours(plan, found)
    if opened and guard is not None:
        name = plan.data.asn.hex().upper()
        keys = DeskKeys(plan.keys[KeyUsage.DESK_READ], plan.keys[KeyUsage.MAINTENANCE], name)
        yield from authenticate_desk(keys, guard)
    files: list[FileDifference] = []
    for spec in application.files:
        if not selected:
            files.append(FileDifference(spec.fid, spec.label, FileState.MISSING))
        elif opened and spec.kind is FileKind.TRANSPARENT and spec.fid != _PUBLIC:
            files.append((yield from _compare_content(plan, spec)))
        else:
            files.append((yield from _compare(plan, spec, found)))
    states = {row.fid: row.state for row in files}
    writes = 0
    if found.state is not CardState.ISSUED:
        writes = sum(_writes(step, states, selected=selected) for step in plan.steps)
    return Review(plan, found, tuple(files), writes, memory_map(plan.profile))


def _ours(plan: Plan, found: Finding) -> bool:
    """Say whether the card bears the plan's serial and key version."""
    public = found.public
    wanted = (plan.data.asn, plan.data.key_version)
    return public is not None and (public.asn, public.key_version) == wanted


def _compare_content(plan: Plan, spec: FileSpec) -> Operation[FileDifference]:
    """Compare a file that needs a key; name the fields that differ, and no value."""
    due = plan.contents[spec.fid]
    content = yield from read_file(spec, len(due), plan.keys[KeyUsage.MAINTENANCE])
    if content is None:
        return FileDifference(spec.fid, spec.label, FileState.EMPTY)
    if content == due:
        return FileDifference(spec.fid, spec.label, FileState.EQUAL)
    layout = spec.layout
    fields: tuple[str, ...] = ()
    if layout is not None:
        held, wanted = (layout.parse(side[: layout.size]) for side in (content, due))
        names = layout.field_names()
        fields = tuple(name for name in names if getattr(held, name) != getattr(wanted, name))
    return FileDifference(spec.fid, spec.label, FileState.DIFFERS, fields)


def _compare(plan: Plan, spec: FileSpec, found: Finding) -> Operation[FileDifference]:
    if spec.fid == _PUBLIC and found.public is not None:
        due = PUBLIC_DATA.parse(plan.contents[_PUBLIC])
        switched = dataclasses.replace(found.public, application_type=due.application_type)
        fields = tuple(
            name
            for name in PUBLIC_DATA.field_names()
            if getattr(switched, name) != getattr(due, name)
        )
        state = FileState.DIFFERS if fields else FileState.EQUAL
        return FileDifference(spec.fid, spec.label, state, fields)
    response = yield look_at(spec)
    state = FileState.THERE
    if response.sw == _NO_FILE:
        state = FileState.MISSING
    elif response.sw in (UNWRITTEN, _NO_RECORD):
        state = FileState.EMPTY
    elif response.sw == OK and spec.kind in (FileKind.PURSE, FileKind.VARIABLE):
        state = FileState.EQUAL  # live data of the card's own
    return FileDifference(spec.fid, spec.label, state)


def _writes(step: Step, states: dict[int, FileState], *, selected: bool) -> int:
    """Return how many commands of a step would change this card, at most."""
    if isinstance(step, MakeDirectory):
        there = selected or not step.directory.name
        return 0 if there else step.writes
    if isinstance(step, MakeFile):
        return step.writes if states[step.spec.fid] is FileState.MISSING else 0
    if isinstance(step, FillBinary | FillRecord):
        return 0 if states[step.spec.fid] is FileState.EQUAL else step.writes
    return step.writes
