# SPDX-License-Identifier: Apache-2.0
"""Updates at the next tap: a script of changes for one card, as data and as an operation.

A script is data: which card, which number, which bytes. It carries no MAC, because a card's MAC is
computed over a challenge the card gives in the same moment; so the script waits in a queue, and
whoever holds the card's keys (the server through a relay, or a desk) runs it as an operation when
the card is there. Who carries the commands need not be trusted: what changes a file has a MAC under
the maintenance key and over a fresh challenge, the only proof given is that of the desk key, whose
state opens no file for writing without a MAC, and the files are read back with MACs.

Each file is written by one command, and the number of the script last. A cut anywhere leaves the
old number, so the script is run again and skips what is done; with its number on the card, it
writes nothing.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import hashlib
from dataclasses import dataclass, field
from typing import Any

from card.attempts import AttemptGuard
from card.codec import Layout
from card.commands import (
    application_block,
    application_unblock,
    select_name,
    update_binary,
)
from card.errors import (
    ApplicationLocked,
    Blocked,
    CapabilityMissing,
    CardError,
    LayoutError,
    MacRejected,
    ReadBackMismatch,
    WrongCard,
)
from card.file_access import read_file
from card.files import VOLUNTEER
from card.layouts import (
    PUBLIC_DATA,
    SERVICE_DATA,
    UPDATE_STATE,
    PublicData,
    ServiceData,
    UpdateState,
)
from card.operation import Operation
from card.secure_messaging import maced
from card.status_words import Text
from card.volunteer import DeskKeys, authenticate_desk, select_public

SEQ_MAX = 0xFFFF  # two bytes on the card; a card of ten years with a script a day needs 3 650
DIGEST_BYTES = 8
_CONTEXT = b"yika/update/1\0"
_PUBLIC, _SERVICE, _STATE = 0x0015, 0x0017, 0x001A


class Block(enum.IntEnum):
    """How an application is blocked: until it is unblocked, or for good; P2 of the command."""

    UNTIL_UNBLOCKED = 0
    FOR_GOOD = 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a card is to say; None leaves a field as it is.

    The fields are those of `PublicData` and `ServiceData`; `block` ends the application's use.
    """

    valid_to: dt.date | None = None
    member_flags: int | None = None
    functions: int | None = None
    level: int | None = None
    total_minutes: int | None = None
    totals_date: dt.date | None = None
    total_taps: int | None = None
    training_minutes: int | None = None
    guardian_mobile: str | None = field(default=None, repr=False)
    guardian_number: str | None = field(default=None, repr=False)
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class CardContents:
    """What a card says now, as far as scripts may change it.

    `public` was read in plain: whoever carries commands could have made it up. `service` and
    `state` came with MACs.
    """

    public: PublicData
    service: ServiceData
    state: UpdateState


@dataclass(frozen=True, slots=True)
class Change:
    """Bytes of one file, written by one command."""

    fid: int
    offset: int
    data: bytes = field(repr=False)
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdateScript:
    """Changes for one card.

    Attributes:
        asn: The card's serial.
        seq: Number of the script: one more than the card's.
        date: Day of the script, for people.
        changes: What is written, in this order.
        block: Whether the application is blocked in the end.
    """

    asn: bytes
    seq: int
    date: dt.date
    changes: tuple[Change, ...]
    block: Block | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.changes and self.block is None

    @property
    def digest(self) -> bytes:
        """Return the eight bytes by which the card names the script."""
        block = b"\xff" if self.block is None else bytes([self.block])
        hashed = hashlib.sha256(_CONTEXT + self.asn + self.seq.to_bytes(2, "big") + block)
        for change in self.changes:
            head = (change.fid, change.offset, len(change.data))
            hashed.update(b"".join(number.to_bytes(2, "big") for number in head) + change.data)
        return hashed.digest()[:DIGEST_BYTES]

    def to_document(self) -> dict[str, Any]:
        """Return the script as plain values for a queue, which has to seal it: it is personal."""
        return {
            "asn": self.asn.hex(),
            "seq": self.seq,
            "date": self.date.isoformat(),
            "changes": [
                {**dataclasses.asdict(change), "data": change.data.hex()} for change in self.changes
            ],
            "block": None if self.block is None else int(self.block),
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> UpdateScript:
        """Read a script from plain values.

        Raises:
            LayoutError: They are no script, or one that changes what a script may not.
        """
        try:
            changes = tuple(
                Change(row["fid"], row["offset"], bytes.fromhex(row["data"]), tuple(row["fields"]))
                for row in document["changes"]
            )
            block = document["block"]
            script = cls(
                bytes.fromhex(document["asn"]),
                int(document["seq"]),
                dt.date.fromisoformat(document["date"]),
                changes,
                None if block is None else Block(block),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise LayoutError("update script", "not a script") from exc
        _check(script)
        return script


class UpdateOutOfOrder(CardError):
    """The card is not where the script begins; nothing was written.

    Attributes:
        seq: Number of the script.
        card_seq: Number of the script the card took last.
    """

    advice = Text("请按卡片现状重新制作更新", "make the update anew from what the card says")

    def __init__(self, seq: int, card_seq: int) -> None:
        super().__init__(seq, card_seq)
        self.seq, self.card_seq = seq, card_seq
        self.meaning = Text(
            f"更新 {seq} 不接在卡片的 {card_seq} 之后，未写入",
            f"update {seq} does not follow the card's {card_seq}; nothing was written",
        )


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """How an update ended.

    Attributes:
        asn: The card.
        seq: Number of the script.
        fields: What differed and was written in this run.
        writes: Commands that changed the card in this run.
        blocked: Whether the application is blocked now.
        unproved: Files whose content the card did not prove with a MAC.
    """

    asn: bytes
    seq: int
    fields: tuple[str, ...]
    writes: int
    blocked: bool
    unproved: tuple[str, ...]


def read_contents(keys: DeskKeys, guard: AttemptGuard) -> Operation[CardContents]:
    """Select the application and read what scripts may change.

    Raises:
        CardError: The card is not ours, is blocked, or refuses.
        CapabilityMissing: The card is of a version without updates.
        MacRejected: An answer does not come from the card.
    """
    public = yield from select_public()
    _require_state(public)
    yield from authenticate_desk(keys, guard)
    service = SERVICE_DATA.parse((yield from _read(_SERVICE, keys)))
    state = UPDATE_STATE.parse((yield from _read(_STATE, keys)))
    return CardContents(public, service, state)


def plan_update(found: CardContents, wanted: Wanted, date: dt.date) -> UpdateScript:
    """Work out the script that makes a card say what is wanted.

    Only bytes of fields that are wanted and differ are written in file 0015, whose content a
    carrier could have made up; file 0017 is written whole, in one command.

    Args:
        found: What the card says.
        wanted: What it is to say.
        date: Day of the script.

    Raises:
        LayoutError: A value does not fit its field, or the numbers are used up.
    """
    changes: list[Change] = []
    if wanted.valid_to is not None and wanted.valid_to != found.public.valid_to:
        public = dataclasses.replace(found.public, valid_to=wanted.valid_to)
        offset, size = _place(PUBLIC_DATA, "valid_to")
        data = PUBLIC_DATA.build(public)[offset : offset + size]
        changes.append(Change(_PUBLIC, offset, data, ("valid_to",)))
    differing = {
        name: value
        for name in SERVICE_DATA.field_names()
        if (value := getattr(wanted, name, None)) is not None
        and value != getattr(found.service, name)
    }
    if differing:
        service = SERVICE_DATA.build(dataclasses.replace(found.service, **differing))
        changes.append(Change(_SERVICE, 0, service, tuple(differing)))
    script = UpdateScript(
        found.public.asn, found.state.update_seq + 1, date, tuple(changes), wanted.block
    )
    _check(script)
    return script


def apply_update(
    script: UpdateScript, keys: DeskKeys, guard: AttemptGuard
) -> Operation[UpdateResult]:
    """Run a script at its card; run again, it goes on where it was cut, and writes nothing twice.

    Args:
        script: What to change.
        keys: The card's desk keys.
        guard: Where attempts left are remembered.

    Raises:
        WrongCard: Another card lies there; nothing was tried.
        CapabilityMissing: The card is of a version without updates; nothing was tried.
        UpdateOutOfOrder: The card is not where the script begins; nothing was written.
        ReadBackMismatch: A file does not hold what was written; the number was not written.
        MacRejected: An answer does not come from the card; the script may be run again.
    """
    _check(script)
    try:
        public = yield from select_public()
    except Blocked:
        if script.block is None:
            raise
        return UpdateResult(script.asn, script.seq, (), 0, True, ("block",))
    if public.asn != script.asn:
        raise WrongCard(script.asn, public.asn)
    _require_state(public)
    yield from authenticate_desk(keys, guard)
    state = UPDATE_STATE.parse((yield from _read(_STATE, keys)))
    done = UpdateState(script.seq, script.digest, script.date)
    fields: tuple[str, ...] = ()
    writes = 0
    if (state.update_seq, state.script) != (done.update_seq, done.script):
        if state.update_seq != script.seq - 1:
            raise UpdateOutOfOrder(script.seq, state.update_seq)
        for change in script.changes:
            if (yield from _write(change, keys)):
                fields += change.fields
                writes += 1
        yield from _write(Change(_STATE, 0, UPDATE_STATE.build(done), ()), keys)
        writes += 1
    if script.block is not None:
        yield from maced(application_block(script.block), keys.maintenance)
        writes += 1
    unproved = [f"{c.fid:04X}" for c in script.changes if not VOLUNTEER.file(c.fid).maced_reads]
    if script.block is not None:
        unproved.append("block")
    return UpdateResult(
        script.asn, script.seq, fields, writes, script.block is not None, tuple(unproved)
    )


def unblock_application(keys: DeskKeys, guard: AttemptGuard) -> Operation[PublicData]:
    """Let a card be used again whose application was blocked until unblocked.

    A blocked application tells no serial, so the wrong card cannot be told before the MAC: each
    wrong one counts, and the third blocks for good. The guard stops before.

    Returns:
        What the card says of itself afterwards; on a card that was not blocked, at once.

    Raises:
        GuardRefused: Too few wrong MACs are known to be left; nothing was tried.
        MacRejected: Another card, or other keys; the card has counted it.
        Blocked: The application is blocked for good.
        WrongCard: A card that was not blocked bears another serial.
    """
    name = f"{keys.card}/unblock"
    try:
        public = yield from select_public()
    except ApplicationLocked:
        guard.check(name)
        yield select_name(VOLUNTEER.name)  # it refuses again, and is the current one again
        try:
            yield from maced(application_unblock(), keys.maintenance)
        except MacRejected:
            guard.note_wrong_mac(name)
            raise
        public = yield from select_public()
    if public.asn.hex().upper() != keys.card:
        raise WrongCard(bytes.fromhex(keys.card), public.asn)
    return public


def _require_state(public: PublicData) -> None:
    """Refuse a card of a version that has nowhere to note which script it took."""
    version = public.application_version
    if version < VOLUNTEER.file(_STATE).since:
        lacking = Text("更新状态文件 001A", "file 001A")
        reason = Text("记录所做更新", "to note which update it took")
        raise CapabilityMissing("update", f"version {version}", lacking, reason)


def _write(change: Change, keys: DeskKeys) -> Operation[bool]:
    """Write a change unless the card proves that it holds it, and read it back."""
    spec = VOLUNTEER.file(change.fid)
    end = change.offset + len(change.data)
    if spec.maced_reads:
        before = yield from _read(change.fid, keys)
        if before[change.offset : end] == change.data:
            return False
    update = update_binary(spec.sfi, change.offset, change.data)
    yield from maced(update, keys.maintenance)
    after = yield from _read(change.fid, keys)
    if after[change.offset : end] != change.data:
        raise ReadBackMismatch(f"{change.fid:04X}")
    return True


def _read(fid: int, keys: DeskKeys) -> Operation[bytes]:
    spec = VOLUNTEER.file(fid)
    content = yield from read_file(spec, spec.size, keys.maintenance)
    if content is None:
        raise LayoutError(f"{fid:04X}", "never written")
    return content


def _check(script: UpdateScript) -> None:
    """Refuse a script that changes what a script may not, whoever made it."""
    if not 1 <= script.seq <= SEQ_MAX:
        raise LayoutError("update script", "number")
    offset, size = _place(PUBLIC_DATA, "valid_to")
    allowed = {(_PUBLIC, offset, size), (_SERVICE, 0, SERVICE_DATA.size)}
    places = [(change.fid, change.offset, len(change.data)) for change in script.changes]
    if not set(places) <= allowed or len(set(places)) != len(places):
        raise LayoutError("update script", "changes what a script may not")


def _place(layout: Layout[Any], name: str) -> tuple[int, int]:
    """Return offset and size of a field.

    >>> _place(PUBLIC_DATA, "valid_to")
    (24, 4)
    """
    return next((offset, size) for offset, size, row in layout.offsets() if row.name == name)
