# SPDX-License-Identifier: Apache-2.0
"""Look at every part of a server and say what is wrong and what to do about it."""

from __future__ import annotations

import enum
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from keys import sm2
from keys.errors import KeysError
from keys.usage import SCHEME_USAGES
from server import schema
from server.clock import Clock
from server.config import Config
from server.db import Database
from server.errors import ServerError
from server.people import queue
from server.runtime import Runtime, open_runtime
from server.timebank import checking

DISK_FREE_MIN = 1 << 30  # a busy city writes some hundred MB a day
# The worker empties the queue within a second; so many waiting people mean that it does not run.
WAITING_MAX = 10_000
CLOCK_SOURCES = (Path("/run/systemd/timesync/synchronized"), Path("/run/chrony"))


class Level(enum.Enum):
    """How a part is."""

    GOOD = "ok"
    ODD = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One part: how it is, what was found, and what to do, in both languages."""

    part: str
    level: Level
    found: str
    next_zh: str = ""
    next_en: str = ""

    def __str__(self) -> str:
        sign = {Level.GOOD: "✓", Level.ODD: "!", Level.BAD: "✗"}[self.level]
        advice = f"\n    {self.next_zh} / {self.next_en}" if self.next_en else ""
        return f"{sign} {self.part}: {self.found}{advice}"

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {
            "part": self.part,
            "level": self.level.value,
            "found": self.found,
            "next": {"zh": self.next_zh, "en": self.next_en},
        }


def examine(config: Config, clock: Clock) -> list[Finding]:
    """Look at the parts in the order in which they need each other; never raises for a bad part."""
    findings = [_data(config), _disk(config), *_private(config)]
    with _database(config) as (database, trouble):
        if database is None:
            return [*findings, trouble]
        findings.append(_schema(database))
        if findings[-1].level is Level.BAD:
            return findings
        findings += [_durable(database), _waiting(database), _ledger(database)]
    findings += _keys(config, clock)
    return [*findings, _time_source()]


def _data(config: Config) -> Finding:
    folder = config.data.dir
    if not folder.is_dir():
        return Finding("data", Level.BAD, f"{folder} missing", "先初始化", "run yika-server init")
    if not os.access(folder, os.W_OK):
        return Finding(
            "data", Level.BAD, f"{folder} not writable",
            "把目录交给服务用户", "give the folder to the user of the service",
        )  # fmt: skip
    return Finding("data", Level.GOOD, str(folder))


def _disk(config: Config) -> Finding:
    place = config.data.dir if config.data.dir.exists() else Path("/")
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free"
    if free < DISK_FREE_MIN:
        return Finding("disk", Level.BAD, found, "清理或扩容", "make room or add a disk")
    return Finding("disk", Level.GOOD, found)


def _private(config: Config) -> Iterator[Finding]:
    """Files with secrets are for their owner only."""
    for path in (config.identity_path, config.sealed_identity_path, config.secret_path):
        if not path.exists():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield Finding(
                "files", Level.BAD, f"{path} has mode {mode:o}",
                f"运行 chmod 600 {path}", f"run chmod 600 {path}",
            )  # fmt: skip
    if config.identity_path.exists():
        yield Finding(
            "signing key", Level.ODD, "a plain file",
            "运行 yika-server identity seal", "run yika-server identity seal",
        )  # fmt: skip


@contextmanager
def _database(config: Config) -> Iterator[tuple[Database | None, Finding]]:
    database = None
    try:
        database = Database(config.database_url)
        with database.engine.connect():
            pass
    except (ValueError, sa.exc.SQLAlchemyError) as error:
        said = str(getattr(error, "orig", error)).strip().splitlines()[:1]
        yield None, Finding(
            "database", Level.BAD, " ".join(said),
            "检查数据库服务与地址", "see that the database runs and the URL is right",
        )  # fmt: skip
    else:
        yield database, Finding("database", Level.GOOD, database.shown_url)
    finally:
        if database is not None:
            database.close()


def _schema(database: Database) -> Finding:
    found, newest = schema.current_revision(database), schema.newest_revision()
    if found != newest:
        return Finding(
            "database", Level.BAD, f"schema {found or 'missing'}, needed {newest}",
            "先备份，再运行 yika-server init", "back up, then run yika-server init",
        )  # fmt: skip
    return Finding("database", Level.GOOD, f"{database.shown_url}, schema {found}")


def _durable(database: Database) -> Finding:
    """An answered upload must survive a power cut."""
    if not database.is_postgresql:
        return Finding("durability", Level.GOOD, "SQLite with synchronous=FULL")
    with database.engine.connect() as connection:
        values = {
            name: str(connection.scalar(sa.text(f"SHOW {name}")))
            for name in ("fsync", "synchronous_commit", "full_page_writes")
        }
    off = [name for name, value in values.items() if value == "off"]
    if off:
        return Finding(
            "durability", Level.BAD, f"{', '.join(off)} off",
            "在 postgresql.conf 中打开", "switch it on in postgresql.conf: receipts promise it",
        )  # fmt: skip
    return Finding("durability", Level.GOOD, ", ".join(f"{k}={v}" for k, v in values.items()))


def _waiting(database: Database) -> Finding:
    with database.reading() as session:
        waiting = queue.length(session)
    if waiting > WAITING_MAX:
        return Finding(
            "hours", Level.BAD, f"{waiting} wait to be derived",
            "检查 [worker] 与日志", "see [worker] in the configuration and the log",
        )  # fmt: skip
    return Finding("hours", Level.GOOD, f"{waiting} wait to be derived")


def _ledger(database: Database) -> Finding:
    with database.reading() as session:
        found = checking.check(session)
    said = f"sum {found.ledger_sum}, {found.transfers} transfers"
    if not found.sound:
        return Finding(
            "ledger", Level.BAD, "; ".join([said, *found.faults]),
            "运行 yika-server reconcile，再查账", "run yika-server reconcile, then look again",
        )  # fmt: skip
    return Finding("ledger", Level.GOOD, said)


def _keys(config: Config, clock: Clock) -> list[Finding]:
    try:
        runtime = open_runtime(config, clock)
    except (ServerError, KeysError) as error:
        trouble = Finding(
            "keys", Level.BAD, str(error),
            "检查密钥库与口令", "see the key store and its passphrase",
        )  # fmt: skip
        return [trouble]
    try:
        return list(_key_findings(runtime))
    finally:
        runtime.close()


def _key_findings(runtime: Runtime) -> Iterator[Finding]:
    held = {info.usage for info in runtime.store.list()}
    missing = [usage.value for usage in SCHEME_USAGES if usage not in held]
    if missing:
        yield Finding(
            "keys", Level.BAD, f"no key for {', '.join(missing)}",
            "运行 yika-keys init", "run yika-keys init or generate them",
        )  # fmt: skip
    else:
        yield Finding("keys", Level.GOOD, f"{runtime.store.backend}, {len(held)} usages")
    if runtime.store.test_keys:
        yield Finding(
            "keys", Level.BAD, "keys of a rehearsal",
            "生产环境须用仪式产生的密钥", "production takes keys made in a ceremony",
        )  # fmt: skip
    library: Callable[[], str | None] = sm2.fast_library
    if library() is None:
        yield Finding(
            "SM2", Level.ODD, f"no fast library; {sm2.SM2_EVENTS_MAX} events a request at most",
            "安装 libcrypto 3", "install libcrypto 3 (Debian: libssl3)",
        )  # fmt: skip


def _time_source() -> Finding:
    if any(path.exists() for path in CLOCK_SOURCES):
        return Finding("clock", Level.GOOD, "synchronised")
    return Finding(
        "clock", Level.ODD, "no sign of NTP",
        "启用 systemd-timesyncd 或 chrony", "enable systemd-timesyncd or chrony",
    )  # fmt: skip
