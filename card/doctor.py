# SPDX-License-Identifier: Apache-2.0
"""Why no card is seen, in words: library, service, permission, readers, cards, in that order."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from card.errors import CardError, NoCard, NoDriver, NoPermission, NoReader, NoService, ReaderError
from card.operation import run
from card.personalise import CardState, inspect
from card.readers import Reader, list_readers, open_reader
from card.status_words import Text
from card.volunteer import select

SOCKET = "/run/pcscd/pcscd.comm"
SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"  # pcsc-lite's own name for another socket
DRIVERS = "/usr/lib/pcsc/drivers"
SOCKET_TIMEOUT_S = 2.0
CARD_WAIT_S = 1.0  # for all readers together; pcscd notices a card within 0.4 s

_NOT_INSTALLED = Text("请安装：apt install pcscd libccid", "install it: apt install pcscd libccid")
_STATES = {
    CardState.BLANK: Text("空白卡，尚未发卡", "a blank card, not issued yet"),
    CardState.STARTED: Text(
        "没有义工证应用或内容未写完", "no volunteer application, or not filled yet"
    ),
    CardState.FILLED: Text("发卡未完成", "issuing was not finished"),
    CardState.ISSUED: Text("义工证，正常", "a volunteer card, fine"),
}
_ISSUE = Text("请用 yika-card issue 发卡或续写", "issue or finish it with yika-card issue")
_NONE = Text("", "")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One check: what was looked at, whether it is fine, what it says and what to do."""

    check: str
    fine: bool
    meaning: Text
    advice: Text = _NONE
    code: str = ""


def diagnose(
    wait_s: float = CARD_WAIT_S, readers: Callable[[], list[str]] = list_readers
) -> list[Diagnosis]:
    """Run the checks in order and stop at the first that explains why nothing is seen.

    Args:
        wait_s: How long a card that was just put down may take to be noticed.
        readers: Lists the names of the readers.
    """
    service = _service(readers)
    if not service.fine:
        return [service]
    try:
        names = readers()
        if not names:
            raise NoReader("no driver installed" if _no_driver_installed() else "")
    except ReaderError as error:
        return [service, _problem("readers", error)]
    found = Diagnosis("readers", True, Text(f"读卡器 {len(names)} 个", f"{len(names)} reader(s)"))
    deadline = time.monotonic() + wait_s
    return [service, found, *(_card(name, deadline) for name in names)]


def healthy(diagnoses: list[Diagnosis]) -> bool:
    """Return whether nothing is wrong; an empty reader beside one with a card is fine."""
    problems = [found for found in diagnoses if not found.fine]
    cards = [found for found in diagnoses if found.check.startswith("pcsc:")]
    if any(found.fine for found in cards):
        problems = [found for found in problems if found.code != NoCard.__name__]
    return not problems


def _service(readers: Callable[[], list[str]]) -> Diagnosis:
    try:
        readers()
    except NoDriver as error:
        return _problem("library", error)
    except (NoService, NoPermission) as error:
        return _problem("service", _why_no_service(error))
    except ReaderError as error:
        return _problem("service", error)
    return Diagnosis("service", True, Text("PC/SC 服务正常", "the PC/SC service runs"))


def _why_no_service(error: ReaderError) -> ReaderError:
    """Tell a service that is not installed from one that does not run or lets us not in."""
    path = os.environ.get(SOCKET_VARIABLE, SOCKET)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(SOCKET_TIMEOUT_S)
        try:
            probe.connect(path)
        except PermissionError:
            return NoPermission(path)
        except OSError as exc:
            error = NoService(f"{path}: {exc.strerror}")
    if shutil.which("pcscd", path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
        error.advice = _NOT_INSTALLED
    return error


def _card(name: str, deadline: float) -> Diagnosis:
    reader = open_reader(name)
    try:
        return card_in(reader, max(0.0, deadline - time.monotonic()))
    except CardError as error:
        return _problem(name, error)
    finally:
        reader.close()


def card_in(reader: Reader, wait_s: float) -> Diagnosis:
    """Say what lies on a reader.

    Raises:
        CardError: No card, a mute one, or one that is not ours.
    """
    if not reader.wait_card(wait_s):
        raise NoCard
    connection = reader.connect()
    try:
        state = run(inspect(), connection).state
        if state in (CardState.STARTED, CardState.ISSUED):
            run(select(), connection)
    finally:
        connection.close()
    fine = state is CardState.ISSUED
    advice = _NONE if fine else _ISSUE
    return Diagnosis(reader.name, fine, _STATES[state], advice, state.value)


def _problem(check: str, error: CardError) -> Diagnosis:
    return Diagnosis(check, False, error.meaning, error.advice, error.code)


def _no_driver_installed() -> bool:
    return not any(Path(DRIVERS).glob("*/*"))
