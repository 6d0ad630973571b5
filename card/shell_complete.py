# SPDX-License-Identifier: Apache-2.0
"""What may come next in a shell line, told by the declarations."""

from __future__ import annotations

from dataclasses import dataclass

from card.shell import REALLY, Shell
from card.shell_names import (
    DIRECTORIES,
    argument_names,
    command_names,
    file_names,
    starting,
)
from card.shell_verbs import STATUS_WORD_NAMES, VERBS


@dataclass(frozen=True, slots=True)
class Choice:
    """One completion: the text, how much of what was typed it replaces, and what it is."""

    text: str
    replaces: int
    meaning: str = ""


def complete(shell: Shell, line: str) -> list[Choice]:
    """Return what the last word of a line may become.

    >>> [choice.text for choice in complete(Shell(None), "se")]
    ['select', 'send']
    """
    words = line.split()
    begun = "" if not line or line[-1].isspace() else words.pop()
    if not words:
        return [
            Choice(name, len(begun), f"{VERBS[name].label.zh} {VERBS[name].label.en}")
            for name in starting(VERBS, begun)
        ]
    return [
        Choice(name, len(begun), meaning)
        for name, meaning in _next(shell, words, begun)
        if name.lower().startswith(begun.lower())
    ]


def _next(shell: Shell, words: list[str], begun: str) -> list[tuple[str, str]]:
    verb, behind = words[0], words[1:]
    if verb == "help" and not behind:
        return [(name, v.label.zh) for name, v in VERBS.items()]
    if verb == "select" and not behind:
        return [(name, item.label.zh) for name, item in DIRECTORIES.items()]
    if verb in ("read", "record") and not behind:
        return _files(shell)
    if verb == "record" and len(behind) == 1:
        return _records(shell, behind[0])
    if verb == "sw" and not behind:
        return [(name, "") for name in STATUS_WORD_NAMES]
    if verb == "send":
        return _send(shell, behind, begun)
    if verb == "apdu":
        return [(REALLY, "")]
    return []


def _files(shell: Shell) -> list[tuple[str, str]]:
    return [(name, spec.label.zh) for name, spec in file_names(shell.directory).items()]


def _records(shell: Shell, name: str) -> list[tuple[str, str]]:
    spec = file_names(shell.directory).get(name)
    return [] if spec is None else [(str(n), "") for n in range(1, spec.records + 1)]


def _send(shell: Shell, behind: list[str], begun: str) -> list[tuple[str, str]]:
    if not behind:
        return [(name, spec.label.zh) for name, spec in command_names().items()]
    spec = command_names().get(behind[0])
    if spec is None:
        return []
    if begun.startswith("file="):
        return [(f"file={name}", meaning) for name, meaning in _files(shell)]
    given = {word.split("=")[0] for word in behind[1:]}
    labels = {part.name: part.label.zh for part in spec.data}
    names = [name for name in argument_names(spec) if name not in given]
    return [*((f"{name}=", labels.get(name, "")) for name in names), (REALLY, "")]
