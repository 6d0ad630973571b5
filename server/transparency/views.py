# SPDX-License-Identifier: Apache-2.0
"""The published log over HTTP, file by file; any web server may hand the folder out instead."""

from __future__ import annotations

import re

from flask import Blueprint, Response, send_from_directory
from flask_openapi.openapi import OpenAPI
from werkzeug.exceptions import NotFound

from server.runtime import current_runtime
from server.transparency.publishing import folder_of
from swipe.tiles import CHECKPOINT

# Tiles never change; the checkpoint does, every few seconds.
TILE_MAX_AGE_S = 365 * 86_400
CHECKPOINT_MAX_AGE_S = 2
_TILE = re.compile(
    r"([0-9]|[1-5][0-9]|6[0-3]|entries)/(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?", re.ASCII
)

blueprint = Blueprint("log", __name__, url_prefix="/log")


@blueprint.get("/checkpoint")
def checkpoint() -> Response:
    """Return the signed head of the log."""
    response = send_from_directory(
        folder_of(current_runtime().config).resolve(), CHECKPOINT,
        mimetype="text/plain", max_age=CHECKPOINT_MAX_AGE_S,
    )  # fmt: skip
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    return response


@blueprint.get("/tile/<path:name>")
def tile(name: str) -> Response:
    """Return one tile or bundle of entries."""
    if not _TILE.fullmatch(name):
        raise NotFound
    response = send_from_directory(
        (folder_of(current_runtime().config) / "tile").resolve(), name,
        mimetype="application/octet-stream", max_age=TILE_MAX_AGE_S,
    )  # fmt: skip
    response.headers["Cache-Control"] = f"public, max-age={TILE_MAX_AGE_S}, immutable"
    return response


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
    app.register_blueprint(blueprint)
