# SPDX-License-Identifier: Apache-2.0
"""Invent applicants: names, documents that check, telephones of no network, photos."""

from __future__ import annotations

import datetime as dt
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from server.applications.checking import Form
from server.applications.documents import check_character

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = "子涵欣怡浩宇梓轩雨桐思远佳琪俊杰晓明婷婷志强文博雅静海燕"
# Characters outside the Basic Multilingual Plane: every file and page must bear them.
RARE = ("𠮷", "𡃁")
DISTRICTS = ("440303", "440304", "440305", "440306")
BORN_FROM, BORN_DAYS = dt.date(1961, 1, 1), 16_000  # 20 to 64 years old
EMERGENCY = "13900000000"
PHOTOS = 12  # different faces; what a photo costs does not depend on who is on it
PHOTO_SIZE = (295, 413)
CREDIT_EVERY = 7


@dataclass(frozen=True, slots=True)
class Applicant:
    """One invented person: what they type, and their photo (JPEG)."""

    form: Form
    photo: bytes = field(repr=False)


def invent(count: int, branches: tuple[str, ...], seed: int = 1) -> Iterator[Applicant]:
    """Invent applicants; the same seed gives the same people.

    >>> first, = invent(1, ("F001",))
    >>> len(first.form.document_number), first.form.branch_code
    (18, 'F001')
    """
    rng = random.Random(seed)  # noqa: S311 - a play, no secret
    photos = [_photo(rng) for _ in range(min(count, PHOTOS))]
    for number in range(count):
        birth = BORN_FROM + dt.timedelta(days=rng.randrange(BORN_DAYS))
        first17 = f"{rng.choice(DISTRICTS)}{birth:%Y%m%d}{number % 1000:03d}"
        yield Applicant(
            Form(
                name=_name(rng, number),
                birth=birth.isoformat(),
                document_number=first17 + check_character(first17),
                mobile=f"138{number:08d}",
                address=f"深圳市福田区莲花路{number + 1}号",
                emergency_name="家人",
                emergency_mobile=EMERGENCY,
                carrier="credit" if number % CREDIT_EVERY == 0 else "debit",
                branch_code=branches[number % len(branches)],
            ),
            photos[number % len(photos)],
        )


def _name(rng: random.Random, number: int) -> str:
    given = "".join(rng.sample(GIVEN, rng.randint(1, 2)))
    return rng.choice(SURNAMES) + (RARE[number % 2] if number % 100 == 99 else given)


def _photo(rng: random.Random) -> bytes:
    """Draw a head and shoulders, with the grain that a camera leaves."""
    colours = [tuple(rng.randrange(90, 220) for _ in range(3)) for _ in range(3)]
    picture = Image.effect_noise(PHOTO_SIZE, 40).convert("RGB")
    brush = ImageDraw.Draw(picture)
    brush.ellipse((85, 80, 210, 240), fill=colours[0], outline=colours[1], width=3)
    brush.rounded_rectangle((45, 270, 250, 413), 60, fill=colours[2])
    grain = Image.effect_noise(PHOTO_SIZE, 60).convert("RGB")
    content = io.BytesIO()
    Image.blend(picture, grain, 0.2).save(content, "JPEG", quality=80)
    return content.getvalue()
