# SPDX-License-Identifier: Apache-2.0
"""Put the parts of a terminal together: the one place that knows them all."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from keys.identity import Identity
from keys.psam import Psam
from terminal.chain import Chain, Surroundings
from terminal.clock import JUMP_MIN_MS, STEP_MIN_MS, Clock, Earlier, TerminalTime
from terminal.config import Config
from terminal.desk import Desk, dpk_idx
from terminal.errors import FormerJournal, IdentityLost, JournalForeign
from terminal.fetch import NoticeFetcher
from terminal.files import IDENTITY
from terminal.journal import Journal
from terminal.notices import Notices
from terminal.passport import Passport
from terminal.recover import skip_lost, start_up
from terminal.rotation import finish_change, load_identity, name_new_key
from terminal.state import State
from terminal.storage import Disk, Folder
from terminal.succession import go_on
from terminal.transport import Transport
from terminal.uplink import Uplink, farthest_header, stored_receipt

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Station:
    """An opened terminal: journal in order, start recorded, ready to tap and to talk."""

    passport: Passport
    chain: Chain
    notices: Notices
    uplink: Uplink
    fetcher: NoticeFetcher

    @property
    def journal(self) -> Journal:
        """Return the journal."""
        return self.chain.journal

    def desk(self, psam: Psam, *, training: bool) -> Desk:
        """Return what a presentation needs."""
        return Desk(self.chain, psam, self.notices, training=training)

    @property
    def site_name(self) -> str:
        """Return the site's name for the display."""
        return self.notices.config.name_zh or self.passport.site_zh


def open_journal(disk: Disk) -> tuple[Passport, Identity, Journal]:
    """Open what provisioning made.

    Raises:
        NotProvisioned: It was never made.
        JournalMissing: There is none.
        IdentityLost: The terminal's key is gone or damaged.
        JournalForeign: The journal belongs to another terminal or key.
        NotSaved: The storage does not take data.
    """
    passport = name_new_key(disk, Passport.load(disk))
    journal = Journal.on(disk)
    try:
        go_on(disk, journal.state)
        passport = finish_change(disk, journal.state, passport)
        identity = load_identity(disk)
        if identity is None:
            raise IdentityLost(IDENTITY)
        detail = f"terminal {journal.header.terminal_id}"
        if journal.header.terminal_id != passport.terminal_id:
            raise JournalForeign(str(disk), detail)
        if not journal.goes_on_with(identity.public_key):
            raise FormerJournal(str(disk), detail)
    except BaseException:
        journal.close()
        raise
    return passport, identity, journal


def open_station(
    config: Config,
    clock: Clock,
    transport: Transport,
    psam: Psam | None,
    *,
    disk: Disk | None = None,
) -> Station:
    """Open a terminal and record its start.

    Everything durable is on `disk`, which is the configuration's data folder if not given.

    Raises:
        NotSaved: The start is not durable.
    """
    disk = disk or Folder(config.data_dir)
    opened = open_journal(disk)
    try:
        return _assemble(config, disk, (clock, transport, psam), opened)
    except BaseException:
        opened[2].close()
        raise


def _assemble(
    config: Config,
    disk: Disk,
    around: tuple[Clock, Transport, Psam | None],
    opened: tuple[Passport, Identity, Journal],
) -> Station:
    clock, transport, psam = around
    passport, identity, journal = opened
    key, firmware = passport.server_key, firmware_hash()
    stored = stored_receipt(disk, key, passport.terminal_id)
    rolled_back_to = skip_lost(journal, stored, farthest_header(disk, journal.state))
    time = TerminalTime(clock, config.clock.drift_ppm, earlier_time(journal.state))
    notices = Notices(disk, key, passport.terminal_id, time.now)
    for complaint in notices.load(journal.state.cfg_ver, journal.state.hot_ver):
        _LOG.warning("%s", complaint)
    chain = Chain(journal, identity, time, journal.state.boot + 1)
    chain.changed_key_id = passport.key_id
    chain.around = _surroundings(config, passport, notices, journal.state, psam)
    start_up(chain, firmware, rolled_back_to)
    uplink = Uplink(disk, chain, key, transport, firmware)
    fetcher = NoticeFetcher(chain, notices, transport)
    return Station(passport, chain, notices, uplink, fetcher)


def earlier_time(state: State) -> Earlier:
    """Return what the journal knows of the time: the device's clock counts if it was right then."""
    if state.clock_receipt is None or not state.device_clock_good:
        return Earlier(state.floor_ms)
    # Right to within a second then, and since then set by no more than goes unnoticed. A later
    # receipt at which nobody looked at the clock says nothing of it.
    srv_utc_ms, srv_unc_ms = state.clock_receipt
    return Earlier(state.floor_ms, srv_utc_ms, srv_unc_ms + STEP_MIN_MS + JUMP_MIN_MS)


def _surroundings(
    config: Config, passport: Passport, notices: Notices, state: State, psam: Psam | None
) -> Surroundings:
    site = notices.config
    around = Surroundings(
        site=site.site or passport.site,
        tz_q=passport.tz_q if site.tz_q is None else site.tz_q,
        lat=config.site.lat,
        lon=config.site.lon,
        cfg_ver=site.version,
        hot_ver=notices.hotlist.version,
        psam_no=state.own_psam_no,
    )
    if psam is None:
        return around
    return replace(around, psam_no=psam.number, dpk_idx=dpk_idx(psam))


@cache
def firmware_hash() -> bytes:
    """Return SHA-256 over this program's own source files, left 8: what runs, not what it says."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(
            path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0"
        )
    return digest.digest()[:8]
