# SPDX-License-Identifier: Apache-2.0
"""Why no card is seen, in words: library, service, permission, readers, cards, in that order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from card.apdu import CommandApdu
from card.doctor_machine import Machine, why_no_service
from card.errors import Blocked, CardError, NoCard, NoDriver, NoPermission, NoService, ReaderError
from card.inspection import CardState, inspect
from card.operation import Connection, run
from card.readers import Reader, list_readers, open_reader, pcsc
from card.status_words import Text
from card.volunteer import select

CARD_WAIT_S = 1.0  # for all readers together; pcscd notices a card within 0.4 s

_STATES = {
    CardState.BLANK: Text("空白卡，尚未发卡", "a blank card, not issued yet"),
    CardState.STARTED: Text(
        "没有义工证应用或内容未写完", "no volunteer application, or not filled yet"
    ),
    CardState.FILLED: Text("发卡未完成", "issuing was not finished"),
    CardState.ISSUED: Text("义工证，正常", "a volunteer card, fine"),
}
_ISSUE = Text("请用 yika-card issue 发卡或续写", "issue or finish it with yika-card issue")
_REPLACE = Text("请收回并更换卡片", "keep it and give out another card")
_UNBLOCK = Text("请到服务台解锁或更换", "have it unblocked or replaced at the service desk")
_NONE = Text("", "")

CARD_BLOCKED = "CardBlocked"
APPLICATION_BLOCKED = "ApplicationBlocked"
APPLICATION_BLOCKED_FOR_GOOD = "ApplicationBlockedForGood"

# CREATE FILE of the master file without a word about it: it can create nothing. A blank card
# finds fault with the length; a blocked one answers as to everything (FMCOS 2.0 manual 7.6, 8.1).
_CREATE_NOTHING = CommandApdu(0x80, 0xE0, 0x3F, 0x00)
_ANSWERS_NOTHING = 0x6A81
_FOR_GOOD = 0x9303


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One check: what was looked at, whether it is fine, what it says and what to do."""

    check: str
    fine: bool
    meaning: Text
    advice: Text = _NONE
    code: str = ""


def diagnose(
    wait_s: float = CARD_WAIT_S,
    readers: Callable[[], list[str]] = list_readers,
    only: Sequence[str] = (),
    machine: Machine | None = None,
) -> list[Diagnosis]:
    """Run the checks in order and stop at the first that explains why nothing is seen.

    Args:
        wait_s: How long a card that was just put down may take to be noticed.
        readers: Lists the names of the PC/SC readers.
        only: Names of the readers to look at, serial ones too; none for all PC/SC readers.
        machine: Where the machine keeps drivers and devices.
    """
    names = list(only)
    found: list[Diagnosis] = []
    if not names or any(name.startswith(pcsc.PREFIX) for name in names):
        found.append(_service(readers))
        if not found[-1].fine:
            return found
    if not names:
        try:
            names = readers()
        except ReaderError as error:
            return [*found, _problem("readers", error)]
        if not names:
            return [*found, _problem("readers", (machine or Machine()).why_no_reader())]
        count = Text(f"读卡器 {len(names)} 个", f"{len(names)} reader(s)")
        found.append(Diagnosis("readers", True, count))
    deadline = time.monotonic() + wait_s
    return [*found, *(_card(name, deadline) for name in names)]


def healthy(diagnoses: list[Diagnosis]) -> bool:
    """Return whether nothing is wrong; an empty reader beside one with a card is fine."""
    problems = [found for found in diagnoses if not found.fine]
    cards = [found for found in diagnoses if ":" in found.check]
    if any(found.fine for found in cards):
        problems = [found for found in problems if found.code != NoCard.__name__]
    return not problems


def _service(readers: Callable[[], list[str]]) -> Diagnosis:
    try:
        readers()
    except NoDriver as error:
        return _problem("library", error)
    except (NoService, NoPermission) as error:
        return _problem("service", why_no_service(error))
    except ReaderError as error:
        return _problem("service", error)
    return Diagnosis("service", True, Text("PC/SC 服务正常", "the PC/SC service runs"))


def _card(name: str, deadline: float) -> Diagnosis:
    try:
        reader = open_reader(name)
    except ReaderError as error:
        return _problem(name, error)
    try:
        return card_in(reader, max(0.0, deadline - time.monotonic()))
    except CardError as error:
        return _problem(name, error)
    finally:
        reader.close()


def card_in(reader: Reader, wait_s: float) -> Diagnosis:
    """Say what lies on a reader; the card is not changed.

    Raises:
        CardError: No card, a mute one, one that is not ours, or one another program holds.
    """
    if not reader.wait_card(wait_s):
        raise NoCard
    connection = reader.connect()
    try:
        state = run(inspect(), connection).state
        if state is CardState.BLANK and _answers_nothing(connection):
            return _blocked_card(reader.name)
        if state in (CardState.STARTED, CardState.ISSUED):
            run(select(), connection)
    except Blocked as error:
        return _blocked_application(reader.name, error)
    finally:
        connection.close()
    fine = state is CardState.ISSUED
    advice = _NONE if fine else _ISSUE
    return Diagnosis(reader.name, fine, _STATES[state], advice, state.value)


def _answers_nothing(connection: Connection) -> bool:
    _, sw = connection.transmit(_CREATE_NOTHING.to_bytes())
    return sw == _ANSWERS_NOTHING


def _blocked_card(check: str) -> Diagnosis:
    meaning = Text("卡片已永久锁定", "the card is blocked for good")
    return Diagnosis(check, False, meaning, _REPLACE, CARD_BLOCKED)


def _blocked_application(check: str, error: Blocked) -> Diagnosis:
    if error.sw == _FOR_GOOD:
        meaning = Text("义工证应用已永久锁定", "the volunteer application is blocked for good")
        return Diagnosis(check, False, meaning, _REPLACE, APPLICATION_BLOCKED_FOR_GOOD)
    meaning = Text("义工证应用已临时锁定", "the volunteer application is blocked until unblocked")
    return Diagnosis(check, False, meaning, _UNBLOCK, APPLICATION_BLOCKED)


def _problem(check: str, error: CardError) -> Diagnosis:
    return Diagnosis(check, False, error.meaning, error.advice, error.code)
