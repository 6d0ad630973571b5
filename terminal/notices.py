# SPDX-License-Identifier: Apache-2.0
"""Hotlist and configuration: signed by the server, never older than what was in use.

The files can be replaced by anybody who holds the storage card; signatures make that pointless,
and the versions recorded in the journal's CONFIG events keep an old list from coming back.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swipe.errors import BadSignature, SwipeError
from swipe.notices import MAX_CONFIG_SIZE, MAX_HOTLIST, SERIAL_SIZE, Config, Hotlist
from terminal.errors import NoticeRefused
from terminal.files import CONFIG, HOTLIST, write_whole
from terminal.policy import Rules
from terminal.receipts import ServerKey

NOTICE_SIZE_MAX = MAX_HOTLIST * SERIAL_SIZE + MAX_CONFIG_SIZE
ACTIVITIES_MAX = 1_000  # a year of a busy site
# A volunteer may come this much before the start and leave this much after the end.
EARLY_S, LATE_S = 3600, 3600
# What a site may change, and within which bounds; everything else in `params` is ignored.
_BOUNDS = {
    "duplicate_s": (10, 600),
    "open_in_max_s": (3600, 48 * 3600),
    "guardian_s": (30, 900),
    "undo_s": (5, 60),
    "minor_years": (10, 18),
}


@dataclass(frozen=True, slots=True)
class Activity:
    """A planned activity: when it is, and its name in both languages."""

    id: int
    name_zh: str
    name_en: str
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """What a configuration notice says, checked."""

    version: int = 0
    site: int = 0
    name_zh: str = ""
    name_en: str = ""
    tz_q: int | None = None
    activities: tuple[Activity, ...] = ()
    rules: Rules = field(default_factory=Rules)

    def activity_at(self, utc_s: int) -> Activity | None:
        """Return the activity of this moment: running ones first, then the one nearest by."""
        near = [a for a in self.activities if a.start_s - EARLY_S <= utc_s < a.end_s + LATE_S]
        return min(near, key=lambda a: _distance(a, utc_s), default=None)


def _distance(activity: Activity, utc_s: int) -> tuple[int, int, int]:
    outside = max(activity.start_s - utc_s, utc_s - activity.end_s, 0)
    return outside, activity.start_s, activity.id


class Notices:
    """Keep the notices in use, in memory and in the data folder."""

    def __init__(self, data_dir: Path, key: ServerKey, terminal_id: int) -> None:
        self._data_dir = data_dir
        self._key = key
        self._terminal_id = terminal_id
        self.hotlist = Hotlist(0, 0, ())
        self.config = SiteConfig()

    def load(self, cfg_floor: int, hot_floor: int) -> list[NoticeRefused]:
        """Read the files of an earlier start; return what had to be left aside, and why."""
        complaints = []
        for name, take, floor in (
            (HOTLIST, self._hotlist, hot_floor),
            (CONFIG, self._config, cfg_floor),
        ):
            try:
                raw = _read(self._data_dir / name)
                if raw is not None:
                    take(raw, floor)
            except NoticeRefused as exc:
                complaints.append(exc)
        return complaints

    def offer_hotlist(self, raw: bytes) -> bool:
        """Take a hotlist into use if it is newer; return whether it was.

        Raises:
            NoticeRefused: It is not the server's, or older than the one in use.
        """
        before = self.hotlist.version
        self._hotlist(raw, before)
        if self.hotlist.version > before:
            write_whole(self._data_dir / HOTLIST, raw)
        return self.hotlist.version > before

    def offer_config(self, raw: bytes) -> bool:
        """Take a configuration into use if it is newer; return whether it was.

        Raises:
            NoticeRefused: It is not the server's, not for us, or older than the one in use.
        """
        before = self.config.version
        self._config(raw, before)
        if self.config.version > before:
            write_whole(self._data_dir / CONFIG, raw)
        return self.config.version > before

    def is_listed(self, asn: bytes) -> bool:
        """Say whether a card was reported lost or revoked."""
        return asn[-SERIAL_SIZE:] in self.hotlist

    def digest(self, name: str) -> bytes:
        """Return SHA-256 of a notice's file, left 8, for the CONFIG event."""
        raw = _read(self._data_dir / name)
        return hashlib.sha256(raw).digest()[:8] if raw else bytes(8)

    def _hotlist(self, raw: bytes, floor: int) -> None:
        try:
            hotlist = Hotlist.from_bytes(raw, self._key.public_key)
        except (SwipeError, BadSignature) as exc:
            raise NoticeRefused("hotlist", str(exc)) from exc
        _not_older("hotlist", hotlist.version, floor)
        self.hotlist = hotlist

    def _config(self, raw: bytes, floor: int) -> None:
        try:
            notice = Config.from_bytes(raw, self._key.public_key)
        except (SwipeError, BadSignature) as exc:
            raise NoticeRefused("config", str(exc)) from exc
        if notice.terminal_id not in (0, self._terminal_id):
            raise NoticeRefused("config", "for another terminal")
        _not_older("config", notice.version, floor)
        self.config = parse_config(notice)


def parse_config(notice: Config) -> SiteConfig:
    """Read the JSON of a configuration; refuse what is missing or out of bounds.

    Raises:
        NoticeRefused: Naming the member.
    """
    try:
        document = json.loads(notice.json)
        site = document["site"]
        activities = document.get("activities", [])
        if len(activities) > ACTIVITIES_MAX:
            raise NoticeRefused("config", f"more than {ACTIVITIES_MAX} activities")
        return SiteConfig(
            version=notice.version,
            site=int(site["id"]),
            name_zh=str(site["name_zh"]),
            name_en=str(site["name_en"]),
            tz_q=int(site["tz_q"]),
            activities=tuple(_activity(item) for item in activities),
            rules=_rules(document.get("params", {})),
        )
    except (ValueError, TypeError, AttributeError) as exc:
        raise NoticeRefused("config", str(exc)) from exc
    except KeyError as exc:
        raise NoticeRefused("config", f"{exc.args[0]} is missing") from exc


def _activity(item: dict[str, Any]) -> Activity:
    return Activity(
        int(item["id"]), str(item["name_zh"]), str(item["name_en"]),
        int(item["start"]), int(item["end"]),
    )  # fmt: skip


def _rules(params: dict[str, Any]) -> Rules:
    values: dict[str, Any] = {}
    for name, (low, high) in _BOUNDS.items():
        if name in params:
            if type(params[name]) is not int or not low <= params[name] <= high:
                raise NoticeRefused("config", f"{name} must be {low} to {high}")
            values[name] = params[name]
    for name in ("require_activity", "require_open"):
        if name in params:
            values[name] = params[name] is True
    return Rules(**values)


def _not_older(kind: str, version: int, floor: int) -> None:
    if version < floor:
        raise NoticeRefused(kind, f"version {version} is older than {floor}")


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            raw = file.read(NOTICE_SIZE_MAX + 1)
    except FileNotFoundError:
        return None
    if len(raw) > NOTICE_SIZE_MAX:
        raise NoticeRefused(path.name, f"larger than {NOTICE_SIZE_MAX} bytes")
    return raw
