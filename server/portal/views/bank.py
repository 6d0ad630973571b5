# SPDX-License-Identifier: Apache-2.0
"""Bank files: the list both ways, one file with its refused lines, bringing one, its answer.

A partner's user sees the files of that partner and no other.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response

from server.bank.files.declaration import CARD_REASONS
from server.bank.files.manifest import MANIFEST_BYTES_MAX, named
from server.bank.folders import Folders
from server.bank.intake import Delivery, Intake, receive
from server.errors import Refused
from server.portal.display import local
from server.portal.language import gettext, language
from server.portal.names import Name
from server.portal.services import bank as service
from server.portal.services.places import DEFAULT_ZONE_QUARTERS
from server.portal.views import access
from server.portal.views.paging import row_number
from server.runtime import current_runtime
from server.structure.rights import Place

UPLOAD_MAX = 64 << 20  # by hand; programs bring larger ones
CHUNK = 1 << 20


def register(pages: Blueprint) -> None:
    """Hang these pages on the blueprint."""
    both = ["GET", "POST"]
    pages.add_url_rule("/bank", view_func=bank_files)
    pages.add_url_rule("/bank/upload", view_func=bank_upload, methods=both)
    pages.add_url_rule("/bank/file", view_func=bank_file, methods=both)
    pages.add_url_rule("/bank/answer", view_func=bank_answer)


@access.needs("bank.read")
def bank_files() -> str:
    """List the files of the partners in reach, newest first, and what nobody answered."""
    runtime, who = current_runtime(), access.signed_in()
    page = service.files(
        runtime.database, who.reach("bank.read"), row_number(request.args.get("before", "")),
        runtime.clock.utc_ms(),
    )  # fmt: skip
    return render_template(
        "bank_files.html", page=page, wall=_wall, may_bring=who.can("bank.import")
    )


@access.needs("bank.import")
def bank_upload() -> str | Response | tuple[str, int]:
    """Bring a file and its manifest by hand."""
    runtime, who = current_runtime(), access.signed_in()
    fault: object = ""
    if request.method == "POST":
        try:
            return _received()
        except Refused as refused:
            fault = Name(refused.zh, refused.en).within(language())
    codes = service.partners_in(runtime.database, who.reach("bank.import"))
    page = render_template("bank_upload.html", codes=codes, fault=fault)
    return (page, 422) if fault else page


def _received() -> Response:
    runtime, who = current_runtime(), access.signed_in()
    code = request.form.get("partner", "")[:12]
    access.must("bank.import", Place(partner=code))
    file, note = request.files.get("file"), request.files.get("manifest")
    name = file.filename if file and file.filename else ""
    if file is None or note is None or named(name) is None:
        raise Refused("files", "请选择数据文件及其清单", "choose a file and its manifest")
    desk = Intake(runtime.database, runtime.store, Folders(runtime.config.data.dir), runtime.clock)
    with desk.folders.work() as folder:
        target = folder / name
        file.save(target, CHUNK)
        delivery = Delivery(
            code, target, note.stream.read(MANIFEST_BYTES_MAX + 1), "upload", who.actor
        )
        outcome = receive(desk, delivery)
    flash(f"{outcome.name}: {outcome.status}", "good" if outcome.ok else "bad")
    found = service.find(runtime.database, code, outcome.name)
    return redirect(url_for("portal.bank_file", id=found))


@access.needs("bank.read")
def bank_file() -> str | Response | tuple[str, int]:
    """Show one file: what became of it, and its refused lines; settle one in quarantine."""
    runtime, who = current_runtime(), access.signed_in()
    file_id = request.args.get("id", "")
    if not file_id.isdecimal():
        return redirect(url_for("portal.bank_files"))
    after = request.args.get("after", "")
    page = service.file(
        runtime.database, who.reach("bank.read"), row_number(file_id),
        row_number(after),
    )  # fmt: skip
    if page is None:
        abort(404)
    fault: object = ""
    if request.method == "POST":
        access.must("bank.resolve", Place(partner=page.row["partner"]))
        line = request.form.get("line", "")
        try:
            service.settle(
                runtime.database, (page.row["id"], row_number(line)),
                request.form.get("reason", ""), who.actor, runtime.clock.utc_ms(),
            )  # fmt: skip
            flash(gettext("Settled."), "good")
            return redirect(url_for("portal.bank_file", id=file_id))
        except Refused as refused:
            fault = Name(refused.zh, refused.en).within(language())
    return render_template(
        "bank_file.html", page=page, wall=_wall, fault=fault, reasons=_reasons(CARD_REASONS),
        may_settle=who.may("bank.resolve", Place(partner=page.row["partner"])),
    )  # fmt: skip


@access.needs("bank.read")
def bank_answer() -> Response:
    """Give the answer to a file as the partner gets it, in the partner's own format."""
    runtime, who = current_runtime(), access.signed_in()
    file_id = request.args.get("id", "")
    if not file_id.isdecimal():
        return redirect(url_for("portal.bank_files"))
    page = service.file(runtime.database, who.reach("bank.read"), row_number(file_id), 0)
    if page is None or not page.row["answer"]:
        abort(404)
    folder = Folders(runtime.config.data.dir).archive(page.row["partner"])
    path = folder.resolve() / f"{page.row['id']}-{page.row['answer']}"
    if not path.is_file():
        abort(404)
    return send_file(
        path, mimetype="application/octet-stream", as_attachment=True,
        download_name=page.row["answer"], etag=False,
    )  # fmt: skip


def _reasons(table: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    return [(code, Name(zh, en).within(language())) for code, (zh, en) in table.items()]


def _wall(at_ms: int) -> Any:
    return local(at_ms, DEFAULT_ZONE_QUARTERS)


bank_upload.__dict__["form_bytes"] = UPLOAD_MAX
