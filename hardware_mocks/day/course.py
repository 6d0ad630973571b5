# SPDX-License-Identifier: Apache-2.0
"""The course of the day from an empty folder to the last comparison."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from card.readers import list_readers
from hardware_mocks.cardhost.client import Hand
from hardware_mocks.clock import DayClock
from hardware_mocks.day import furnish, ground, issue, keyroom, stage
from hardware_mocks.day.cast import Cast, read_cast
from hardware_mocks.day.cycle.course import Cycle
from hardware_mocks.day.document import PAGE, instant_ms, read_tables
from hardware_mocks.day.errands import Errands
from hardware_mocks.day.facts import read_facts
from hardware_mocks.day.furnish import Member, Ordered, SignIn
from hardware_mocks.day.play import Player, PostStage
from hardware_mocks.day.programs import Programs
from hardware_mocks.day.report import Played, check_whole, compare, summary, table
from hardware_mocks.day.stage import HOST, Premises
from hardware_mocks.day.story import Outcome, Step, read_outcomes, read_steps
from hardware_mocks.pcsc import PcscStack
from keys.custody import KeyStore
from server.db import Database
from server.people import queue
from server.reconciliation.services import reconcile
from server.timebank.services import post_differences
from terminal.files import JOURNAL

OPENING = "07:00:00"  # the desk is open before the terminals are
RECONCILED_TIMEOUT_S = 30.0
SIGN_INS_SHOWN = 3

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    port: int
    database: str
    system_pcscd: bool
    keys: str = "file"
    applicants: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """docs/demo-day.md, read."""

    cast: Cast
    steps: tuple[Step, ...]
    outcomes: tuple[Outcome, ...]


@dataclass(slots=True)
class Scene:
    """Everything that stands when the curtain rises."""

    premises: Premises
    database: Database
    members: dict[str, Member]
    terminals: dict[str, Ordered]
    posts: dict[str, PostStage]
    staff: list[SignIn]
    store: KeyStore


@dataclass(frozen=True, slots=True)
class Ending:
    """How the day went."""

    table: str
    summary: str
    differences: tuple[str, ...]
    invitation: str


def play_day(options: Options, clear_away: contextlib.ExitStack, say: Say) -> Ending:
    """Set the stage, play the page, compare; what was started ends with `clear_away`."""
    started_s = time.monotonic()
    tables = read_tables(PAGE.read_text(encoding="utf-8"))
    page = Page(
        read_cast(tables), read_steps(tables["The day"]), read_outcomes(tables["The outcome"])
    )
    stage.check_port(options.port)
    scene = _set_stage(options, page.cast, clear_away, say)
    player, hand = _player(scene, clear_away, say)
    player.play(page.steps)
    _reconcile(scene)
    ending = _compare(page, scene, player, time.monotonic() - started_s)
    if options.applicants:
        ending = _cycle(options, (scene, hand), ending, say)
    # For a look from outside, once the day is over.
    issue.lay_on_desk(scene.premises.stack, hand, page.cast.people[0].slot_card)
    return ending


def _set_stage(options: Options, cast: Cast, clear_away: contextlib.ExitStack, say: Say) -> Scene:
    folder = clear_away.enter_context(ground.fresh_folder())
    stack = PcscStack(workdir=folder, system_pcscd=options.system_pcscd)
    for line in stack.needs():
        say(line)
    premises = Premises(
        folder=folder,
        clock=DayClock(folder / "clock", instant_ms(OPENING)),
        stack=clear_away.enter_context(stack),
        programs=Programs(folder / "logs"),
        passphrase=stage.new_passphrase(),
        port=options.port,
        keys=options.keys,
    )
    say(f"读卡器 readers: {', '.join(reader_names())}")
    url = options.database or f"sqlite:///{folder / 'server' / 'yika.db'}"
    database = clear_away.enter_context(contextlib.closing(ground.fresh_database(url)))
    say(f"数据库 database: {database.shown_url}")
    clear_away.enter_context(premises.clock.running())
    clear_away.enter_context(premises.programs.running())
    store = keyroom.make_keys(options.keys, folder, premises.passphrase)
    say(f"密钥库 key store: {premises.key_store}")
    server = stage.start_server(premises, url)
    now_ms = premises.clock.utc_ms()
    ordered = furnish.furnish_places(database, cast, now_ms)
    staff = furnish.furnish_staff(database, now_ms)
    workshop = issue.Workshop(stack, store)
    issue.issue_psam(workshop)
    members = _issue_cards(workshop, database, cast, now_ms, say)
    stage.await_server(server, options.port)
    for letter, terminal in ordered.items():
        stage.enrol(premises, database, store, letter, terminal)
    posts = {
        post.letter: stage.build_post(premises, post.letter, clear_away) for post in cast.posts
    }
    return Scene(premises, database, members, ordered, posts, staff, store)


def _cycle(options: Options, on: tuple[Scene, Hand], ending: Ending, say: Say) -> Ending:
    """Play what follows the day; the posts are switched off while weeks go by in a moment."""
    scene, hand = on
    for post in scene.posts.values():
        post.power.cut_off()
        post.on = False
    cycle = Cycle(scene.premises, scene.database, scene.store, say, hand, scene.posts)
    facts = cycle.play(options.applicants)
    for post in scene.posts.values():
        if not post.on:
            post.power.switch_on(wall_offset_ms=0)
            post.on = True
    document = json.loads(ending.summary) | {"cycle": facts.document()}
    wrong = (*ending.differences, *facts.differences())
    document["expectations_met"] = not wrong
    summary = json.dumps(document, ensure_ascii=False)
    return replace(ending, summary=summary, differences=wrong)


def reader_names() -> list[str]:
    """Return the PC/SC names of all readers."""
    return [name.removeprefix("pcsc:") for name in list_readers()]


def _issue_cards(
    workshop: issue.Workshop, database: Database, cast: Cast, now_ms: int, say: Say
) -> dict[str, Member]:
    members: dict[str, Member] = {}

    def issued(member: Member) -> None:
        members[member.person.who] = member
        say(f"制卡 card {len(members):2}/{len(cast.people)}  {member.person.who} {member.number}")

    people = furnish.furnish_people(database, workshop.store, cast, now_ms)
    issue.issue_cards(workshop, people, issued)
    furnish.register_cards(database, members.values(), issue.KEY_VERSION, now_ms)
    return members


def _player(scene: Scene, clear_away: contextlib.ExitStack, say: Say) -> tuple[Player, Hand]:
    premises = scene.premises
    hand = clear_away.enter_context(premises.stack.hand())
    player = Player(premises.clock, hand, scene.posts, say)
    player.errands = Errands(
        player=player,
        clock=premises.clock,
        posts=scene.posts,
        members=scene.members,
        terminals=scene.terminals,
        database=scene.database,
        server_port=premises.port,
        say=say,
    ).do
    return player, hand


def _reconcile(scene: Scene) -> None:
    """Wait until the server's own worker is done, then derive everybody once more, as staff do."""
    limit = time.monotonic() + RECONCILED_TIMEOUT_S
    while _queued(scene.database):
        if time.monotonic() > limit:
            log = scene.premises.folder / "logs" / "server.log"
            raise TimeoutError(f"the server's worker has not caught up; its log is {log}")
        time.sleep(0.05)
    now_ms = scene.premises.clock.utc_ms()
    with scene.database.writing() as session:
        reconcile(session, None, now_ms)
        post_differences(session, None, now_ms)


def _queued(database: Database) -> int:
    with database.reading() as session:
        return queue.length(session)


def _compare(page: Page, scene: Scene, player: Player, seconds: float) -> Ending:
    folder = scene.premises.folder
    journals = {post: stage.data_dir(folder, post) / JOURNAL for post in scene.posts}
    facts = read_facts(scene.database, journals)
    notebook = player.notebook
    played = Played(
        readers=tuple(reader_names()),
        cards_issued=len(scene.members),
        taps=dict(notebook.taps),
        replays_identical=notebook.replays_identical,
        complaints=tuple(notebook.complaints),
        database=scene.database.shown_url,
        seconds=seconds,
    )
    by_who = {
        member.person.who: facts.records[member.volunteer_id]
        for member in scene.members.values()
        if member.volunteer_id in facts.records
    }
    differences = (*compare(page.outcomes, by_who, played.taps), *check_whole(facts, played))
    return Ending(
        table=table(page.cast.people, page.outcomes, played, by_who),
        summary=summary(facts, played, expectations_met=not differences),
        differences=differences,
        invitation=_invitation(page, scene),
    )


def _invitation(page: Page, scene: Scene) -> str:
    """Say where the pages are, who may sign in, and how to look at a card from outside."""
    shown = [scene.members[person.who] for person in page.cast.people[:SIGN_INS_SHOWN]]
    hand = ".venv/bin/python -m hardware_mocks.cardhost"
    control = scene.premises.stack.control
    return "\n".join(
        (
            f"\n网页 pages: http://{HOST}:{scene.premises.port}",
            *(f"  {one.role:<10} {one.name:<12} {one.secret}" for one in scene.staff),
            *(f"  volunteer  {one.number:<12} {one.code}  {one.person.name}" for one in shown),
            "看卡 look at the card on the desk reader: opensc-tool --list-readers",
            "  opensc-tool --send-apdu 00A4040006F059494B4101 --send-apdu 00B095001E",
            f"刷卡 tap a card: {hand} insert --control {control} pos-a v02",
            f"移开 take it away: {hand} remove --control {control} pos-a",
            "Ctrl-C 结束 ends everything",
        )
    )
