# SPDX-License-Identifier: Apache-2.0
"""The town of `scene` as an application, and visitors that fill in its forms."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from flask_openapi.openapi import OpenAPI
from werkzeug.test import TestResponse

from server.app import build_app
from server.runtime import EXTENSION
from tests.throwaway import open_unsynced
from tests.unit.server.portal import scene as town
from tests.unit.server.portal.scene import Scene

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Visitor:
    """A browser without a screen: keeps cookies, sends forms with the token of their page."""

    def __init__(self, client: FlaskClient, scene: Scene) -> None:
        self.client = client
        self.scene = scene

    def get(self, address: str) -> TestResponse:
        """Open a page."""
        return self.client.get(address)

    def send(self, address: str, **fields: str) -> TestResponse:
        """Open a page and send its form."""
        found = TOKEN.search(self.client.get(address).text)
        token = {"csrf_token": found[1]} if found else {}
        return self.client.post(address, data=fields | token)

    def come_as(self, who: str) -> TestResponse:
        """Sign in as somebody of the town."""
        if who in self.scene.numbers:
            secret = town.ZHANG_PASSWORD if who == "zhang" else self.scene.codes[who]
            return self.send("/sign-in", number=self.scene.numbers[who], secret=secret)
        return self.send("/sign-in/desk", name=who, secret=PASSWORDS[who])

    def leave(self) -> TestResponse:
        """Sign out by the button that every page has."""
        found = TOKEN.search(self.client.get("/").text)
        return self.client.post("/sign-out", data={"csrf_token": found[1] if found else ""})


PASSWORDS = {
    "leader": town.LEADER_PASSWORD,
    "librarian": town.OTHER_LEADER_PASSWORD,
    "staff": town.STAFF_PASSWORD,
    "admin": town.ADMIN_PASSWORD,
} | dict.fromkeys([*town.GRANTED, *town.ELSEWHERE], town.OTHER_PASSWORD)


@pytest.fixture(scope="session")
def built_scene(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Scene, Path]:
    """The town, built once, and the SQLite file that holds it."""
    folder = tmp_path_factory.mktemp("town")
    path = folder / "yika.db"
    shutil.copy(sqlite_template, path)
    database = open_unsynced(f"sqlite:///{path}")
    built = town.build(database, folder)
    database.close()
    return built, path


@pytest.fixture
def scene(built_scene: tuple[Scene, Path], tmp_path: Path) -> Iterator[Scene]:
    """The town in a SQLite file of its own."""
    built, path = built_scene
    shutil.copy(path, tmp_path / "yika.db")
    database = open_unsynced(f"sqlite:///{tmp_path / 'yika.db'}")
    yield town.again(built, database, tmp_path)
    database.close()


@pytest.fixture(scope="session")
def built_app(built_scene: tuple[Scene, Path]) -> OpenAPI:
    """The application, built once; the runtime is what each test puts into it."""
    return build_app(built_scene[0].runtime)


@pytest.fixture
def app(built_app: OpenAPI, scene: Scene) -> Iterator[OpenAPI]:
    """The server of the town; views and settings that a test changes come back after it."""
    views, settings = dict(built_app.view_functions), dict(built_app.config)
    built_app.extensions[EXTENSION] = scene.runtime
    yield built_app
    built_app.view_functions.clear()
    built_app.view_functions.update(views)
    built_app.config.clear()
    built_app.config.update(settings)


@pytest.fixture
def visitor(app: OpenAPI, scene: Scene) -> Visitor:
    """Somebody who has just opened a browser."""
    return Visitor(app.test_client(), scene)
