# SPDX-License-Identifier: Apache-2.0
"""HTTP routes of terminals: enrolment, configuration, hotlist."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel, Field

from server.errors import PROBLEM_TYPE, Problem, Refused
from server.runtime import Runtime, current_runtime
from server.terminals import enrolment, key_change, notices, psams, requests, services
from swipe.requests import (
    CHANGED_CONTEXT,
    ENROLLED_CONTEXT,
    changed_message,
    enrolled_message,
)

NOTICE_TYPE = "application/octet-stream"
# A terminal may say in this header how many events it has not uploaded yet.
UNSENT_HEADER = "Yika-Unsent"

PublicKeyHex = Annotated[str, Field(pattern=r"^([0-9a-fA-F]{64}|[0-9a-fA-F]{128})$")]
SignatureHex = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{128}$")]
Hex6 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{12}$")]

PROBLEM: dict[str, Any] = {
    "description": "Problem document, RFC 9457, Chinese and English",
    "content": {PROBLEM_TYPE: {"schema": {"type": "object"}}},
}
BINARY: dict[str, Any] = {
    "description": "Signed bytes",
    "content": {NOTICE_TYPE: {"schema": {"type": "string", "format": "binary"}}},
}

blueprint = APIBlueprint("terminals", __name__, url_prefix="/api/v1/terminals")
well_known = APIBlueprint("well-known", __name__, url_prefix="/.well-known")


class TerminalPath(BaseModel):
    """The terminal in the path."""

    terminal: Annotated[int, Field(ge=1, le=2**63 - 1)]


class HeldPath(TerminalPath):
    """A terminal and the version it holds."""

    held: Annotated[int, Field(ge=0, le=2**32 - 1)]


class EnrolBody(BaseModel):
    """What a terminal shows when it enrols."""

    token: Annotated[str, Field(min_length=1, max_length=200)]
    public_key: PublicKeyHex
    psam_no: Hex6
    psam_kind: Annotated[str, Field(pattern="^(hardware|software)$")]
    dpk_idx: Annotated[int, Field(ge=0, le=255)]
    signature: SignatureHex


class KeyChangeBody(BaseModel):
    """A new key, vouched for by the old one and signed with itself."""

    old_key_id: Annotated[int, Field(ge=1, le=2**32 - 1)]
    public_key: PublicKeyHex
    old_signature: SignatureHex
    new_signature: SignatureHex


class KeyChangeAnswer(BaseModel):
    """The number of the new key, signed by the server over terminal, number and key."""

    key_id: int
    signature: SignatureHex


class PublishedKey(BaseModel):
    """A key that receipts and notices of this server are signed with."""

    key_id: int
    suite: str
    public_key: str


class PublishedKeys(BaseModel):
    """All of them."""

    keys: list[PublishedKey]


class SiteAnswer(BaseModel):
    """The site a terminal belongs to."""

    id: int
    name_zh: str
    name_en: str
    tz_q: int


class EnrolAnswer(BaseModel):
    """What a terminal keeps of its enrolment; numbers and `replaces` are signed for its key."""

    terminal_id: int
    key_id: int
    server_key_id: int
    server_public_key: str
    site: SiteAnswer
    tz: int
    state: str
    replaces: bool = False
    signature: SignatureHex


@blueprint.post(
    "/enrol",
    summary="Enrol a terminal with its one-time token",
    responses={200: EnrolAnswer, 401: PROBLEM, 409: PROBLEM},
)
def enrol(body: EnrolBody) -> dict[str, Any]:
    """Take a terminal's public key and PSAM number; a second person must approve it."""
    runtime = current_runtime()
    shown = enrolment.Enrolment(
        token=body.token,
        public_key=bytes.fromhex(body.public_key),
        psam_no=bytes.fromhex(body.psam_no),
        hardware=body.psam_kind == "hardware",
        dpk_idx=body.dpk_idx,
        signature=bytes.fromhex(body.signature),
    )
    try:
        psams.check_psam(shown.psam_no, hardware=shown.hardware, dpk_idx=shown.dpk_idx)
    except Refused as refused:
        raise Problem(422, "malformed", refused.zh, refused.en) from refused
    with runtime.database.writing() as session:
        terminal, key = enrolment.enrol(session, shown, runtime.clock.utc_ms())
        site = services.find_site(session, terminal.site_id)
        replaces = enrolment.replaces(session, key)
        numbers = (key.id, runtime.config.identity.key_id)
        message = enrolled_message(shown.public_key, terminal.id, numbers, replaces=replaces)
        answer = EnrolAnswer(
            terminal_id=terminal.id,
            key_id=key.id,
            server_key_id=runtime.config.identity.key_id,
            server_public_key=runtime.identity.public_key.hex(),
            site=SiteAnswer(id=site.id, name_zh=site.name_zh, name_en=site.name_en, tz_q=site.tz_q),
            tz=site.tz_q,
            state=enrolment.state_of(terminal, key),
            replaces=replaces,
            signature=runtime.identity.sign(ENROLLED_CONTEXT, message).hex(),
        )
    return answer.model_dump()


@blueprint.post(
    "/<int:terminal>/keys",
    summary="Change a terminal's key",
    responses={200: KeyChangeAnswer, 401: PROBLEM, 409: PROBLEM},
)
def change_key(path: TerminalPath, body: KeyChangeBody) -> dict[str, Any]:
    """Take a new public key; the old key and the new one both sign for the change."""
    runtime = current_runtime()
    shown = key_change.KeyChange(
        terminal_id=path.terminal,
        old_key_id=body.old_key_id,
        public_key=bytes.fromhex(body.public_key),
        old_signature=bytes.fromhex(body.old_signature),
        new_signature=bytes.fromhex(body.new_signature),
    )
    with runtime.database.writing() as session:
        key = key_change.change_key(session, shown, runtime.clock.utc_ms())
        message = changed_message(key.terminal_id, key.id, key.public_key)
        signature = runtime.identity.sign(CHANGED_CONTEXT, message).hex()
        answer = KeyChangeAnswer(key_id=key.id, signature=signature)
    return answer.model_dump()


@well_known.get(
    "/yika-keys.json",
    summary="The keys receipts are signed with",
    responses={200: PublishedKeys},
)
def published_keys() -> dict[str, Any]:
    """Return the server's public keys, for whoever checks a receipt without the server."""
    runtime = current_runtime()
    identity = runtime.identity
    key = PublishedKey(
        key_id=runtime.config.identity.key_id,
        suite=identity.suite.name.lower(),
        public_key=identity.public_key.hex(),
    )
    return PublishedKeys(keys=[key]).model_dump()


@blueprint.get(
    "/<int:terminal>/config",
    summary="The terminal's signed configuration",
    responses={200: BINARY, 401: PROBLEM},
)
def config(path: TerminalPath) -> Response:
    """Return the current configuration of the terminal that signed the request."""
    runtime = current_runtime()
    now_ms = runtime.clock.utc_ms()
    with runtime.database.writing() as session:
        terminal = requests.authenticate(session, path.terminal, _signed_request(), now_ms)
        services.note_contact(terminal, now_ms, unsent_header())
        body = notices.config_notice(session, signer_of(runtime), terminal, now_ms)
    return Response(body, content_type=NOTICE_TYPE)


@blueprint.get(
    "/<int:terminal>/hotlist",
    summary="The signed hotlist",
    responses={200: BINARY, 401: PROBLEM},
)
def hotlist(path: TerminalPath) -> Response:
    """Return the current hotlist to the terminal that signed the request."""
    return _hotlist(path.terminal, 0)


@blueprint.get(
    "/<int:terminal>/hotlist/since/<int:held>",
    summary="What changed in the hotlist since a version",
    responses={200: BINARY, 401: PROBLEM},
)
def hotlist_since(path: HeldPath) -> Response:
    """Return what changed since the version that the terminal holds, or everything."""
    return _hotlist(path.terminal, path.held)


def _hotlist(terminal_id: int, held: int) -> Response:
    runtime = current_runtime()
    now_ms = runtime.clock.utc_ms()
    with runtime.database.writing() as session:
        terminal = requests.authenticate(session, terminal_id, _signed_request(), now_ms)
        services.note_contact(terminal, now_ms, unsent_header())
        body = notices.hotlist(session, signer_of(runtime), now_ms, held)
    return Response(body, content_type=NOTICE_TYPE)


def signer_of(runtime: Runtime) -> notices.Signer:
    """Return the server's signer."""
    return notices.Signer(runtime.identity, runtime.config.identity.key_id)


def unsent_header() -> int | None:
    """Return what the terminal said it still holds, None when it said nothing sensible."""
    text = request.headers.get(UNSENT_HEADER, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _signed_request() -> requests.SignedRequest:
    return requests.SignedRequest(
        request.method, request.path, request.headers.get("Authorization"), request.get_data()
    )


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
    app.register_api(blueprint)
    app.register_api(well_known)
