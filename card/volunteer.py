# SPDX-License-Identifier: Apache-2.0
"""The volunteer application: who the card belongs to, what its last tap was, and its log."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Collection
from dataclasses import dataclass, field

from card.attempts import AttemptGuard
from card.commands import read_record, read_record_by_tag, select_fid, select_name
from card.errors import (
    ApplicationLocked,
    BlankCard,
    ForeignCard,
    ProtocolFault,
    RecordNotFound,
    StatusError,
)
from card.files import MF_FID, VOLUNTEER, VOLUNTEER_AID
from card.layouts import (
    COMPOSITE,
    COMPOSITE_TAG,
    FLAG_SM4,
    ISSUER_ID,
    LOG_RECORD,
    PUBLIC_DATA,
    Composite,
    LogRecord,
    PublicData,
)
from card.operation import Connection, Operation, exchange, fetch, run
from card.secure_messaging import MacKey, Proof, ProofKey, authenticate, read_maced
from card.status_words import OK, Outcome
from card.tap import TapAnswer, TapRequest, tap
from emv.errors import EmvError
from emv.tlv import parse_one
from keys.algorithm import Algorithm
from keys.usage import CARD_KEYS, KeyUsage

ENABLED = 0x01
KIND_IN = 0x01
KIND_OUT = 0x02

# "Not supported" where the master file answers: only this application is blocked.
_APPLICATION_BLOCKED = 0x6A81
_FCI, _PROPRIETARY, _ISSUER_DATA = 0x6F, 0xA5, 0x9F0C
_LOG = VOLUNTEER.file(0x0018)
_COMPOSITE = VOLUNTEER.file(0x0019)
LOG_RECORDS = _LOG.records
# What every tap begins with, made once.
_SELECT = select_name(VOLUNTEER_AID)
_READ_COMPOSITE = read_record_by_tag(_COMPOSITE.sfi, COMPOSITE_TAG, COMPOSITE.size)


@dataclass(frozen=True, slots=True)
class CardFace:
    """What a card says of itself to anybody: the part of file 0015 that a tap needs.

    Attributes:
        asn: Application serial number, 10 bytes; opaque, the card's identity.
        valid_from: First day of validity, in the site's local calendar.
        valid_to: Last day of validity.
        birth_date: The holder's birthday if the rules for minors need it.
        masked_name: A name fit for a screen.
        enabled: Whether personalisation was finished.
        key_version: Version of the card's key set.
        flags: Bit 0: the rules for minors apply; bit 1: the keys are SM4.
    """

    asn: bytes
    valid_from: dt.date | None
    valid_to: dt.date | None
    birth_date: dt.date | None
    masked_name: str = field(repr=False)
    enabled: bool
    key_version: int
    flags: int

    @property
    def diversifier(self) -> bytes:
        """Return what the card's keys are diversified by: the last 8 bytes of the serial."""
        return self.asn[2:]

    @property
    def algorithm(self) -> Algorithm:
        """Return what the card's keys compute with."""
        return Algorithm.SM4 if self.flags & FLAG_SM4 else Algorithm.TDES

    @property
    def cg_type(self) -> int:
        """Return the kind of CG2 the card gives, as an event carries it: 1 3DES, 2 SM4."""
        return self.algorithm.cg_type

    def validity(self, today: dt.date) -> Validity:
        """Return whether the card may be used on a day."""
        if not self.enabled:
            return Validity.NOT_ENABLED
        if self.valid_from is not None and today < self.valid_from:
            return Validity.NOT_YET
        if self.valid_to is not None and today > self.valid_to:
            return Validity.EXPIRED
        return Validity.VALID


class Validity(enum.Enum):
    """Whether a card may be used."""

    VALID = "valid"
    NOT_YET = "not valid yet"
    EXPIRED = "expired"
    NOT_ENABLED = "not enabled"


def select(issuer: bytes = ISSUER_ID) -> Operation[CardFace]:
    """Select the volunteer application and return what the card says of itself: `select_public`."""
    public = yield from select_public(issuer)
    return CardFace(
        public.asn,
        public.valid_from,
        public.valid_to,
        public.birth_date,
        public.masked_name,
        public.application_type == ENABLED,
        public.key_version,
        public.flags,
    )


def select_public(issuer: bytes = ISSUER_ID) -> Operation[PublicData]:
    """Select the volunteer application and return the whole of file 0015.

    One command on a volunteer card; one more on any other, to tell a blank from a foreign card.

    Raises:
        BlankCard: There is no master file yet, or the application was never filled.
        ForeignCard: There is no volunteer application, or it is another issuer's.
        ApplicationLocked: The application was blocked.
        LayoutError: File 0015 does not decode.
    """
    try:
        response = yield from exchange(_SELECT)
    except StatusError as exc:
        if exc.outcome not in (Outcome.REFUSED, Outcome.OUR_FAULT):
            raise
        master_file = yield select_fid(MF_FID)
        if master_file.sw != OK:
            raise BlankCard from exc
        if exc.sw == _APPLICATION_BLOCKED:
            raise ApplicationLocked(exc.sw, exc.ins) from exc
        raise ForeignCard from exc
    public = public_data(response.data)
    if public.issuer != issuer:
        raise ForeignCard
    return public


def public_data(fci: bytes) -> PublicData:
    """Read the content of file 0015 out of the answer to SELECT.

    Raises:
        BlankCard: The file is missing or was never written.
        LayoutError: It does not decode.
        ProtocolFault: The answer is not file control information.
    """
    try:
        template = parse_one(fci)
    except EmvError as exc:
        raise ProtocolFault("FCI") from exc
    if template.tag != _FCI:
        raise ProtocolFault("FCI")
    found = template.find(_PROPRIETARY, _ISSUER_DATA)
    if found is None or not found.value.strip(b"\xff"):
        raise BlankCard
    return PUBLIC_DATA.parse(found.value)


def read_composite() -> Operation[Composite]:
    """Read the composite record: the inputs of the card's latest tap, kind 0 if there was none."""
    return COMPOSITE.parse((yield from fetch(_READ_COMPOSITE, COMPOSITE.size)))


@dataclass(frozen=True, slots=True)
class DeskKeys:
    """What a desk or a server needs to read more than a terminal may.

    Attributes:
        read: The card's desk reading key.
        maintenance: The card's maintenance key, which makes and checks the MACs.
        card: How the card is called towards the attempt guard: its serial in hex.
    """

    read: ProofKey
    maintenance: MacKey
    card: str


def authenticate_desk(keys: DeskKeys, guard: AttemptGuard) -> Operation[None]:
    """Prove the desk reading key; the application must be selected."""
    key_id = CARD_KEYS[KeyUsage.DESK_READ].key_id
    yield from authenticate(Proof(key_id, keys.read, f"{keys.card}/39-{key_id:02X}"), guard)


def read_log(
    keys: DeskKeys, guard: AttemptGuard, limit: int = LOG_RECORDS
) -> Operation[list[LogRecord]]:
    """Read the card's own log, newest first, with MACs so that nobody else can have made it up.

    The application must be selected. The keys are a desk's or a server's, never a terminal's.

    Args:
        keys: The card's desk keys.
        guard: Where attempts left are remembered.
        limit: How many records at most.
    """
    yield from authenticate_desk(keys, guard)
    records: list[LogRecord] = []
    for number in range(1, min(limit, LOG_RECORDS) + 1):
        try:
            data = yield from read_maced(read_record(_LOG.sfi, number), keys.maintenance)
        except RecordNotFound:
            break
        records.append(LOG_RECORD.parse(data))
    return records


def read_log_entries(
    keys: DeskKeys, guard: AttemptGuard, counters: Collection[int]
) -> Operation[list[tuple[int, bytes]]]:
    """Read the entries of some taps from the card's own log, with MACs; as `read_log`.

    Args:
        keys: The card's desk keys.
        guard: Where attempts left are remembered.
        counters: The taps' counters (before the increment); those beyond the log are left out.

    Returns:
        Place in the log (1 is the newest) and the 23 bytes of each entry found, newest first.
    """
    yield from authenticate_desk(keys, guard)
    found: list[tuple[int, bytes]] = []
    try:
        first = yield from read_maced(read_record(_LOG.sfi, 1), keys.maintenance)
    except RecordNotFound:
        return found
    newest = LOG_RECORD.parse(first).card_ctr
    for counter in sorted(counters, reverse=True):
        place = newest - counter + 1
        if not 1 <= place <= LOG_RECORDS:
            continue
        try:
            data = yield from read_maced(read_record(_LOG.sfi, place), keys.maintenance)
        except RecordNotFound:
            break
        if LOG_RECORD.parse(data).card_ctr == counter:
            found.append((place, data))
    return found


class VolunteerCard:
    """A volunteer card at a connection, in one object.

    Every method is a shell around an operation of this package; use those where the bytes do not
    go straight to a reader.

    Args:
        connection: Where the card is. Its application is selected at once.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._face = run(select(), connection)

    def identity(self) -> CardFace:
        """Return what the card says of itself."""
        return self._face

    def validity(self, today: dt.date) -> Validity:
        """Return whether the card may be used on a day."""
        return self._face.validity(today)

    def open_service(self) -> Composite | None:
        """Return the latest tap if it was a clock-in: the service that is still open."""
        composite = run(read_composite(), self._connection)
        return composite if composite.kind == KIND_IN else None

    def log(self, desk: ProofKey, maintenance: MacKey) -> list[LogRecord]:
        """Return the card's own log, newest first; the keys are a desk's or a server's."""
        keys = DeskKeys(desk, maintenance, self._face.asn.hex().upper())
        return run(read_log(keys, AttemptGuard()), self._connection)

    def clock_in(self, request: TapRequest) -> TapAnswer:
        """Tap in and return the card's proof."""
        return tap(self._connection, self._face.diversifier, KIND_IN, request)

    def clock_out(self, request: TapRequest) -> TapAnswer:
        """Tap out and return the card's proof."""
        return tap(self._connection, self._face.diversifier, KIND_OUT, request)
