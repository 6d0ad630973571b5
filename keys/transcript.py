# SPDX-License-Identifier: Apache-2.0
"""The signed transcript of a key ceremony: who, when, where, which check values; no secret.

A transcript is JSON: ``{"transcript": {...}, "public_key": hex, "signature": hex}``. The signature
is Ed25519 over ``yika/ceremony/1`` ‖ 00 ‖ the inner object in canonical JSON (sorted keys, no
blanks, UTF-8), so that pretty printing does not break it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from keys.ceremony_plan import Outcome
from keys.errors import BadPublicKey, BadSignature, TranscriptDamaged
from keys.files import write_private
from keys.identity import Identity
from keys.keystore import KeyInfo, KeyStore
from keys.verify import verify

CONTEXT = b"yika/ceremony/1\0"
FORMAT = 1
# Sixteen keys, three custodians and their slips need some 20 KiB.
TRANSCRIPT_SIZE_MAX = 1 << 20
_FIELDS = {
    "format",
    "mode",
    "begun",
    "ended",
    "machine",
    "store",
    "audit",
    "people",
    "keys",
    "events",
}


class Transcript:
    """Hold what a transcript says; made by a ceremony or read from a verified file."""

    def __init__(self, content: dict[str, Any], public_key: bytes) -> None:
        self.content = content
        self.public_key = public_key

    def __repr__(self) -> str:
        return f"Transcript({self.content['mode']}, {self.content['ended']})"

    @classmethod
    def of(
        cls, outcome: Outcome, stored: list[KeyInfo], store: KeyStore, machine: dict[str, str]
    ) -> Transcript:
        """Put together what happened: people, steps, keys as stored, end of the audit log."""
        head = store.audit.verify()
        content = {
            "format": FORMAT,
            "mode": "rehearsal" if outcome.plan.rehearsal else "production",
            "begun": outcome.events[0].at,
            "ended": outcome.events[-1].at,
            "machine": machine,
            "store": f"{store.backend}: {store.place}",
            "audit": {"lines": head.lines, "digest": head.digest},
            "people": [asdict(person) for person in outcome.people],
            "keys": [
                {
                    "usage": info.usage.value,
                    "version": info.version,
                    "algorithm": info.algorithm.value,
                    "kcv": info.kcv,
                    "test": info.marked_test,
                }
                for info in stored
            ],
            "events": [
                {name: value for name, value in asdict(event).items() if value}
                for event in outcome.events
            ],
        }
        return cls(content, b"")

    def write(self, path: Path, identity: Identity) -> None:
        """Sign and write to a new file; raise ``FileExistsError`` when there is one."""
        self.public_key = identity.public_key
        signature = identity.sign(CONTEXT, _canonical(self.content))
        whole = {
            "transcript": self.content,
            "public_key": self.public_key.hex(),
            "signature": signature.hex(),
        }
        text = json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
        write_private(path, text.encode(), replace=False)

    @classmethod
    def read(cls, path: Path, public_key: bytes | None = None) -> Transcript:
        """Read and verify a transcript, against ``public_key`` where it is known from elsewhere.

        Raises:
            TranscriptDamaged: not a transcript of this format.
            BadSignature: changed since it was signed, or signed by another key.
        """
        with path.open("rb") as file:
            blob = file.read(TRANSCRIPT_SIZE_MAX + 1)
        content, named, signature = _parse(blob, str(path))
        if public_key is not None and named != public_key:
            raise BadSignature(f"{path}: signed by {named.hex()}, another key than the one given")
        try:
            good = verify(named, signature, CONTEXT, _canonical(content))
        except BadPublicKey as exc:
            raise TranscriptDamaged(str(path), "no public key") from exc
        if not good:
            raise BadSignature(str(path))
        return cls(content, named)

    def lines(self) -> list[str]:
        """Write the transcript for people, one line a fact."""
        content = self.content
        mode = {
            "rehearsal": "演练 rehearsal: test keys 测试密钥",
            "production": "生产 production",
        }[content["mode"]]
        facts = [
            f"义卡密钥仪式记录 Yika key ceremony: {mode}",
            f"时间 time         {content['begun']} – {content['ended']}",
            f"机器 machine      {', '.join(content['machine'].values())}",
            f"密钥库 store      {content['store']}",
        ]
        for person in content["people"]:
            facts.append(f"在场 present      {person['name']} ({person['role']})")
        for key in content["keys"]:
            name = f"{key['usage']} v{key['version']} {key['algorithm']}"
            facts.append(f"密钥 key          {name}  KCV {key['kcv']}")
        for event in content["events"]:
            kcv = f"KCV {event['kcv']}" if "kcv" in event else ""
            words = (event["what"], event.get("who", ""), event.get("key", ""), kcv)
            facts.append(f"{event['at']}  {'  '.join(filter(None, words))}")
        audit = content["audit"]
        facts.append(f"审计 audit log    {audit['lines']} lines, last {audit['digest']}")
        facts.append(f"签名公钥 signed by {self.public_key.hex()}")
        return facts


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _parse(blob: bytes, path: str) -> tuple[dict[str, Any], bytes, bytes]:
    if len(blob) > TRANSCRIPT_SIZE_MAX:
        raise TranscriptDamaged(path, f"larger than {TRANSCRIPT_SIZE_MAX} bytes")
    try:
        whole = json.loads(blob)
        content = whole["transcript"]
        named, signature = bytes.fromhex(whole["public_key"]), bytes.fromhex(whole["signature"])
        fields = set(content)
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise TranscriptDamaged(path, "not JSON of a transcript") from exc
    if fields != _FIELDS or content["format"] != FORMAT:
        raise TranscriptDamaged(path, f"not format {FORMAT}")
    return content, named, signature
