# SPDX-License-Identifier: Apache-2.0
"""A small town for the pages: two sites, five people, a few days of service, three terminals.

Reconciliation's rows are written directly, so that every page can be shown in every state; the
way from taps to rows has its own tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from keys.custody import KeyStore
from keys.store import FileKeyStore
from keys.usage import KeyUsage
from server.applications import services as applications
from server.applications.policy import Channel
from server.applications.services import Via
from server.config import Config, DataSection
from server.db import Database, to_millis
from server.desk.boxes import NewBox, open_box
from server.desk.content import Bench, Operator
from server.desk.policy import REFRESH
from server.desk.services import NewJob, create
from server.ingest.models import Batch, StoredEvent, StoredRange
from server.issuing import branches
from server.issuing.branches import Branch
from server.issuing.services import NewOrder, order
from server.people.models import PASSWORD, Card
from server.people.services import (
    NewUser,
    NewVolunteer,
    add_user,
    add_volunteer,
    register_card,
)
from server.reconciliation.models import ReconException, ServiceInterval
from server.reconciliation.services import reconcile
from server.reconciliation.wording_table import detail
from server.runtime import Runtime
from server.structure import granting, organisations, regions
from server.structure.organisations import NewOrganisation
from server.structure.rights import Scope
from server.terminals import activities, places
from server.terminals.models import Psam, Terminal
from server.terminals.services import NewActivity, NewSite, add_activity, add_site
from server.timebank.services import post_differences
from tests.factories import CHEAP, PASSPHRASE, QUICK, make_identity
from tests.unit.server.applications.forms import make_submission

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)  # a Saturday, 11:00 in Shenzhen
NOW_MS = to_millis(NOW)
HOUR_MS = 3_600_000

ZHANG_PASSWORD = "三月的深圳有点热"
LEADER_PASSWORD = "leader of the care home"
OTHER_LEADER_PASSWORD = "leader of the library"
STAFF_PASSWORD = "staff at the desk"
ADMIN_PASSWORD = "administrator here"
OTHER_PASSWORD = "one for all the others"
REGIONS = """code,name_zh,name_en
440000,广东省,Guangdong
440300,深圳市,Shenzhen
440303,罗湖区,Luohu
440304,福田区,Futian
"""
# Users of the other roles, over what each was given; the care home lies in Futian.
GRANTED = {
    "org_manager": "organisation:",
    "region_manager": "region:440304",
    "call_centre": "all",
    "partner": "partner:bank-one",
    "auditor": "all",
}
# The same roles over what lies elsewhere, and staff of one region only.
ELSEWHERE = {
    "luohu_staff": ("staff", "region:440303"),
    "luohu_manager": ("region_manager", "region:440303"),
    "luohu_auditor": ("auditor", "region:440303"),
    "futian_staff": ("staff", "region:440304"),
}


class StillClock:
    """A clock that stands until a test moves it."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.now_ms = now_ms

    def utc_ms(self) -> int:
        """Return the instant it stands at."""
        return self.now_ms


@dataclass
class Scene:
    """The town and what a test needs to know of it."""

    runtime: Runtime
    clock: StillClock
    numbers: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        """Return the database of the town."""
        return self.runtime.database


def build(database: Database, folder: Path) -> Scene:
    """Fill a migrated database with the town."""
    store = FileKeyStore.create(folder / "keys.yks", PASSPHRASE, CHEAP)
    store.generate(KeyUsage.PERSONAL_DATA)
    scene = Scene(runtime_on(database, folder, store, StillClock()), StillClock())
    with database.writing() as session:
        _places(session, scene)
        _people(session, scene)
        _structure(session, scene)
        _terminals(session, scene)
        _services(session, scene)
        _exceptions(session, scene)
        _desk(session, scene)
        session.flush()
        post_differences(session, None, NOW_MS)
    return scene


def _desk(session: Any, scene: Scene) -> None:
    bench = Bench(scene.runtime.store, NOW_MS, Operator("user:staff"))
    asn = session.get_one(Card, scene.ids["card-li"]).asn
    scene.codes["desk-job"] = create(session, bench, NewJob(REFRESH, asn=asn)).reference
    branch = Branch("BOC", "0755001", "福田支行", date(2020, 1, 1))
    branches.load(session, [branch], "test", NOW_MS)
    wanted = NewOrder(scene.ids["zhang"], "bank", carrier="debit", branch_code="0755001")
    scene.codes["card-order"] = order(session, wanted, "test", NOW_MS).order_no
    new = NewBox("2026-11 甲盒", 5, [scene.numbers["li"]])
    scene.ids["box"] = open_box(session, bench, new).id


def again(scene: Scene, database: Database, folder: Path) -> Scene:
    """Return the same town on a copy of its database, with a clock of its own."""
    clock = StillClock()
    runtime = runtime_on(database, folder, scene.runtime.store, clock)
    return Scene(runtime, clock, scene.numbers, scene.codes, scene.ids)


def runtime_on(database: Database, folder: Path, store: KeyStore, clock: StillClock) -> Runtime:
    """Put a running server together from its parts."""
    return Runtime(
        config=Config(data=DataSection(dir=folder)),
        database=database,
        clock=clock,
        identity=make_identity("server"),
        store=store,
        web_secret=b"a secret for tests only, not kept",
    )


def at(day: date, hour: int, minute: int = 0) -> int:
    """Return the instant (ms UTC) of a wall time in Shenzhen."""
    wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
    return to_millis(wall - timedelta(hours=8))


TODAY = date(2026, 11, 21)
YESTERDAY = TODAY - timedelta(days=1)


def _places(session: Any, scene: Scene) -> None:
    care = add_site(session, NewSite("福田敬老院", "Futian care home"), "test", NOW_MS)
    library = add_site(session, NewSite("少年儿童图书馆", "Children's library"), "test", NOW_MS)
    scene.ids |= {"care": care.id, "library": library.id}
    plan = NewActivity(
        care.id, "LUNCH", "助餐服务", "Serving lunch", at(TODAY, 9), at(TODAY, 13), "care"
    )
    scene.ids["lunch"] = add_activity(session, plan, "test", NOW_MS).id
    plan = NewActivity(
        library.id,
        "READ",
        "亲子阅读",
        "Reading with children",
        at(YESTERDAY, 14),
        at(YESTERDAY, 17),
    )
    scene.ids["reading"] = add_activity(session, plan, "test", NOW_MS).id


def _people(session: Any, scene: Scene) -> None:
    for key, name, birth in (
        ("zhang", "张小梅", date(1988, 3, 5)),
        ("li", "李国强", date(1955, 7, 1)),
        ("wang", "王子轩", date(2014, 5, 20)),
        ("chen", "陈静", date(1999, 9, 9)),
        ("zhao", "赵一一", date(2001, 1, 1)),
    ):
        person, code = add_volunteer(
            session, scene.runtime.store, NewVolunteer(name, birth), "test", NOW_MS
        )
        scene.numbers[key], scene.codes[key], scene.ids[key] = person.number, code, person.id
        person.secret_hash = QUICK.hash(code)
        if key == "zhang":
            person.secret_hash, person.secret_kind = QUICK.hash(ZHANG_PASSWORD), PASSWORD
    for number, key in enumerate(("zhang", "li", "wang", "chen"), start=1):
        asn = f"5949{number:016d}"
        scene.ids[f"card-{key}"] = register_card(
            session, scene.numbers[key], asn, 1, "test", NOW_MS - 9 * 24 * HOUR_MS
        ).id
    for name, role, site, password in (
        ("leader", "leader", "care", LEADER_PASSWORD),
        ("librarian", "leader", "library", OTHER_LEADER_PASSWORD),
        ("staff", "staff", None, STAFF_PASSWORD),
        ("admin", "admin", None, ADMIN_PASSWORD),
    ):
        new = NewUser(name, role, scene.ids[site] if site else None)
        user = add_user(session, new, password, "test", NOW_MS)
        user.secret_hash = QUICK.hash(password)


def _structure(session: Any, scene: Scene) -> None:
    """Put the care home and Li into Futian, and add users of every role."""
    by = ("test", NOW_MS)
    regions.load(session, REGIONS.encode(), *by)
    new = NewOrganisation("SZ-FT", "福田区义工联", "Futian federation", "440304")
    scene.ids["futian"] = organisations.add(session, new, *by).id
    places.put(session, scene.ids["care"], "", "SZ-FT", by)
    for person in ("li", "zhang"):
        organisations.join(session, scene.ids[person], scene.ids["futian"], *by)
    dance = activities.Wish(
        scene.ids["care"], "DANCE", "陪老人跳舞", "Dancing with the old", at(TODAY, 15),
        at(TODAY, 17), every_days=7, times=3, capacity=12,
    )  # fmt: skip
    scene.ids["dance"] = activities.apply(session, dance, "user:leader", NOW_MS).id
    wish = replace(make_submission(9), organisation_id=scene.ids["futian"])
    via = Via(Channel.ONLINE, "applicant", with_code=False)
    made = applications.submit(session, scene.runtime.store, wish, via, NOW_MS)
    scene.ids["application"] = made.application_id
    given = {name: (name, scope) for name, scope in GRANTED.items()} | ELSEWHERE
    for name, (role, scope) in given.items():
        user = add_user(session, NewUser(name, "auditor"), OTHER_PASSWORD, *by)
        user.secret_hash, user.role = QUICK.hash(OTHER_PASSWORD), role
        kind, _, ref = scope.partition(":")
        if kind == "organisation":
            ref = str(scene.ids["futian"])
        granting.grant(session, name, role, Scope(kind, ref), by)


def _terminals(session: Any, scene: Scene) -> None:
    for name, site, state, age_ms, unsent in (
        ("care-1", "care", "active", 120_000, 0),
        ("care-2", "care", "active", 9 * HOUR_MS, 14),
        ("library-1", "library", "active", 49 * HOUR_MS, None),
        ("library-2", "library", "pending", None, None),
    ):
        terminal = Terminal(
            name=name, site_id=scene.ids[site], state=state, unsent=unsent, bad_proofs=0,
            last_contact_ms=NOW_MS - age_ms if age_ms else None, created_by="admin",
            approved_by="staff", config_version=1,
            created_ms=NOW_MS - HOUR_MS,
        )  # fmt: skip
        session.add(terminal)
        session.flush()
        scene.ids[name] = terminal.id
    for number, name, hardware in (
        (1, "care-1", True),
        (2, "care-2", False),
        (3, "library-1", True),
    ):
        session.add(
            Psam(
                number=number.to_bytes(6, "big"), terminal_id=scene.ids[name], hardware=hardware,
                dpk_idx=1 if hardware else 0x82, from_seq=1, state="active", created_by="admin",
                approved_by="staff", gap_flags=0,
            )
        )  # fmt: skip
    for name, first, last in (("care-1", 1, 57), ("care-2", 1, 30), ("care-2", 34, 40)):
        session.add(StoredRange(terminal_id=scene.ids[name], first_seq=first, last_seq=last))
    session.add(event(scene, "care-2", 30, NOW_MS - 9 * HOUR_MS))


def _services(session: Any, scene: Scene) -> None:
    old = TODAY - timedelta(days=40)
    rows = (
        ("zhang", "care", "lunch", at(old, 9), at(old, 12, 30), 210, "A", "credited", "1"),
        (
            "zhang",
            "library",
            None,
            at(YESTERDAY, 22),
            at(TODAY, 1, 5),
            185,
            "A",
            "credited",
            "1,17",
        ),
        ("zhang", "library", "reading", at(YESTERDAY, 14), None, 0, "", "exception", "12"),
        ("zhang", "care", "lunch", at(old, 14), at(old, 14, 52), 52, "B", "credited", "1,36"),
        ("zhang", "care", "lunch", at(old, 16), at(old, 16, 3), 0, "", "zero", "7"),
        ("zhang", "care", "lunch", at(TODAY, 9, 2), None, 0, "", "open", ""),
        ("wang", "care", "lunch", at(TODAY, 9, 10), None, 0, "", "open", ""),
        ("li", "care", None, at(YESTERDAY, 16), None, 0, "", "open", "13"),
        ("chen", "library", None, at(TODAY, 8), None, 0, "", "open", ""),
        ("chen", "care", "lunch", at(old, 9), at(old, 10), 60, "A", "credited", "1"),
    )
    for person, site, activity, start, end, minutes, grade, state, rules in rows:
        session.add(
            interval(
                scene, person, site, activity, start_ms=start, end_ms=end, minutes=minutes,
                grade=grade, state=state, rules=rules,
            )
        )  # fmt: skip


def interval(
    scene: Scene, person: str, site: str, activity: str | None, **facts: Any
) -> ServiceInterval:
    """Make a current interval of somebody."""
    start_ms, end_ms = facts["start_ms"], facts["end_ms"]
    day = (datetime.fromtimestamp(start_ms / 1000, UTC) + timedelta(hours=8)).date()
    return ServiceInterval(
        person=scene.ids[person], in_terminal=scene.ids["care-1"], in_seq=start_ms % 100_000,
        out_terminal=None, out_seq=None, start_ms=start_ms, end_ms=end_ms,
        raw_ms=end_ms - start_ms if end_ms else 0, credited_minutes=facts["minutes"],
        grade=facts["grade"], state=facts["state"], rules=facts["rules"],
        site=scene.ids[site], activity=scene.ids[activity] if activity else None,
        service_day=day, engine_version=1, current=True, made_ms=NOW_MS,
        key=f"in:{person}:{start_ms}", correction_id=None,
    )  # fmt: skip


def _exceptions(session: Any, scene: Scene) -> None:
    rows = (
        ("zhang", "library-1", 7, 12, at(YESTERDAY, 14), at(YESTERDAY, 17)),
        ("chen", "care-1", 11, 10, None, at(YESTERDAY, 16, 30)),
        ("wang", "care-1", 12, 52, at(YESTERDAY, 9), at(YESTERDAY, 11)),
    )
    session.add_all(
        Batch(
            id=scene.ids[terminal], terminal_id=scene.ids[terminal], batch_no=1, sha256=bytes(32),
            first_seq=1, count=1, up_to_seq=1, received_ms=NOW_MS, header=bytes(192),
            receipt=bytes(192), anchor=bytes(range(8)), answer=200,
        )
        for terminal in ("care-1", "library-1")
    )  # fmt: skip
    for person, terminal, seq, rule, start, end in rows:
        session.add(event(scene, terminal, seq, start or end))
        row = ReconException(
            rule=rule, person=scene.ids[person], terminal=scene.ids[terminal], seq=seq,
            other_terminal=None, other_seq=None,
            detail_zh=detail(rule)[0], detail_en=detail(rule)[1],
            proposed_start_ms=start, proposed_end_ms=end, state="open", current=True,
            made_ms=NOW_MS,
        )  # fmt: skip
        session.add(row)
        session.flush()
        scene.ids[f"exception-{person}"] = row.id


def event(scene: Scene, terminal: str, seq: int, utc_ms: int | None, **fields: Any) -> StoredEvent:
    """Make a stored event with right proofs; what is not named has a plain value."""
    site = "care" if terminal.startswith("care") else "library"
    plain: dict[str, Any] = {
        "event_hash": bytes(32), "content_hash": bytes(32), "type": 1, "result": 0, "flags": 0,
        "boot": 1, "up_ms": utc_ms or 0, "utc_ms": utc_ms or 0, "unc_ms": 50,
        "site": scene.ids[site], "activity": 0, "card_asn": None, "card_ctr": 0,
        "psam_no": None, "psam_seq": 0, "anchor": bytes(8), "proof": 31, "verdict": 0,
        "batch_id": scene.ids[terminal], "received_ms": NOW_MS, "leaf_index": seq,
        "raw": bytes(224),
    }  # fmt: skip
    return StoredEvent(terminal_id=scene.ids[terminal], seq=seq, **(plain | fields))


def forget_to_tap_out(scene: Scene) -> int:
    """Let Zhao tap in for yesterday's reading and never out; return the derived exception."""
    asn = "59490000000000000009"
    with scene.database.writing() as session:
        register_card(session, scene.numbers["zhao"], asn, 1, "test", NOW_MS - 9 * 24 * HOUR_MS)
        session.add(
            event(
                scene, "library-1", 900, at(YESTERDAY, 14, 5), card_asn=asn, card_ctr=1,
                activity=scene.ids["reading"], psam_no=(3).to_bytes(6, "big"), psam_seq=77,
            )
        )  # fmt: skip
        session.flush()
        reconcile(session, [scene.ids["zhao"]], NOW_MS)
        session.flush()
        found = sa.select(ReconException.id).where(ReconException.person == scene.ids["zhao"])
        return session.scalars(found).one()
