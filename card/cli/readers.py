# SPDX-License-Identifier: Apache-2.0
"""`yika-card readers|doctor|watch`: what is plugged in, and why a card is not seen."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator

import click

from card import doctor as diagnosis
from card.bcd import QUARTER_S
from card.card_keys import CardKeys
from card.cli.options import (
    STORE,
    Failed,
    Place,
    card_at,
    card_options,
    failures,
    guard_of,
    json_option,
    open_store,
    readers_here,
    show,
)
from card.drivers import require
from card.dump import plain
from card.errors import NoReader
from card.operation import run
from card.probe import FINDINGS, probe
from card.readers import events, watch_cards
from card.volunteer import select
from keys.custody import StoreName

WAKE_S = 0.5  # how soon an interrupt is heeded while nothing happens

_DOCTOR_HELP = """\
诊断 · say why no card is seen and what to do; with --probe, whether a card can carry taps.

The probe counts one transaction on the card and replaces the proof of its latest tap.

\b
Examples:
  yika-card doctor
  yika-card doctor --reader "serial:/dev/ttyUSB0?model=gempc-twin"
  yika-card doctor --probe keys.yika --json
"""

_WATCH_HELP = """\
监视 · tell cards as they come and go, and readers and the service too, until interrupted.

With --json one line for each event: {"event": "CardInserted", "reader": "…", "atr": "…"}.

\b
Examples:
  yika-card watch
  yika-card watch --count 2 --json
  yika-card watch --reader "pcsc:ACS ACR39U 00 00" --reader serial:/dev/ttyUSB0
"""


@click.command()
@json_option
def readers(as_json: bool) -> None:
    """列出读卡器 · list readers. Example: yika-card readers --json."""
    with failures():
        names = readers_here().names()
    show({"readers": names}, as_json, names)
    if not names:
        raise Failed(str(NoReader()))


@click.command(help=_DOCTOR_HELP)
@click.option(
    "--probe",
    "probe_store",
    type=STORE,
    help="Key store; do one zero-amount purchase and check every effect of it.",
)
@card_options
@json_option
def doctor(probe_store: StoreName | None, place: Place, as_json: bool) -> None:
    """Say why no card is seen and what to do."""  # fmt: skip
    if probe_store is not None:
        _probe(probe_store, place, as_json)
        return
    found = diagnosis.diagnose(only=() if place.reader is None else (place.reader,))
    healthy = diagnosis.healthy(found)
    document = {
        "healthy": healthy,
        "checks": [
            {
                "check": item.check,
                "fine": item.fine,
                "code": item.code,
                "meaning": item.meaning._asdict(),
                "advice": item.advice._asdict(),
            }
            for item in found
        ],
    }
    show(document, as_json, list(_diagnosis_lines(found)))
    if not healthy:
        worst = next(item for item in found if not item.fine)
        zh, en = (f"；{worst.advice.zh}", f"; {worst.advice.en}") if worst.advice.en else ("", "")
        raise Failed(f"{worst.meaning.zh}{zh} / {worst.meaning.en}{en}")


def _probe(store: StoreName, place: Place, as_json: bool) -> None:
    """Try on one card of a new type whether it can carry taps."""
    opened = open_store(store)
    with failures(), card_at(place) as connection:
        face = run(select(), connection)
        keys = CardKeys.from_store(opened, face.asn, face.key_version)
        now = dt.datetime.now().astimezone()
        offset = now.utcoffset() or dt.timedelta()
        tz_q = round(offset.total_seconds() / QUARTER_S)
        found = run(probe(keys, int(now.timestamp()), tz_q, guard_of(store)), connection)
    document = {
        "fit": found.fit,
        "prove_wants": found.prove_wants,
        "log_bears": found.log_bears,
        **plain(found),
    }
    answers = {True: "是 yes", False: "否 no"}
    show(
        document,
        as_json,
        [f"{text.zh} / {text.en}: {answers[document[name]]}" for name, text in FINDINGS.items()],
    )
    with failures():
        require("standard", face.asn.hex().upper(), found.found)
    if not found.fit:
        raise Failed("此卡不能承载刷卡 / this card cannot carry taps")


@click.command(help=_WATCH_HELP)
@click.option(
    "--reader", "names", multiple=True, help="A reader to watch; by default all of PC/SC."
)
@click.option("--count", type=click.IntRange(1), help="End after so many events.")
@click.option("--for", "for_s", type=click.FloatRange(0), help="End after so many seconds.")
@json_option
def watch(names: tuple[str, ...], count: int | None, for_s: float | None, as_json: bool) -> None:
    """Tell cards as they come and go."""
    deadline = float("inf") if for_s is None else time.monotonic() + for_s
    told = 0
    with failures(), watch_cards(names or None) as watching:
        while told != count and time.monotonic() < deadline:
            event = watching.next_event(min(WAKE_S, max(0.0, deadline - time.monotonic())))
            if event is not None:
                told += 1
                show(_event_document(event), as_json, [_event_line(event)])


_WORDS: dict[type[events.Event], str] = {
    events.CardInserted: "放卡 card inserted",
    events.CardRemoved: "取卡 card removed",
    events.ReaderLost: "读卡器不在 reader lost",
    events.ReaderBack: "读卡器已连接 reader there",
    events.ServiceLost: "服务已停止 service lost",
    events.ServiceBack: "服务已恢复 service back",
}


def _event_document(event: events.Event) -> dict[str, str | bool]:
    document: dict[str, str | bool] = {"event": type(event).__name__}
    if not isinstance(event, events.ServiceLost | events.ServiceBack):
        document["reader"] = event.reader
    if isinstance(event, events.CardInserted):
        document |= {"atr": event.atr.hex().upper(), "mute": event.mute}
    return document


def _event_line(event: events.Event) -> str:
    document = _event_document(event)
    mute = "（无应答 mute）" if document.get("mute") else ""
    words = (_WORDS[type(event)] + mute, document.get("reader", ""), document.get("atr", ""))
    return "  ".join(str(word) for word in words if word)


def _diagnosis_lines(found: list[diagnosis.Diagnosis]) -> Iterator[str]:
    for item in found:
        yield f"[{'ok' if item.fine else '!!'}] {item.check}: {item.meaning.zh} / {item.meaning.en}"
        if item.advice.en:
            yield f"     → {item.advice.zh} / {item.advice.en}"


COMMANDS: tuple[click.Command, ...] = (readers, doctor, watch)
