# SPDX-License-Identifier: Apache-2.0
"""The shell: every verb on a virtual card, completion from the declarations, a clean history."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from card.apply import desk_keys
from card.card_keys import CardKeys
from card.declared import COMMANDS
from card.errors import CardError, NoCard
from card.files import VOLUNTEER
from card.shell import LINE_CHARS_MAX, Shell, ShellError
from card.shell_complete import complete
from card.shell_names import command_names
from card.shell_prompt import CleanHistory, ShellCompleter, lines_from_terminal
from card.shell_verbs import VERBS, run_line
from hardware_mocks.cardos.cos import VirtualCard
from keys.store import FileKeyStore
from tests.contracts.connection_cards import issued_card
from tests.unit.card.virtual_reader import VirtualConnection


@pytest.fixture
def chip(store: FileKeyStore) -> VirtualCard:
    """An issued card."""
    return issued_card(store)


@pytest.fixture
def shell(store: FileKeyStore, chip: VirtualCard) -> Shell:
    """A shell at it, with a key store."""
    return Shell(
        VirtualConnection(chip),
        power=lambda: VirtualConnection(chip),
        desk=lambda asn, version: desk_keys(asn, CardKeys.from_store(store, asn, version)),
    )


def _said(shell: Shell, *lines: str) -> str:
    return "\n".join(text for line in lines for text in run_line(shell, line))


def _texts(shell: Shell, line: str) -> list[str]:
    return [choice.text for choice in complete(shell, line)]


def test_every_example_in_the_help_works(shell: Shell, tmp_path: Path) -> None:
    """Each verb has a label in two languages, and its own example runs."""
    run_line(shell, "select volunteer")
    run_line(shell, "desk")
    for verb in VERBS.values():
        assert verb.label.zh
        assert verb.label.en
        assert verb.example in _said(shell, f"help {verb.name}")
        if verb.name in ("record", "trace"):
            continue
        run_line(shell, verb.example)
        run_line(shell, "select volunteer")
    assert "exchanges" in _said(shell, f"trace {tmp_path / 'today.html'}")


def test_reading_goes_by_name_and_by_right(shell: Shell) -> None:
    """Public files open at once, personal ones after `desk`; both show their fields."""
    public = _said(shell, "select volunteer", "ls", "read public-data", "balance")
    with pytest.raises(CardError, match="6982"):
        run_line(shell, "read 0016")
    personal = _said(shell, "desk", "read holder", "read 001A", "read photo", "read 0019")

    assert "masked name" in public
    assert "余额 / balance: 0" in public
    assert "王小明" in personal
    assert "number of the latest script" in personal


def test_nothing_costly_is_sent_unasked(shell: Shell, chip: VirtualCard) -> None:
    """Writes, tries and undeclared commands want `--really`; reads do not."""
    for line in ("apdu 0020000003123456", "apdu 00FE0000", "send erase-df", "apdu 80D40101 01 FF"):
        with pytest.raises(ShellError, match="--really"):
            run_line(shell, line)
    assert not shell.trace.exchanges

    assert "9000" in _said(shell, "apdu 0084 0000 04")
    assert "6D00" in _said(shell, "apdu 00FE0000 --really")


def test_declared_commands_are_sent_by_name(shell: Shell) -> None:
    """Parts go in as hex, files by name, and the answer comes back decoded."""
    said = _said(
        shell,
        "select volunteer",
        "send read-binary file=0015 le=56",
        "send read-record-by-tag file=composite-record p1=AA",
        "send initialize-for-capp-purchase key_index=01 amount=00000000 terminal=001122334455",
    )

    assert "有效日期" in said
    assert "activity" in said
    assert "off-line counter: 0" in said


@pytest.mark.parametrize(
    "line",
    [
        "fly",
        "read",
        "record 0018",
        "record 0018 x",
        "select zz",
        "send",
        "send nothing",
        "send get-challenge xx=00",
        "send get-challenge p1=1FF",
        "send select-by-identifier",
        "send verify pin",
        "apdu",
        "apdu 0",
        "apdu 00A4",
        "decode 0084000004 90",
        "sw",
        "read 9999",
        "help fly",
        "'",
        "x" * (LINE_CHARS_MAX + 1),
        "trace /none/none/x.html",
    ],
)
def test_mistakes_are_named(shell: Shell, line: str) -> None:
    """Whatever is typed wrong is a ShellError with a hint, never another exception."""
    run_line(shell, "select volunteer")
    with pytest.raises(CardError) as caught:
        run_line(shell, line)

    assert caught.value.meaning.zh
    assert caught.value.advice.en


@given(st.text(max_size=40))
def test_any_line_is_run_or_refused(line: str) -> None:
    """No other error leaves the shell, and completion never fails."""
    shell = Shell(None)
    complete(shell, line)
    shell.fit_for_history(line)
    with contextlib.suppress(CardError):
        run_line(shell, line)


@given(st.sampled_from(sorted(VERBS)), st.text("0123456789ABCDEF= -", max_size=40))
def test_any_arguments_are_run_or_refused(verb: str, rest: str) -> None:
    """The same for what stands behind a verb."""
    shell = Shell(None)
    complete(shell, f"{verb} {rest}")
    with contextlib.suppress(CardError):
        run_line(shell, f"{verb} {rest}".replace("trace", "sw"))


def test_verbs_without_a_card_say_so() -> None:
    """Explaining works without a reader; talking to a card does not."""
    shell = Shell(None)

    assert "READ BINARY" in _said(shell, "decode 00B095001E 6982")
    with pytest.raises(NoCard):
        run_line(shell, "balance")
    with pytest.raises(ShellError):
        run_line(shell, "reset")
    with pytest.raises(ShellError):
        run_line(shell, "desk")


def test_power_forgets_what_was_proved(shell: Shell) -> None:
    """After `reset` nothing is selected and the personal files are closed again."""
    _said(shell, "desk", "reset")

    assert shell.directory is None
    with pytest.raises(ShellError, match="no directory"):
        run_line(shell, "read 0016")


def test_completion_knows_verbs_files_records_and_commands(shell: Shell) -> None:
    """Everything declared is offered where it may stand."""
    run_line(shell, "select volunteer")

    assert _texts(shell, "") == sorted(VERBS)
    assert _texts(shell, "select v") == ["volunteer"]
    assert {f"{spec.fid:04X}" for spec in VOLUNTEER.files} <= set(_texts(shell, "read "))
    assert "public-data" in _texts(shell, "read pub")
    assert len(_texts(shell, "record 0018 ")) == VOLUNTEER.file(0x0018).records
    assert len(_texts(shell, "send ")) == len(COMMANDS)
    assert _texts(shell, "send verify p") == ["pin=", "p1=", "p2="]
    assert "pin=" not in _texts(shell, "send verify pin=12 p")
    assert "file=0015" in _texts(shell, "send read-binary file=")
    assert "6982" in _texts(shell, "sw 69")
    assert _texts(shell, "read 0015 ") == []
    assert _texts(shell, "send nothing ") == []
    assert _texts(shell, "record zz ") == []
    assert _texts(shell, "apdu 00 --") == ["--really"]


def test_each_declared_command_has_its_own_name() -> None:
    """No two declarations are typed alike."""
    assert len(command_names()) == len(COMMANDS)


@pytest.mark.parametrize(
    ("line", "fit"),
    [
        ("read 0015", True),
        ("apdu 0084000004", True),
        ("apdu 0020000003123456 --really", False),
        ("apdu 00FE000001AA", False),
        ("apdu 00", False),
        ("decode 0020000003123456", False),
        ("send verify pin=123456 --really", False),
        ("send get-challenge", True),
        ("send nonsense pin=123456", False),
        ("send", False),
        ("'unclosed 123456", False),
    ],
)
def test_the_history_takes_no_secret(line: str, fit: bool, tmp_path: Path) -> None:
    """Lines with a key or PIN, or that might have one, are not written down."""
    shell = Shell(None)
    history = CleanHistory(tmp_path / "history", shell.fit_for_history)
    history.append_string(line)
    kept = list(FileHistory(str(tmp_path / "history")).load_history_strings())

    assert kept == ([line] if fit else [])
    assert (tmp_path / "history").stat().st_mode & 0o077 == 0


def test_the_terminal_completes_and_ends(shell: Shell, tmp_path: Path) -> None:
    """At a terminal lines are edited and completed; Ctrl-D leaves."""
    offered = ShellCompleter(shell).get_completions(Document("sel"), CompleteEvent())
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("select volunteer\r\x03ls\r\x04")
        lines = list(lines_from_terminal(shell, tmp_path / "history"))

    assert [item.text for item in offered] == ["select"]
    assert lines == ["select volunteer", "ls"]
