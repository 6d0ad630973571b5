# SPDX-License-Identifier: Apache-2.0
"""A terminal's question is signed with what it asks about, not only with where."""

from __future__ import annotations

import json
from pathlib import Path

from swipe.requests import REQUEST_CONTEXT, request_message
from tests.factories import CARD_ASN, TERMINAL_ID, make_identity
from tests.integration.server.rig import NOW_MS, Rig

PATH = f"/api/v1/terminals/{TERMINAL_ID}/updates/waiting"


def test_a_body_under_another_bodys_signature_is_refused(sqlite_rig: Rig, tmp_path: Path) -> None:
    """Who changes the body on its way gets 401, as does who leaves the body unsigned."""
    client = sqlite_rig.app(tmp_path).test_client()
    body = json.dumps({"cards": [CARD_ASN.hex()]}).encode()
    other = json.dumps({"cards": []}).encode()
    answers = []
    for signed, sent in ((body, body), (body, other), (b"", body)):
        message = request_message("POST", PATH, NOW_MS, signed)
        signature = make_identity().sign(REQUEST_CONTEXT, message).hex()
        headers = {
            "Authorization": f"Yika-Terminal {NOW_MS}.{signature}",
            "Content-Type": "application/json",
        }
        answers.append(client.post(PATH, data=sent, headers=headers).status_code)

    assert answers == [200, 401, 401]
