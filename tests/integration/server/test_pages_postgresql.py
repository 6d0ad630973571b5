# SPDX-License-Identifier: Apache-2.0
"""The pages on both databases: sign-in with its limits, every page, a decision."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.app import build_app
from server.db import Database
from tests.unit.server.portal import scene as town
from tests.unit.server.portal.conftest import Visitor
from tests.unit.server.portal.scene import Scene


@pytest.fixture
def scene(database: Database, tmp_path: Path) -> Scene:
    """The town, once on SQLite and once on PostgreSQL."""
    return town.build(database, tmp_path)


def test_everybody_reads_their_pages_and_decisions_hold(scene: Scene) -> None:
    """Pages of all roles are shown, failures counted, an exception settled on either database."""
    _everybody_reads(scene)
    _limits_and_decisions_hold(scene)


def _everybody_reads(scene: Scene) -> None:
    ids = scene.ids
    pages = {
        "zhang": ["/me", "/me/stats", "/password"],
        "leader": ["/site", f"/sites/{ids['care']}/exceptions/{ids['exception-wang']}"],
        "admin": ["/sites", "/terminals", f"/volunteers/{ids['li']}"],
    }
    app = build_app(scene.runtime)
    for who, addresses in pages.items():
        visitor = Visitor(app.test_client(), scene)
        visitor.come_as(who)
        for address in addresses:
            assert visitor.client.get(address, follow_redirects=True).status_code == 200


def _limits_and_decisions_hold(scene: Scene) -> None:
    number = town.forget_to_tap_out(scene)
    visitor = Visitor(build_app(scene.runtime).test_client(), scene)
    assert visitor.send("/sign-in/desk", name="librarian", secret="wrong").status_code == 401
    visitor.come_as("librarian")

    answer = visitor.send(
        f"/sites/{scene.ids['library']}/exceptions/{number}",
        decision="approve", start="2026-11-20T14:05", end="2026-11-20T17:00",
        reason="图书馆管理员看到她待到最后",
    )  # fmt: skip

    assert answer.status_code == 302
    visitor.leave()
    visitor.come_as("chen")
    password = "清晨六点半的渡轮"
    assert visitor.send("/password", new=password, again=password).location == "/me"
    for _ in range(5):
        visitor.leave()
        assert visitor.come_as("chen").status_code == 401
    assert visitor.come_as("chen").status_code == 429
