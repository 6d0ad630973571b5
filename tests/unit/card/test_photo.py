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


@pytest.mark.parametrize("size", [(413, 578), (295, 413), (1200, 900)])
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
