# SPDX-License-Identifier: Apache-2.0
"""Prove that this version can do its work before anybody relies on it: a tap without a card.

The tap goes the whole way (decision, INTENT, proof, signature, journal) against a card and a PSAM
that answer from a table, in a folder that is thrown away. Then the configuration and the journal
of this terminal are read with the same code: a version that cannot read them must not run.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from card.commands import CAPP_INIT_BYTES
from card.layouts import COMPOSITE, ISSUER_ID, NO_TAP, PUBLIC_DATA, PublicData
from card.status_words import OK
from keys.errors import Mac2Rejected
from keys.identity import Identity
from keys.psam import PurchaseGrant, PurchaseRequest
from keys.verify import verify
from swipe.event import EVENT_SIGNED, SWIPE_CONTEXT, Event
from swipe.frames import FileHeader
from swipe.kinds import EventType
from terminal.config import Config, TerminalSection
from terminal.errors import TerminalError, Unreachable
from terminal.files import IDENTITY, JOURNAL
from terminal.journal import Journal, read_only
from terminal.passport import Passport
from terminal.policy import Say
from terminal.station import open_station
from terminal.tap import present
from terminal.transport import Request

_UTC_MS = 1_795_223_312_000
_ASN = bytes.fromhex("00005949000000000001")
_PSAM_NO = bytes.fromhex("880000000000")
_TAC, _MAC2, _CG2 = b"\x11" * 4, b"\x22" * 4, b"\x33" * 8
_SELECT, _READ_RECORD, _AUTHENTICATE, _INITIALIZE, _UPDATE, _DEBIT = (
    0xA4, 0xB2, 0x88, 0x50, 0xDC, 0x54,
)  # fmt: skip
_NOT_SUPPORTED = 0x6D00


@dataclass(frozen=True, slots=True)
class Finding:
    """One part of the self-test: its name, whether it passed, and what was seen."""

    part: str
    passed: bool
    seen: str


class TableCard:
    """A card that answers each command of a tap from a table; nothing in it computes."""

    def __init__(self, asn: bytes = _ASN) -> None:
        self._answers = _table(asn)

    def transmit(self, apdu: bytes, /) -> tuple[bytes, int]:
        """Answer by the instruction alone."""
        answer = self._answers.get(apdu[1])
        return (b"", _NOT_SUPPORTED) if answer is None else (answer, OK)


def _table(asn: bytes) -> dict[int, bytes]:
    """Return what a fresh card with this serial answers to each instruction of a tap."""
    public = PUBLIC_DATA.build(
        PublicData(
            ISSUER_ID, 1, 1, asn, None, None, bytes(2), None,
            masked_name="自检", flags=0, key_version=1,
        )
    )  # fmt: skip
    issuer_data = b"\x9f\x0c" + bytes([len(public)]) + public
    proprietary = b"\xa5" + bytes([len(issuer_data)]) + issuer_data
    begun = bytes(CAPP_INIT_BYTES - 6) + bytes([1, 0]) + b"\x44" * 4
    return {
        _SELECT: b"\x6f" + bytes([len(proprietary)]) + proprietary,
        _READ_RECORD: COMPOSITE.build(NO_TAP),
        _AUTHENTICATE: _CG2,
        _INITIALIZE: begun,
        _UPDATE: b"",
        _DEBIT: _TAC + _MAC2,
    }


class TablePsam:
    """A PSAM that counts, and knows one MAC2."""

    number = _PSAM_NO
    key_index = 1
    hardware = True

    def __init__(self) -> None:
        self._seq = 0

    def init_purchase(self, request: PurchaseRequest) -> PurchaseGrant:
        """Step the number."""
        self._seq += 1
        return PurchaseGrant(self._seq, request.rand)

    def credit_purchase(self, mac2: bytes) -> None:
        """Compare."""
        if mac2 != _MAC2:
            raise Mac2Rejected


class _StillClock:
    def utc_ms(self) -> int:
        return _UTC_MS

    def uptime_ms(self) -> int:
        return 60_000


class _NoNetwork:
    def send(self, request: Request) -> bytes:
        raise Unreachable(request.path, sent=False)


def self_test(config: Config) -> list[Finding]:
    """Test this version: a tap on the table, then what this terminal holds."""
    with tempfile.TemporaryDirectory(prefix="yika-self-test-") as folder:
        findings = [_tap(Path(folder))]
    findings.append(_journal(config))
    return findings


def _tap(folder: Path) -> Finding:
    identity = Identity.generate()
    identity.save(folder / IDENTITY)
    Passport(1, 1, 1, identity.public_key.hex(), 1, "自检", "self-test", 32).save(folder)
    Journal.create(folder / JOURNAL, FileHeader(1, 1, identity.public_key))
    own = Config(terminal=TerminalSection(name="self-test", data_dir=str(folder)))
    station = open_station(own, _StillClock(), _NoNetwork(), TablePsam())
    try:
        outcome = present(station.desk(TablePsam(), training=False), TableCard())
    finally:
        station.journal.close()
    event = outcome.event
    if outcome.say is not Say.IN or event is None or event.type != EventType.IN:
        return Finding("tap", passed=False, seen=outcome.say.name)
    return _read_back(folder, event, identity)


def _read_back(folder: Path, event: Event, identity: Identity) -> Finding:
    """Read the tap from the disk again and check its signature."""
    _, state, _ = read_only(folder / JOURNAL)
    journal = Journal.open(folder / JOURNAL)
    try:
        raw = journal.event(event.seq)
    finally:
        journal.close()
    signed, signature = raw[:EVENT_SIGNED], raw[EVENT_SIGNED:]
    genuine = verify(identity.public_key, signature, SWIPE_CONTEXT, signed)
    passed = genuine and state.n_in == 1 and event == Event.from_bytes(raw)
    return Finding("tap", passed=passed, seen=f"{state.events} events, {state.n_in} IN")


def _journal(config: Config) -> Finding:
    """Read what this terminal holds; one that holds nothing yet passes."""
    path = config.data_dir / JOURNAL
    if not path.exists():
        return Finding("journal", passed=True, seen="none yet")
    try:
        _, state, _ = read_only(path)
    except (TerminalError, OSError) as exc:
        return Finding("journal", passed=False, seen=str(exc))
    return Finding("journal", passed=True, seen=f"{state.events} events")
