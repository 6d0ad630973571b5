# SPDX-License-Identifier: Apache-2.0
"""HTTP routes for partners' programs: bring a file, list files, fetch ours, read refusals."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import sqlalchemy as sa
from flask import Response, request, send_file
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from server.bank import status
from server.bank.files.manifest import MANIFEST_BYTES_MAX, SUFFIX
from server.bank.folders import Folders
from server.bank.intake import Delivery, Intake, receive
from server.bank.models import BankFile, BankPartner
from server.errors import PROBLEM_TYPE, Problem, Refused
from server.exchange import accounts
from server.exchange.policy import Scope
from server.runtime import current_runtime

MANIFEST_HEADER = "Yika-Manifest"
BODY_MAX = 512 << 20  # larger files go by SFTP, which resumes
CHUNK = 1 << 20
ITEMS_DEFAULT, ITEMS_MAX = 50, 500
NAME = "^(YIKA|ACK|NAK)_[A-Za-z0-9-]{2,12}_[A-Z]{3}_[0-9]{8}[.]dat$"

PROBLEM: dict[str, Any] = {
    "description": "Problem document, RFC 9457, Chinese and English",
    "content": {PROBLEM_TYPE: {"schema": {"type": "object"}}},
}
PROBLEMS: dict[str | int, Any] = dict.fromkeys((400, 401, 403, 404, 413, 422, 503), PROBLEM)
BINARY: dict[str, Any] = {
    "description": "The bytes",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}
SECURITY = [{"account": list[str]()}]

blueprint = APIBlueprint("bank", __name__, url_prefix="/api/v1/bank", abp_security=SECURITY)


class NamePath(BaseModel):
    """The name of a file."""

    name: Annotated[str, Field(pattern=NAME, max_length=64)]


class FilePath(BaseModel):
    """The number of a file, as lists give it."""

    file_id: Annotated[int, Field(ge=1, le=2**53)]


class ListQuery(BaseModel):
    """Where a list goes on: behind the last number (files) or line (lines) that was seen."""

    cursor: Annotated[int, Field(ge=0, le=2**53)] = 0
    limit: Annotated[int, Field(ge=1, le=ITEMS_MAX)] = ITEMS_DEFAULT


class FileAnswer(BaseModel):
    """What became of a file; `answer` is the name under which the answer file is fetched."""

    name: str
    status: str
    records: int
    accepted: int
    rejected: int
    quarantined: int
    repeated: bool
    answer: str | None
    finding: dict[str, Any] | None


class ListAnswer(BaseModel):
    """Items, and where the list goes on; 0 when it does not."""

    items: list[dict[str, Any]]
    next: int


@blueprint.put("/files/<name>", summary="Bring a file", responses={200: FileAnswer, **PROBLEMS})
def put_file(path: NamePath) -> dict[str, Any]:
    """Receive the body as a file; its manifest, in base64, is in the header Yika-Manifest.

    The same file again gets the same answer. A file that is refused is answered 200 too: status
    and finding say why, and the answer file says the same.
    """
    runtime = current_runtime()
    with _partner() as (_, row):
        code = row.code
    manifest = _manifest()
    desk = Intake(runtime.database, runtime.store, Folders(runtime.config.data.dir), runtime.clock)
    with desk.folders.work() as folder:
        target = folder / path.name
        size = 0
        with target.open("wb") as file:
            while chunk := request.stream.read(CHUNK):
                size += len(chunk)
                if size > BODY_MAX:
                    raise Problem(
                        413,
                        "too-large",
                        "文件太大，请用 SFTP",
                        "too large: use SFTP",
                        limit=BODY_MAX,
                    )
                file.write(chunk)
        try:
            outcome = receive(desk, Delivery(code, target, manifest, "https", f"bank:{code}"))
        except Refused as refused:
            raise Problem(422, refused.code, refused.zh, refused.en) from refused
    return {
        "name": outcome.name, "status": str(outcome.status), "records": outcome.records,
        "accepted": outcome.accepted, "rejected": outcome.rejected,
        "quarantined": outcome.quarantined, "repeated": outcome.repeated,
        "answer": outcome.answer.name.split("-", 1)[1] if outcome.answer else None,
        "finding": _finding(outcome.finding),
    }  # fmt: skip


@blueprint.get("/files", summary="List files both ways", responses={200: ListAnswer, **PROBLEMS})
def get_files(query: ListQuery) -> dict[str, Any]:
    """Return the partner's files, newest first."""
    with _partner() as (session, row):
        items = status.files(session, row.code, query.limit, query.cursor)
    return {"items": items, "next": items[-1]["id"] if len(items) == query.limit else 0}


@blueprint.get(
    "/files/<int:file_id>/lines",
    summary="List the refused records of a file",
    responses={200: ListAnswer, **PROBLEMS},
)
def get_lines(path: FilePath, query: ListQuery) -> dict[str, Any]:
    """Return the records that did not take effect, by line."""
    with _partner() as (session, row):
        file = session.scalar(
            sa.select(BankFile.id).where(BankFile.id == path.file_id, BankFile.partner == row.code)
        )
        if file is None:
            raise Problem(404, "unknown-file", "没有这个文件", "no such file")
        items = status.lines(session, file, query.cursor, query.limit)
    return {"items": items, "next": items[-1]["line"] if len(items) == query.limit else 0}


@blueprint.get(
    "/outbox/<name>", summary="Fetch a file of ours", responses={200: BINARY, **PROBLEMS}
)
def get_outbox(path: NamePath) -> Response:
    """Return an order file or an answer, as it travels; its manifest is in Yika-Manifest."""
    with _partner() as (_, row):
        folder = Folders(current_runtime().config.data.dir).outbox(row.code)
    file = (folder / path.name).resolve()
    note = file.with_name(file.name + SUFFIX)
    if not note.is_file():
        raise Problem(404, "unknown-file", "没有这个文件", "no such file")
    answer = send_file(file, mimetype="application/octet-stream", etag=False)
    answer.headers[MANIFEST_HEADER] = base64.b64encode(note.read_bytes()).decode("ascii")
    return answer


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
    app.register_api(blueprint)


@contextmanager
def _partner() -> Iterator[tuple[Session, BankPartner]]:
    """Open a unit of work for the partner whose account this is."""
    runtime = current_runtime()
    with runtime.database.writing() as session:
        header = request.headers.get("Authorization")
        account = accounts.authenticate(session, header, Scope.BANK_FILES, runtime.clock.utc_ms())
        row = session.scalar(
            sa.select(BankPartner).where(
                BankPartner.account == account.name, BankPartner.state == "active"
            )
        )
        if row is None:
            raise Problem(
                403, "no-partner", "此帐号不属于任何合作银行", "this account is no partner's"
            )
        yield session, row


def _manifest() -> bytes:
    text = request.headers.get(MANIFEST_HEADER, "")
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(
            400, "manifest", f"{MANIFEST_HEADER} 须为 base64", f"{MANIFEST_HEADER} is base64"
        ) from error
    if not 0 < len(found) <= MANIFEST_BYTES_MAX:
        raise Problem(
            400, "manifest", f"缺少 {MANIFEST_HEADER}", f"the header {MANIFEST_HEADER} is missing"
        )
    return found


def _finding(finding: Any) -> dict[str, Any] | None:
    if finding is None:
        return None
    return {
        "code": finding.code, "line": finding.line, "field": finding.field,
        "expected": finding.expected, "found": finding.found,
    }  # fmt: skip
