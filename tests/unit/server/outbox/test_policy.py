# SPDX-License-Identifier: Apache-2.0
"""Quiet hours, pauses, and what the templates ask for."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Refused
from server.outbox import templates
from server.outbox.policy import Channel, Quiet, life_ms, retry_after_ms

CHINA = dt.timezone(dt.timedelta(hours=8))


def at(hour: int, minute: int = 0) -> int:
    """Return an instant of 22 November 2026, Chinese wall time."""
    return round(dt.datetime(2026, 11, 22, hour, minute, tzinfo=CHINA).timestamp() * 1000)


def test_a_late_message_waits_for_the_morning() -> None:
    """At 23:30 a message waits until 08:00 of the next day, at 07:59 for a minute."""
    day_ms = 86_400_000
    assert Quiet().awake_ms(at(23, 30)) == at(8) + day_ms
    assert Quiet().awake_ms(at(7, 59)) == at(8)
    assert Quiet().awake_ms(at(20, 59)) == at(20, 59)


@given(st.integers(0, 4 * 10**12), st.integers(0, 23), st.integers(0, 23))
def test_quiet_hours_end(now_ms: int, begin: int, end: int) -> None:
    """The instant found is not quiet itself, and less than a day away."""
    quiet = Quiet(begin, end)
    found = quiet.awake_ms(now_ms)
    assert now_ms <= found < now_ms + 86_400_000
    assert quiet.awake_ms(found) == found


def test_pauses_grow_and_end() -> None:
    """The pauses double and the sixth failure is the last."""
    pauses = [retry_after_ms(n) for n in range(1, 7)]
    assert pauses == [60_000, 120_000, 240_000, 480_000, 960_000, None]


def test_a_public_notice_hangs_a_month() -> None:
    """A notice outlives a short message."""
    assert life_ms(Channel.PUBLIC) == 30 * 86_400_000 > life_ms(Channel.SMS)


@pytest.mark.parametrize("kind", sorted(templates.TEMPLATES))
def test_every_template_fits_a_message(kind: str) -> None:
    """With ordinary values each text stays within three linked short messages."""
    fields = templates.TEMPLATES[kind].fields
    said = templates.text(kind, dict.fromkeys(fields, "深圳福田中心区支行"))
    assert said.startswith("【义卡】")
    assert len(said) <= templates.SMS_MAX


def test_long_values_leave_the_chinese_text() -> None:
    """When both languages do not fit, the Chinese one goes out."""
    said = templates.text("card.arrived", {"branch": "行" * 100, "until": "2027-02-28"})
    assert "请在 2027-02-28 前" in said
    assert "collect it" not in said


@pytest.mark.parametrize(
    ("kind", "params", "code"),
    [
        ("card.nonsense", {}, "unknown-message"),
        ("card.arrived", {"branch": "b"}, "message-fields"),
        ("card.lost", {"branch": "b"}, "message-fields"),
        ("card.arrived", {"branch": "a\nb", "until": "2027"}, "message-value"),
        ("card.arrived", {"branch": "", "until": "2027"}, "message-value"),
        ("card.arrived", {"branch": "b" * 101, "until": "2027"}, "message-value"),
    ],
)
def test_wrong_parameters_are_refused(kind: str, params: dict[str, str], code: str) -> None:
    """A message is queued with exactly what its template names."""
    with pytest.raises(Refused) as refused:
        templates.checked(kind, params)
    assert refused.value.code == code
