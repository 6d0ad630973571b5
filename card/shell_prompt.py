# SPDX-License-Identifier: Apache-2.0
"""The shell at a terminal: prompt, completion and a history without secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from card.shell import Shell
from card.shell_complete import complete


class ShellCompleter(Completer):
    """Hands the shell's completions to the prompt."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002 - the library's interface
    ) -> Iterable[Completion]:
        """Yield what may come next."""
        for choice in complete(self._shell, document.text_before_cursor):
            yield Completion(choice.text, -choice.replaces, display_meta=choice.meaning)


class CleanHistory(FileHistory):
    """A history file that is never given a line with a key or PIN in it."""

    def __init__(self, path: Path, fit: Callable[[str], bool]) -> None:
        path.touch(mode=0o600, exist_ok=True)
        super().__init__(str(path))
        self._fit = fit

    def append_string(self, string: str) -> None:
        """Remember a line if it is fit to be."""
        if self._fit(string):
            super().append_string(string)


def lines_from_terminal(shell: Shell, history: Path | None) -> Iterator[str]:
    """Yield what is typed until the end of input; Ctrl-C drops a line."""
    kept: History = (
        InMemoryHistory() if history is None else CleanHistory(history, shell.fit_for_history)
    )
    session: PromptSession[str] = PromptSession(
        completer=ShellCompleter(shell), history=kept, complete_while_typing=True
    )
    while True:
        place = "?" if shell.directory is None else shell.directory.label.zh
        try:
            yield session.prompt(f"义卡 {place}> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
