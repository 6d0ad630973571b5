# SPDX-License-Identifier: Apache-2.0
"""Programs of partners: accounts with scopes, lists by cursor, exports, webhooks."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from keys.verify import verify
from server.errors import Problem, Refused
from server.exchange import accounts, lists, webhooks
from server.exchange.accounts import DAY_MS, NewAccount
from server.exchange.models import Webhook
from server.exchange.policy import TRIES_MAX, Scope, Topic
from server.people import services
from server.people.models import Audit, Volunteer
from server.people.services import NewUser
from server.reconciliation.services import reconcile
from server.structure import organisations, regions
from server.structure.organisations import NewOrganisation
from server.structure.rights import Scope as Part
from server.terminals import places
from server.terminals.models import Site
from server.timebank.services import post_differences
from tests.factories import SITE
from tests.integration import pitr
from tests.integration.server.rig import NOW_MS, Rig

LATER_MS = NOW_MS + 40 * DAY_MS
REGIONS = "code,name_zh,name_en\n440000,广东省,\n440300,深圳市,\n440303,罗湖区,\n440304,福田区,\n"
URL = "https://hours.example.org/yika"


class Partner:
    """A program with an account, and the server it speaks to."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.client: FlaskClient = rig.app(folder).test_client()
        with rig.database.writing() as session:
            new = NewUser("wang", "staff")
            services.add_user(session, new, "a good password", "root", NOW_MS)

    def account(self, name: str, *scopes: Scope) -> str:
        """Make an account and return its token."""
        with self.rig.database.writing() as session:
            return accounts.create(session, NewAccount(name, scopes), "wang", NOW_MS)[1]

    def get(self, token: str, path: str) -> Any:
        """Ask for something."""
        return self.client.get(path, headers={"Authorization": f"Bearer {token}"})

    def post(self, token: str, body: object, key: str | None = None) -> Any:
        """Subscribe to something."""
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        return self.client.post("/api/v1/webhooks", json=body, headers=headers)


@pytest.fixture
def partner(sqlite_rig: Rig, tmp_path: Path) -> Partner:
    """A partner of a server with ten taps, five services and their minutes."""
    fill(sqlite_rig)
    return Partner(sqlite_rig, tmp_path)


def fill(rig: Rig) -> None:
    """Upload ten taps and derive their hours."""
    rig.receipt(rig.chain(pitr.AFTER_BASE, changes=pitr.APART))
    with rig.database.writing() as session:
        reconcile(session, None, LATER_MS)
        session.flush()
        post_differences(session, None, LATER_MS)


def test_an_account_does_what_it_was_given_and_no_more(partner: Partner) -> None:
    """Without token 401, with another scope 403, with the right one 200; all others stay shut."""
    token = partner.account("one", Scope.HOURS)
    refused = partner.get(token, "/api/v1/lists/events")

    assert partner.client.get("/api/v1/lists/events").status_code == 401
    assert partner.get(token[:-1] + "x", "/api/v1/lists/intervals").status_code == 401
    assert (refused.status_code, refused.json["scope"]) == (403, "events:read")
    assert partner.get(token, "/api/v1/lists/intervals").status_code == 200
    assert partner.get(token, "/api/v1/lists/people").status_code == 422


def test_every_route_of_the_exchange_asks_for_a_scope(partner: Partner) -> None:
    """No route answers a stranger, and none an account that has every scope but its own."""
    routes = {
        "/api/v1/lists/events": Scope.EVENTS,
        "/api/v1/lists/intervals": Scope.HOURS,
        "/api/v1/lists/transfers": Scope.LEDGER,
        "/api/v1/exports/events.csv": Scope.EVENTS,
        "/api/v1/exports/intervals.jsonl": Scope.HOURS,
        "/api/v1/exports/transfers.parquet": Scope.LEDGER,
        "/api/v1/webhooks": Scope.WEBHOOKS,
    }
    answers = {}
    for at, (path, own) in enumerate(routes.items()):
        others = [scope for scope in Scope if scope is not own]
        wrong, right = partner.account(f"w{at}", *others), partner.account(f"r{at}", own)
        answers[path] = (
            partner.client.get(path).status_code,
            partner.get(wrong, path).status_code,
            partner.get(right, path).status_code,
        )

    assert answers == dict.fromkeys(routes, (401, 403, 200))


def test_an_account_ends(sqlite_rig: Rig) -> None:
    """After its day, or revoked, an account is refused as an unknown one is."""
    with sqlite_rig.database.writing() as session:
        services.add_user(session, NewUser("wang", "staff"), "a good password", "root", NOW_MS)
        _, token = accounts.create(session, NewAccount("a", [Scope.HOURS], 1), "wang", NOW_MS)
        header = f"Bearer {token}"
        assert accounts.authenticate(session, header, Scope.HOURS, NOW_MS + DAY_MS - 1)
        with pytest.raises(Problem, match="expired"):
            accounts.authenticate(session, header, Scope.HOURS, NOW_MS + DAY_MS)
        accounts.revoke(session, "a", "wang", NOW_MS)
        with pytest.raises(Problem, match="revoked"):
            accounts.authenticate(session, header, Scope.HOURS, NOW_MS)


def test_a_token_is_kept_as_a_digest_only(sqlite_rig: Rig) -> None:
    """The database and the audit trail hold nothing that opens the account."""
    with sqlite_rig.database.writing() as session:
        services.add_user(session, NewUser("wang", "staff"), "a good password", "root", NOW_MS)
        row, token = accounts.create(session, NewAccount("a", [Scope.HOURS]), "wang", NOW_MS)
        session.flush()
        lines = session.scalars(sa.select(Audit.detail)).all()
        kept = row.secret_sha256

    secret = token.split("_", 2)[2]
    assert secret.encode() not in kept
    assert secret not in json.dumps(lines)


def test_a_list_is_followed_by_its_cursor(partner: Partner) -> None:
    """Pages of three give every event once, in the order of the public log, and then nothing."""
    token = partner.account("one", Scope.EVENTS)
    path, found, more = "/api/v1/lists/events?limit=3", [], True
    while more:
        page = partner.get(token, path).json
        found += page["items"]
        path, more = f"/api/v1/lists/events?limit=3&cursor={page['next']}", page["more"]
    rest = partner.get(token, path).json

    assert [item["number"] for item in found] == list(range(1, pitr.AFTER_BASE + 1))
    assert [item["leaf"] for item in found] == sorted(item["leaf"] for item in found)
    assert found[0]["kind"] == "IN"
    assert rest["items"] == []
    assert rest["next"] == page["next"]


@pytest.mark.parametrize("cursor", ["x", "ZXZlbnRzOjQx", "%00", "AAAA", "é", "==="])
def test_a_cursor_of_elsewhere_is_a_problem(partner: Partner, cursor: str) -> None:
    """A cursor that this list did not give is told as such, with its place in the request."""
    token = partner.account("one", Scope.LEDGER)
    answer = partner.get(token, f"/api/v1/lists/transfers?cursor={cursor}")

    assert (answer.status_code, answer.json["pointer"]) == (400, "/query/cursor")


def test_exports_say_the_same_in_each_form(partner: Partner) -> None:
    """CSV, JSON lines and Parquet hold the same five services with 25 minutes."""
    token = partner.account("one", Scope.HOURS)
    base = "/api/v1/exports/intervals."
    lines = partner.get(token, base + "jsonl").text.splitlines()
    table = list(csv.DictReader(io.StringIO(partner.get(token, base + "csv").text[1:])))
    parquet = pq.read_table(io.BytesIO(partner.get(token, base + "parquet").data)).to_pylist()

    assert [json.loads(line) for line in lines] == parquet
    assert [row["minutes"] for row in table] == [str(row["minutes"]) for row in parquet]
    assert sum(row["minutes"] for row in parquet) == 25
    assert len(parquet) == 5


def test_an_export_of_a_span_holds_that_span(partner: Partner) -> None:
    """Since and until cut by the start of a service; the end is not included."""
    token = partner.account("one", Scope.HOURS)
    starts = [
        json.loads(line)["from"]
        for line in partner.get(token, "/api/v1/exports/intervals.jsonl").text.splitlines()
    ]
    second_ms = NOW_MS - 3_600_000 + 2 * 350_000
    text = partner.get(
        token, f"/api/v1/exports/intervals.jsonl?since_ms={second_ms}&until_ms={second_ms + 1}"
    ).text

    assert [json.loads(line)["from"] for line in text.splitlines()] == [starts[1]]


def test_the_same_request_twice_makes_one_webhook(partner: Partner) -> None:
    """An idempotency key gives the same answer again; with another body it is a problem."""
    token = partner.account("one", Scope.WEBHOOKS)
    body = {"topic": "events", "url": URL}
    first, again = (partner.post(token, body, "k1") for _ in range(2))
    other = partner.post(token, body | {"topic": "transfers"}, "k1")

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert first.json == again.json
    assert len(partner.get(token, "/api/v1/webhooks").json["items"]) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://hours.example.org/", "https://127.0.0.1/", "https://10.0.0.8/x", "https://[::1]/x",
        "https://user@hours.example.org/", "https://", "ftp://hours.example.org/", "https://a:0/xx",
        "https://169.254.169.254/latest", "https://a b.example.org/", "https://hours.example.org:x/",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_https_is_refused(partner: Partner, url: str) -> None:
    """Plain HTTP, inner addresses and odd forms never become a webhook."""
    token = partner.account("one", Scope.WEBHOOKS)
    answer = partner.post(token, {"topic": "events", "url": url})

    assert answer.status_code == 422
    assert partner.get(token, "/api/v1/webhooks").json["items"] == []


def test_a_webhook_of_another_account_is_not_mine(partner: Partner) -> None:
    """Nobody sees or takes away what another account subscribed to."""
    one, two = (partner.account(name, Scope.WEBHOOKS) for name in ("one", "two"))
    made = partner.post(one, {"topic": "events", "url": URL}).json["id"]
    header = {"Authorization": f"Bearer {two}"}

    assert partner.get(two, "/api/v1/webhooks").json["items"] == []
    assert partner.client.delete(f"/api/v1/webhooks/{made}", headers=header).status_code == 404
    header = {"Authorization": f"Bearer {one}"}
    assert partner.client.delete(f"/api/v1/webhooks/{made}", headers=header).status_code == 204


class Receiver:
    """What stands at the other end: keeps what it was told, answers as it is set."""

    def __init__(self) -> None:
        self.status = 200
        self.told: list[tuple[bytes, dict[str, str]]] = []

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """Take one word."""
        assert url == URL
        self.told.append((body, headers))
        if self.status == 0:
            raise ConnectionRefusedError
        return self.status


def subscribed(rig: Rig) -> Receiver:
    """Let a receiver hear of events."""
    with rig.database.writing() as session:
        services.add_user(session, NewUser("wang", "staff"), "a good password", "root", NOW_MS)
        account, _ = accounts.create(session, NewAccount("a", [Scope.WEBHOOKS]), "wang", NOW_MS)
        webhooks.subscribe(session, account, Topic.EVENTS, URL, NOW_MS)
    return Receiver()


def turn(rig: Rig, receiver: Receiver, now_ms: int) -> int:
    """Deliver what is due."""
    return webhooks.turn(rig.database, rig.server_identity, now_ms, receiver.post)


def test_a_receiver_is_told_once_and_can_check_who_spoke(rig: Rig) -> None:
    """One signed word when events came, none while nothing is new, one more after more."""
    receiver = subscribed(rig)
    assert turn(rig, receiver, NOW_MS) == 0
    events = rig.chain(6)
    rig.receipt(events[:4])
    assert turn(rig, receiver, NOW_MS) == 1
    assert turn(rig, receiver, NOW_MS) == 0
    rig.receipt(events[4:], 2)
    assert turn(rig, receiver, NOW_MS) == 1

    ends = [json.loads(body)["up_to"] for body, _ in receiver.told]
    body, headers = receiver.told[-1]
    signed = headers["Yika-Timestamp"].encode() + b"." + body
    signature = bytes.fromhex(headers["Yika-Signature"])
    assert ends == sorted(set(ends))
    assert verify(rig.server_identity.public_key, signature, webhooks.CONTEXT, signed)


def test_a_failing_receiver_is_tried_again_and_switched_off_in_the_end(sqlite_rig: Rig) -> None:
    """Waits double; after the last try it is off and the audit trail says so."""
    receiver = subscribed(sqlite_rig)
    sqlite_rig.receipt(sqlite_rig.chain(2))
    now_ms = NOW_MS
    for status in (500, 0, 302, *(500 for _ in range(TRIES_MAX))):
        receiver.status = status
        turn(sqlite_rig, receiver, now_ms)
        now_ms += 7 * 3_600_000
    with sqlite_rig.database.reading() as session:
        row = session.scalars(sa.select(Webhook)).one()
        noted = session.scalars(sa.select(Audit).where(Audit.action == "webhook.off")).all()
        state = row.state

    assert (state, len(receiver.told), len(noted)) == ("off", TRIES_MAX, 1)


def test_a_receiver_that_comes_back_is_up_to_date(sqlite_rig: Rig) -> None:
    """After a failure the next word covers everything since."""
    receiver = subscribed(sqlite_rig)
    events = sqlite_rig.chain(5)
    sqlite_rig.receipt(events[:2])
    receiver.status = 500
    turn(sqlite_rig, receiver, NOW_MS)
    sqlite_rig.receipt(events[2:], 2)
    assert turn(sqlite_rig, receiver, NOW_MS + 59_000) == 0
    receiver.status = 204

    assert turn(sqlite_rig, receiver, NOW_MS + 61_000) == 1
    with sqlite_rig.database.reading() as session:
        row = session.scalars(sa.select(Webhook)).one()
        assert (row.state, row.told) == ("active", lists.newest(session, Topic.EVENTS))


def test_a_name_that_leads_inside_is_not_called() -> None:
    """A host name that resolves to a loopback address is refused at the call itself."""
    with pytest.raises(Refused, match="public network"):
        webhooks.post_https("https://localhost/x", b"{}", {})


def test_account_reads_of_its_own_part_only(partner: Partner) -> None:
    """Events and services of other sites, and transfers of others' members, are not there."""
    by = ("wang", NOW_MS)
    with partner.rig.database.writing() as session:
        regions.load(session, REGIONS.encode(), *by)
        here = NewOrganisation("FT", "福田", "Futian", "440304")
        futian = organisations.add(session, here, *by).id
        member = session.scalars(sa.select(Volunteer.id).order_by(Volunteer.id)).first()
        assert member is not None
        session.add(Site(id=SITE, name_zh="二站", name_en="Two", tz_q=32, config_version=1))
        session.flush()
        places.put(session, SITE, "", "FT", by)
    everything = [Scope.EVENTS, Scope.HOURS, Scope.LEDGER]
    tokens = {}
    for name, part in (
        ("all", Part("all")),
        ("futian", Part("region", "440304")),
        ("futian-org", Part("organisation", str(futian))),
        ("luohu", Part("region", "440303")),
    ):
        with partner.rig.database.writing() as session:
            new = NewAccount(name, everything, within=part)
            tokens[name] = accounts.create(session, new, "wang", NOW_MS)[1]

    def count(name: str, topic: str) -> int:
        answer = partner.get(tokens[name], f"/api/v1/lists/{topic}?limit=1000")
        return len(answer.json["items"])

    for topic in ("events", "intervals"):
        assert count("all", topic) > 0
        assert count("futian", topic) == count("futian-org", topic) == count("all", topic)
        assert count("luohu", topic) == 0
    assert count("all", "transfers") > 0
    assert count("futian", "transfers") == 0
    with partner.rig.database.writing() as session:
        organisations.join(session, member, futian, *by)
    assert count("futian", "transfers") == count("futian-org", "transfers") > 0
    assert count("luohu", "transfers") == 0
    exported = partner.get(tokens["luohu"], "/api/v1/exports/intervals.jsonl")
    assert exported.text == ""


@pytest.mark.parametrize(
    "part", [Part("region", "650100"), Part("site", "99"), Part("site", "x"), Part("partner", "b")]
)
def test_account_within_nothing_is_refused(partner: Partner, part: Part) -> None:
    """The part is one that exists."""
    new = NewAccount("x", [Scope.EVENTS], within=part)

    with partner.rig.database.writing() as session, pytest.raises(Refused):
        accounts.create(session, new, "wang", NOW_MS)
