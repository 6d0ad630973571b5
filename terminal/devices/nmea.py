# SPDX-License-Identifier: Apache-2.0
"""NMEA 0183: from a receiver's bytes to a fix that may be believed.

Receivers say "valid" for dates of 1980, 2013 and 2046 after a cold start or a week rollover, and
repeat an old position while they search. A fix counts only if RMC has status A, GGA of the same
second has four satellites and a dilution of 5 at most, the date has run on steadily for three
seconds, and it is not before this program was made nor before the last time the server signed.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pynmea2

from terminal.devices.protocols import Fix

SENTENCE_MAX = 120  # the standard says 82; some receivers add fields of their own
SATELLITES_MIN = 4
HDOP_MAX_TENTHS = 50
STEADY_S = 3
# Two sentences of one second arrive within it; what is older belongs to another second.
STALE_S = 5.0
# The receiver's second and ours may differ by this much over the steady seconds.
STEP_SLACK_S = 1.5
# The day this version was made: no true fix is older. Set with each release.
BUILT_S = int(dt.datetime(2026, 11, 1, tzinfo=dt.UTC).timestamp())


class SentenceCutter:
    """Cut a byte stream into sentences from `$` to the line's end; `noise` counts what was none."""

    def __init__(self) -> None:
        self.noise = 0
        self.good = 0
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[pynmea2.NMEASentence]:
        """Take some bytes; return the sentences whose checksum is right."""
        sentences = []
        for byte in data:
            if byte == 0x24:  # $ begins anew, whatever was left unfinished
                self.noise += bool(self._buffer)
                self._buffer[:] = b"$"
            elif byte in b"\r\n":
                sentence = self._parse()
                if sentence is not None:
                    sentences.append(sentence)
            elif self._buffer:
                self._buffer.append(byte)
                if len(self._buffer) > SENTENCE_MAX:
                    self._buffer.clear()
                    self.noise += 1
            else:
                self.noise += 1
        return sentences

    def _parse(self) -> pynmea2.NMEASentence | None:
        if not self._buffer:
            return None
        raw, self._buffer = bytes(self._buffer), bytearray()
        try:
            sentence = pynmea2.parse(raw.decode("ascii"), check=True)
        except Exception:  # noqa: BLE001 - the parser raises what it stumbles over, as IndexError
            self.noise += 1
            return None
        self.good += 1
        return sentence


@dataclass(frozen=True, slots=True)
class Seen:
    """What one RMC said, and when it came."""

    utc_s: int
    lat: int
    lon: int
    at_s: float


class FixGate:
    """Let a fix through only when every condition holds; forget it when sentences stop."""

    def __init__(self, floor_s: int = BUILT_S) -> None:
        self._floor_s = floor_s
        self._quality: tuple[int, int, float] | None = None
        self._first: Seen | None = None
        self._last: Seen | None = None

    def not_before(self, utc_s: int) -> None:
        """Raise the floor; it never falls."""
        self._floor_s = max(self._floor_s, utc_s)

    def take(self, sentence: pynmea2.NMEASentence, now_s: float) -> None:
        """Take one sentence that came at `now_s` of a clock that never jumps."""
        if isinstance(sentence, pynmea2.types.talker.GGA):
            self._quality = _quality(sentence, now_s)
        elif isinstance(sentence, pynmea2.types.talker.RMC):
            self._position(_seen(sentence, now_s))

    def fix(self, now_s: float) -> Fix | None:
        """Return the fix of this moment, if there is one to believe."""
        first, last, quality = self._first, self._last, self._quality
        if first is None or last is None or quality is None:
            return None
        satellites, hdop_tenths, quality_at_s = quality
        fresh = now_s - last.at_s <= STALE_S and abs(last.at_s - quality_at_s) <= STALE_S
        good = satellites >= SATELLITES_MIN and 0 < hdop_tenths <= HDOP_MAX_TENTHS
        steady = last.utc_s - first.utc_s >= STEADY_S
        if not (fresh and good and steady and last.utc_s >= self._floor_s):
            return None
        return Fix(last.lat, last.lon, last.utc_s, satellites, hdop_tenths)

    def _position(self, seen: Seen | None) -> None:
        last = self._last
        if seen is None:
            self._first = self._last = None
            return
        runs_on = (
            last is not None
            and seen.at_s - last.at_s <= STALE_S
            and abs((seen.utc_s - last.utc_s) - (seen.at_s - last.at_s)) <= STEP_SLACK_S
        )
        if not runs_on:
            self._first = seen
        self._last = seen


def _quality(sentence: pynmea2.NMEASentence, now_s: float) -> tuple[int, int, float] | None:
    try:
        if int(sentence.gps_qual) == 0:
            return None
        return int(sentence.num_sats), round(float(sentence.horizontal_dil) * 10), now_s
    except (TypeError, ValueError, OverflowError):
        return None


def _seen(sentence: pynmea2.NMEASentence, now_s: float) -> Seen | None:
    """Read an RMC; None if it is void, lacks something, or names what cannot be."""
    try:
        day, clock = sentence.datestamp, sentence.timestamp
        if sentence.status != "A" or not (sentence.lat and sentence.lon):
            return None
        moment = dt.datetime.combine(day, clock).replace(tzinfo=dt.UTC)
        lat, lon = float(sentence.latitude), float(sentence.longitude)
    except (TypeError, ValueError, OverflowError, AttributeError):
        return None
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        return None
    return Seen(int(moment.timestamp()), round(lat * 1e7), round(lon * 1e7), now_s)
