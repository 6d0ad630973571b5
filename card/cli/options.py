# SPDX-License-Identifier: Apache-2.0
"""What the commands of `yika-card` share: options, the card on a reader, failures, printing.

Readers come from `Readers` in click's context object, so that a test hands in virtual ones:
`CliRunner().invoke(main, [...], obj=Readers(names, opener))`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from card.attempts import AttemptGuard
from card.cassette import CassetteReader
from card.errors import CardError, NoCard, NoReader
from card.readers import CardConnection, Reader, list_readers, open_reader
from card.trace import Trace
from card.trace_save import save_as
from keys.custody import KeyStore, StoreName
from keys.custody import open_store as open_key_store
from keys.errors import KeysError

PASSPHRASE = "YIKA_KEYS_PASSPHRASE"  # noqa: S105 - the name of the variable, not its content
CARD_WAIT_S = 5.0
LOOK_AGAIN_S = 0.2  # between looks at several readers; pcscd notices a card within 0.4 s
CASSETTE = "cassette:"
ATTEMPTS_SUFFIX = ".attempts"

Command = Callable[..., Any]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
reader_option = click.option(
    "--reader", help="Reader as `readers` prints it; needed only if several hold a card."
)
trace_option = click.option(
    "--trace",
    "trace",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep every exchange in this file: .html a page, .pcapng for Wireshark, else a cassette.",
)
reveal_option = click.option(
    "--reveal-secrets",
    "reveal",
    is_flag=True,
    help="TEST CARDS ONLY: keep keys, PINs and personal data in the trace.",
)
wait_option = click.option(
    "--wait", "wait_s", default=CARD_WAIT_S, show_default=True, help="Seconds to wait for a card."
)


class _StoreType(click.ParamType[StoreName]):
    """The name of a key store; a file must be there, a token is looked for later."""

    name = "store"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> StoreName:
        """Read the name."""
        try:
            found = StoreName.parse(str(value))
        except KeysError as exc:
            self.fail(str(exc), param, ctx)
        if found.file is not None and not found.file.is_file():
            self.fail(f"没有密钥库文件 / no key store file: {found.file}", param, ctx)
        return found


STORE = _StoreType()
_STORE_HELP = (
    "Key store: FILE, file:FILE or pkcs11:MODULE?token=LABEL[&sm=FILE]; its passphrase or PIN "
    f"comes from {PASSPHRASE} or a prompt."
)
store_option = click.option("--store", type=STORE, help=_STORE_HELP)
needed_store_option = click.option("--store", required=True, type=STORE, help=_STORE_HELP)


@dataclass(frozen=True, slots=True)
class Readers:
    """Where readers come from: the real ones unless a test says otherwise.

    Attributes:
        names: Lists what `open` takes.
        open: Opens a reader by name.
    """

    names: Callable[[], list[str]] = list_readers
    open: Callable[[str], Reader] = open_reader


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command finds its card, and where its exchanges are kept.

    Attributes:
        reader: Its name, if one was named; `cassette:FILE` plays a recorded one.
        wait_s: How long to wait for a card.
        trace: File for the trace, or None.
        reveal: Keep secrets in it.
    """

    reader: str | None = None
    wait_s: float = CARD_WAIT_S
    trace: Path | None = None
    reveal: bool = False


class Failed(click.ClickException):
    """An expected failure: one line with cause and next step, exit status 1."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(self.message, file=file or sys.stderr)


def card_options(command: Command) -> Command:
    """Give a command the options of a card and its trace, and hand it them as `place`."""

    @reader_option
    @wait_option
    @trace_option
    @reveal_option
    @functools.wraps(command)
    def wrapped(*args: Any, **rest: Any) -> Any:
        names = ("reader", "wait_s", "trace", "reveal")
        place = Place(*(rest.pop(name) for name in names))
        if place.reveal and place.trace is None:
            raise click.UsageError("--reveal-secrets needs --trace")
        return command(*args, place=place, **rest)

    return wrapped


def readers_here() -> Readers:
    """Return where readers come from in the running command."""
    context = click.get_current_context(silent=True)
    found = None if context is None else context.find_object(Readers)
    return found or Readers()


@contextmanager
def card_at(place: Place) -> Iterator[CardConnection]:
    """Connect to the card in the named reader, or in the only reader that holds one.

    Raises:
        NoReader, NoCard: There is none, or none in time.
        Failed: Several readers hold a card and none was named.
    """
    with _misspelt(place):
        chosen = _chosen(place)
    trace = None if place.trace is None else Trace(chosen.name, reveal=place.reveal)
    try:
        with _misspelt(place):
            there = chosen.wait_card(place.wait_s)
        if not there:
            raise NoCard(chosen.name)
        connection = chosen.connect()
        try:
            yield connection if trace is None else trace.watch(connection)
        finally:
            connection.close()
    finally:
        chosen.close()
        if trace is not None and place.trace is not None:
            _keep(trace, place.trace)


def _chosen(place: Place) -> Reader:
    if place.reader is not None and place.reader.startswith(CASSETTE):
        return CassetteReader(Path(place.reader.removeprefix(CASSETTE)))
    source = readers_here()
    return source.open(place.reader or _only_reader_with_card(source, place.wait_s))


@contextmanager
def _misspelt(place: Place) -> Iterator[None]:
    """Name the readers there are, where one was named that is not among them."""
    try:
        yield
    except NoReader:
        names: list[str] = []
        with contextlib.suppress(CardError):
            names = readers_here().names()
        if place.reader is not None and names and place.reader not in names:
            listed = "；".join(names)
            text = f"没有读卡器 / no reader {place.reader}；现有 / there are: {listed}"
            raise Failed(text) from None
        raise


def _keep(trace: Trace, path: Path) -> None:
    """Write a trace; what is revealed is said loudly."""
    try:
        save_as(trace.tape(), path)
    except OSError as exc:
        raise Failed(f"无法写入 / cannot write {path}: {exc.strerror}") from exc
    if trace.reveal:
        text = f"!!! 密钥与个人信息未遮盖，仅限测试卡 / SECRETS IN CLEAR, test cards only: {path}"
        click.echo(text, err=True)


def _only_reader_with_card(source: Readers, wait_s: float) -> str:
    names = source.names()
    if not names:
        raise NoReader
    if len(names) == 1:
        return names[0]
    deadline = time.monotonic() + wait_s
    while not (filled := [name for name in names if _holds_card(source, name)]):
        if time.monotonic() >= deadline:
            raise NoCard(f"{len(names)} readers")
        time.sleep(LOOK_AGAIN_S)
    if len(filled) > 1:
        raise Failed(
            f"多个读卡器上有卡，请用 --reader 指定 / several readers hold a card, name one with "
            f"--reader: {', '.join(filled)}"
        )
    return filled[0]


def _holds_card(source: Readers, name: str) -> bool:
    reader = source.open(name)
    try:
        return reader.wait_card(0.0)
    finally:
        reader.close()


@contextmanager
def failures() -> Iterator[None]:
    """Turn what is expected to go wrong into one line."""
    try:
        yield
    except (CardError, KeysError, json.JSONDecodeError) as exc:
        raise Failed(str(exc)) from exc


def open_store(name: StoreName) -> KeyStore:
    """Open a key store with the passphrase or PIN from the environment or a prompt."""
    asked = "口令或 PIN / passphrase or PIN"
    passphrase = os.environ.get(PASSPHRASE) or click.prompt(asked, hide_input=True, err=True)
    with failures():
        try:
            return open_key_store(name.spec, passphrase)
        except OSError as exc:
            raise Failed(f"打不开密钥库 / cannot open {name.spec}: {exc.strerror}") from exc


def guard_of(store: StoreName) -> AttemptGuard:
    """Remember attempts left beside the key store."""
    return AttemptGuard(store.beside(ATTEMPTS_SUFFIX))


def show(document: Any, as_json: bool, lines: list[str]) -> None:
    """Print a document as JSON, or its lines."""
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    for line in lines:
        click.echo(line)
