# SPDX-License-Identifier: Apache-2.0
"""Begin a new public log where the database no longer continues the one that was published.

The old folder is kept as evidence, and the new log says where the old one ended: a leaf and a line
of the audit trail name its origin, size and root.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from server import evidence
from server.errors import Refused
from server.evidence import STATE_ID, LogState
from server.people import audit
from server.runtime import Runtime
from server.transparency.publishing import press_of, publish
from swipe.notes import Checkpoint


def restart(runtime: Runtime, actor: str, reason: str) -> tuple[Checkpoint, Path]:
    """Put the old folder aside and publish anew; return the new head and where the old log is.

    Raises:
        Refused: nothing was published, the origin is the old one, or the database continues it.
    """
    press, now_ms = press_of(runtime), runtime.clock.utc_ms()
    with press.folder.locked():
        note = press.folder.note()
        if note is None:
            raise Refused("no-log", "还没有公布过日志", "nothing was published: nothing to restart")
        before = note.checkpoint
        if before.origin == press.origin:
            raise Refused(
                "same-origin",
                "请先把 evidence.origin 设为新的名称",
                f"set evidence.origin to another name than {before.origin} first",
            )
        with press.database.reading() as session:
            stored = session.scalar(sa.select(LogState.size).where(LogState.id == STATE_ID)) or 0
        if stored >= before.size:
            raise Refused(
                "log-continues",
                "数据库没有缺少叶子，不必另起",
                f"the database has {stored} leaves of {before.size} published: none is lost",
            )
        kept = press.folder.path.with_name(f"{press.folder.path.name}-{before.size}-{now_ms}")
        press.folder.path.rename(kept)
    told = {"origin": before.origin, "size": before.size, "root": before.root.hex()}
    with press.database.writing() as session:
        evidence.append_record(session, now_ms, "log-restart", {"before": told, "stored": stored})
        audit.record(
            session, now_ms, actor, "log.restart", f"log:{press.origin}", reason=reason, before=told
        )
    return publish(press, now_ms).checkpoint, kept
