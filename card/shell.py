# SPDX-License-Identifier: Apache-2.0
"""A shell for one card: lines in, text out; a terminal and a pipe drive the same object.

`card.shell_verbs.run_line` runs a line; this module holds what a session knows.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from card.apdu import CommandApdu
from card.attempts import AttemptGuard
from card.decode import describe
from card.errors import CardError, MalformedApdu, NoCard
from card.files import Directory, FileSpec
from card.readers import CardConnection
from card.shell_guard import holds_secret, risk
from card.shell_names import UnknownName, build, command_names
from card.status_words import Text
from card.trace import Trace
from card.trace_place import Whereabouts
from card.volunteer import DeskKeys

REALLY = "--really"
HELP = Text("输入 help", "type help")
LINE_CHARS_MAX = 4_096  # the longest command is 522 hex digits; more is a mistake or an attack

Deriver = Callable[[bytes, int], DeskKeys]


class ShellError(CardError):
    """A line the shell cannot run; `reason` says why, `advice` what to type."""

    def __init__(self, reason: Text, advice: Text = HELP) -> None:
        super().__init__(reason)
        self.meaning = reason
        self.advice = advice


@dataclass(frozen=True, slots=True)
class Verb:
    """One shell command, as `help` and completion know it.

    Attributes:
        name: What one types.
        usage: Its arguments.
        label: What it does.
        example: A line that works.
        act: Does it; takes the shell and the words behind the name, returns lines.
    """

    name: str
    usage: str
    label: Text
    example: str
    act: Callable[[Shell, list[str]], list[str]]


class Shell:
    """Runs lines against a card.

    Args:
        connection: The card; None for the verbs that need none.
        power: Takes the card's power away and connects again, for `reset`.
        desk: Derives the desk keys of a card from serial and key version, for `desk`.
        guard: Where attempts left are remembered.
    """

    def __init__(
        self,
        connection: CardConnection | None,
        power: Callable[[], CardConnection] | None = None,
        desk: Deriver | None = None,
        guard: AttemptGuard | None = None,
    ) -> None:
        self._inner = connection
        self._power = power
        self.derive_desk = desk
        self.guard = guard or AttemptGuard()
        self.desk: DeskKeys | None = None
        self.place = Whereabouts()
        self.trace = Trace("shell")
        self.done = False

    @property
    def directory(self) -> Directory | None:
        """Return the declared directory that is selected, if it is known."""
        return self.place.directory

    @property
    def connection(self) -> Shell:
        """Return the card as a connection that follows where it stands.

        Raises:
            NoCard: The shell was started without one.
        """
        if self._inner is None:
            raise NoCard("shell")
        return self

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Send a command to the card, trace it and follow SELECT."""
        if self._inner is None:
            raise NoCard("shell")
        began = self.trace.now_us()
        data, sw = self._inner.transmit(apdu)
        self.trace.add(apdu, data, sw, began)
        self.place.follow(CommandApdu.from_bytes(apdu), sw)
        return data, sw

    def send(self, command: CommandApdu, *, really: bool) -> list[str]:
        """Send a command behind the guard and return it decoded.

        Raises:
            ShellError: It may cost the card something and `really` is False.
        """
        why = None if really else risk(command)
        if why is not None:
            raise ShellError(why, Text(f"确需执行请加 {REALLY}", f"add {REALLY} if you mean it"))
        file = self.file_of(command)
        data, sw = self.transmit(command.to_bytes())
        raw = f"{data.hex().upper()} {sw:04X}".strip()
        return [raw, *describe(command.to_bytes(), data, sw, file).lines()]

    def file_of(self, command: CommandApdu) -> FileSpec | None:
        """Return the declared file a command reads or writes where the card stands now."""
        return self.place.file(command) if Whereabouts.touches_content(command) else None

    def reset(self) -> None:
        """Take the card's power away and connect again.

        Raises:
            ShellError: This shell cannot.
        """
        if self._power is None:
            raise ShellError(Text("此处不能断电", "cannot power this card"))
        self._inner = self._power()
        self.place.reset()
        self.desk = None

    def fit_for_history(self, line: str) -> bool:
        """Whether a line may be remembered: it holds no key and no PIN."""
        try:
            words = words_of(line)
            if words[:1] == ["send"]:
                spec = command_names().get(words[1])
                return spec is not None and not any(part.secret for part in spec.data)
            if words[:1] in (["apdu"], ["decode"]):
                first = [word for word in words[1:] if word != REALLY][:1]
                return not holds_secret(CommandApdu.from_bytes(bytes.fromhex(first[0])))
        except (ShellError, MalformedApdu, ValueError, IndexError):
            return False
        return True

    def build(self, name: str, arguments: dict[str, str]) -> CommandApdu:
        """Put a declared command together by name.

        Raises:
            UnknownName: There is no such command, argument or file.
            LayoutError: A part is missing or has another size.
        """
        spec = command_names().get(name)
        if spec is None:
            raise UnknownName("command", name)
        return build(spec, arguments, self.directory)


def words_of(line: str) -> list[str]:
    """Cut a line into words; `#` begins a comment.

    Raises:
        ShellError: Too long, or a quote is not closed.

    >>> words_of("read 'public data'  # whose card")
    ['read', 'public data']
    """
    if len(line) > LINE_CHARS_MAX:
        raise ShellError(Text("行太长", f"a line has at most {LINE_CHARS_MAX} characters"))
    try:
        return shlex.split(line, comments=True)
    except ValueError as exc:
        raise ShellError(Text("引号不成对", "a quote is not closed")) from exc
