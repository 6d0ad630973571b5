# SPDX-License-Identifier: Apache-2.0
"""The codes of the wire format: what kind of event, card, cryptogram, batch and answer."""

from __future__ import annotations

import enum


class EventType(enum.IntEnum):
    """Say what an event is; 0x10 and above are about the terminal itself."""

    IN = 0x01
    OUT = 0x02
    AUTO = 0x03
    REJECTED = 0x04
    TORN = 0x05
    TORN_RESOLVED = 0x06
    SWITCH = 0x07
    VOID_LAST = 0x08
    TRAINING = 0x09
    GUARDIAN = 0x0A
    RECOVERED = 0x0B
    OPEN = 0x10
    BOOT = 0x11
    TIME_SET = 0x12
    ACK_ANCHOR = 0x13
    CLOSE = 0x14
    KEY_ROTATE = 0x15
    CONFIG = 0x16
    OUTAGE = 0x17
    TAMPER = 0x18
    MANUAL = 0x19
    DECOMMISSION = 0x1F


SYSTEM_FROM = 0x10

# These carry the card's answer in bytes 96 to 127; every other type carries a payload there.
PROVEN_TYPES = frozenset(
    {
        EventType.IN,
        EventType.OUT,
        EventType.AUTO,
        EventType.SWITCH,
        EventType.TRAINING,
        EventType.GUARDIAN,
        EventType.TORN_RESOLVED,
    }
)


class Flag(enum.IntFlag):
    """State what was known before the tap; bits 0x0800 to 0x8000 must be zero."""

    CLOCK_UNKNOWN = 0x0001
    CLOCK_STEPPED = 0x0002
    HOTLISTED = 0x0004
    MINOR = 0x0008
    GUARDIAN_PRESENT = 0x0010
    OFFLINE = 0x0020
    OPERATOR_OVERRIDE = 0x0040
    DUPLICATE = 0x0080
    EXPIRED = 0x0100
    TRAINING_MODE = 0x0200
    NO_ACTIVITY = 0x0400


FLAGS_RESERVED = 0xF800


class CardKind(enum.IntEnum):
    """Say what was presented."""

    NONE = 0
    PBOC_PURSE = 1
    PBOC_DC = 2
    TOKEN = 3
    UID = 4


class CgType(enum.IntEnum):
    """Say what made CG2, and with which algorithm."""

    NONE = 0
    DES3 = 1
    SM4 = 2
    EMV = 3
    TOKEN = 4


class Result(enum.IntEnum):
    """Say how a tap ended."""

    OK = 0
    TORN = 1
    RESOLVED = 2
    SUPPRESSED = 3


class RejectReason(enum.IntEnum):
    """Say why a card was turned away."""

    HOTLISTED = 1
    EXPIRED = 2
    FOREIGN = 3
    DUPLICATE = 4
    MINOR_ALONE = 5
    NO_ACTIVITY = 6
    NOT_YET_VALID = 7
    CARD_BLOCKED = 8
    PSAM_FAILED = 9
    NO_OPEN_SERVICE = 10
    WRONG_PIN = 11
    NO_OPERATOR = 12


class BootCause(enum.IntEnum):
    """Say why the program started."""

    POWER_ON = 0
    RESTART = 1


class JournalState(enum.IntEnum):
    """Say how the journal was found at boot."""

    CLEAN = 0
    TAIL_CUT = 1
    ROLLED_BACK = 2
    HOLE = 3


class TimeSource(enum.IntEnum):
    """Say who set the clock."""

    RECEIPT = 1
    GPS = 2
    OPERATOR = 3
    RTC = 4


class ConfigKind(enum.IntEnum):
    """Say what a CONFIG event took into use."""

    CONFIG = 1
    HOTLIST = 2
    PSAM = 3


class OutageKind(enum.IntEnum):
    """Say which part failed for a while."""

    PSAM = 1
    TAC = 2
    READER = 3
    NETWORK = 4
    JOURNAL = 5
    CLOCK = 6
    DISPLAY = 7
    PRINTER = 8
    SELF_TEST = 9


class TamperKind(enum.IntEnum):
    """Say what looks like tampering."""

    PSAM_HOLE = 1
    ROLLBACK = 2
    CASE = 3
    CLOCK = 4


class BatchKind(enum.IntEnum):
    """Say why a batch was sent."""

    LIVE = 1
    SETTLEMENT = 2
    RESEND = 3
    EXPORT = 4


class BatchFlag(enum.IntFlag):
    """State of the terminal when it sent the batch."""

    MORE = 0x0001


class ReceiptStatus(enum.IntEnum):
    """Say whether the server holds an unbroken run."""

    OK = 0
    GAP = 1
