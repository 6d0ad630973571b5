# SPDX-License-Identifier: Apache-2.0
"""What a desk reads from a card with its keys, as records, and the training it writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from card.attempts import AttemptGuard
from card.codec import Layout
from card.commands import append_record, select_name
from card.dump import CardDump, read_dump
from card.errors import CapabilityMissing
from card.files import VOLUNTEER
from card.layouts import (
    HOLDER_DATA,
    LOG_RECORD,
    PUBLIC_DATA,
    SERVICE_DATA,
    TRAINING,
    UPDATE_STATE,
    HolderData,
    LogRecord,
    PublicData,
    ServiceData,
    TrainingRecord,
    UpdateState,
)
from card.operation import Operation, exchange
from card.photo import photo_of
from card.secure_messaging import MacKey, Proof, authenticate, maced
from card.status_words import Text
from card.volunteer import DeskKeys, public_data

R = TypeVar("R")

_TRAINING = VOLUNTEER.file(0x001C)


@dataclass(frozen=True, slots=True)
class DeskView:
    """Everything a desk may see of a card.

    Attributes:
        public: File 0015.
        holder: File 0016: who it is.
        service: File 0017: membership, functions, level, totals, guardian.
        log: File 0018, newest first.
        photo: The JPEG of file 001B; None where there is none, or only part of one.
        training: File 001C, newest first.
        update: File 001A; None on a card of application version 1.
    """

    public: PublicData
    holder: HolderData
    service: ServiceData
    log: tuple[LogRecord, ...]
    photo: bytes | None = field(repr=False)
    training: tuple[TrainingRecord, ...]
    update: UpdateState | None


def read_desk_view(keys: DeskKeys, guard: AttemptGuard) -> Operation[DeskView]:
    """Select the application, prove the desk key and read all files, with MACs where they want it.

    Raises:
        BlankCard, ForeignCard, Blocked: There is nothing of ours to read.
        AuthenticationFailed, GuardRefused: The desk key is wrong or may not be tried.
        MacRejected: An answer does not come from the card.
        LayoutError: A file does not decode; `layout` and `offset` say where.
    """
    return desk_view((yield from read_dump(keys, guard)))


def desk_view(found: CardDump) -> DeskView:
    """Return the records of a dump that was read with keys.

    Raises:
        LayoutError: A file is missing or does not decode.
    """
    photo = found.contents.get(0x001B)
    state = found.contents.get(0x001A)
    return DeskView(
        public=PUBLIC_DATA.parse(found.contents.get(0x0015, b"")),
        holder=HOLDER_DATA.parse(found.contents.get(0x0016, b"")),
        service=SERVICE_DATA.parse(found.contents.get(0x0017, b"")),
        log=_records(LOG_RECORD, found.records.get(0x0018, ())),
        photo=None if photo is None else photo_of(photo),
        training=_records(TRAINING, found.records.get(0x001C, ())),
        update=None if state is None else UPDATE_STATE.parse(state),
    )


def append_training(
    record: TrainingRecord, control: Proof, maintenance: MacKey, guard: AttemptGuard
) -> Operation[None]:
    """Put a training record on the card, in front; the oldest of ten is forgotten.

    Args:
        record: What was trained, when, by whom.
        control: The application's control key, which alone may write here.
        maintenance: The card's maintenance key, which makes the MAC.
        guard: Where attempts left are remembered.

    Raises:
        CapabilityMissing: The card is of a version without training records; nothing was tried.
        AuthenticationFailed, GuardRefused: The control key is wrong or may not be tried.
        MacRejected: The maintenance key is another; nothing was written.
    """
    response = yield from exchange(select_name(VOLUNTEER.name))
    version = public_data(response.data).application_version
    if version < _TRAINING.since:
        lacking = Text("培训记录文件 001C", "file 001C")
        reason = Text("保存培训记录", "to hold training records")
        raise CapabilityMissing("training", f"version {version}", lacking, reason)
    yield from authenticate(control, guard)
    yield from maced(append_record(_TRAINING.sfi, TRAINING.build(record)), maintenance)


def _records(layout: Layout[R], found: tuple[bytes, ...]) -> tuple[R, ...]:
    return tuple(layout.parse(data) for data in found)
