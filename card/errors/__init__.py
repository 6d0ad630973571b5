# SPDX-License-Identifier: Apache-2.0
"""Everything that can go wrong with a card, as facts.

CardError
├── MalformedApdu         lengths that do not fit a short APDU
├── ProtocolFault         the card breaks the rules of the transport or of an answer's length
├── LayoutError           a file's content does not fit its layout
├── StatusError           the card refused: status word and instruction
│   ├── AuthenticationFailed    63Cx, with the attempts left
│   ├── SecurityNotSatisfied    6982
│   ├── Blocked                 6983, 9303; ApplicationLocked: until it is unblocked
│   ├── FileNotFound            6A82
│   ├── RecordNotFound          6A83
│   ├── KeyNotFound             6A88, 9403
│   ├── NotSupported            6A81, 6D00, 6E00
│   ├── MacRejected             9302, 6988
│   ├── CounterExhausted        9402
│   └── ProofUnavailable        9406
├── CardRemoved           the card left
├── MuteCard              the card does not answer
├── BlankCard             no master file or no application yet
├── ForeignCard           a card of somebody else
├── WrongCard             a volunteer card, but not the one expected
├── GuardRefused          a key would be tried with too few attempts left
├── ReadBackMismatch      what was written is not what is read
├── IssuedOtherwise       the card was issued before, with other data or keys
├── CapabilityMissing     a card or driver cannot do what an application needs
├── DriverUnknown         no card driver of this name
├── CardProofWrong        a MAC or TAC of the card is not the one its keys give
├── CassetteMismatch      a replayed program did something else than was recorded
├── CassetteMasked        what was recorded cannot be played: it was masked
├── DumpRefused           a dump that may not be compared with or written to this card
├── NoPictureLibrary      Pillow is not installed
└── ReaderError           the reader or its service
    ├── NoDriver, NoService, NoPermission, NoReader, ReaderBusy, NoCard
    └── AnswerLost        whether the card ran the command is not known

Some stand beside what raises them, all under CardError or the class named:

card.attempts        KeyDisagrees, NotTwoPeople
card.batch           OtherBatch; card.batch_rows BatchRefused
card.doctor_machine  ReaderNotTaken, ReaderWithoutDriver (NoReader)
card.issuing_errors  CardSwapped, PlanChanged, IssuingStopped and under it ApplicationBlocked,
                     CardFull, FileLocked, ForeignDialect, KeyBlocked, WrongControlKey
card.profile         ProfileTooBig (LayoutError)
card.shell           ShellError; card.shell_names UnknownName (LayoutError)
card.stored          AnswerUnknown, SessionLost, StoredOtherwise
card.updates         UpdateOutOfOrder

Each carries `meaning` and `advice` for people, Chinese first; the message is made of them.
"""

from __future__ import annotations

from card.errors.cards import (
    BlankCard,
    CapabilityMissing,
    CardProofWrong,
    CardRemoved,
    CassetteMasked,
    CassetteMismatch,
    DriverUnknown,
    DumpRefused,
    ForeignCard,
    GuardRefused,
    IssuedOtherwise,
    MuteCard,
    NoPictureLibrary,
    ReadBackMismatch,
    WrongCard,
)
from card.errors.readers import (
    AnswerLost,
    NoCard,
    NoDriver,
    NoPermission,
    NoReader,
    NoService,
    ReaderBusy,
    ReaderError,
)
from card.errors.status import (
    ApplicationLocked,
    AuthenticationFailed,
    Blocked,
    CardError,
    CounterExhausted,
    FileNotFound,
    KeyNotFound,
    LayoutError,
    MacRejected,
    MalformedApdu,
    NotSupported,
    ProofUnavailable,
    ProtocolFault,
    RecordNotFound,
    SecurityNotSatisfied,
    StatusError,
    status_error,
)

__all__ = [
    "AnswerLost",
    "ApplicationLocked",
    "AuthenticationFailed",
    "BlankCard",
    "Blocked",
    "CapabilityMissing",
    "CardError",
    "CardProofWrong",
    "CardRemoved",
    "CassetteMasked",
    "CassetteMismatch",
    "CounterExhausted",
    "DriverUnknown",
    "DumpRefused",
    "FileNotFound",
    "ForeignCard",
    "GuardRefused",
    "IssuedOtherwise",
    "KeyNotFound",
    "LayoutError",
    "MacRejected",
    "MalformedApdu",
    "MuteCard",
    "NoCard",
    "NoDriver",
    "NoPermission",
    "NoPictureLibrary",
    "NoReader",
    "NoService",
    "NotSupported",
    "ProofUnavailable",
    "ProtocolFault",
    "ReadBackMismatch",
    "ReaderBusy",
    "ReaderError",
    "RecordNotFound",
    "SecurityNotSatisfied",
    "StatusError",
    "WrongCard",
    "status_error",
]
