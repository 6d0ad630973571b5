# SPDX-License-Identifier: Apache-2.0
"""Sub-sites: host names under which the pages show a region's or an organisation's own look."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import sqlalchemy as sa
from PIL import Image, UnidentifiedImageError
from sqlalchemy.orm import Session

from server.errors import Refused
from server.people import audit
from server.structure import organisations, regions
from server.structure.models import SubSite

COLOUR_DEFAULT = "#b3261e"
LOGO_BYTES_MAX = 64 * 1024  # every page of the sub-site carries it
LOGO_SIDE_MAX = 512
TITLE_MAX = 64
SUB_SITES_MAX = 1_000
# White letters stand on the colour: WCAG 2.2, 1.4.3, contrast of normal text.
CONTRAST_MIN = 4.5
HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+"
)
COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class NewSubSite:
    """A sub-site: host name, titles, the region or organisation it belongs to, its colour."""

    host: str
    title_zh: str
    title_en: str
    region: str = ""
    organisation: str | None = None
    colour: str = COLOUR_DEFAULT


def put(session: Session, new: NewSubSite, logo: bytes | None, actor: str, now_ms: int) -> SubSite:
    """Add or change a sub-site; without a logo the one it has stays.

    Raises:
        Refused: host, title, colour or logo is not fit, or region or organisation is unknown.
    """
    host = new.host.lower()
    if not HOST.fullmatch(host):
        raise Refused("host", "主机名不对", "this is no host name")
    if not (0 < len(new.title_zh.strip()) <= TITLE_MAX and 0 < len(new.title_en) <= TITLE_MAX):
        raise Refused("title", "标题太长或为空", f"a title has 1 to {TITLE_MAX} characters")
    if not COLOUR.fullmatch(new.colour) or contrast_with_white(new.colour) < CONTRAST_MIN:
        raise Refused(
            "colour",
            "颜色写作 #rrggbb，且白字须看得清",
            "a colour is #rrggbb, dark enough for white",
        )
    if new.region:
        regions.find(session, new.region)
    owner = organisations.by_code(session, new.organisation) if new.organisation else None
    picture = clean_logo(logo) if logo is not None else None
    row = session.get(SubSite, host)
    if row is None:
        if session.scalars(sa.select(sa.func.count()).select_from(SubSite)).one() >= SUB_SITES_MAX:
            raise Refused("sub-sites", "分站太多", f"at most {SUB_SITES_MAX} sub-sites")
        row = SubSite(host=host)
        session.add(row)
    row.title_zh, row.title_en = new.title_zh.strip(), new.title_en.strip()
    row.region, row.organisation_id = new.region, owner.id if owner else None
    row.colour, row.changed_ms = new.colour, now_ms
    row.logo = picture if picture is not None else row.logo
    session.flush()
    audit.record(session, now_ms, actor, "sub-site.set", f"host:{host[:59]}", region=new.region)
    return row


def remove(session: Session, host: str, actor: str, now_ms: int) -> None:
    """Remove a sub-site."""
    row = session.get(SubSite, host.lower())
    if row is None:
        raise Refused("unknown-sub-site", "没有这个分站", f"no sub-site {host}")
    session.delete(row)
    audit.record(session, now_ms, actor, "sub-site.removed", f"host:{host[:59]}")


def listing(session: Session) -> list[SubSite]:
    """Return all sub-sites by host."""
    return list(session.scalars(sa.select(SubSite).order_by(SubSite.host)))


def find(session: Session, host: str) -> SubSite | None:
    """Return the sub-site of a host name without its port; None for the default look."""
    return session.get(SubSite, host.lower()) if HOST.fullmatch(host.lower()) else None


def clean_logo(content: bytes) -> bytes:
    """Return a picture written anew as PNG, so that nothing but its pixels is served.

    Raises:
        Refused: too large, too many pixels, or no PNG picture.
    """
    refused = Refused(
        "logo", f"标志须为 PNG，边长不超过 {LOGO_SIDE_MAX} 像素、{LOGO_BYTES_MAX // 1024} KB",
        f"a logo is a PNG of at most {LOGO_SIDE_MAX} pixels a side and {LOGO_BYTES_MAX} bytes",
    )  # fmt: skip
    if len(content) > LOGO_BYTES_MAX:
        raise refused
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if max(picture.size) > LOGO_SIDE_MAX:
                raise refused
            target = io.BytesIO()
            picture.convert("RGBA").save(target, "PNG", optimize=True)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise refused from error
    return target.getvalue()


def contrast_with_white(colour: str) -> float:
    """Return the contrast ratio of white letters on a colour (WCAG 2.2).

    >>> round(contrast_with_white("#000000")), round(contrast_with_white("#ffffff"))
    (21, 1)
    """
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 1.05 / (luminance + 0.05)
