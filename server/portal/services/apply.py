# SPDX-License-Identifier: Apache-2.0
"""Drafts of applications for the pages, each call in a unit of work of its own."""

from __future__ import annotations

from dataclasses import dataclass

from keys.custody import KeyStore
from server.applications import drafts
from server.applications.drafts import Draft
from server.db import Database


@dataclass(frozen=True, slots=True)
class Drafts:
    """The drafts, at an instant."""

    database: Database
    store: KeyStore
    now_ms: int

    def begin(self, actor: str) -> str:
        """Begin one; return its code."""
        with self.database.writing() as session:
            return drafts.begin(session, self.store, actor, self.now_ms)

    def load(self, code: str) -> Draft | None:
        """Return the draft of a code, None when there is none."""
        if not code:
            return None
        with self.database.reading() as session:
            return drafts.load(session, self.store, code, self.now_ms)

    def save(self, code: str, draft: Draft) -> bool:
        """Keep a draft."""
        with self.database.writing() as session:
            return drafts.save(session, self.store, code, draft, self.now_ms)

    def forget(self, code: str) -> None:
        """Remove one."""
        with self.database.writing() as session:
            drafts.forget(session, code)
