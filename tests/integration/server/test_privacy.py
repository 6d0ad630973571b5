# SPDX-License-Identifier: Apache-2.0
"""A person's copy of their data, its end, and the retention rules, in a real database."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from sqlalchemy.orm import Session

from keys.store import FileKeyStore
from server.cli import cli, load_features
from server.db import Database
from server.errors import Refused
from server.people import personal, services, sign_in
from server.people.models import Audit, Card, Passkey, SealedPersonKey, Volunteer
from server.people.personal import Reader
from server.people.services import NewUser, NewVolunteer
from server.privacy import retention
from server.privacy.dossier import FORMAT, dossier
from server.privacy.erasing import MASK, Erasure, erase
from server.privacy.policy import DAY_MS, SIGN_IN_CODE
from server.reconciliation import requests
from server.reconciliation.corrections import Said
from server.reconciliation.requests import Asked
from server.schema import upgrade
from server.structure import organisations, regions
from server.structure.organisations import NewOrganisation
from server.terminals.services import NewSite, add_site
from tests.factories import PASSPHRASE, TERMINAL_ID, make_store
from tests.integration.server.rig import NOW_MS, Rig

HOUR_MS = 3_600_000
ADULT, CHILD = dt.date(1990, 5, 17), dt.date(2016, 5, 5)
READER = Reader("li", "asked in person, document seen", NOW_MS)


def take_in(session: Session, store: FileKeyStore, **changes: Any) -> tuple[Volunteer, str]:
    """Take in a volunteer, and the two who decide, once."""
    if session.get(Volunteer, 1) is None:
        for name in ("li", "wang"):
            new = NewUser(name, "staff")
            services.add_user(session, new, "a good password", "root", NOW_MS)
    values: dict[str, Any] = {"name": "王小明", "birth": ADULT} | changes
    return services.add_volunteer(session, store, NewVolunteer(**values), "li", NOW_MS)


def erasure(number: str, **changes: Any) -> Erasure:
    """Ask for an erasure as it should be asked for."""
    values = {"number": number, "reason": "asked", "by": "li", "approved_by": "wang"}
    return Erasure(**(values | changes))


def test_erasing_destroys_the_key_and_keeps_the_number(
    database: Database, key_store: FileKeyStore
) -> None:
    """After erasing nothing opens the person's data; number and audit trail are there still."""
    with database.writing() as session:
        person, code = take_in(session, key_store)
        number = person.number
        services.register_card(session, number, "59490000000000000099", 1, "li", NOW_MS)
        done = erase(session, erasure(number), NOW_MS + 5)

        assert (done.cards, done.again) == (1, False)
        assert session.get(SealedPersonKey, person.id) is None
        assert (person.sealed_name, person.sealed_birth) == (b"", b"")
        assert (person.masked_name, person.erased_ms) == (MASK, NOW_MS + 5)
        assert sign_in.sign_in_volunteer(session, number, code) is None
        with pytest.raises(Refused, match="erased"):
            personal.identity(session, key_store, person, READER)
        with pytest.raises(Refused, match="erased"):
            sign_in.renew_code(session, number, "li", NOW_MS)
        card = session.scalars(sa.select(Card)).one()
        assert (card.state, card.revoked_ms) == ("revoked", NOW_MS + 5)
        line = session.scalars(sa.select(Audit).where(Audit.action == "volunteer.erased")).one()
        assert (line.actor, line.detail["approved_by"]) == ("li", "wang")
        assert erase(session, erasure(number), NOW_MS + 9).again


def test_an_erased_key_is_not_in_the_file(tmp_path: Path, key_store: FileKeyStore) -> None:
    """On SQLite no page of the database file holds the erased key or the sealed name any more."""
    database = Database(f"sqlite:///{tmp_path / 'one.db'}")
    upgrade(database)
    with database.writing() as session:
        person, _ = take_in(session, key_store)
        number = person.number
        secrets = (session.get_one(SealedPersonKey, person.id).sealed, person.sealed_name)

    def held() -> list[bool]:
        with contextlib.closing(sqlite3.connect(tmp_path / "one.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = (tmp_path / "one.db").read_bytes()
        return [secret in content for secret in secrets]

    before = held()
    with database.writing() as session:
        erase(session, erasure(number), NOW_MS)
    after = held()
    database.close()

    assert (before, after) == ([True, True], [False, False])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"approved_by": "li"}, "two people"),
        ({"approved_by": "nobody"}, "no staff user"),
        ({"reason": "  "}, "say why"),
        ({"number": "0000000099"}, "no volunteer"),
    ],
)
def test_an_erasure_that_is_not_in_order_changes_nothing(
    sqlite_database: Database, key_store: FileKeyStore, changes: dict[str, str], says: str
) -> None:
    """One person alone, no reason or a wrong number: refused, and the data opens as before."""
    with sqlite_database.writing() as session:
        person, _ = take_in(session, key_store)
        with pytest.raises(Refused, match=says):
            erase(session, replace(erasure(person.number), **changes), NOW_MS)

        assert personal.identity(session, key_store, person, READER).name == "王小明"


def test_a_minors_guardian_is_not_erased_first(
    sqlite_database: Database, key_store: FileKeyStore
) -> None:
    """A guardian of minors is refused with their numbers; with another guardian it goes."""
    with sqlite_database.writing() as session:
        guardian, other = (take_in(session, key_store)[0].number for _ in range(2))
        child, _ = take_in(session, key_store, birth=CHILD, guardian_number=guardian)
        with pytest.raises(Refused, match=child.number):
            erase(session, erasure(guardian), NOW_MS)
        services.link_guardian(session, child.number, other, "li", NOW_MS)

        assert not erase(session, erasure(guardian), NOW_MS).again


def test_evidence_and_hours_stay(sqlite_rig: Rig) -> None:
    """Erasing a person touches no event: they are stored byte for byte as before."""
    events = sqlite_rig.chain(6)
    sqlite_rig.receipt(events)
    before = sqlite_rig.stored()
    with sqlite_rig.database.writing() as session:
        for name in ("li", "wang"):
            services.add_user(session, NewUser(name, "staff"), "a good password", "r", NOW_MS)
        number = session.scalars(
            sa.select(Volunteer.number).join(Card, Card.volunteer_id == Volunteer.id).limit(1)
        ).one()
        erase(session, erasure(number), NOW_MS + 60_000)
        found = dossier(session, sqlite_rig.store, number, READER)

    assert sqlite_rig.stored() == before
    assert [tap["terminal"] for tap in found["taps"]] == [TERMINAL_ID] * len(found["taps"])
    assert found["person"]["name"] is None
    assert found["person"]["erased"] is not None


def test_requests_are_in_the_copy_and_their_words_are_erased(
    database: Database, key_store: FileKeyStore
) -> None:
    """The copy holds request and answer; erasing blanks both and withdraws what is open."""
    with database.writing() as session:
        person, _ = take_in(session, key_store)
        site = add_site(session, NewSite("一站", "Site one"), "li", NOW_MS).id
        span = (NOW_MS - 3 * HOUR_MS, NOW_MS - 2 * HOUR_MS)
        for text in ("王小明忘带卡", "王小明又忘了"):
            asked = requests.ask(session, Asked(person.id, text, None, site, *span), NOW_MS)
        requests.answer(session, asked.id, None, Said("wang", "小明当天不在", NOW_MS))
        found = dossier(session, key_store, person.number, READER)
        done = erase(session, erasure(person.number), NOW_MS)
        after = dossier(session, key_store, person.number, READER)

    assert [(row["text"], row["state"], row["answer"]) for row in found["requests"]] == [
        ("王小明忘带卡", "open", None), ("王小明又忘了", "refused", "小明当天不在"),
    ]  # fmt: skip
    assert [row["en"] for row in found["told"]] == ["your request was refused"]
    assert (done.requests, "小明" in json.dumps(after["requests"], ensure_ascii=False)) == (
        2,
        False,
    )
    assert [row["state"] for row in after["requests"]] == ["withdrawn", "refused"]


def test_the_copy_holds_what_is_known(sqlite_database: Database, key_store: FileKeyStore) -> None:
    """The document names the person, their cards and who looked; it is JSON through and through."""
    with sqlite_database.writing() as session:
        person, _ = take_in(session, key_store)
        services.register_card(session, person.number, "59490000000000000099", 1, "li", NOW_MS)
        found = json.loads(json.dumps(dossier(session, key_store, person.number, READER)))

    assert found["format"] == FORMAT
    assert found["person"]["name"] == "王小明"
    assert found["person"]["birth"] == "1990-05-17"
    assert [card["serial"] for card in found["cards"]] == ["59490000000000000099"]
    assert [line["what"] for line in found["who_did_what"]] == [
        "volunteer.added", "card.registered", "volunteer.read", "volunteer.exported",
    ]  # fmt: skip


def test_passkeys_and_memberships_are_in_the_copy_and_end_with_the_person(
    sqlite_database: Database, key_store: FileKeyStore
) -> None:
    """They are told while they are there; erasing removes the passkeys and ends the memberships."""
    with sqlite_database.writing() as session:
        person, _ = take_in(session, key_store)
        regions.load(session, b"code,name_zh,name_en\n440000,GD,\n", "li", NOW_MS)
        new = NewOrganisation("GD", "广东", "Guangdong", "440000")
        made = organisations.add(session, new, "li", NOW_MS)
        organisations.join(session, person.id, made.id, "li", NOW_MS)
        session.add(
            Passkey(
                credential_id=b"k", volunteer_id=person.id, public_key=b"p", counter=0,
                name="phone", created_ms=NOW_MS,
            )
        )  # fmt: skip
        session.flush()
        found = dossier(session, key_store, person.number, READER)
        assert [each["name"] for each in found["passkeys"]] == ["phone"]
        assert [each["organisation"] for each in found["organisations"]] == ["GD"]

        erase(session, erasure(person.number), NOW_MS)

        assert organisations.memberships(session, person.id) == []
        assert session.scalars(sa.select(Passkey)).all() == []


def test_an_unused_code_is_void_after_its_time(
    sqlite_database: Database, key_store: FileKeyStore
) -> None:
    """A one-time code nobody used for 90 days is counted, then void; a password is not touched."""
    later_ms = NOW_MS + (SIGN_IN_CODE.days + 1) * DAY_MS
    with sqlite_database.writing() as session:
        unused, code = take_in(session, key_store)
        used, _ = take_in(session, key_store)
        sign_in.set_volunteer_password(session, used.id, "my own password", NOW_MS)

        def counts(now_ms: int) -> dict[str, int]:
            return {item.rule.key: item.count for item in retention.due(session, now_ms)}

        assert counts(NOW_MS + DAY_MS)["sign-in-code"] == 0
        assert counts(later_ms)["sign-in-code"] == 1
        retention.apply(session, "li", later_ms)
        assert counts(later_ms)["sign-in-code"] == 0
        assert sign_in.sign_in_volunteer(session, unused.number, code) is None
        assert sign_in.sign_in_volunteer(session, used.number, "my own password") is not None


def test_people_without_a_tap_for_ten_years_are_listed(
    sqlite_database: Database, key_store: FileKeyStore
) -> None:
    """They are named for a person to decide, and nothing removes them by itself."""
    later_ms = NOW_MS + 3651 * DAY_MS
    with sqlite_database.writing() as session:
        person, _ = take_in(session, key_store)
        idle = retention.apply(session, "li", later_ms)[-1]

        assert (idle.count, idle.numbers, idle.rule.automatic) == (1, (person.number,), False)
        assert person.erased_ms is None


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Environment of an initialised server with two staff users and a volunteer."""
    load_features()
    make_store(tmp_path / "keys.yks")
    environment = {
        "YIKA_DATA_DIR": str(tmp_path),
        "YIKA_KEYS_PASSPHRASE": PASSPHRASE,
        "YIKA_NEW_PASSWORD": "a good password",
    }
    for command in ("init", "user add li --role staff", "user add wang --role staff"):
        assert call(environment, *command.split()).exit_code == 0
    assert call(environment, "volunteer", "add", "王小明", "--birth", "1990-05-17").exit_code == 0
    return environment


def call(environment: dict[str, str], *arguments: str) -> Result:
    """Run one command in this process."""
    return CliRunner(env=environment).invoke(cli, arguments)


def test_commands_of_privacy(environment: dict[str, str], tmp_path: Path) -> None:
    """A dry run changes nothing; the copy is a private file; after the end the name is gone."""
    number, out = "0000000014", tmp_path / "copy.json"
    who = ("--reason", "asked", "--by", "li", "--approved-by", "wang")
    dry = call(environment, "privacy", "erase", number, *who, "--dry-run", "--json")
    told = call(
        environment, "privacy", "export", number, "--out", str(out), "--why", "x", "--by", "li"
    )
    assert (dry.exit_code, json.loads(dry.stdout)["done"], told.exit_code) == (0, False, 0)
    assert json.loads(out.read_text("utf-8"))["person"]["name"] == "王小明"
    assert out.stat().st_mode & 0o777 == 0o600

    real = call(environment, "privacy", "erase", number, *who, "--yes", "--json")
    again = tmp_path / "again.json"
    call(environment, "privacy", "export", number, "--out", str(again), "--why", "x", "--by", "li")
    listed = call(environment, "privacy", "retention", "--json")
    assert json.loads(real.stdout)["done"] is True
    assert "王小明" not in again.read_text("utf-8")
    assert [rule["due"] for rule in json.loads(listed.stdout)["rules"]] == [0, 0, 0, 0]
