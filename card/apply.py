# SPDX-License-Identifier: Apache-2.0
"""Write a dump back to a card: plan, review, apply, read back; what is there is left alone.

Applied are the files an issuer writes: 0015, 0016, 0017, the photo, and training records that are
missing at the newer end. What only taps and updates write (log, composite record, update state,
purse) stays as it is and is named. A blank card is issued first, from the dump's own data. Nothing
is written to a card with another serial, issuer, key version or application version.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from card.attempts import AttemptGuard
from card.card_keys import CardKeys
from card.commands import append_record
from card.diff import Difference, diff
from card.dump import PHOTO_FID, PUBLIC_FID, CardDump, read_dump
from card.errors import DumpRefused, ReadBackMismatch, WrongCard
from card.file_access import update_commands, write_file
from card.files import VOLUNTEER
from card.inspection import CardState, inspect
from card.layouts import FLAG_MINOR_RULES, FLAG_SM4, HOLDER_DATA, PUBLIC_DATA, SERVICE_DATA
from card.operation import Operation
from card.personalise import CardData, personalise
from card.photo import photo_of
from card.secure_messaging import Proof, authenticate, maced
from card.status_words import Text
from card.volunteer import DeskKeys
from keys.algorithm import Algorithm
from keys.usage import KeyUsage

HOLDER_FID, SERVICE_FID, TRAINING_FID = 0x0016, 0x0017, 0x001C
WRITABLE = (PUBLIC_FID, HOLDER_FID, SERVICE_FID, PHOTO_FID)

_KEPT = ("issuer", "application_type", "application_version", "asn", "key_version")
_SELECT = 0xA4


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """What it takes to make a card equal to a dump.

    Attributes:
        card: The card as it is; None if it is not issued yet.
        target: The dump.
        contents: New content of files to write, by file identifier.
        training: Training records to append, oldest first.
        left: Differences that are not written: only taps and updates do.
    """

    card: CardDump | None
    target: CardDump
    contents: dict[int, bytes]
    training: tuple[bytes, ...]
    left: tuple[Difference, ...]

    @property
    def changes(self) -> list[Difference]:
        """Return the differences that will be written."""
        if self.card is None:
            return []
        left = {(item.fid, item.field) for item in self.left}
        return [item for item in diff(self.card, self.target) if (item.fid, item.field) not in left]

    @property
    def empty(self) -> bool:
        """Whether nothing is to be written."""
        return self.card is not None and not self.contents and not self.training

    def show(self) -> list[tuple[Text, str]]:
        """Return label and command of each write, contents and MACs masked."""
        shown: list[tuple[Text, str]] = []
        for fid, content in self.contents.items():
            spec = VOLUNTEER.file(fid)
            for command in update_commands(spec, content):
                if command.ins != _SELECT:
                    shown.append((spec.label, _masked(command.header, len(command.data))))
        spec = VOLUNTEER.file(TRAINING_FID)
        for record in self.training:
            command = append_record(spec.sfi, record)
            shown.append((spec.label, _masked(command.header, len(record))))
        return shown


@dataclass(frozen=True, slots=True)
class Applied:
    """How it ended.

    Attributes:
        asn: The card.
        issued: Whether it was issued by this run.
        writes: Commands that changed the card.
        left: Differences that stay.
    """

    asn: bytes
    issued: bool
    writes: int
    left: tuple[Difference, ...]


def plan_apply(card: CardDump | None, target: CardDump) -> ApplyPlan:
    """Work out what to write; the card is not touched.

    Args:
        card: The card's own dump, with the protected files; None for one not issued yet.
        target: What it shall be.

    Raises:
        WrongCard: The dump is of another card.
        DumpRefused: It has no protected files, or another issuer, key or application version.
    """
    _check(card, target)
    if card is None:
        return ApplyPlan(None, target, {}, (), ())
    contents = {
        fid: target.contents[fid]
        for fid in WRITABLE
        if fid in target.contents and target.contents[fid] != card.contents.get(fid)
    }
    new = target.records.get(TRAINING_FID, ())
    missing = _missing(card.records.get(TRAINING_FID, ()), new)
    left = tuple(
        item
        for item in diff(card, target)
        if item.fid not in contents and not (item.fid == TRAINING_FID and missing)
    )
    return ApplyPlan(card, target, contents, missing, left)


def apply(
    target: CardDump, keys: CardKeys, guard: AttemptGuard | None = None
) -> Operation[Applied]:
    """Make a card equal to a dump as far as an issuer can; a second run writes nothing.

    Args:
        target: The dump, with the protected files.
        keys: The card's keys, derived from its serial.
        guard: Where attempts left are remembered.

    Raises:
        WrongCard, DumpRefused: As `plan_apply` says; nothing was written.
        ReadBackMismatch: The card does not hold what was written.
        AuthenticationFailed, GuardRefused: A key is wrong or may not be tried.
        StatusError: The card refused; run again to finish.
    """
    guard = guard or AttemptGuard()
    _check(None, target)
    found = yield from inspect()
    if found.public is not None and found.public.asn != target.asn:
        raise WrongCard(target.asn, found.public.asn)
    writes = 0
    if found.state is not CardState.ISSUED:
        data = card_data(target)
        writes = (yield from personalise(data, keys, guard=guard)).writes
    desk = desk_keys(target.asn, keys)
    card = yield from read_dump(desk, guard)
    job = plan_apply(card, target)
    if not job.empty:
        writes += yield from _write(job, keys, guard)
        card = yield from read_dump(desk, guard)
        job = plan_apply(card, target)
        if not job.empty:
            raise ReadBackMismatch(", ".join(f"{fid:04X}" for fid in job.contents) or "001C")
    return Applied(target.asn, found.state is not CardState.ISSUED, writes, job.left)


def desk_keys(asn: bytes, keys: CardKeys) -> DeskKeys:
    """Return the desk's part of a card's keys."""
    return DeskKeys(keys[KeyUsage.DESK_READ], keys[KeyUsage.MAINTENANCE], asn.hex().upper())


def card_data(dump: CardDump) -> CardData:
    """Return what a blank card is issued with to become a dump's card.

    Raises:
        DumpRefused: The dump lacks a file that is needed.
        LayoutError: A file does not decode.
    """
    public = PUBLIC_DATA.parse(_need(dump, PUBLIC_FID))
    holder = HOLDER_DATA.parse(_need(dump, HOLDER_FID))
    service = SERVICE_DATA.parse(_need(dump, SERVICE_FID))
    if public.valid_from is None or public.valid_to is None:
        raise DumpRefused(Text("没有有效期", "there is no validity"))
    validity: tuple[dt.date, dt.date] = (public.valid_from, public.valid_to)
    return CardData(
        dump.asn,
        *validity,
        public.masked_name,
        holder.name,
        holder.volunteer_number,
        birth_date=public.birth_date,
        minor_rules=bool(public.flags & FLAG_MINOR_RULES),
        key_version=public.key_version,
        document_type=holder.document_type,
        document_tail=holder.document_tail,
        organisation=service.organisation,
        guardian_mobile=service.guardian_mobile,
        guardian_number=service.guardian_number,
        photo=photo_of(dump.contents.get(PHOTO_FID, bytes(6))) or b"",
        member_flags=service.member_flags,
        functions=service.functions,
        level=service.level,
        total_minutes=service.total_minutes,
        algorithm=Algorithm.SM4 if public.flags & FLAG_SM4 else Algorithm.TDES,
    )


def _need(dump: CardDump, fid: int) -> bytes:
    if fid not in dump.contents:
        raise DumpRefused(Text(f"缺少文件 {fid:04X}", f"file {fid:04X} is missing"))
    return dump.contents[fid]


def _check(card: CardDump | None, target: CardDump) -> None:
    """Refuse a dump that must not be written, before anything is."""
    if not target.protected:
        raise DumpRefused(
            Text(
                "不含受保护文件，请用 --protected 转储", "no protected files: dump with --protected"
            )
        )
    if _identity(target)["asn"] != target.asn:
        raise DumpRefused(Text("卡号前后不一", "two serial numbers"))
    if card is None:
        return
    if card.asn != target.asn:
        raise WrongCard(target.asn, card.asn)
    ours, theirs = _identity(card), _identity(target)
    for name, value in theirs.items():
        if ours[name] != value:
            raise DumpRefused(Text(f"{name} 与卡不同", f"another {name} than the card's"))


def _identity(dump: CardDump) -> dict[str, Any]:
    public = PUBLIC_DATA.parse(_need(dump, PUBLIC_FID))
    kept = {name: getattr(public, name) for name in _KEPT}
    return {**kept, "algorithm": public.flags & FLAG_SM4}


def _missing(old: tuple[bytes, ...], new: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the records to append, oldest first, if the card's are the older end of the dump's.

    >>> _missing((b"1",), (b"3", b"2", b"1"))
    (b'2', b'3')
    >>> _missing((b"9",), (b"3", b"2", b"1"))
    ()
    """
    fresh = len(new) - len(old)
    if fresh <= 0 or new[fresh:] != old:
        return ()
    return tuple(reversed(new[:fresh]))


def _write(job: ApplyPlan, keys: CardKeys, guard: AttemptGuard) -> Operation[int]:
    """Prove the control key and write what the plan says."""
    control = VOLUNTEER.control_key
    name = f"{job.target.asn.hex().upper()}/{VOLUNTEER.fid:04X}/39-{control.key_id:02X}"
    yield from authenticate(Proof(control.key_id, keys[control.usage], name), guard)
    mac = keys[KeyUsage.MAINTENANCE]
    writes = 0
    for fid, content in job.contents.items():
        writes += yield from write_file(VOLUNTEER.file(fid), content, mac)
    training = VOLUNTEER.file(TRAINING_FID)
    for record in job.training:
        yield from maced(append_record(training.sfi, record), mac)
        writes += 1
    return writes


def _masked(header: bytes, size: int) -> str:
    return f"{header.hex().upper()} ‹{size} bytes› ‹MAC›"
