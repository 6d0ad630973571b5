# SPDX-License-Identifier: Apache-2.0
"""Errors of the data formats.

EmvError
└── TlvError    the bytes are not BER-TLV: kind of fault, path of templates, offset
"""

from __future__ import annotations

import enum


class EmvError(ValueError):
    """Base of everything this package raises about bytes it was given."""


class TlvFault(enum.Enum):
    """What is wrong with a BER-TLV encoding (ISO/IEC 7816-4 §5.2.2)."""

    TAG_CUT = "the tag is cut off"
    TAG_LONG = "the tag has too many bytes"
    TAG_MALFORMED = "the tag number starts with a zero septet"
    PADDING = "a zero byte stands where a tag must be"
    LENGTH_CUT = "the length is cut off"
    LENGTH_FORM = "the length is indefinite or has too many bytes"
    VALUE_CUT = "the value is shorter than its length says"
    TOO_DEEP = "templates are nested too deep"
    TOO_MANY = "there are too many data objects"
    TOO_BIG = "there are too many bytes"


class TlvError(EmvError):
    """Say where BER-TLV bytes stopped making sense.

    Args:
        fault: What is wrong.
        path: Tags of the templates around the fault, outermost first.
        offset: Byte offset from the start of the data given to the parser.
    """

    def __init__(self, fault: TlvFault, path: tuple[int, ...], offset: int) -> None:
        self.fault = fault
        self.path = path
        self.offset = offset
        super().__init__(fault, path, offset)

    def __str__(self) -> str:
        where = "/".join(f"{tag:02X}" for tag in self.path)
        return f"{where}@{self.offset}: {self.fault.value}"
