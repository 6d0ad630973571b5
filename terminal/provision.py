# SPDX-License-Identifier: Apache-2.0
"""Enrol a terminal: its own key, its PSAM's number, one token; and an empty journal.

Every step looks first whether it was done, so a run that was cut short is simply repeated: the
same key is shown again, and the server answers the same token and key with the same enrolment.
Key and journal get their names when they are whole, so that no cut leaves a part of one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from keys.errors import BadPublicKey
from keys.identity import Identity
from keys.psam import Psam
from keys.verify import verify
from swipe.frames import FileHeader
from swipe.invitation import digest
from swipe.requests import (
    ENROL_CONTEXT,
    ENROLLED_CONTEXT,
    enrol_message,
    enrolled_message,
)
from terminal.desk import dpk_idx
from terminal.errors import BadAnswer, EnrolmentRefused, NotSaved, Refused, ServerUnknown
from terminal.files import JOURNAL, JOURNAL_DRAFT
from terminal.former_journal import is_foreign, later_keys, own_state, set_aside
from terminal.journal import Journal
from terminal.passport import PUBLIC_KEY_BYTES, Passport
from terminal.rotation import load_identity, save_identity
from terminal.storage import Disk, disk_of
from terminal.succession import SUCCESSION, fetch_figures, has_figures, succeed
from terminal.transport import Request, Transport

ENROL_PATH = "/api/v1/terminals/enrol"
KEYS_PATH = "/.well-known/yika-keys.json"
PENDING = "pending"
DATA_DIR_MODE = 0o700


def provision(
    place: Disk | Path,
    psam: Psam,
    token: str,
    transport: Transport,
    make: Callable[[], Identity] = Identity.generate,
    key_digest: str = "",
) -> tuple[Passport, str]:
    """Enrol and return the passport with the state the server reports (pending or active).

    `make` makes the key, of whichever suite, at the first call. With `key_digest`, from a letter,
    the code is shown only to the server that has this key. The journal of a box that replaces a
    dead one is begun once the replacement is approved; a journal of the key that this box had
    before is then set aside, and at once if the server holds no event of this terminal.

    Raises:
        ServerError: No answer, or the token, key or PSAM number is refused.
        ServerUnknown: The server has another key than the letter says.
        IdentityLost: The key is there and damaged.
        NotSaved: The disk does not take the files; what was written stays for the next run.
    """
    if key_digest:
        check_server(transport, key_digest)
    try:
        if isinstance(place, Path):
            place.mkdir(mode=DATA_DIR_MODE, parents=True, exist_ok=True)
        disk = disk_of(place)
        identity = own_identity(disk, make)
        answer = _shown(transport, _body(identity, psam, token))
        passport, state, replaces = _passport(answer, identity.public_key)
        if key_digest and digest(bytes.fromhex(passport.server_public_key)) != key_digest:
            raise ServerUnknown(passport.server_public_key)
        # A box that has changed its key since and asks again goes on with it.
        since = later_keys(disk, identity.public_key)
        passport = replace(passport, changed_keys=since)
        passport.save(disk)
        there = disk.read(JOURNAL, 1) is not None
        own = own_state(disk, passport, identity.public_key) if there else None
        if own is not None and replaces and not has_figures(disk, own):
            fetch_figures(disk, identity, passport, transport)
        # Without a number of this terminal at the server, only another key's journal makes room.
        kept = there and not replaces and not is_foreign(disk, identity.public_key)
        if own is not None or kept:
            return passport, state
        if not _begin(disk, identity, passport, transport if replaces else None):
            return passport, PENDING
    except OSError as exc:
        raise NotSaved(exc.strerror or type(exc).__name__) from exc
    return passport, state


def _begin(disk: Disk, identity: Identity, passport: Passport, behind: Transport | None) -> bool:
    """Put this key's journal in its place; what lies there is set aside.

    With `behind` it begins where the box before ended, once that is approved: False until then.
    """
    header = FileHeader(passport.terminal_id, passport.key_id, identity.public_key)
    disk.remove(JOURNAL_DRAFT)
    Journal.begin(disk, header, JOURNAL_DRAFT)
    if behind is None:
        disk.remove(SUCCESSION)  # what another terminal of this box went on behind
    elif not succeed(disk, identity, passport, behind):
        return False
    if disk.read(JOURNAL, 1) is not None:
        set_aside(disk)
    disk.rename(JOURNAL_DRAFT, JOURNAL)
    return True


def check_server(transport: Transport, key_digest: str) -> None:
    """Refuse a server that does not show the key of the letter; nothing secret was sent yet.

    Raises:
        ServerUnknown: It shows other keys.
        ServerError: It does not answer.
    """
    answer = transport.send(Request("GET", KEYS_PATH))
    try:
        shown = [bytes.fromhex(key["public_key"]) for key in json.loads(answer)["keys"]]
    except (ValueError, TypeError, KeyError) as exc:
        raise BadAnswer("the server's keys") from exc
    if key_digest not in map(digest, shown):
        raise ServerUnknown(shown[0].hex() if shown else "")


def _shown(transport: Transport, body: bytes) -> bytes:
    """Show key and code to the server and return its answer."""
    try:
        return transport.send(Request("POST", ENROL_PATH, body, "application/json"))
    except Refused as exc:
        raise EnrolmentRefused(exc.status, exc.title, exc.retry_after_s) from exc


def own_identity(disk: Disk, make: Callable[[], Identity]) -> Identity:
    """Return the terminal's identity, made at the first call; its private half stays here."""
    held = load_identity(disk)
    if held is not None:
        return held
    identity = make()
    save_identity(disk, identity)
    return identity


def _body(identity: Identity, psam: Psam, token: str) -> bytes:
    """Return the request; the new key signs code, PSAM number and key index."""
    message = enrol_message(token, psam.number, dpk_idx(psam))
    return json.dumps(
        {
            "signature": identity.sign(ENROL_CONTEXT, message).hex(),
            "token": token,
            "public_key": identity.public_key.hex(),
            "psam_no": psam.number.hex(),
            "psam_kind": "hardware" if psam.hardware else "software",
            "dpk_idx": dpk_idx(psam),
        }
    ).encode()


def _passport(answer: bytes, public_key: bytes) -> tuple[Passport, str, bool]:
    """Read an answer that the key it names has signed for this box: an older box had another."""
    try:
        document: dict[str, Any] = json.loads(answer)
        site = document["site"]
        passport = Passport(
            terminal_id=int(document["terminal_id"]),
            key_id=int(document["key_id"]),
            server_key_id=int(document["server_key_id"]),
            server_public_key=str(document["server_public_key"]),
            site=int(site["id"]),
            site_zh=str(site["name_zh"]),
            site_en=str(site["name_en"]),
            tz_q=int(document["tz"]),
        )
        server_key = bytes.fromhex(passport.server_public_key)
        signature = bytes.fromhex(document["signature"])
        state = str(document["state"])
        replaces = bool(document.get("replaces", False))
    except (ValueError, TypeError, KeyError) as exc:
        raise BadAnswer("enrolment") from exc
    if len(server_key) not in PUBLIC_KEY_BYTES:
        raise BadAnswer("the server's key")
    numbers = (passport.key_id, passport.server_key_id)
    try:
        message = enrolled_message(public_key, passport.terminal_id, numbers, replaces=replaces)
        genuine = verify(server_key, signature, ENROLLED_CONTEXT, message)
    except (OverflowError, BadPublicKey):
        genuine = False
    if not genuine:
        raise BadAnswer("enrolment")
    return passport, state, replaces
