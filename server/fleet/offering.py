# SPDX-License-Identifier: Apache-2.0
"""Offer the release repository as files: nothing is computed, and nothing has to be believed."""

from __future__ import annotations

import re
from typing import Annotated

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from server.errors import Problem
from server.fleet.release_cli import OFFERED
from server.runtime import current_runtime
from server.terminals.views import BINARY, PROBLEM

# One answer over a slow line; the terminal goes on from where it stopped.
PIECE = 262_144
METADATA_NAME = re.compile(r"(\d{1,9}\.(root|targets|snapshot)|timestamp)\.json", re.ASCII)
TARGET_NAME = re.compile(r"[0-9a-f]{64}\.[A-Za-z0-9._-]{1,100}", re.ASCII)

blueprint = APIBlueprint("releases", __name__, url_prefix="/releases")


class NamePath(BaseModel):
    """The file in the path."""

    name: Annotated[str, Field(max_length=200)]


class FromQuery(BaseModel):
    """Where to begin."""

    start: Annotated[int, Field(alias="from", ge=0, le=2**40)] = 0


@blueprint.get(
    "/metadata/<name>",
    summary="A metadata file of the release repository",
    responses={200: BINARY, 404: PROBLEM},
)
def metadata(path: NamePath) -> Response:
    """Return one metadata file."""
    if not METADATA_NAME.fullmatch(path.name):
        raise _unknown()
    return _answer("metadata", path.name, 0, None)


@blueprint.get(
    "/targets/<name>",
    summary="A piece of a release",
    responses={200: BINARY, 404: PROBLEM},
)
def target(path: NamePath, query: FromQuery) -> Response:
    """Return at most one piece of a release, from a byte on."""
    if not TARGET_NAME.fullmatch(path.name):
        raise _unknown()
    return _answer("targets", path.name, query.start, PIECE)


def _answer(folder: str, name: str, start: int, length: int | None) -> Response:
    file = current_runtime().config.data.dir / OFFERED / folder / name
    try:
        with file.open("rb") as stream:
            stream.seek(start)
            body = stream.read(-1 if length is None else length)
    except FileNotFoundError as exc:
        raise _unknown() from exc
    return Response(body, content_type="application/octet-stream")


def _unknown() -> Problem:
    return Problem(404, "no-such-file", "没有这个文件", "the repository has no such file")
