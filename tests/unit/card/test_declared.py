# SPDX-License-Identifier: Apache-2.0
"""Command declarations: complete, found by their own vectors, cut and joined without loss."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from card.apdu import CommandApdu
from card.declared import COMMANDS, CommandSpec, Form, Part, Vector, find, find_command
from card.declared_types import join, split
from card.errors import LayoutError
from card.status_words import Text

VECTORS = [(spec, vector) for spec in COMMANDS for vector in spec.vectors]


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.name)
def test_declaration_is_complete(spec: CommandSpec) -> None:
    """Each command has a vector, labels in both languages for itself and its parts, a source."""
    parts = (*spec.data, *spec.answer, *(spec.wrapped or ()))

    assert spec.vectors
    assert spec.source
    assert all(vector.source for vector in spec.vectors)
    assert all(label.zh and label.en for label in (spec.label, *(part.label for part in parts)))
    assert bool(spec.parameters.zh) == bool(spec.parameters.en)


def test_names_are_unique() -> None:
    """No two declarations bear the same name."""
    names = [spec.name for spec in COMMANDS]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("spec", "vector"), VECTORS, ids=lambda x: getattr(x, "header", None))
def test_vector_is_found_and_cut_into_its_parts(spec: CommandSpec, vector: Vector) -> None:
    """A vector's bytes lead to its declaration, and its parts are the declared ones."""
    command = vector.command()

    assert find(command.to_bytes()) is spec
    assert [part.hex().upper() for part in spec.split_data(command).values()] == (
        vector.data.split()
    )
    answer = bytes.fromhex(vector.answer)
    if answer:
        parts = spec.split_answer(command, answer)
        assert [part.hex().upper() for part in parts.values()] == vector.answer.split()


@pytest.mark.parametrize(("spec", "vector"), VECTORS, ids=lambda x: getattr(x, "header", None))
def test_vector_is_built_from_its_parts(spec: CommandSpec, vector: Vector) -> None:
    """Parts put together again give the vector's bytes."""
    command = vector.command()
    rebuilt = spec.build(command.header, spec.split_data(command), command.le)

    assert command == rebuilt


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(COMMANDS), st.data())
def test_any_parts_survive_command_and_answer(spec: CommandSpec, data: st.DataObject) -> None:
    """Joining and cutting are inverse for every declaration, class and length."""
    cla = data.draw(st.sampled_from(sorted(spec.cla)))
    for parts in (spec.data_parts(cla), spec.answer_parts(cla)):
        values = {
            part.name: data.draw(
                st.binary(min_size=part.size or 0, max_size=40 if part.size is None else part.size)
            )
            for part in parts
        }

        assert values == dict(split(spec.name, parts, join(spec.name, parts, values)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_are_one_of_ours_or_nothing(apdu: bytes) -> None:
    """Whatever comes, the table answers with a declaration or None, and cutting is typed."""
    spec = find(apdu)
    if spec is not None:
        command = CommandApdu.from_bytes(apdu)
        try:
            parts = spec.split_data(command)
        except LayoutError as error:
            offset = error.offset
        else:
            offset = len(b"".join(parts.values()))

        assert offset is not None
        assert 0 <= offset <= len(command.data)


def test_a_part_too_long_or_missing_is_refused() -> None:
    """Parts of another size, and unknown or missing parts, are errors."""
    spec = next(spec for spec in COMMANDS if spec.name == "CREDIT FOR LOAD")
    right = spec.split_data(spec.vectors[0].command())

    with pytest.raises(LayoutError):
        spec.build(bytes.fromhex("80520000"), right | {"date": b"\x00"})
    with pytest.raises(LayoutError):
        spec.build(bytes.fromhex("80520000"), {"date": right["date"]})


def test_a_short_answer_names_where_it_ends() -> None:
    """An answer of another length is an error that carries the offset."""
    spec = next(spec for spec in COMMANDS if spec.name == "CREDIT FOR LOAD")
    command = spec.vectors[0].command()

    with pytest.raises(LayoutError) as caught:
        spec.split_answer(command, b"\x01\x02\x03")

    assert caught.value.offset == 3


def test_secrets_are_marked_where_keys_and_pins_travel() -> None:
    """Every data field that holds a key or a PIN has a secret part."""
    bearing = [
        spec
        for spec in COMMANDS
        if spec.ins in (0xD4, 0x20, 0x5E, 0x24) or spec.name == "CREATE FILE, master file"
    ]

    for spec in bearing:
        for cla in spec.cla:
            assert any(part.secret for part in spec.data_parts(cla)), spec.name


def test_parts_are_shown_by_their_form() -> None:
    """Numbers, dates and times read as such; other bytes as hex; secrets by length only."""
    part = Part("x", None, Text("量", "quantity"))

    def show(form: Form, value: str) -> str:
        return dataclasses.replace(part, form=form).show(bytes.fromhex(value))

    assert show(Form.NUMBER, "00000100") == "256"
    assert show(Form.DATE, "20261121") == "2026-11-21"
    assert show(Form.TIME, "090105") == "09:01:05"
    assert show(Form.BYTES, "0A0B") == "0A0B"
    assert show(Form.DATE, "20") == "20"


def test_an_unknown_command_is_not_declared() -> None:
    """A class or instruction of nobody's is None, and so are bytes that are no command."""
    assert find_command(CommandApdu(0x90, 0xA4, 0, 0)) is None
    assert find_command(CommandApdu(0x00, 0x01, 0, 0)) is None
    assert find(b"\x00") is None
