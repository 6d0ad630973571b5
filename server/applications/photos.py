# SPDX-License-Identifier: Apache-2.0
"""Photos for cards: what is a photo that a card printer takes, and how it is kept.

The size is read from the file's own frame header before a single pixel is decoded, so that a
small file which claims a huge picture costs nothing. What is kept is written anew from the
pixels: upright, without the camera's notes on place and time.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from server.applications.errors import Faulty
from server.applications.policy import Fault

# 1-inch photo at 300 dpi: height and width that the card printer asks for.
HEIGHT_MIN, WIDTH_MIN = 413, 295
BYTES_MAX = 8 * 1024 * 1024  # what phones of today make of their largest picture
PIXELS_MAX = 50_000_000  # a 48-megapixel phone; 150 MB while it is decoded
SCANS_MAX = 64  # a progressive picture has about ten; thousands are an attack
# A card shows 413 rows; three times as many leave room for the next printer.
KEPT_HEIGHT_MAX = 1_240
QUALITY = 92
JPEG_MAGIC = b"\xff\xd8\xff"
OTHER_MAGIC = {
    b"\x89PNG": "PNG", b"GIF8": "GIF", b"BM": "BMP", b"II*\x00": "TIFF", b"MM\x00*": "TIFF",
    b"RIFF": "WebP", b"%PDF": "PDF", b"PK\x03\x04": "ZIP",
}  # fmt: skip
# Frame headers of every coding (ITU-T T.81 table B.1); C4, C8 and CC are other segments.
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
ALONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
# Detail that halving and doubling loses, against the most of the half and the quarter. Drawn
# pictures: 1.2 and more as taken, 0.13 to 0.37 when enlarged two to four times.
UPSCALED_RATIO = 0.4
FIELD = "photo"


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo as kept: upright JPEG bytes, its size, its digest, and whether it looks enlarged."""

    jpeg: bytes
    width: int
    height: int
    sha256: bytes
    maybe_upscaled: bool

    def __repr__(self) -> str:
        """Say the size only."""
        return f"Photo({self.width}×{self.height})"


def read_photo(content: bytes) -> Photo:
    """Check an uploaded file and return the photo as it is kept.

    Raises:
        Faulty: it is too large, no JPEG, too small, landscape, or broken; the fault says which.
    """
    _check_file(content)
    width, height = jpeg_size(content)
    if width * height > PIXELS_MAX:
        raise _faulty(
            "photo-pixels",
            f"照片像素过多：{width}×{height}",
            f"the photo has too many pixels: {width} by {height}",
        )
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as opened:
            upright = ImageOps.exif_transpose(opened)
            _check_size(*upright.size)
            picture = upright.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise _faulty("photo-broken", "照片文件已损坏", "the photo is damaged") from error
    return _kept(picture)


def jpeg_size(content: bytes) -> tuple[int, int]:
    """Return width and height from the frame header of a JPEG file, before any decoding.

    Raises:
        Faulty: there is no frame header where one must be.
    """
    at = 2
    while at + 9 <= len(content):
        if content[at] != 0xFF:
            break
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in ALONE_MARKERS:
            at += 2
        elif marker in FRAME_MARKERS:
            height = int.from_bytes(content[at + 5 : at + 7], "big")
            width = int.from_bytes(content[at + 7 : at + 9], "big")
            return width, height
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    raise _faulty("photo-broken", "照片文件已损坏", "the photo is damaged")


def _check_file(content: bytes) -> None:
    if not content:
        raise _faulty("photo-missing", "请上传照片", "upload a photo")
    if len(content) > BYTES_MAX:
        raise _faulty(
            "photo-bytes",
            f"照片文件超过 {BYTES_MAX >> 20} MB",
            f"the photo's file is larger than {BYTES_MAX >> 20} MB",
        )
    if not content.startswith(JPEG_MAGIC):
        kind = next((kind for magic, kind in OTHER_MAGIC.items() if content.startswith(magic)), "")
        raise _faulty(
            "photo-format",
            f"照片须为 JPEG（.jpg）{f'，这是 {kind} 文件' if kind else ''}",
            f"the photo must be a JPEG (.jpg){f', this is a {kind} file' if kind else ''}",
        )
    if content.count(b"\xff\xda") > SCANS_MAX:
        raise _faulty("photo-broken", "照片编码异常", "the photo's coding is not of a camera")


def _check_size(width: int, height: int) -> None:
    if width > height:
        raise _faulty(
            "photo-landscape",
            f"照片须为竖幅，现为宽 {width} 高 {height}",
            f"the photo must be upright, not {width} wide and {height} high",
        )
    if height < HEIGHT_MIN or width < WIDTH_MIN:
        raise _faulty(
            "photo-size",
            f"照片至少高 {HEIGHT_MIN}、宽 {WIDTH_MIN} 像素，现为高 {height}、宽 {width}",
            f"the photo must be at least {HEIGHT_MIN} high and {WIDTH_MIN} wide, "
            f"not {height} by {width}",
        )


def _kept(picture: Image.Image) -> Photo:
    enlarged = looks_upscaled(picture)
    if picture.height > KEPT_HEIGHT_MAX:
        width = max(WIDTH_MIN, round(picture.width * KEPT_HEIGHT_MAX / picture.height))
        picture = picture.resize((width, KEPT_HEIGHT_MAX), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, optimize=True)
    jpeg = out.getvalue()
    digest = hashlib.sha256(jpeg).digest()
    return Photo(jpeg, picture.width, picture.height, digest, enlarged)


def looks_upscaled(picture: Image.Image) -> bool:
    """Say whether a picture seems to have been enlarged: no detail finer than two pixels.

    A hint for the person who decides, not a reason to refuse: a soft lens looks the same.
    """
    whole = picture.convert("L")
    coarse = max(
        _lost_detail(
            whole.resize((whole.width // part, whole.height // part), Image.Resampling.BICUBIC)
        )
        for part in (2, 4)
    )
    return coarse > 0 and _lost_detail(whole) / coarse < UPSCALED_RATIO


def _lost_detail(grey: Image.Image) -> float:
    """Return the mean difference between a picture and itself halved and doubled again."""
    small = grey.resize((max(1, grey.width // 2), max(1, grey.height // 2)), Image.Resampling.BOX)
    again = small.resize(grey.size, Image.Resampling.BICUBIC)
    return float(np.abs(_levels(grey) - _levels(again)).mean())


def _levels(grey: Image.Image) -> NDArray[np.float32]:
    return np.asarray(grey, dtype=np.float32)


def _faulty(code: str, zh: str, en: str) -> Faulty:
    return Faulty((Fault(FIELD, code, zh, en),))
