# SPDX-License-Identifier: Apache-2.0
"""Hotlist and configuration: signed by the server, never older than what was in use.

The files can be replaced by anybody who holds the storage card; signatures make that pointless,
and the versions recorded in the journal's CONFIG events keep an old list from coming back. A
notice that has expired is not taken; one that expires while it is in use stays, because an old
list of lost cards is better than none, and is named as stale.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from swipe.errors import BadSignature, SwipeError
from swipe.hotlist import HOTLIST_SIZE_MAX, HotlistBitmap
from swipe.notices import Config
from terminal.clock import Reading
from terminal.errors import NoticeRefused
from terminal.files import CONFIG, HOTLIST
from terminal.receipts import ServerKey
from terminal.site_config import Activity, Message, Operator, SiteConfig, parse_config
from terminal.storage import Disk, disk_of

__all__ = ["Activity", "Message", "Notices", "Operator", "SiteConfig", "parse_config"]

# The larger of the two; a file beyond it is none of ours.
NOTICE_SIZE_MAX = HOTLIST_SIZE_MAX

Now = Callable[[], Reading]


class Notices:
    """Keep the notices in use, in memory and in the data folder.

    `now` is the terminal's time; without it nothing is known to have expired.
    """

    def __init__(
        self, place: Disk | Path, key: ServerKey, terminal_id: int, now: Now | None = None
    ) -> None:
        self._disk = disk_of(place)
        self._key = key
        self._terminal_id = terminal_id
        self._now = now
        self.hotlist = HotlistBitmap(0, 0)
        self.config = SiteConfig()
        # No older version is taken than the journal says was in use, whatever the disk still has.
        self._floors = {HOTLIST: 0, CONFIG: 0}

    @property
    def server_key(self) -> ServerKey:
        """Return the pinned key that notices and phone tokens are signed with."""
        return self._key

    def load(self, cfg_floor: int, hot_floor: int) -> list[NoticeRefused]:
        """Read the files of an earlier start; return what had to be left aside, and why."""
        complaints = []
        self._floors = {HOTLIST: hot_floor, CONFIG: cfg_floor}
        for name, take in ((HOTLIST, self._load_hotlist), (CONFIG, self._load_config)):
            try:
                raw = _read(self._disk, name)
                if raw is not None:
                    take(raw)
            except NoticeRefused as exc:
                complaints.append(exc)
        return complaints

    def read_hotlist(self, raw: bytes) -> HotlistBitmap:
        """Check a hotlist, or a change of the one in use; changes nothing yet.

        Raises:
            NoticeRefused: It is not the server's, older than the one in use, or expired.
        """
        hotlist = self._opened_hotlist(raw)
        _not_older(HOTLIST, hotlist.version, max(self.hotlist.version, self._floors[HOTLIST]))
        self._not_expired(HOTLIST, hotlist.expires_ms or None)
        return hotlist

    def use_hotlist(self, hotlist: HotlistBitmap) -> bool:
        """Use a hotlist that `read_hotlist` gave; return whether it is newer than the one in use.

        Raises:
            OSError: The disk does not take it; the one in use stays.
        """
        if hotlist.version <= self.hotlist.version:
            return False
        self._disk.write_whole(HOTLIST, hotlist.to_bytes())
        self.hotlist = hotlist
        return True

    def read_config(self, raw: bytes) -> SiteConfig:
        """Check a configuration; changes nothing yet.

        Raises:
            NoticeRefused: It is not the server's, not for us, older than the one in use, expired,
                or says what cannot be.
        """
        config = self._opened_config(raw)
        _not_older(CONFIG, config.version, max(self.config.version, self._floors[CONFIG]))
        self._not_expired(CONFIG, _ms(config.expires_s))
        return config

    def use_config(self, config: SiteConfig, raw: bytes) -> bool:
        """Use a configuration that `read_config` made of `raw`; as `use_hotlist`."""
        if config.version <= self.config.version:
            return False
        self._disk.write_whole(CONFIG, raw)
        self.config = config
        return True

    def is_listed(self, asn: bytes) -> bool:
        """Say whether a card was reported lost or revoked, by its serial of 10 bytes."""
        return asn in self.hotlist

    def stale(self) -> tuple[str, ...]:
        """Name the notices in use that have expired: they stay in use, and people are told."""
        lives = ((HOTLIST, self.hotlist.expires_ms or None), (CONFIG, _ms(self.config.expires_s)))
        return tuple(name for name, end_ms in lives if self._is_past(end_ms))

    def aging(self) -> tuple[str, ...]:
        """Name the notices in use that are past half their life: a newer one is to be had."""
        hot, config = self.hotlist, self.config
        lives = (
            (HOTLIST, hot.built_ms, hot.expires_ms or None),
            (CONFIG, config.built_ms, _ms(config.expires_s)),
        )
        return tuple(
            name
            for name, from_ms, end_ms in lives
            if end_ms is not None and self._is_past((from_ms + end_ms) // 2)
        )

    def digest(self, name: str) -> bytes:
        """Return SHA-256 of a notice's file, left 8, for the CONFIG event."""
        raw = _read(self._disk, name)
        return hashlib.sha256(raw).digest()[:8] if raw else bytes(8)

    def _load_hotlist(self, raw: bytes) -> None:
        hotlist = self._opened_hotlist(raw)
        _not_older(HOTLIST, hotlist.version, self._floors[HOTLIST])
        self.hotlist = hotlist

    def _load_config(self, raw: bytes) -> None:
        config = self._opened_config(raw)
        _not_older(CONFIG, config.version, self._floors[CONFIG])
        self.config = config

    def _opened_hotlist(self, raw: bytes) -> HotlistBitmap:
        try:
            return HotlistBitmap.from_bytes(raw, self._key.public_key, self.hotlist)
        except (SwipeError, BadSignature) as exc:
            raise NoticeRefused(HOTLIST, str(exc)) from exc

    def _opened_config(self, raw: bytes) -> SiteConfig:
        try:
            notice = Config.from_bytes(raw, self._key.public_key)
        except (SwipeError, BadSignature) as exc:
            raise NoticeRefused(CONFIG, str(exc)) from exc
        if notice.terminal_id not in (0, self._terminal_id):
            raise NoticeRefused(CONFIG, "for another terminal")
        return parse_config(notice)

    def _not_expired(self, kind: str, end_ms: int | None) -> None:
        if self._is_past(end_ms):
            raise NoticeRefused(kind, "expired")

    def _is_past(self, end_ms: int | None) -> bool:
        """Say whether a moment has passed for certain, by time that a receipt signed."""
        if end_ms is None or self._now is None:
            return False
        reading = self._now()
        return reading.known and reading.utc_ms - reading.unc_ms > end_ms


def _ms(seconds: int | None) -> int | None:
    return None if seconds is None else 1000 * seconds


def _not_older(kind: str, version: int, floor: int) -> None:
    if version < floor:
        raise NoticeRefused(kind, f"version {version} is older than {floor}")


def _read(disk: Disk, name: str) -> bytes | None:
    raw = disk.read(name, NOTICE_SIZE_MAX + 1)
    if raw is not None and len(raw) > NOTICE_SIZE_MAX:
        raise NoticeRefused(name, f"larger than {NOTICE_SIZE_MAX} bytes")
    return raw
