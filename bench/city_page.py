# SPDX-License-Identifier: Apache-2.0
"""The page of one volunteer through the whole web application: routes, session, template."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from keys.identity import Identity
from server.app import build_app
from server.config import Config, DataSection
from server.db import Database
from server.portal.models import PortalSession
from server.portal.services.sessions import token_hash
from server.portal.views.access import TOKEN_KEY
from server.runtime import Runtime
from tests.factories import make_store
from tests.integration.server.rig import FixedClock

PAGES = 200
FIRST_PAGES = 5  # templates are compiled for the first


def page_p95_ms(database: Database, persons: int, now_ms: int) -> float:
    """Return how long the page of a volunteer's hours takes, 95th of a hundred."""
    chosen = np.random.default_rng(2).integers(1, persons + 1, FIRST_PAGES + PAGES).tolist()
    with database.writing() as session:
        session.add_all(
            PortalSession(
                volunteer_id=person, way="password", agent="bench", created_ms=now_ms,
                seen_ms=now_ms, token_hash=token_hash(f"bench {turn}"),
            )
            for turn, person in enumerate(chosen)
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(
            config=Config(data=DataSection(dir=Path(folder))),
            database=database,
            clock=FixedClock(now_ms),
            identity=Identity.generate(),
            store=make_store(Path(folder) / "keys.yks"),
            web_secret=b"a secret for figures only",
        )
        client = build_app(runtime).test_client()
        taken = []
        for turn in range(len(chosen)):
            with client.session_transaction() as cookie:
                cookie[TOKEN_KEY] = f"bench {turn}"
            started_s = time.perf_counter()
            answer = client.get("/me")
            taken.append(1000 * (time.perf_counter() - started_s))
            if answer.status_code != 200:
                message = f"the page answered {answer.status_code}"
                raise RuntimeError(message)
    return round(float(np.percentile(taken[FIRST_PAGES:], 95)), 2)
