# SPDX-License-Identifier: Apache-2.0
"""Errors and status words: typed, in two languages, and complete."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import card
from card import errors
from card.errors import CardError, StatusError, status_error
from card.status_words import STATUS_WORDS, Outcome, StatusWord, describe

# Every status word of FMCOS 2.0 user manual §6.2 and of the command chapters.
MANUAL = bytes.fromhex(
    "9000 6281 6283 63C3 6400 6581 6700 6900 6901 6981 6982 6983 6985 6987 6988 6A80 6A81 6A82"
    "6A83 6A84 6A86 6A88 6B00 6C10 6E00 6F00 9302 9303 9401 9402 9403 9406"
)


def _classes(base: type[CardError]) -> list[type[CardError]]:
    return [base, *(found for child in base.__subclasses__() for found in _classes(child))]


def test_every_status_word_of_the_manual_is_described() -> None:
    """No status word the manual names is unknown."""
    words = [int.from_bytes(MANUAL[i : i + 2], "big") for i in range(0, len(MANUAL), 2)]

    assert [f"{sw:04X}" for sw in words if describe(sw).meaning.en == "unknown status word"] == []


def test_every_error_of_the_package_stands_in_the_tree() -> None:
    """Whoever catches errors finds all of them in one place, wherever they are declared."""
    for module in pkgutil.walk_packages(card.__path__, "card."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    named = errors.__doc__ or ""

    missing = {
        kind.__name__
        for kind in _classes(CardError)
        if kind.__module__.startswith("card.") and kind.__name__ not in named
    }

    assert missing == set()


@pytest.mark.parametrize("row", STATUS_WORDS, ids=lambda row: f"{row.value:04X}")
def test_rows_are_found_by_their_own_value(row: StatusWord) -> None:
    """No row hides another, and each speaks Chinese and English and names its source."""
    assert row.meaning == describe(row.value).meaning
    assert row.meaning.zh
    assert row.meaning.en
    assert row.source


def test_a_refusal_tells_what_to_do() -> None:
    """Whatever is not fine, a transport matter or a plain 'not there' carries advice."""
    silent = [
        f"{row.value:04X}"
        for row in STATUS_WORDS
        if row.outcome not in (Outcome.OK, Outcome.MORE) and not row.advice.en
    ]

    assert silent == ["9406"]


@pytest.mark.parametrize(
    ("sw", "kind"),
    [
        (0x63C2, errors.AuthenticationFailed),
        (0x6982, errors.SecurityNotSatisfied),
        (0x6983, errors.Blocked),
        (0x6A82, errors.FileNotFound),
        (0x6A83, errors.RecordNotFound),
        (0x9403, errors.KeyNotFound),
        (0x9302, errors.MacRejected),
        (0x9402, errors.CounterExhausted),
        (0x9406, errors.ProofUnavailable),
        (0x6F00, StatusError),
    ],
)
def test_status_words_become_the_most_telling_class(sw: int, kind: type[StatusError]) -> None:
    """A caller can catch the fact instead of comparing numbers."""
    error = status_error(sw, 0x54)

    assert kind is type(error)
    assert (sw, 0x54) == (error.sw, error.ins)


def test_attempts_left_are_a_number() -> None:
    """63Cx carries how many attempts are left; other status words carry none."""
    assert status_error(0x63C1, 0x82).attempts_left == 1
    assert status_error(0x6983, 0x82).attempts_left is None


@pytest.mark.parametrize("kind", _classes(CardError), ids=lambda kind: kind.__name__)
def test_each_class_stands_in_the_tree_of_the_module(kind: type[CardError]) -> None:
    """The tree drawn at the top of the module is complete."""
    in_tree = kind.__module__.startswith("card.errors")
    assert not in_tree or kind.__name__ in (errors.__doc__ or "")


def test_messages_are_chinese_first_and_name_the_next_step() -> None:
    """A person reads what happened and what to do, in both languages."""
    assert str(errors.NoService("call 1")) == (
        "PC/SC 服务（pcscd）没有运行；请执行 systemctl start pcscd 或 pcscd -f。"
        "the PC/SC service (pcscd) is not running; systemctl start pcscd, or pcscd -f. [call 1]"
    )
    assert str(errors.WrongCard(b"\x01", b"\x02")).startswith("卡号是 02，应为 01；")
