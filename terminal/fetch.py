# SPDX-License-Identifier: Apache-2.0
"""Fetch newer notices and take them into use, each with its CONFIG event."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from swipe.hotlist import HotlistBitmap
from swipe.kinds import ConfigKind
from swipe.requests import REQUEST_CONTEXT, request_message
from terminal.chain import Chain, Surroundings
from terminal.courier import Job
from terminal.errors import NoticeRefused, NotSaved
from terminal.files import CONFIG, HOTLIST
from terminal.notices import Notices, SiteConfig
from terminal.recover import note_config
from terminal.transport import Request, Transport

_LOG = logging.getLogger(__name__)

NOTICE_PATH = "/api/v1/terminals/{}/{}"
SINCE_PATH = HOTLIST + "/since/{}"
# How often a notice past half its life is asked for while the server has no newer one.
RENEWAL_EVERY_MS = 6 * 3_600_000


class NoticeFetcher:
    """Ask for the notices the server has newer ones of, and for those that grow old."""

    def __init__(self, chain: Chain, notices: Notices, transport: Transport) -> None:
        self._chain = chain
        self._notices = notices
        self._transport = transport
        self._renewal_at_ms = 0

    def __call__(self, cfg_ver: int, hot_ver: int) -> list[Job]:
        """Fetch what is newer than ours and return what the journal's owner must do with it.

        Everything is read and checked here, off the owner's thread; a notice that is refused is
        raised behind the jobs, so that it keeps no other one away.

        Raises:
            ServerError: No answer, or a refusal.
        """
        aging = self._aging()
        jobs: list[Job] = []
        refused: list[Job] = []
        for wanted, fetch in (
            (cfg_ver > self._notices.config.version or CONFIG in aging, self._config),
            (hot_ver > self._notices.hotlist.version or HOTLIST in aging, self._hotlist),
        ):
            if wanted:
                try:
                    jobs.append(fetch())
                except NoticeRefused as exc:
                    refused.append(partial(_complain, exc))
        return jobs + refused

    def take_config(self, config: SiteConfig, raw: bytes) -> None:
        """Use a configuration from now on.

        Raises:
            NotSaved: The disk refused it, or the journal the CONFIG event.
        """
        if _saved(partial(self._notices.use_config, config, raw)):
            self._chain.around = surroundings_of(self._chain, config)
            note_config(self._chain, ConfigKind.CONFIG, self._notices.digest(CONFIG))
            self._chain.journal.add()

    def take_hotlist(self, hotlist: HotlistBitmap) -> None:
        """Use a hotlist from now on; raises as `take_config`."""
        if _saved(partial(self._notices.use_hotlist, hotlist)):
            self._chain.around = replace(self._chain.around, hot_ver=hotlist.version)
            note_config(self._chain, ConfigKind.HOTLIST, self._notices.digest(HOTLIST))
            self._chain.journal.add()

    def _config(self) -> Job:
        raw = self._get(CONFIG)
        return partial(self.take_config, self._notices.read_config(raw), raw)

    def _hotlist(self) -> Job:
        """Fetch what differs from the list we hold; if that leads nowhere, the whole list."""
        held = self._notices.hotlist.version
        if held:
            try:
                hotlist = self._notices.read_hotlist(self._get(SINCE_PATH.format(held)))
                return partial(self.take_hotlist, hotlist)
            except NoticeRefused as exc:
                _LOG.warning("%s", exc)
        return partial(self.take_hotlist, self._notices.read_hotlist(self._get(HOTLIST)))

    def _aging(self) -> tuple[str, ...]:
        """Name what is to be renewed, but not at every round."""
        now_ms = self._chain.time.uptime_ms()
        if now_ms < self._renewal_at_ms:
            return ()
        aging = self._notices.aging()
        if aging:
            self._renewal_at_ms = now_ms + RENEWAL_EVERY_MS
        return aging

    def _get(self, name: str) -> bytes:
        """Send a signed GET: the server tells configurations only to the terminal they are for."""
        path = NOTICE_PATH.format(self._chain.journal.header.terminal_id, name)
        unsent = self._chain.journal.state.unsent
        signed = authorization(self._chain, "GET", path)
        return self._transport.send(Request("GET", path, authorization=signed, unsent=unsent))


def _complain(error: NoticeRefused) -> None:
    raise error


def _saved(use: Callable[[], bool]) -> bool:
    try:
        return use()
    except OSError as exc:
        raise NotSaved(exc.strerror or str(exc)) from exc


def authorization(chain: Chain, method: str, path: str, body: bytes = b"") -> str:
    """Return the header that says which terminal asks, signed over method, path, time and body."""
    utc_ms = chain.time.now().utc_ms
    message = request_message(method, path, utc_ms, body)
    signature = chain.identity.sign(REQUEST_CONTEXT, message)
    return f"Yika-Terminal {utc_ms}.{signature.hex()}"


def surroundings_of(chain: Chain, config: SiteConfig) -> Surroundings:
    """Return what events repeat, after a configuration."""
    tz_q = chain.around.tz_q if config.tz_q is None else config.tz_q
    return replace(chain.around, site=config.site, tz_q=tz_q, cfg_ver=config.version)
