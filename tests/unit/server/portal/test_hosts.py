# SPDX-License-Identifier: Apache-2.0
"""Host names: a sub-site's look and part, the default for others, names that are refused."""

from __future__ import annotations

import dataclasses
import io

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from server.app import build_app
from server.config import HttpSection
from server.errors import Refused
from server.structure import sub_sites
from server.structure.sub_sites import NewSubSite
from tests.unit.server.portal.conftest import Visitor
from tests.unit.server.portal.scene import NOW_MS, Scene

HOST = "futian.example.org"


def picture(side: int = 32, kind: str = "PNG") -> bytes:
    """Return a picture of one colour."""
    target = io.BytesIO()
    Image.new("RGB", (side, side), "#0d5646").save(target, kind)
    return target.getvalue()


def furnish(scene: Scene, logo: bytes | None = None) -> None:
    """Give Futian a sub-site."""
    new = NewSubSite(HOST, "福田义工", "Futian volunteers", "440304", None, "#8a1538")
    with scene.database.writing() as session:
        sub_sites.put(session, new, logo, "test", NOW_MS)


def test_sub_site_shows_its_own_look(visitor: Visitor) -> None:
    """Title, colour and logo are those of the host; under another name there is nothing of it."""
    furnish(visitor.scene, picture())
    here, elsewhere = f"http://{HOST}", "http://other.example.org"

    page = visitor.client.get("/", base_url=here).text
    style = visitor.client.get("/sub-site.css", base_url=here)
    logo = visitor.client.get("/sub-site.png", base_url=f"{here}:8000")

    assert "福田义工" in page
    assert ".sub-site { background: #8a1538; }" in style.text
    assert logo.content_type == "image/png"
    assert Image.open(io.BytesIO(logo.data)).size == (32, 32)
    assert "福田义工" not in visitor.client.get("/", base_url=elsewhere).text
    for address in ("/sub-site.css", "/sub-site.png"):
        assert visitor.client.get(address, base_url=elsewhere).status_code == 404


def test_sub_site_presets_the_part_it_is_about(visitor: Visitor) -> None:
    """An administrator sees Futian's sites there and all of them at the default address."""
    furnish(visitor.scene)
    visitor.come_as("admin")
    assert "少年儿童图书馆" in visitor.get("/sites").text
    cookie = visitor.client.get_cookie("yika")
    assert cookie is not None
    visitor.client.set_cookie("yika", cookie.value, domain=HOST)

    page = visitor.client.get("/sites", base_url=f"http://{HOST}").text

    assert "福田敬老院" in page
    assert "少年儿童图书馆" not in page


def test_names_that_are_not_ours_are_refused(scene: Scene) -> None:
    """With names configured, a forged Host reaches nothing; ours, sub-sites' and loopback do."""
    furnish(scene)
    http = HttpSection(hosts="yika.example.org Desk.example.org")
    config = dataclasses.replace(scene.runtime.config, http=http)
    client = build_app(dataclasses.replace(scene.runtime, config=config)).test_client()

    for name in ("yika.example.org", "desk.example.org", "YIKA.example.org:443", HOST, "localhost"):
        assert client.get("/sign-in", base_url=f"http://{name}").status_code == 200, name
        assert client.get("/healthz", base_url=f"http://{name}").status_code == 200, name
    for name in ("evil.example", "yika.example.org.evil.example", "10.0.0.1"):
        for address in ("/sign-in", "/healthz", "/api/v1/openapi.json", "/static/yika.css"):
            assert client.get(address, base_url=f"http://{name}").status_code == 421, name


@pytest.mark.parametrize(
    ("changes", "logo", "code"),
    [
        ({"host": "no host"}, None, "host"),
        ({"host": "single"}, None, "host"),
        ({"title_zh": " "}, None, "title"),
        ({"colour": "#ffff00"}, None, "colour"),
        ({"colour": "red; } body { display: none"}, None, "colour"),
        ({"region": "650100"}, None, "unknown-region"),
        ({"organisation": "NO"}, None, "unknown-organisation"),
        ({}, b"<svg/>", "logo"),
        ({}, picture(kind="JPEG"), "logo"),
        ({}, picture(513), "logo"),
        ({}, picture()[:60], "logo"),
        ({}, bytes(65 * 1024), "logo"),
    ],
)
def test_unfit_sub_site_is_refused(
    scene: Scene, changes: dict[str, str], logo: bytes | None, code: str
) -> None:
    """Host, title, colour, part and picture are checked before anything is stored."""
    new = dataclasses.replace(NewSubSite(HOST, "福田", "Futian"), **changes)  # type: ignore[arg-type]

    with scene.database.writing() as session, pytest.raises(Refused) as refused:
        sub_sites.put(session, new, logo, "test", NOW_MS)

    assert refused.value.code == code


def test_logo_is_written_anew(scene: Scene) -> None:
    """What a picture carries besides its pixels is not kept."""
    target = io.BytesIO()
    extra = Image.new("RGB", (8, 8))
    info = PngInfo()
    info.add_text("comment", "<script>")
    extra.save(target, "PNG", pnginfo=info)

    assert b"<script>" in target.getvalue()
    assert b"<script>" not in sub_sites.clean_logo(target.getvalue())


def test_removed_sub_site_shows_the_default(visitor: Visitor) -> None:
    """Its host is an unknown name then."""
    furnish(visitor.scene)
    with visitor.scene.database.writing() as session:
        assert [row.host for row in sub_sites.listing(session)] == [HOST]
        sub_sites.remove(session, HOST, "test", NOW_MS)

    assert "福田义工" not in visitor.client.get("/", base_url=f"http://{HOST}").text
