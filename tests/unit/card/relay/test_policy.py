# SPDX-License-Identifier: Apache-2.0
"""Whom the relay answers."""

from __future__ import annotations

import pytest

from card.relay.policy import Gate, Rate, origin_of
from card.relay.refusals import Refusal

GATE = Gate(frozenset({"https://yika.example.org"}), 18_459)
GOOD = {
    "host": "127.0.0.1:18459",
    "origin": "https://yika.example.org",
    "content-type": "application/json; charset=utf-8",
}


def refused(**changes: str) -> str:
    """Return the kind of the refusal of a request that differs from a good one."""
    headers = {**GOOD, **{name.replace("_", "-"): text for name, text in changes.items()}}
    with pytest.raises(Refusal) as caught:
        GATE.check("POST", headers)
    return caught.value.kind


def test_a_page_of_the_named_server_is_answered() -> None:
    """Host, origin and JSON are right, under either name of the loopback address."""
    assert GATE.check("POST", GOOD) == "https://yika.example.org"
    assert GATE.check("POST", {**GOOD, "host": "LOCALHOST:18459"}) == "https://yika.example.org"


@pytest.mark.parametrize(
    "origin",
    [
        "", "null", "https://yika.example.org:8443", "http://yika.example.org",
        "https://yika.example.org.evil.example", "https://evil.example",
        "https://yika.example.org/", "HTTPS://YIKA.EXAMPLE.ORG",
        "https://yika.example.org, https://evil.example",
    ],
)  # fmt: skip
def test_an_origin_is_compared_letter_by_letter(origin: str) -> None:
    """Whatever is not exactly a named origin is refused, the empty one and `null` too."""
    assert refused(origin=origin) == "origin-refused"


@pytest.mark.parametrize(
    "host", ["", "evil.example:18459", "127.0.0.1", "127.0.0.1:80", "[::1]:18459", "0.0.0.0:18459"]
)
def test_a_name_that_was_made_to_lead_here_opens_nothing(host: str) -> None:
    """Only the loopback address with the own port is a right Host: rebinding a name is in vain."""
    assert refused(host=host) == "wrong-host"


@pytest.mark.parametrize("content", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_what_a_form_can_send_is_refused(content: str) -> None:
    """A form of any page sends without asking first, but never JSON."""
    assert refused(content_type=content) == "not-json"


def test_preflight_allows_private_networks_to_the_named_origin_only() -> None:
    """The answer names the origin, the two methods and the private network when asked for."""
    asked = {**GOOD, "access-control-request-private-network": "true"}
    allowed = GATE.preflight(asked)

    assert allowed["Access-Control-Allow-Origin"] == "https://yika.example.org"
    assert allowed["Access-Control-Allow-Private-Network"] == "true"
    assert "Access-Control-Allow-Credentials" not in allowed
    assert "Access-Control-Allow-Private-Network" not in GATE.preflight(GOOD)
    with pytest.raises(Refusal, match="may not use"):
        GATE.preflight({**asked, "origin": "https://evil.example"})


@pytest.mark.parametrize(
    "address", ["ftp://a.example", "yika.example.org", "https://", "https://u@h", "http://h:999999"]
)
def test_what_is_no_origin_is_refused(address: str) -> None:
    """An address without scheme or host, with a user, or with no port is no origin."""
    with pytest.raises(ValueError, match=r"."):
        origin_of(address)


def test_ipv6_origin_keeps_its_brackets() -> None:
    """An origin with an IPv6 host is written as browsers write it."""
    assert origin_of("http://[::1]:8000/desk") == "http://[::1]:8000"


def test_rate_refills_with_time() -> None:
    """After a burst it takes as many requests as seconds give."""
    at = [0.0]
    rate = Rate(lambda: at[0], per_s=2.0, burst=3.0)

    assert [rate.take() for _ in range(4)] == [True, True, True, False]
    at[0] = 1.0
    assert [rate.take() for _ in range(3)] == [True, True, False]
