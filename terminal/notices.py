# SPDX-License-Identifier: Apache-2.0
"""Hotlist and configuration: signed by the server, never older than what was in use.

The files can be replaced by anybody who holds the storage card; signatures make that pointless,
and the versions recorded in the journal's CONFIG events keep an old list from coming back.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from swipe.errors import BadSignature, SwipeError
from swipe.notices import MAX_CONFIG_SIZE, MAX_HOTLIST, SERIAL_SIZE, Config, Hotlist
from terminal.errors import NoticeRefused
from terminal.files import CONFIG, HOTLIST
from terminal.receipts import ServerKey
from terminal.site_config import Activity, Message, Operator, SiteConfig, parse_config

__all__ = ["Activity", "Message", "Notices", "Operator", "SiteConfig", "parse_config"]
from terminal.storage import Disk, disk_of

NOTICE_SIZE_MAX = MAX_HOTLIST * SERIAL_SIZE + MAX_CONFIG_SIZE


class Notices:
    """Keep the notices in use, in memory and in the data folder."""

    def __init__(self, place: Disk | Path, key: ServerKey, terminal_id: int) -> None:
        self._disk = disk_of(place)
        self._key = key
        self._terminal_id = terminal_id
        self.hotlist = Hotlist(0, 0, ())
        self.config = SiteConfig()

    @property
    def server_key(self) -> ServerKey:
        """Return the pinned key that notices and phone tokens are signed with."""
        return self._key

    def load(self, cfg_floor: int, hot_floor: int) -> list[NoticeRefused]:
        """Read the files of an earlier start; return what had to be left aside, and why."""
        complaints = []
        for name, take, floor in (
            (HOTLIST, self._hotlist, hot_floor),
            (CONFIG, self._config, cfg_floor),
        ):
            try:
                raw = _read(self._disk, name)
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
            self._disk.write_whole(HOTLIST, raw)
        return self.hotlist.version > before

    def offer_config(self, raw: bytes) -> bool:
        """Take a configuration into use if it is newer; return whether it was.

        Raises:
            NoticeRefused: It is not the server's, not for us, or older than the one in use.
        """
        before = self.config.version
        self._config(raw, before)
        if self.config.version > before:
            self._disk.write_whole(CONFIG, raw)
        return self.config.version > before

    def is_listed(self, asn: bytes) -> bool:
        """Say whether a card was reported lost or revoked."""
        return asn[-SERIAL_SIZE:] in self.hotlist

    def digest(self, name: str) -> bytes:
        """Return SHA-256 of a notice's file, left 8, for the CONFIG event."""
        raw = _read(self._disk, name)
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


def _not_older(kind: str, version: int, floor: int) -> None:
    if version < floor:
        raise NoticeRefused(kind, f"version {version} is older than {floor}")


def _read(disk: Disk, name: str) -> bytes | None:
    raw = disk.read(name, NOTICE_SIZE_MAX + 1)
    if raw is not None and len(raw) > NOTICE_SIZE_MAX:
        raise NoticeRefused(name, f"larger than {NOTICE_SIZE_MAX} bytes")
    return raw
