# SPDX-License-Identifier: Apache-2.0
"""The relay over HTTP, with a virtual card in its reader."""

from __future__ import annotations

import json
import socket

import pytest
from click.testing import CliRunner

from card.cli import main
from card.relay.policy import BODY_BYTES_MAX, HOST
from card.relay.sessions import SESSION_IDLE_S
from hardware_mocks.cardos.tear import Tear
from tests.unit.card.relay.conftest import ORIGIN, READER, Rig
from tests.unit.card.virtual_reader import readers_with

SELECT_MF = "00A40000023F0000"
CHALLENGE = "0084000004"


def test_a_card_answers_through_the_relay(rig: Rig) -> None:
    """Status, pairing, session, commands and farewell, as a page does it."""
    status, told, _ = rig.ask("GET", "/v1/status")
    assert (status, told["paired"], "readers" in told) == (200, False, False)
    rig.pair()
    assert rig.ask("GET", "/v1/status")[1]["readers"] == [
        {"name": READER, "in_use": False},
        {"name": "virtual:empty", "in_use": False},
    ]
    session = rig.connect()
    assert rig.ask("GET", "/v1/status")[1]["readers"][0]["in_use"]

    sent = {"session": session, "commands": [SELECT_MF, SELECT_MF]}
    found = rig.ask("POST", "/v1/reader/transmit", sent)[1]["answers"]
    assert found == ["6A81"], "a blank card refuses SELECT; what follows is not sent"

    done = rig.ask("POST", "/v1/reader/disconnect", {"session": session})
    assert done[:2] == (200, {"removed": False})
    gone = rig.ask("POST", "/v1/reader/transmit", {"session": session, "commands": [CHALLENGE]})
    assert gone[0] == 404


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/v1/reader/connect", {"reader": READER}),
        ("/v1/reader/transmit", {"session": "x", "commands": [CHALLENGE]}),
        ("/v1/reader/disconnect", {"session": "x"}),
        ("/v1/unpair", {}),
    ],
)
def test_nothing_but_status_and_pairing_opens_without_a_token(
    rig: Rig, path: str, values: dict[str, object]
) -> None:
    """Every request at a reader needs the token."""
    assert rig.ask("POST", path, values)[1]["type"] == "urn:yika:problem:not-paired"


def test_a_page_of_another_origin_learns_nothing(rig: Rig) -> None:
    """It is refused before its body is read, and no header lets it read the refusal."""
    rig.pair()
    for method, path in [("GET", "/v1/status"), ("POST", "/v1/reader/connect"), ("OPTIONS", "/x")]:
        status, _, headers = rig.ask(method, path, {}, Origin="https://evil.example")
        assert status == 403
        assert "Access-Control-Allow-Origin" not in headers
    assert rig.ask("GET", "/v1/status", Origin="")[0] == 403
    assert rig.ask("GET", "/v1/status", Host=f"evil.example:{rig.port}")[0] == 421


def test_preflight_of_the_named_page(rig: Rig) -> None:
    """The browser is told that this page may ask, on the private network too."""
    status, _, headers = rig.ask(
        "OPTIONS", "/v1/reader/transmit", Access_Control_Request_Private_Network="true"
    )

    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert headers["Access-Control-Allow-Private-Network"] == "true"


def test_commands_nobody_declared_are_refused_aloud(rig: Rig) -> None:
    """The answer and the log say which; none of the request's commands was sent."""
    rig.pair()
    session = rig.connect()

    commands = [CHALLENGE, "8072000001AA", "80F00000"]
    status, told, _ = rig.ask(
        "POST", "/v1/reader/transmit", {"session": session, "commands": commands}
    )

    assert (status, told["head"]) == (403, "80F0")
    assert [json.loads(line)["what"] for line in rig.lines] == ["connected", "refused"]


def test_log_masks_secrets(rig: Rig) -> None:
    """A PIN on its way to the card is crosses in the log; status words are plain."""
    rig.pair()
    session = rig.connect()
    rig.ask("POST", "/v1/reader/transmit", {"session": session, "commands": ["0020000003123456"]})

    line = json.loads(rig.lines[-1])
    assert line["command"] == "0020000003××××××"
    assert "123456" not in "".join(rig.lines)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"session": "s", "commands": []}, "commands"),
        ({"session": "s", "commands": ["00"]}, "commands"),
        ({"session": "s", "commands": ["0g840000"]}, "commands"),
        ({"session": "s", "commands": [5]}, "commands"),
        ({"session": "s", "commands": ["00840000"] * 65}, "commands"),
        ({"session": "s", "commands": ["00" * 262]}, "commands"),
        ({"commands": [CHALLENGE]}, "session"),
        (b"[]", "body"),
        (b"{", "body"),
    ],
)
def test_malformed_requests_name_the_field(rig: Rig, values: object, field: str) -> None:
    """What does not fit is refused with the name of the field; nothing reaches the card."""
    rig.pair()

    status, told, _ = rig.ask("POST", "/v1/reader/transmit", values)

    assert (status, told["field"]) == (422, field)


@pytest.mark.parametrize("wait", [-1, 25_001, "5", True, 1.5])
def test_waiting_has_bounds(rig: Rig, wait: object) -> None:
    """A page may wait for a card for 25 seconds at most."""
    rig.pair()
    values = {"reader": READER, "wait_ms": wait}

    assert rig.ask("POST", "/v1/reader/connect", values)[1]["field"] == "wait_ms"


def test_bodies_have_bounds(rig: Rig) -> None:
    """A body that is too long is not read, one without length neither."""
    length = str(BODY_BYTES_MAX + 1)
    assert rig.ask("POST", "/v1/pair", b"", Content_Length=length)[0] == 413
    assert rig.ask("POST", "/v1/pair", b"", Content_Length="x")[0] == 411


def test_rate_is_bounded(rig: Rig) -> None:
    """A page that asks without end is told to wait; the clock of this test stands."""
    statuses = {rig.ask("GET", "/v1/status")[0] for _ in range(402)}

    assert statuses == {200, 429}
    rig.clock.at += 1
    assert rig.ask("GET", "/v1/status")[0] == 200


def test_no_card_and_no_reader_are_told_apart(rig: Rig) -> None:
    """An empty reader is 404, an unknown one too, each with its own kind and both languages."""
    rig.pair()
    empty = rig.ask("POST", "/v1/reader/connect", {"reader": "virtual:empty"})
    unknown = rig.ask("POST", "/v1/reader/connect", {"reader": "virtual:none"})

    assert (empty[0], empty[1]["type"]) == (404, "urn:yika:problem:no-card")
    assert (unknown[0], unknown[1]["type"]) == (502, "urn:yika:problem:reader-failed")
    assert "没有卡片" in empty[1]["detail_zh"]


def test_one_session_per_reader(rig: Rig) -> None:
    """Another page is refused; the same page loaded again takes over, its old session is over."""
    rig.pair()
    first = rig.connect()
    mine, rig.token = rig.token, ""
    rig.pair()
    assert rig.ask("POST", "/v1/reader/connect", {"reader": READER})[0] == 409
    assert rig.ask("POST", "/v1/reader/disconnect", {"session": first})[0] == 404
    rig.token = mine

    second = rig.connect()

    assert second != first
    assert rig.ask("POST", "/v1/reader/disconnect", {"session": first})[0] == 404


def test_idle_session_ends_and_the_card_forgets(rig: Rig) -> None:
    """After a minute without a command the card is reset; what follows is told so."""
    rig.pair()
    session = rig.connect()
    rig.clock.at += SESSION_IDLE_S + 1
    rig.sessions.sweep()

    gone = rig.ask("POST", "/v1/reader/transmit", {"session": session, "commands": [CHALLENGE]})
    assert gone[1]["type"] == "urn:yika:problem:no-session"
    assert json.loads(rig.lines[-1])["what"] == "disconnected"


def test_a_card_that_stays_may_be_waited_for_again(rig: Rig) -> None:
    """While it lies there the question may be repeated, but no command passes any more."""
    rig.pair()
    session = rig.connect()
    waiting = {"session": session, "wait_removed_ms": 1}

    for _ in range(2):
        assert rig.ask("POST", "/v1/reader/disconnect", waiting)[1] == {"removed": False}
    sent = {"session": session, "commands": [SELECT_MF]}
    assert rig.ask("POST", "/v1/reader/transmit", sent)[0] == 404


def test_a_farewell_is_heard_though_the_reader_is_away(rig: Rig) -> None:
    """The session ends without an error; the next one tells what is wrong with the reader."""
    rig.pair()
    waiting = {"session": rig.connect(), "wait_removed_ms": 1}
    rig.reader.blinks = 1

    assert rig.ask("POST", "/v1/reader/disconnect", waiting)[:2] == (200, {"removed": True})
    rig.connect()


def test_unpairing_ends_the_session_too(rig: Rig) -> None:
    """Who says good-bye leaves no session behind and is unknown from then on."""
    rig.pair()
    rig.connect()

    assert rig.ask("POST", "/v1/unpair", {})[:2] == (200, {"paired": False})
    assert rig.ask("GET", "/v1/status")[0] == 401


def test_card_that_leaves_ends_its_session(rig: Rig) -> None:
    """A card pulled in the middle is 410; the same session is not known afterwards."""
    rig.pair()
    session = rig.connect()
    rig.chip.tear(Tear(ins=0xA4))
    sent = {"session": session, "commands": [SELECT_MF]}

    status, told, _ = rig.ask("POST", "/v1/reader/transmit", sent)

    assert (status, told["type"]) == (410, "urn:yika:problem:card-removed")
    assert rig.ask("POST", "/v1/reader/transmit", sent)[0] == 404


@pytest.mark.parametrize(
    "head", [b"PUT /v1/pair HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n"]
)
def test_what_is_no_request_gets_an_answer_and_no_more(rig: Rig, head: bytes) -> None:
    """Unknown methods and noise are refused and the connection is closed."""
    with socket.create_connection((HOST, rig.port), timeout=20) as line:
        line.sendall(head)
        answer = line.makefile("rb").read()

    assert b"urn:yika:problem:bad-request" in answer


def test_it_listens_on_loopback_only(rig: Rig) -> None:
    """Another address of this computer does not reach it."""
    with pytest.raises(OSError, match=r"."):
        socket.create_connection(("127.0.0.2", rig.port), timeout=5).close()


def test_command_shows_address_and_codes() -> None:
    """`yika-card relay` says in JSON lines where it listens and which code to type."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["relay", "--origin", ORIGIN, "--port", str(port)]
        refused = CliRunner().invoke(main, arguments, obj=readers_with())

    assert refused.exit_code == 1
    assert "已被占用" in refused.stderr
    wrong = CliRunner().invoke(main, ["relay", "--origin", "yika"], obj=readers_with())
    assert wrong.exit_code == 2
