# SPDX-License-Identifier: Apache-2.0
"""Photos: size, shape and file are looked at before anything is decoded."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from server.applications import photos
from server.applications.errors import Faulty
from server.applications.photos import jpeg_size, read_photo
from tests.unit.server.applications.forms import make_jpeg

ORIENTATION = 0x0112


def code_of(content: bytes) -> str:
    """Return the code of what is wrong with a file, "" when nothing is."""
    try:
        read_photo(content)
    except Faulty as wrong:
        return wrong.faults[0].code
    return ""


def turned(width: int, height: int, orientation: int) -> bytes:
    """Make a JPEG whose EXIF says how the camera was held."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return make_jpeg(width, height, exif=exif.tobytes())


def saved(kind: str, size: tuple[int, int] = (295, 413)) -> bytes:
    """Make a picture file of another kind."""
    out = io.BytesIO()
    Image.new("RGB", size, "grey").save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    ("width", "height", "code"),
    [
        (295, 412, "photo-size"),
        (294, 413, "photo-size"),
        (295, 413, ""),
        (600, 800, ""),
        (413, 295, "photo-landscape"),
        (414, 413, "photo-landscape"),
    ],
)
def test_s49_photo_is_at_least_413_high_and_295_wide(width: int, height: int, code: str) -> None:
    """One row or column too few is refused, the least size taken, landscape refused."""
    assert code_of(make_jpeg(width, height)) == code


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "WEBP"])
def test_s49_photo_of_another_format_is_refused_whatever_its_name(kind: str) -> None:
    """The first bytes say what a file is; a renamed one is refused by its kind's name."""
    with pytest.raises(Faulty) as refused:
        read_photo(saved(kind))

    assert refused.value.code == "photo-format"
    assert kind.casefold() in refused.value.en.casefold()


@pytest.mark.parametrize("orientation", [6, 8])
def test_s49_photo_held_sideways_is_turned_before_it_is_measured(orientation: int) -> None:
    """A landscape file that EXIF says is upright is taken upright, and the other way refused."""
    photo = read_photo(turned(413, 295, orientation))

    assert (photo.width, photo.height) == (295, 413)
    assert code_of(turned(295, 413, orientation)) == "photo-landscape"


def test_s49_photo_keeps_no_notes_of_the_camera() -> None:
    """What is kept is upright pixels; EXIF with place and time is gone."""
    photo = read_photo(turned(295, 413, 3))

    with Image.open(io.BytesIO(photo.jpeg)) as kept:
        assert dict(kept.getexif()) == {}
        assert kept.size == (295, 413)


def test_s49_photo_that_claims_a_huge_picture_is_refused_before_decoding() -> None:
    """A header of 65 000 by 65 000 pixels in a small file costs nothing."""
    content = bytearray(make_jpeg())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 65_000, 65_000)

    assert jpeg_size(bytes(content)) == (65_000, 65_000)
    assert code_of(bytes(content)) == "photo-pixels"


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\x00\x10" + bytes(100),
        b"\xff\xd8\xff\xd9",
        make_jpeg()[: len(make_jpeg()) // 2],
        make_jpeg()[:200],
    ],
)
def test_s49_photo_cut_off_or_broken_is_refused(content: bytes) -> None:
    """A damaged file is a fault of the field, never an error of the server."""
    assert code_of(content) == "photo-broken"


def test_s49_photo_with_a_thousand_scans_is_refused() -> None:
    """A progressive file with more scans than any camera makes is not decoded."""
    assert code_of(make_jpeg() + b"\xff\xda" * 100) == "photo-broken"


def test_s49_photo_file_has_a_largest_size_and_may_not_be_missing() -> None:
    """Nothing and more than eight megabytes are both refused."""
    assert code_of(b"") == "photo-missing"
    assert code_of(b"\xff\xd8\xff" + bytes(photos.BYTES_MAX)) == "photo-bytes"


def test_s49_photo_that_was_enlarged_is_hinted_at() -> None:
    """A small picture blown up has no fine detail; the hint stops nobody."""
    with Image.open(io.BytesIO(make_jpeg(150, 210))) as small:
        out = io.BytesIO()
        small.resize((600, 840), Image.Resampling.BICUBIC).save(out, "JPEG", quality=95)

    assert read_photo(out.getvalue()).maybe_upscaled
    assert not read_photo(make_jpeg()).maybe_upscaled


def test_s49_photo_in_the_colours_of_print_is_taken() -> None:
    """CMYK and grey pictures are kept as ordinary colours."""
    for mode in ("CMYK", "L"):
        out = io.BytesIO()
        Image.new(mode, (300, 420)).save(out, "JPEG")

        with Image.open(io.BytesIO(read_photo(out.getvalue()).jpeg)) as kept:
            assert kept.mode == "RGB"
