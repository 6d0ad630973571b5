# SPDX-License-Identifier: Apache-2.0
"""Sentences of a GPS receiver, and which fixes are believed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware_mocks.gps import COLD_START, ROLLED_OVER, Sky, gga, rmc, second, sentence
from terminal.devices.nmea import BUILT_S, STALE_S, FixGate, SentenceCutter
from terminal.devices.protocols import Fix

NOW = dt.datetime(2026, 11, 22, 4, 0, 0, tzinfo=dt.UTC)
SKY = Sky(NOW)


def after(skies: list[Sky], gate: FixGate | None = None) -> Fix | None:
    """Return the fix after one sky a second."""
    gate, cutter = gate or FixGate(), SentenceCutter()
    for at, sky in enumerate(skies):
        for found in cutter.feed(second(sky)):
            gate.take(found, float(at))
    return gate.fix(float(len(skies) - 1))


def running(sky: Sky, seconds: int = 5) -> list[Sky]:
    """Return a sky that runs on for some seconds."""
    return [sky.later(at) for at in range(seconds)]


def test_a_good_sky_gives_a_fix() -> None:
    """Status A, eight satellites, a dilution of 1.1 and a steady date: position and time."""
    fix = after(running(SKY))

    assert fix is not None
    assert fix.utc_s == int(NOW.timestamp()) + 4
    assert (fix.lat, fix.lon) == (225_431_000, 1_140_579_000)
    assert fix.quality == "8 sat, HDOP 1.1"


def test_south_and_west_are_negative() -> None:
    """Latitude and longitude carry their sign."""
    fix = after(running(replace(SKY, lat=-33.8568, lon=-70.6483)))

    assert fix is not None
    assert (fix.lat, fix.lon) == (-338_568_000, -706_483_000)


@pytest.mark.parametrize(
    "sky",
    [
        replace(SKY, valid=False),
        replace(SKY, satellites=3),
        replace(SKY, hdop=5.1),
        replace(SKY, hdop=0.0),
        replace(SKY, moment=COLD_START),
        replace(SKY, moment=ROLLED_OVER),
        replace(SKY, moment=dt.datetime.fromtimestamp(BUILT_S - 10, dt.UTC)),
    ],
    ids=["void", "satellites", "hdop", "no-hdop", "1980", "2013", "before-build"],
)
def test_a_bad_sky_gives_none(sky: Sky) -> None:
    """Every gate alone keeps a fix back."""
    assert after(running(sky)) is None


def test_the_date_must_run_on_for_three_seconds() -> None:
    """A jump of the date begins the three seconds anew."""
    jumped = [*running(replace(SKY, moment=ROLLED_OVER)), *running(SKY, 3)]

    assert after(running(SKY, 3)) is None
    assert after(running(SKY, 4)) is not None
    assert after(jumped) is None


def test_a_date_that_stands_still_is_not_steady() -> None:
    """A receiver that repeats its last second has lost the sky."""
    assert after([SKY] * 6) is None


@pytest.mark.parametrize("line", [b"$PUBX*1F\r\n", b"$GP*17\r\n", b"$*00\r\n", b"$PUBX\r\n"])
def test_what_the_parser_stumbles_over_is_noise(line: bytes) -> None:
    """A right checksum around nothing, and what else no parser foresaw, counts as noise."""
    cutter = SentenceCutter()

    assert cutter.feed(line) == []
    assert (cutter.noise, cutter.good) == (1, 0)


def test_nothing_before_the_last_signed_time() -> None:
    """What the server signed is a floor that only rises."""
    gate = FixGate()
    gate.not_before(int(NOW.timestamp()) + 3600)
    gate.not_before(0)

    assert after(running(SKY), gate) is None


def test_a_fix_goes_stale() -> None:
    """Without sentences the proposal ends after some seconds."""
    gate = FixGate()
    assert after(running(SKY), gate) is not None

    assert gate.fix(4 + STALE_S + 0.1) is None


def test_position_without_quality_is_no_fix() -> None:
    """RMC alone names no satellites."""
    gate, cutter = FixGate(), SentenceCutter()
    for at, sky in enumerate(running(SKY)):
        for found in cutter.feed(rmc(sky)):
            gate.take(found, float(at))

    assert gate.fix(4.0) is None


def test_quality_without_position_is_no_fix() -> None:
    """GGA alone names no date."""
    gate, cutter = FixGate(), SentenceCutter()
    for at, sky in enumerate(running(SKY)):
        for found in cutter.feed(gga(sky)):
            gate.take(found, float(at))

    assert gate.fix(4.0) is None


@pytest.mark.parametrize(
    "body",
    [
        "GNRMC,,A,,,,,,,,,,A",
        "GNRMC,250000.00,A,2232.58,N,11403.47,E,0,0,221126,,,A",
        "GNRMC,040000.00,A,2232.58,N,11403.47,E,0,0,320126,,,A",
        "GNRMC,040000.00,A,9932.58,N,11403.47,E,0,0,221126,,,A",
        "GNRMC,040000.00,A,xx,N,yy,E,0,0,221126,,,A",
        "GNGGA,040000.00,2232.58,N,11403.47,E,1,,,12.0,M,-2.0,M,,",
        "GNGGA,040000.00,2232.58,N,11403.47,E,1,99999999999999,1e999,12.0,M,-2.0,M,,",
    ],
)
def test_impossible_fields_are_no_fix(body: str) -> None:
    """A right checksum round nonsense is still nonsense."""
    gate, cutter = FixGate(), SentenceCutter()
    for at in range(6):
        for found in cutter.feed(sentence(body) + gga(SKY.later(at))):
            gate.take(found, float(at))

    assert gate.fix(5.0) is None


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_broken_sentence_is_noise(cut: int) -> None:
    """Half a sentence, then a whole one: the whole one is read."""
    cutter = SentenceCutter()
    found = cutter.feed(rmc(SKY)[:cut] + gga(SKY))

    assert [type(item).__name__ for item in found] == ["GGA"]


def test_a_wrong_checksum_is_noise() -> None:
    """A flipped digit is caught by the checksum."""
    cutter = SentenceCutter()

    assert cutter.feed(rmc(SKY).replace(b"2232", b"2233")) == []
    assert cutter.noise == 1


@given(st.lists(st.binary(max_size=200), max_size=6))
def test_no_bytes_are_a_surprise(pieces: list[bytes]) -> None:
    """Whatever comes, the parser goes on and reads the next good second."""
    cutter, gate = SentenceCutter(), FixGate()
    for piece in pieces:
        for found in cutter.feed(piece):
            gate.take(found, 0.0)

    assert len(cutter.feed(b"\r\n" + second(SKY))) == 3


@given(st.text(alphabet="0123456789.,ANSEWV-*$GPRMC", max_size=90))
def test_no_sentence_is_a_surprise(body: str) -> None:
    """Any fields with a right checksum give a fix or none."""
    cutter, gate = SentenceCutter(), FixGate()
    for head in ("GPRMC,", "GNGGA,", ""):
        clean = body.replace("*", "").replace("$", "")
        for found in cutter.feed(sentence(head + clean)):
            gate.take(found, 0.0)

    assert gate.fix(0.0) is None
