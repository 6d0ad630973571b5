#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A witness for a partner: it remembers a log's last checkpoint and signs what continues it.

    python witness.py keygen partner.example/w1 witness.key    # prints the witness's verifier key
    python witness.py serve witness.key state.db 8099 LOGKEY…  # logs ask for cosignatures

Standalone: the standard library and `cryptography`, nothing of Yika. It follows C2SP tlog-witness,
tlog-cosignature and signed-note (Ed25519). A log that contradicts what it said before gets no
signature; its checkpoint is kept in the state as evidence. `witness_watch.py` beside it goes and
looks by itself, where the log cannot reach the witness.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import os
import sqlite3
import sys
import time
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

BODY_MAX = 64 * 1024  # a checkpoint, and 63 hashes of proof
PROOF_MAX = 63
TIMEOUT_S = 10


class Refused(Exception):
    """An answer other than 200: the HTTP status, and the body that goes with it."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(status, text)
        self.status, self.text = status, text


def key_id(name: str, material: bytes) -> bytes:
    """Give the four bytes that stand before a key's signatures."""
    return hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]


def read_log_key(text: str) -> tuple[str, bytes]:
    """Read a log's verifier key, name+hash+base64, of Ed25519."""
    name, digest, coded = text.split("+", 2)
    material = base64.b64decode(coded, validate=True)
    if material[:1] != b"\x01" or len(material) != 33 or key_id(name, material).hex() != digest:
        raise ValueError(f"{text}: not an Ed25519 verifier key")
    return name, material


def read_checkpoint(note: str, logs: dict[str, bytes]) -> tuple[str, str, int, bytes]:
    """Give text, origin, size and root of a checkpoint that its log signed; refuse any other."""
    text, gap, signatures = note.rpartition("\n\n")
    origin, _, rest = text.partition("\n")
    size, _, root = rest.partition("\n")
    if not gap or not size.isascii() or not size.isdigit() or str(int(size)) != size:
        raise Refused(400, "no checkpoint\n")
    if origin not in logs:
        raise Refused(404, "unknown log\n")
    text += "\n"
    for line in signatures.splitlines():
        dash, name, coded = [*line.split(" "), "", ""][:3]
        signed = base64.b64decode(coded or "")
        if dash == "\u2014" and name == origin and signed[:4] == key_id(origin, logs[origin]):
            try:
                key = Ed25519PublicKey.from_public_bytes(logs[origin][1:])
                key.verify(signed[4:], text.encode())
            except InvalidSignature:
                continue
            return text, origin, int(size), base64.b64decode(root.split("\n")[0], validate=True)
    raise Refused(403, "no valid signature of the log\n")


def pair(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into one (RFC 6962)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def continues(old: tuple[int, bytes], new: tuple[int, bytes], proof: list[bytes]) -> bool:
    """Say whether the new tree (size, root) begins with the old one (RFC 9162, 2.1.4.2)."""
    if len(proof) > PROOF_MAX or old[0] > new[0]:
        return False
    if not old[0] or old[0] == new[0]:
        return not proof and (not old[0] or old[1] == new[1])
    path = ([old[1]] if old[0] & (old[0] - 1) == 0 else []) + proof
    if not path:
        return False
    here, last = old[0] - 1, new[0] - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    first = second = path[0]
    for other in path[1:]:
        if not last:
            return False
        if here & 1 or here == last:
            first, second = pair(other, first), pair(other, second)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            second = pair(second, other)
        here, last = here >> 1, last >> 1
    return not last and (first, second) == (old[1], new[1])


class Witness:
    """The key, the logs it knows, and what it saw of each."""

    def __init__(self, key_file: Path, state: Path, log_keys: list[str]) -> None:
        self.name, _, seed = key_file.read_text("utf-8").strip().partition(" ")
        self.key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
        self.material = b"\x04" + self.key.public_key().public_bytes_raw()
        self.logs = dict(map(read_log_key, log_keys))
        self.state = sqlite3.connect(state, timeout=TIMEOUT_S, isolation_level=None)
        self.state.execute("PRAGMA synchronous = FULL")  # what is signed is remembered first
        self.state.execute("CREATE TABLE IF NOT EXISTS seen (origin PRIMARY KEY, size, root, note)")
        self.state.execute("CREATE TABLE IF NOT EXISTS lies (at, origin, before, note)")

    def seen(self, origin: str) -> tuple[int, bytes]:
        """Give size and root of the last checkpoint that was cosigned; 0 before the first."""
        row = self.state.execute(
            "SELECT size, root FROM seen WHERE origin = ?", [origin]
        ).fetchone()
        return (row[0], row[1]) if row else (0, b"")

    def consider(self, note: str, old: int, proof: list[bytes]) -> str:
        """Give the cosignature, having remembered the checkpoint; refuse what continues nothing."""
        text, origin, size, root = read_checkpoint(note, self.logs)
        last = self.seen(origin)
        if old > size:
            raise Refused(400, "old size above the checkpoint's\n")
        if old != last[0]:
            raise Refused(409, f"{last[0]}\n")
        if not continues(last, (size, root), proof):
            self.state.execute(
                "INSERT INTO lies SELECT ?, ?, (SELECT note FROM seen WHERE origin = ?), ?",
                [int(time.time()), origin, origin, note],
            )
            raise Refused(409 if old == size else 422, f"{last[0]}\n")
        self.store(origin, last, (size, root), note)
        now = int(time.time())
        signature = self.key.sign(f"cosignature/v1\ntime {now}\n{text}".encode())
        signed = key_id(self.name, self.material) + now.to_bytes(8, "big") + signature
        return f"\u2014 {self.name} {base64.b64encode(signed).decode()}\n"

    def store(self, origin: str, old: tuple[int, bytes], new: tuple[int, bytes], note: str) -> None:
        """Put the new checkpoint in the place of the old one, if that is still the last."""
        if not old[0]:
            done = self.state.execute(
                "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", [origin, *new, note]
            )
        else:
            done = self.state.execute(
                "UPDATE seen SET size = ?, root = ?, note = ? "
                "WHERE (origin, size, root) = (?, ?, ?)",
                [*new, note, origin, *old],
            )
        if done.rowcount != 1 and self.seen(origin) != new:
            raise Refused(409, f"{self.seen(origin)[0]}\n")  # another request was faster


def parse_request(body: bytes) -> tuple[str, int, list[bytes]]:
    """Read the body of add-checkpoint: checkpoint, old size, proof."""
    try:
        head, _, note = body.decode().partition("\n\n")
        first, *lines = head.split("\n")
        if not first.startswith("old ") or len(lines) > PROOF_MAX:
            raise ValueError(first)
        return note, int(first[4:]), [base64.b64decode(line, validate=True) for line in lines]
    except ValueError as exc:
        raise Refused(400, "malformed\n") from exc


def serve(witness: Witness, port: int) -> None:
    """Answer add-checkpoint, one request after the other."""

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = TIMEOUT_S

        def do_POST(self) -> None:
            try:
                length = int(self.headers.get("Content-Length") or 0)
                if self.path != "/add-checkpoint" or not 0 < length <= BODY_MAX:
                    raise Refused(404 if self.path != "/add-checkpoint" else 400)
                status, text = 200, witness.consider(*parse_request(self.rfile.read(length)))
            except Refused as refused:
                status, text = refused.status, refused.text
            except ValueError:
                status, text = 400, "malformed\n"
            self.send_response(status)
            kind = "text/x.tlog.size" if status == 409 else "text/plain; charset=utf-8"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

    server = http.server.HTTPServer(("127.0.0.1", port), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def main(arguments: list[str]) -> int:
    """Run one of the two commands."""
    if len(arguments) == 3 and arguments[0] == "keygen":
        name, path = arguments[1:]
        key = Ed25519PrivateKey.generate()
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{name} {key.private_bytes_raw().hex()}\n")
        material = b"\x04" + key.public_key().public_bytes_raw()
        print(f"{name}+{key_id(name, material).hex()}+{base64.b64encode(material).decode()}")
        return 0
    if len(arguments) >= 5 and arguments[0] == "serve":
        witness = Witness(Path(arguments[1]), Path(arguments[2]), arguments[4:])
        serve(witness, int(arguments[3]))
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
