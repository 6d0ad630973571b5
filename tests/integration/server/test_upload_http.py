# SPDX-License-Identifier: Apache-2.0
"""Uploads, enrolment and notices over HTTP, through the real application."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from keys.identity import Identity
from keys.usage import DPK_INDEX_PSAM
from server.db import Database
from server.people import sequences
from server.people.services import CardReport, report_card
from server.terminals import enrolment, notices
from server.terminals.models import HotlistIssue
from server.terminals.policy import NOTICE_LIFETIME_MS
from server.terminals.services import NewActivity, add_activity
from swipe.batch import MAX_BATCH_SIZE
from swipe.hotlist import HotlistBitmap
from swipe.notices import Config
from swipe.requests import ENROL_CONTEXT, enrol_message
from tests.factories import CARD_ASN, TERMINAL_ID
from tests.integration.postgres import PostgresCluster
from tests.integration.server.rig import NOW_MS, Rig, signed

BATCHES = f"/api/v1/terminals/{TERMINAL_ID}/batches"


@pytest.fixture
def client(rig: Rig, tmp_path: Path) -> FlaskClient:
    """A client of the application, once on SQLite and once on PostgreSQL."""
    return rig.app(tmp_path).test_client()


@pytest.fixture
def sqlite_client(sqlite_rig: Rig, tmp_path: Path) -> FlaskClient:
    """A client of the application on SQLite."""
    return sqlite_rig.app(tmp_path).test_client()


def problem(response: TestResponse) -> dict[str, Any]:
    """Return a problem document after checking its form."""
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = json.loads(response.data)
    assert document["status"] == response.status_code
    assert document["detail"]
    assert document["detail_zh"]
    assert document["type"].startswith("urn:yika:problem:")
    return document


def test_upload_answers_with_receipt_bytes(rig: Rig, client: FlaskClient) -> None:
    """PUT of a batch answers 200 with the 192 bytes of a receipt, twice the same."""
    body = rig.batch(rig.chain(2))

    first = client.put(f"{BATCHES}/1", data=body)
    again = client.put(f"{BATCHES}/1", data=body)

    assert (first.status_code, len(first.data)) == (200, 192)
    assert first.content_type == "application/octet-stream"
    assert again.data == first.data


@pytest.mark.parametrize("size", [0, 100, MAX_BATCH_SIZE + 224])
def test_wrong_length_is_a_problem_document(sqlite_client: FlaskClient, size: int) -> None:
    """A body of a wrong length is answered 413 in both languages."""
    response = sqlite_client.put(f"{BATCHES}/1", data=bytes(size))

    assert response.status_code == 413
    assert problem(response)["type"] == "urn:yika:problem:batch-length"


def test_unknown_terminal_is_a_problem_document(
    sqlite_rig: Rig, sqlite_client: FlaskClient
) -> None:
    """A terminal nobody knows is told so in both languages."""
    response = sqlite_client.put(
        "/api/v1/terminals/5/batches/1", data=sqlite_rig.batch(sqlite_rig.chain(1))
    )

    assert response.status_code == 401
    assert problem(response)["type"] == "urn:yika:problem:key-unknown"


def test_fork_and_reuse_are_problem_documents(sqlite_rig: Rig, sqlite_client: FlaskClient) -> None:
    """A fork names the sequence number, a reused batch number itself."""
    rig = sqlite_rig
    events = rig.chain(2)
    sqlite_client.put(f"{BATCHES}/1", data=rig.batch(events, 1))
    other = rig.chain(1, start=events[0], changes=[{"site": 9}])

    reused = sqlite_client.put(f"{BATCHES}/1", data=rig.batch(other, 1))
    forked = sqlite_client.put(f"{BATCHES}/2", data=rig.batch(other, 2))

    assert (reused.status_code, problem(reused)["batch_no"]) == (409, 1)
    assert (forked.status_code, problem(forked)["seq"]) == (422, 2)


@contextmanager
def hurried(database: Database) -> Iterator[None]:
    """Make every new connection give up at once when the database is locked."""

    def impatient(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout = 1")

    database.close()
    sa.event.listen(database.engine, "connect", impatient)
    yield
    sa.event.remove(database.engine, "connect", impatient)
    database.close()


def test_locked_database_is_answered_later(sqlite_rig: Rig, sqlite_client: FlaskClient) -> None:
    """While the database is locked an upload gets 503 and Retry-After; afterwards it is stored."""
    body = sqlite_rig.batch(sqlite_rig.chain(1))
    database = sqlite_rig.database
    with hurried(database), database.engine.connect() as holder:
        holder.execute(sa.text("UPDATE sequence SET value = value"))
        refused = sqlite_client.put(f"{BATCHES}/1", data=body)
        holder.rollback()

    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    problem(refused)
    assert sqlite_client.put(f"{BATCHES}/1", data=body).status_code == 200


def test_read_only_database_is_answered_later(
    sqlite_rig: Rig, key_store: Any, tmp_path: Path
) -> None:
    """A database that cannot be written answers 503 and Retry-After, and loses nothing."""
    body = sqlite_rig.batch(sqlite_rig.chain(1))
    path = sqlite_rig.database.url.database
    read_only = Rig(Database(f"sqlite:///file:{path}?mode=ro&uri=true"), key_store)

    response = read_only.app(tmp_path).test_client().put(f"{BATCHES}/1", data=body)

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert problem(response)["type"] == "urn:yika:problem:database-unavailable"
    assert sqlite_rig.put(body).status == 200
    read_only.database.close()


def test_read_only_postgresql_is_answered_later(
    postgres_cluster: PostgresCluster, postgres_template: str, key_store: Any, tmp_path: Path
) -> None:
    """A PostgreSQL that only reads answers 503 and Retry-After too."""
    url = postgres_cluster.create_database("yika_read_only", postgres_template)
    rig = Rig(Database(url), key_store).populate()
    body = rig.batch(rig.chain(1))
    with rig.database.engine.connect() as connection:
        name = connection.scalar(sa.text("SELECT current_database()"))
        connection.execute(sa.text(f'ALTER DATABASE "{name}" SET default_transaction_read_only=on'))
        connection.commit()
    rig.database.close()

    response = rig.app(tmp_path).test_client().put(f"{BATCHES}/1", data=body)

    rig.database.close()
    assert response.status_code == 503
    assert problem(response)["type"] == "urn:yika:problem:database-unavailable"


def test_terminal_enrols_waits_for_approval_and_uploads(rig: Rig, client: FlaskClient) -> None:
    """Order, enrolment with the token, approval by another person, then uploads are accepted."""
    with rig.database.writing() as session:
        ordered, token = enrolment.add_terminal(session, "pos-new", 1, "li", NOW_MS)
        terminal_id = ordered.id
    identity = Identity.generate()
    shown = {
        "token": token,
        "public_key": identity.public_key.hex(),
        "psam_no": "880000009999",
        "psam_kind": "hardware",
        "dpk_idx": DPK_INDEX_PSAM,
    }
    message = enrol_message(token, bytes.fromhex("880000009999"), DPK_INDEX_PSAM)
    shown["signature"] = identity.sign(ENROL_CONTEXT, message).hex()

    answer = client.post("/api/v1/terminals/enrol", json=shown)
    again = client.post("/api/v1/terminals/enrol", json=shown)

    assert answer.status_code == 200
    assert answer.json == again.json
    assert answer.json is not None
    assert answer.json["terminal_id"] == terminal_id
    assert answer.json["server_public_key"] == rig.server_identity.public_key.hex()
    assert (answer.json["state"], answer.json["site"]["name_zh"]) == ("pending", "一站")
    path = f"/api/v1/terminals/{terminal_id}/config"
    assert client.get(path, headers=signed(identity, path)).status_code == 401
    with rig.database.writing() as session:
        enrolment.approve(session, terminal_id, "wang", NOW_MS)
    assert client.get(path, headers=signed(identity, path)).status_code == 200


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("signature", "00" * 64, 401),
        ("public_key", "00", 422),
        ("psam_kind", "paper", 422),
        ("dpk_idx", 2, 422),
        ("psam_no", "000000000000", 422),
    ],
)
def test_enrolment_with_a_wrong_field_is_refused(
    sqlite_client: FlaskClient, field: str, value: object, status: int
) -> None:
    """Enrolment answers a wrong signature 401 and a wrong field 422, in both languages."""
    shown: dict[str, object] = {
        "token": "x",
        "public_key": "11" * 32,
        "psam_no": "880000009999",
        "psam_kind": "hardware",
        "dpk_idx": DPK_INDEX_PSAM,
        "signature": "11" * 64,
    }

    response = sqlite_client.post("/api/v1/terminals/enrol", json=shown | {field: value})

    assert response.status_code == status
    problem(response)


def test_hotlist_is_signed_and_lists_reported_cards(rig: Rig, client: FlaskClient) -> None:
    """A card reported lost stands on the next hotlist, and receipts name its version."""
    path = f"/api/v1/terminals/{TERMINAL_ID}/hotlist"
    headers = signed(rig.terminal_identity, path)
    public_key = rig.server_identity.public_key
    empty = HotlistBitmap.from_bytes(client.get(path, headers=headers).data, public_key)
    with rig.database.writing() as session:
        report = CardReport(CARD_ASN.hex(), NOW_MS, "lost on the bus")
        report_card(session, report, "li", NOW_MS)

    raw = client.get(path, headers=headers).data
    since = f"{path}/since/{empty.version}"
    change = client.get(since, headers=signed(rig.terminal_identity, since)).data
    listed = HotlistBitmap.from_bytes(raw, public_key)

    assert len(empty.cards) == 0
    assert CARD_ASN in listed
    assert len(listed.cards) == 1
    assert listed.version == empty.version + 1
    assert HotlistBitmap.from_bytes(change, public_key, empty) == listed
    assert rig.receipt(rig.chain(1)).hot_ver == listed.version


def test_a_hotlist_nobody_remembers_is_sent_whole(
    sqlite_rig: Rig, sqlite_client: FlaskClient
) -> None:
    """Who holds a version that was never handed out, or long ago, gets the whole list."""
    path = f"/api/v1/terminals/{TERMINAL_ID}/hotlist/since/77"
    raw = sqlite_client.get(path, headers=signed(sqlite_rig.terminal_identity, path)).data

    assert len(HotlistBitmap.from_bytes(raw, sqlite_rig.server_identity.public_key).cards) == 0


def test_a_hotlist_past_half_its_life_is_made_anew(
    sqlite_rig: Rig, sqlite_client: FlaskClient
) -> None:
    """The same cards under a higher version, so that no terminal on line holds a stale list."""
    public_key = sqlite_rig.server_identity.public_key
    path = f"/api/v1/terminals/{TERMINAL_ID}/hotlist"
    lists = []
    for _ in range(2):
        headers = signed(sqlite_rig.terminal_identity, path, sqlite_rig.clock.now_ms)
        raw = sqlite_client.get(path, headers=headers).data
        lists.append(HotlistBitmap.from_bytes(raw, public_key))
        sqlite_rig.clock.now_ms += NOTICE_LIFETIME_MS // 2
    young, renewed = lists

    assert renewed.version == young.version + 1
    assert renewed.expires_ms == young.expires_ms + NOTICE_LIFETIME_MS // 2


def test_old_hotlists_are_forgotten(sqlite_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newest are kept; a terminal with an older one gets everything."""
    monkeypatch.setattr(notices, "ISSUES_KEPT", 2)
    signer = notices.Signer(sqlite_rig.server_identity, 1)
    for _ in range(4):
        with sqlite_rig.database.writing() as session:
            sequences.next_value(session, sequences.CARD_LISTING)
            notices.hotlist(session, signer, NOW_MS)
    with sqlite_rig.database.reading() as session:
        kept = session.scalars(sa.select(HotlistIssue.version)).all()

    assert sorted(kept) == [3, 4]


def test_configuration_is_signed_and_follows_the_plan(rig: Rig, client: FlaskClient) -> None:
    """A new activity stands in the next configuration, whose version receipts name."""
    path = f"/api/v1/terminals/{TERMINAL_ID}/config"
    headers = signed(rig.terminal_identity, path)
    public_key = rig.server_identity.public_key
    before = Config.from_bytes(client.get(path, headers=headers).data, public_key)
    with rig.database.writing() as session:
        plan = NewActivity(1, "A1", "护河", "River care", NOW_MS, NOW_MS + 7_200_000)
        add_activity(session, plan, "li", NOW_MS)

    after = Config.from_bytes(client.get(path, headers=headers).data, public_key)

    content = json.loads(after.json)
    assert after.version > before.version
    assert (after.terminal_id, content["version"]) == (TERMINAL_ID, after.version)
    assert content["site"] == {"id": 1, "name_zh": "一站", "name_en": "Site one", "tz_q": 32}
    assert [activity["code"] for activity in content["activities"]] == ["A1"]
    assert content["activities"][0]["end"] - content["activities"][0]["start"] == 7200
    assert rig.receipt(rig.chain(1)).cfg_ver == after.version


@pytest.mark.parametrize("skew_ms", [-86_400_001, 86_400_001])
def test_request_of_a_clock_a_day_off_is_refused(
    sqlite_rig: Rig, sqlite_client: FlaskClient, skew_ms: int
) -> None:
    """A signed request from a clock more than a day off is told the server's time."""
    path = f"/api/v1/terminals/{TERMINAL_ID}/config"
    headers = signed(sqlite_rig.terminal_identity, path, NOW_MS + skew_ms)

    response = sqlite_client.get(path, headers=headers)

    assert response.status_code == 401
    assert problem(response)["server_utc_ms"] == NOW_MS


def test_request_signed_for_another_path_is_refused(
    sqlite_rig: Rig, sqlite_client: FlaskClient
) -> None:
    """The signature of a request covers its path."""
    path = f"/api/v1/terminals/{TERMINAL_ID}"
    headers = signed(sqlite_rig.terminal_identity, f"{path}/config")

    assert sqlite_client.get(f"{path}/hotlist", headers=headers).status_code == 401
    assert sqlite_client.get(f"{path}/config").status_code == 401


def test_contact_and_unsent_count_are_remembered(
    sqlite_rig: Rig, sqlite_client: FlaskClient
) -> None:
    """A terminal's last contact and what it says it still holds are kept for staff."""
    path = f"/api/v1/terminals/{TERMINAL_ID}/config"
    headers = signed(sqlite_rig.terminal_identity, path) | {"Yika-Unsent": "12"}

    sqlite_client.get(path, headers=headers)

    terminal = sqlite_rig.terminal()
    assert (terminal.last_contact_ms, terminal.unsent) == (NOW_MS, 12)


def test_openapi_document_describes_the_raw_upload(sqlite_client: FlaskClient) -> None:
    """The OpenAPI document names the upload with a binary body and its answers."""
    document = sqlite_client.get("/api/v1/openapi.json").json

    assert document is not None
    upload = document["paths"]["/api/v1/terminals/{terminal}/batches/{number}"]["put"]
    assert "application/octet-stream" in upload["requestBody"]["content"]
    assert {"200", "401", "409", "413", "422", "429", "503"} <= set(upload["responses"])
    assert "/api/v1/terminals/enrol" in document["paths"]


def test_health_readiness_and_metrics(rig: Rig, client: FlaskClient) -> None:
    """The process says that it lives, that its database is current, and what it counted."""
    client.put(f"{BATCHES}/1", data=rig.batch(rig.chain(2)))

    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").status_code == 200
    metrics = client.get("/metrics").get_data(as_text=True)
    assert 'yika_uploads_total{kind="stored",status="200"} 1.0' in metrics
    assert 'yika_events_total{verdict="OK"} 2.0' in metrics


def test_unknown_path_of_the_interface_is_a_problem_document(sqlite_client: FlaskClient) -> None:
    """An address that does not exist is answered in both languages."""
    assert problem(sqlite_client.get("/api/v1/nothing"))["status"] == 404


def test_oversized_stream_is_cut_off(sqlite_client: FlaskClient) -> None:
    """A body without a length is read no further than a batch can be long."""
    response = sqlite_client.put(
        f"{BATCHES}/1",
        input_stream=io.BytesIO(bytes(MAX_BATCH_SIZE + 500)),
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )

    assert response.status_code == 413
    problem(response)


def test_unexpected_error_tells_nothing_inside(
    sqlite_rig: Rig,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    log_as_server: Callable[[], None],
) -> None:
    """A fault in the program is answered 500 in both languages; the log has no variable's value."""
    log_as_server()
    app = sqlite_rig.app(tmp_path)

    @app.route("/api/v1/broken")
    def broken() -> str:
        secret = "open sesame"
        raise LookupError(len(secret))

    response = app.test_client().get("/api/v1/broken")

    logged = capsys.readouterr().err
    assert problem(response)["status"] == 500
    assert "LookupError" in logged
    assert "sesame" not in logged.replace('secret = "open sesame"', "")
