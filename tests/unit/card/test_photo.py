# SPDX-License-Identifier: Apache-2.0
"""The chip's photo: derived small enough, told whole from cut, and never anything but a JPEG."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from card.errors import LayoutError
from card.files import PHOTO_BYTES_MAX
from card.photo import derive, photo_content, photo_of


def portrait(width: int = 413, height: int = 578) -> bytes:
    """Return a registration photo with detail everywhere: a worst case for a coder."""
    picture = Image.effect_noise((width, height), 60).convert("RGB")
    coded = io.BytesIO()
    picture.save(coded, "JPEG", quality=95)
    return coded.getvalue()


@pytest.mark.parametrize("size", [(413, 578), (295, 413), (900, 1200)])
def test_any_registration_photo_fits_the_chip(size: tuple[int, int]) -> None:
    """Whatever comes, the chip gets a grey JPEG portrait of at most 1 536 bytes."""
    small = derive(portrait(*size))

    with Image.open(io.BytesIO(small)) as picture:
        assert picture.mode == "L"
        assert picture.width < picture.height
    assert len(small) <= PHOTO_BYTES_MAX
    assert photo_of(photo_content(small)) == small


@pytest.mark.parametrize("broken", [b"", b"\xff\xd8\xff", b"GIF89a", portrait()[:-500]])
def test_what_is_no_whole_jpeg_is_refused(broken: bytes) -> None:
    """Bytes that do not decode are a typed error."""
    with pytest.raises(LayoutError):
        derive(broken)


@pytest.mark.parametrize(
    "wrong", [b"no picture", b"\xff\xd8\xff" + bytes(PHOTO_BYTES_MAX) + b"\xff\xd9"]
)
def test_what_does_not_fit_never_reaches_a_card(wrong: bytes) -> None:
    """No JPEG, or too long a one, is refused before anything is written."""
    with pytest.raises(LayoutError):
        photo_content(wrong)


def test_no_photo_is_a_head_of_zeros() -> None:
    """A card without a photo says so."""
    assert photo_of(photo_content(b"")) is None


def test_half_a_photo_is_none() -> None:
    """A photo cut short, or mixed of two, is not shown."""
    content = photo_content(derive(portrait()))
    mixed = bytearray(content)
    mixed[-3] ^= 1

    assert photo_of(content[:-1]) is None
    assert photo_of(bytes(mixed)) is None


def _coded(picture: Image.Image, **options: object) -> bytes:
    coded = io.BytesIO()
    picture.save(coded, "JPEG", **options)
    return coded.getvalue()


def test_a_photo_taken_on_its_side_is_put_upright() -> None:
    """EXIF says how the camera was held: the bright upper half is above in the chip's photo."""
    upright = Image.new("L", (600, 840), 30)
    upright.paste(220, (0, 0, 600, 420))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned a quarter to the left
    sideways = _coded(upright.rotate(90, expand=True), exif=exif)

    with Image.open(io.BytesIO(derive(sideways))) as small:
        above = small.getpixel((small.width // 2, small.height // 8))
        below = small.getpixel((small.width // 2, small.height * 7 // 8))

    assert isinstance(above, int)
    assert isinstance(below, int)
    assert above > 180
    assert below < 90


@pytest.mark.parametrize(
    ("size", "reason"),
    [((294, 413), "pixels"), ((295, 412), "pixels"), ((800, 600), "portrait")],
)
def test_a_photo_too_small_or_not_upright_is_refused(size: tuple[int, int], reason: str) -> None:
    """A registration photo is a portrait of at least 295 × 413 pixels."""
    with pytest.raises(LayoutError) as caught:
        derive(_coded(Image.new("L", size)))

    assert reason in caught.value.reason


@pytest.mark.parametrize("side", [9_000, 30_000, 65_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    """A small file that claims a picture of gigabytes is refused by its header alone."""
    blob = bytearray(_coded(Image.new("L", (300, 420))))
    at = blob.index(b"\xff\xc0") + 5
    blob[at : at + 4] = side.to_bytes(2, "big") * 2

    with pytest.raises(LayoutError):
        derive(bytes(blob))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
def test_another_format_in_a_jpegs_clothes_is_refused(kind: str) -> None:
    """What counts is what a file begins with, not what it is called."""
    coded = io.BytesIO()
    Image.new("L", (300, 420)).save(coded, kind)

    with pytest.raises(LayoutError) as caught:
        derive(coded.getvalue())
    assert caught.value.reason == "not a JPEG"
