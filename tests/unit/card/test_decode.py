# SPDX-License-Identifier: Apache-2.0
"""The decoder: every declared vector in words, files by their layouts, hostile bytes harmlessly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from card.apdu import CommandApdu
from card.commands import get_balance, read_binary, read_record_by_tag, select_name
from card.declared import COMMANDS, CommandSpec
from card.decode import describe, describe_tape
from card.files import VOLUNTEER, VOLUNTEER_AID
from card.trace import Exchange, Tape, Trace

VECTORS = [(spec, number) for spec in COMMANDS for number in range(len(spec.vectors))]


@pytest.mark.parametrize(("spec", "number"), VECTORS, ids=lambda value: getattr(value, "name", ""))
def test_every_declared_vector_is_described(spec: CommandSpec, number: int) -> None:
    """Each command is named in two languages, and each part that came has a line."""
    vector = spec.vectors[number]
    command = vector.command()
    found = describe(command.to_bytes(), bytes.fromhex(vector.answer))
    text = "\n".join(found.lines())

    assert found.name == spec.name
    assert spec.label.zh in text
    assert spec.label.en in text
    for part, value in spec.split_data(command).items():
        label = next(item.label for item in spec.data_parts(command.cla) if item.name == part)
        assert not value or label.en in text
    assert found.fine


def test_secret_parts_are_never_shown() -> None:
    """A PIN shows as a length even when the bytes are still there."""
    text = "\n".join(describe(bytes.fromhex("0020000003123456")).lines())

    assert "123456" not in text
    assert "3 bytes" in text


def test_a_record_is_shown_field_by_field() -> None:
    """A whole record of a declared file shows its fields with labels, not its bytes."""
    spec = VOLUNTEER.file(0x0019)
    assert spec.layout is not None
    command = read_record_by_tag(spec.sfi, 0xAA, 0x20).to_bytes()
    content = bytes.fromhex(spec.layout.vectors[1][0])

    text = "\n".join(describe(command, content, 0x9000, spec).lines())

    assert "活动编号 / activity: 101" in text
    assert "0019 复合应用记录 / composite record" in text


def test_the_place_is_followed_through_a_tape() -> None:
    """After SELECT a read by SFI is that of the application's file; elsewhere it is not."""
    public = VOLUNTEER.file(0x0015)
    assert public.layout is not None
    content = bytes.fromhex(public.layout.vectors[0][0])
    read = Exchange(1, "", read_binary(0x15, 0, len(content)).to_bytes(), content, 0x9000)
    chosen = Exchange(0, "", select_name(VOLUNTEER_AID).to_bytes(), b"", 0x9000)
    other = Exchange(0, "", select_name(b"\xa0" * 5).to_bytes(), b"", 0x9000)

    inside = [found for _, found in describe_tape(Tape((chosen, read)))][1]
    outside = [found for _, found in describe_tape(Tape((other, read)))][1]

    assert any(line.label.en == "file" for line in inside.sent)
    assert len(inside.received) > 5
    assert [line.label.en for line in outside.received] == ["content"]


def test_refusals_and_failures_are_told_apart() -> None:
    """A refusal names the status word; an error of the reader names itself."""
    refused = describe(get_balance().to_bytes(), b"", 0x6982)
    lost = next(describe_tape(Tape((Exchange(0, "", b"\0\x84\0\0\x04", b"", 0, error="X"),))))[1]

    assert not refused.fine
    assert "6982" in refused.verdict()
    assert not lost.fine
    assert lost.verdict() == "!! X"


def test_what_is_undeclared_is_shown_as_bytes() -> None:
    """An unknown or malformed command still has its line."""
    unknown = describe(bytes.fromhex("00FE000002ABCD"), b"\x01")
    malformed = describe(b"\x00\xa4")

    assert "ABCD" in "\n".join(unknown.lines())
    assert malformed.label.en == "malformed command"


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 0xFFFF))
def test_any_bytes_are_described(command: bytes, answer: bytes, sw: int) -> None:
    """Whatever a hostile card or program sends, the trace and its words are whole."""
    trace = Trace()
    trace.add(command, answer, sw)

    for _, found in describe_tape(trace.tape()):
        assert found.lines()


@given(st.sampled_from(COMMANDS), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=255))
def test_any_parameters_of_a_declared_command_are_described(
    spec: CommandSpec, p1: int, p2: int, data: bytes
) -> None:
    """Declared commands with hostile parameters, data and answers are described too."""
    command = CommandApdu(min(spec.cla), spec.ins, p1, p2, data).to_bytes()
    trace = Trace()
    trace.add(command, data[::-1], 0x9000)

    for spec_of_file in VOLUNTEER.files:
        assert describe(command, data[::-1], 0x9000, spec_of_file).lines()
    assert len(list(describe_tape(trace.tape()))) == 1
