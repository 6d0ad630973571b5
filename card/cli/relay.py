# SPDX-License-Identifier: Apache-2.0
"""`yika-card relay`: lend the readers of this computer to the server's desk pages."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Any

import click

from card.cli.options import Failed, readers_here
from card.relay.pairing import Pairing
from card.relay.policy import HOST, ORIGINS_MAX, PORT, Gate, Rate, origin_of
from card.relay.screening import Log, Policy
from card.relay.serving import Relay, RelayServer, listen
from card.relay.sessions import Sessions, Source

_HELP = """\
柜台中继 · let the server's desk pages use the readers of this computer.

It listens on 127.0.0.1 only, answers the named server's pages only, and only after the code shown
here was typed into the page. No key comes to this computer: the server computes every command.

\b
Examples:
  yika-card relay --origin https://yika.example.org
  yika-card relay --origin https://yika.example.org --reader "pcsc:Desk 00 00" --log relay.jsonl
"""


@click.command(help=_HELP)
@click.option("--origin", "origins", multiple=True, required=True,
              help="Address of a server whose pages may ask.")  # fmt: skip
@click.option("--reader", "names", multiple=True, help="Lend these readers; by default all.")
@click.option("--port", type=click.IntRange(0, 65_535), default=PORT, show_default=True,
              help="Port on 127.0.0.1; 0 takes a free one.")  # fmt: skip
@click.option("--policy", type=click.Choice([policy.value for policy in Policy]),
              default=Policy.DECLARED.value, show_default=True,
              help="Which commands pass: those this program knows, or any.")  # fmt: skip
@click.option("--log", "log_file", type=click.Path(path_type=Path, dir_okay=False),
              help="Keep every command in this file, secrets overwritten.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON line each: address, codes.")
def relay(
    origins: tuple[str, ...],
    names: tuple[str, ...],
    port: int,
    policy: str,
    log_file: Path | None,
    as_json: bool,
) -> None:
    """Lend the readers of this computer to the server's desk pages."""
    allowed = _origins(origins)
    try:
        listening = listen(port)
    except OSError as exc:
        raise Failed(
            f"端口 {port} 已被占用，中继可能已在运行 / port {port} is taken; is a relay running?"
        ) from exc
    port = listening.getsockname()[1]
    _tell(as_json, {"address": f"http://{HOST}:{port}", "origins": sorted(allowed)},
          f"中继已启动 relay at http://{HOST}:{port} · {' '.join(sorted(allowed))}")  # fmt: skip

    def show(code: str) -> None:
        spaced = f"{code[:4]} {code[4:]}"
        _tell(as_json, {"code": code}, f"配对码 pairing code: {spaced}（一次有效 good once）")

    with _log(log_file) as log:
        sessions = Sessions(_source(names), Policy(policy), log)
        server = RelayServer(
            Relay(Gate(allowed, port), Pairing(show), sessions, Rate(time.monotonic)), listening
        )
        with _ended_by_signals(server):
            server.run()


def _origins(addresses: tuple[str, ...]) -> frozenset[str]:
    if len(addresses) > ORIGINS_MAX:
        raise click.UsageError(f"at most {ORIGINS_MAX} origins")
    try:
        return frozenset(origin_of(address) for address in addresses)
    except ValueError as exc:
        raise click.UsageError(f"--origin: {exc}") from exc


def _source(names: tuple[str, ...]) -> Source:
    readers = readers_here()
    if not names:
        return Source(readers.names, readers.open)
    return Source(lambda: list(names), readers.open)


@contextlib.contextmanager
def _log(path: Path | None) -> Iterator[Log]:
    """Give a log into a file, or one that keeps nothing."""
    lock = threading.Lock()
    with contextlib.ExitStack() as stack:
        file: IO[str] | None = None
        if path is not None:
            try:
                file = stack.enter_context(path.open("a", encoding="utf-8"))
            except OSError as exc:
                raise Failed(f"无法写入 / cannot write {path}: {exc.strerror}") from exc

        def write(line: str) -> None:
            if file is not None:
                with lock:
                    file.write(line + "\n")
                    file.flush()

        yield Log(write, lambda: dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"))


@contextlib.contextmanager
def _ended_by_signals(server: RelayServer) -> Iterator[None]:
    """End the server by SIGINT or SIGTERM; in other threads than the main one by `end` alone."""

    def end(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.end).start()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(as_json: bool, document: dict[str, Any], line: str) -> None:
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else line)


COMMANDS: tuple[click.Command, ...] = (relay,)
