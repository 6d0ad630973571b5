# SPDX-License-Identifier: Apache-2.0
"""The photo on the chip: a JPEG of at most 1.5 KB with its length and check before it."""

from __future__ import annotations

import hashlib
import hmac
import io
import struct

from card.errors import LayoutError, NoPictureLibrary
from card.files import PHOTO_BYTES_MAX
from card.layouts import PHOTO_HEAD, PhotoHead

CHECK_BYTES = 4
# Tried in turn until the file is small enough; 5:7 portraits as on the card's face, grey.
CHIP_HEIGHTS = (140, 126, 112, 98, 84, 70, 56)
QUALITIES = (50, 40, 30, 20)
SOURCE_PIXELS_MAX = 50_000_000  # a camera's picture; more is an attack on memory
SOURCE_BYTES_MAX = 20_000_000  # a camera's file at its best quality
# The one-inch portrait of Chinese registration: 25 × 35 mm at 300 dots an inch.
SOURCE_WIDTH_MIN, SOURCE_HEIGHT_MIN = 295, 413
_ORIENTATION = 0x0112  # EXIF tag
_ON_ITS_SIDE = (5, 6, 7, 8)
# What Pillow raises for broken files and broken EXIF.
_BROKEN = (OSError, ValueError, SyntaxError, TypeError, KeyError, struct.error)
_BEGIN, _END = b"\xff\xd8\xff", b"\xff\xd9"


def check(jpeg: bytes) -> bytes:
    """Return the four bytes that tell a whole photo from a cut one."""
    return hashlib.sha256(jpeg).digest()[:CHECK_BYTES]


def photo_content(jpeg: bytes) -> bytes:
    """Return what file 001B holds of a photo: head and JPEG, or a head of zeros for none.

    Raises:
        LayoutError: No JPEG, or more than 1 536 bytes.

    >>> photo_content(b"").hex()
    '000000000000'
    """
    if not jpeg:
        return PHOTO_HEAD.build(PhotoHead(0, bytes(CHECK_BYTES)))
    if not (jpeg.startswith(_BEGIN) and jpeg.endswith(_END)):
        raise LayoutError(PHOTO_HEAD.title, "not a JPEG", PHOTO_HEAD.size)
    if len(jpeg) > PHOTO_BYTES_MAX:
        reason = f"{len(jpeg)} bytes of photo where {PHOTO_BYTES_MAX} fit"
        raise LayoutError(PHOTO_HEAD.title, reason, PHOTO_HEAD.size)
    return PHOTO_HEAD.build(PhotoHead(len(jpeg), check(jpeg))) + jpeg


def photo_of(content: bytes) -> bytes | None:
    """Return the JPEG of what file 001B holds, None where there is none or only part of one."""
    head = PHOTO_HEAD.parse(content[: PHOTO_HEAD.size])
    jpeg = content[PHOTO_HEAD.size : PHOTO_HEAD.size + head.length]
    whole = 0 < head.length == len(jpeg) and hmac.compare_digest(head.check, check(jpeg))
    return jpeg if whole else None


def derive(registration: bytes) -> bytes:
    """Make the chip's photo of a registration photo: upright, cropped to 5:7, grey, 1.5 KB.

    The picture is decoded at the smallest scale that serves (JPEG can be decoded at 1/2, 1/4 and
    1/8), so a large one costs a fraction of its memory.

    Raises:
        LayoutError: Not a JPEG that can be decoded, not a portrait of at least 295 × 413 pixels,
            or a picture of absurd size.
        NoPictureLibrary: Pillow is not installed; it comes with the extra `card`.
    """
    try:
        from PIL import Image, ImageOps  # noqa: PLC0415 - only desks that issue cards need it
    except ImportError as exc:
        raise NoPictureLibrary from exc
    if len(registration) > SOURCE_BYTES_MAX:
        raise LayoutError("photo", f"more than {SOURCE_BYTES_MAX} bytes")
    if not registration.startswith(_BEGIN):
        raise LayoutError("photo", "not a JPEG")
    bomb = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with Image.open(io.BytesIO(registration), formats=["JPEG"]) as source:
            _check_size(*source.size, source.getexif().get(_ORIENTATION, 1))
            source.draft("L", (SOURCE_WIDTH_MIN, SOURCE_HEIGHT_MIN))
            upright = ImageOps.exif_transpose(source).convert("L")
    except (*bomb, *_BROKEN) as exc:
        raise LayoutError("photo", "not a JPEG that can be decoded") from exc
    for height in CHIP_HEIGHTS:
        small = ImageOps.fit(upright, (height * 5 // 7, height), Image.Resampling.LANCZOS)
        for quality in QUALITIES:
            coded = io.BytesIO()
            small.save(coded, "JPEG", quality=quality, optimize=True)
            if len(coded.getvalue()) <= PHOTO_BYTES_MAX:
                return coded.getvalue()
    raise LayoutError("photo", "does not become small enough")


def _check_size(width: int, height: int, orientation: int) -> None:
    if width * height > SOURCE_PIXELS_MAX:
        raise LayoutError("photo", f"{width} × {height} pixels")
    if orientation in _ON_ITS_SIDE:
        width, height = height, width
    if width > height:
        raise LayoutError("photo", "not a portrait")
    if width < SOURCE_WIDTH_MIN or height < SOURCE_HEIGHT_MIN:
        least = f"{SOURCE_WIDTH_MIN} × {SOURCE_HEIGHT_MIN}"
        raise LayoutError("photo", f"{width} × {height} pixels where {least} are due")
