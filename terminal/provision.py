# SPDX-License-Identifier: Apache-2.0
"""Enrol a terminal: its own key, its PSAM's number, one token; and an empty journal.

Every step looks first whether it was done, so a run that was cut short is simply repeated: the
same key is shown again, and the server answers the same token and key with the same enrolment.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from keys.identity import Identity, Suite
from keys.psam import Psam
from swipe.frames import FileHeader
from swipe.invitation import digest
from swipe.requests import ENROL_CONTEXT, enrol_message
from terminal.desk import dpk_idx
from terminal.errors import BadAnswer, EnrolmentRefused, Refused, ServerUnknown
from terminal.files import IDENTITY, JOURNAL
from terminal.journal import Journal
from terminal.passport import PUBLIC_KEY_BYTES, Passport
from terminal.succession import succeed
from terminal.transport import Request, Transport

ENROL_PATH = "/api/v1/terminals/enrol"
KEYS_PATH = "/.well-known/yika-keys.json"
PENDING = "pending"
DATA_DIR_MODE = 0o700


def provision(
    data_dir: Path,
    psam: Psam,
    token: str,
    transport: Transport,
    suite: Suite = Suite.ED25519,
    key_digest: str = "",
) -> tuple[Passport, str]:
    """Enrol and return the passport with the state the server reports (pending or active).

    With `key_digest`, from a letter, the code is shown only to the server that has this key. The
    journal of a box that replaces a dead one is begun once the replacement is approved.

    Raises:
        ServerError: No answer, or the token, key or PSAM number is refused.
        ServerUnknown: The server has another key than the letter says.
    """
    if key_digest:
        check_server(transport, key_digest)
    data_dir.mkdir(mode=DATA_DIR_MODE, parents=True, exist_ok=True)
    identity = own_identity(data_dir, suite)
    answer = _shown(transport, _body(identity, psam, token))
    passport, state, replaces = _passport(answer)
    if key_digest and digest(bytes.fromhex(passport.server_public_key)) != key_digest:
        raise ServerUnknown(passport.server_public_key)
    passport.save(data_dir)
    if (data_dir / JOURNAL).exists():
        return passport, state
    header = FileHeader(passport.terminal_id, passport.key_id, identity.public_key)
    if not replaces:
        Journal.create(data_dir / JOURNAL, header)
    elif not succeed(data_dir, header, identity, passport, transport):
        state = PENDING
    return passport, state


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


def own_identity(data_dir: Path, suite: Suite = Suite.ED25519) -> Identity:
    """Return the terminal's identity, made at the first call; its private half stays here."""
    path = data_dir / IDENTITY
    if path.exists():
        return Identity.load(path)
    identity = Identity.generate(suite)
    identity.save(path)
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


def _passport(answer: bytes) -> tuple[Passport, str, bool]:
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
        fits = len(bytes.fromhex(passport.server_public_key)) in PUBLIC_KEY_BYTES
        state = str(document["state"])
        replaces = bool(document.get("replaces", False))
    except (ValueError, TypeError, KeyError) as exc:
        raise BadAnswer("enrolment") from exc
    if not fits:
        raise BadAnswer("the server's key")
    return passport, state, replaces
