# SPDX-License-Identifier: Apache-2.0
"""Fetch newer notices and take them into use, each with its CONFIG event."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from swipe.kinds import ConfigKind
from swipe.requests import REQUEST_CONTEXT, request_message
from terminal.chain import Chain, Surroundings
from terminal.courier import Job
from terminal.files import CONFIG, HOTLIST
from terminal.notices import Notices, SiteConfig
from terminal.recover import note_config
from terminal.transport import Request, Transport

NOTICE_PATH = "/api/v1/terminals/{}/{}"


class NoticeFetcher:
    """Ask for the notices the server has newer ones of."""

    def __init__(self, chain: Chain, notices: Notices, transport: Transport) -> None:
        self._chain = chain
        self._notices = notices
        self._transport = transport

    def __call__(self, cfg_ver: int, hot_ver: int) -> list[Job]:
        """Fetch what is newer than ours and return what the journal's owner must do with it.

        Raises:
            ServerError: No answer, or a refusal.
        """
        jobs: list[Job] = []
        if cfg_ver > self._notices.config.version:
            jobs.append(partial(self.take_config, self._get(CONFIG)))
        if hot_ver > self._notices.hotlist.version:
            jobs.append(partial(self.take_hotlist, self._get(HOTLIST)))
        return jobs

    def take_config(self, raw: bytes) -> None:
        """Use a configuration from now on.

        Raises:
            NoticeRefused: It is not trusted; the one in use stays.
            NotSaved: The journal refused the CONFIG event.
        """
        if self._notices.offer_config(raw):
            config = self._notices.config
            self._chain.around = surroundings_of(self._chain, config)
            note_config(self._chain, ConfigKind.CONFIG, self._notices.digest(CONFIG))
            self._chain.journal.add()

    def take_hotlist(self, raw: bytes) -> None:
        """Use a hotlist from now on; raises as `take_config`."""
        if self._notices.offer_hotlist(raw):
            version = self._notices.hotlist.version
            self._chain.around = replace(self._chain.around, hot_ver=version)
            note_config(self._chain, ConfigKind.HOTLIST, self._notices.digest(HOTLIST))
            self._chain.journal.add()

    def _get(self, name: str) -> bytes:
        """Send a signed GET: the server tells configurations only to the terminal they are for."""
        path = NOTICE_PATH.format(self._chain.journal.header.terminal_id, name)
        unsent = self._chain.journal.state.unsent
        signed = authorization(self._chain, "GET", path)
        return self._transport.send(Request("GET", path, authorization=signed, unsent=unsent))


def authorization(chain: Chain, method: str, path: str) -> str:
    """Return the header that says which terminal asks, signed over method, path and time."""
    utc_ms = chain.time.now().utc_ms
    signature = chain.identity.sign(REQUEST_CONTEXT, request_message(method, path, utc_ms))
    return f"Yika-Terminal {utc_ms}.{signature.hex()}"


def surroundings_of(chain: Chain, config: SiteConfig) -> Surroundings:
    """Return what events repeat, after a configuration."""
    tz_q = chain.around.tz_q if config.tz_q is None else config.tz_q
    return replace(chain.around, site=config.site, tz_q=tz_q, cfg_ver=config.version)
