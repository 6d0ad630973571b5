# SPDX-License-Identifier: Apache-2.0
"""A bank's file in and out: read and checked beside csv and Polars, loaded beside an ORM.

Every reader checks the same: lengths, digits, lists, dates, count, control total, SHA-256. Each
runs in a process of its own, whose greatest memory is told. Loading is measured from the file on
the disk to the committed PostgreSQL, steps, answer and archive included; the peer is what one
would write first, csv and one object at a time, on fewer rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from bench.bank_world import CODE, FIRST_ORDER, csv_rows, write_csv
from bench.ingest_world import durable_postgres
from bench.line import Line, check, report, significant
from server.bank.intake import Delivery, receive
from server.db import Database
from server.issuing.models import CardOrder, CardStep
from server.schema import upgrade
from tests.factories import make_store
from tests.integration.server.bank_rig import BankRig

FULL_LINES, QUICK_LINES = 1_000_000, 50_000
LONG_FACTOR = 10  # as many lines more in the same memory
PEER_ROWS = 3_000
CSV_RATIO_MIN = 3.0
ORM_RATIO_MIN = 5.0
MEMORY_MAX = 200_000_000
PASSES = 3


def run(quick: bool) -> Iterator[Line]:
    """Measure files of partners; with `quick`, on fewer lines."""
    count = QUICK_LINES if quick else FULL_LINES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from _files(folder, count)
        yield from _loading(folder, count)


def _files(folder: Path, count: int) -> Iterator[Line]:
    fixed, plain = folder / "results.dat", folder / "results.csv"
    written = _step("write", fixed, count)
    write_csv(plain, count)
    took = {
        step: min((_step(step, path) for _ in range(PASSES)), key=lambda one: one["cpu_s"])
        for step, path in (("fixed", fixed), ("csv", plain), ("polars", plain))
    }
    long = folder / "long.dat"
    _step("write", long, count * LONG_FACTOR)
    longer = _step("fixed", long)
    long.unlink()
    yield report("bank", f"write {count} lines", _rate(written), "lines/cpu-s")
    for step, said in (("fixed", "the family's reader"), ("csv", "csv module"),
                       ("polars", "Polars, all cores")):  # fmt: skip
        yield report("bank", f"read and check {count} lines: {said}", _rate(took[step]),
                     "lines/cpu-s")  # fmt: skip
        yield report("bank", f"the same, by the clock: {said}",
                     significant(count / took[step]["wall_s"]), "lines/s")  # fmt: skip
    yield report("bank", "memory: Polars", took["polars"]["peak"], "bytes")
    ratio = took["csv"]["cpu_s"] / took["fixed"]["cpu_s"]
    yield check("bank", "read and check against csv", significant(ratio), "ratio",
                limit=CSV_RATIO_MIN, sense="min")  # fmt: skip
    yield check("bank", f"memory: {count} lines", took["fixed"]["peak"], "bytes",
                limit=MEMORY_MAX, sense="max")  # fmt: skip
    yield check("bank", f"memory: {count * LONG_FACTOR} lines", longer["peak"], "bytes",
                limit=MEMORY_MAX, sense="max")  # fmt: skip


def _step(step: str, path: Path, count: int = 0) -> dict[str, float]:
    """Run one step in a process of its own."""
    command = [sys.executable, "-m", "bench.bank_world", step, str(path), str(count)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _rate(took: dict[str, float]) -> float:
    return significant(took["count"] / took["cpu_s"])


def _loading(folder: Path, count: int) -> Iterator[Line]:
    store = make_store(folder / "keys.yks")
    with durable_postgres() as cluster:
        database = Database(cluster.create_database("template1_bank"))
        upgrade(database)
        rig = BankRig(database, store, folder).populate()
        _orders(database, count)
        ours = _load(rig, folder / "results.dat", count)
        _reset(database)
        peer = _peer(database, folder / "results.csv", min(count, PEER_ROWS))
        database.close()
    yield report("bank", f"load {count} results into PostgreSQL", significant(ours), "records/s")
    yield report("bank", "peer: csv and one object at a time", significant(peer), "records/s")
    yield check("bank", "load against ORM", significant(ours / peer), "ratio",
                limit=ORM_RATIO_MIN, sense="min")  # fmt: skip


def _orders(database: Database, count: int) -> None:
    """Make volunteers and exported orders, by the database itself."""
    with database.writing() as session:
        session.execute(sa.text(
            "INSERT INTO volunteer (id, number, sealed_name, sealed_birth, masked_name, "
            "created_ms, secret_hash, secret_kind) SELECT n, lpad(n::text, 10, '0'), '', '', '*', "
            "0, '', 'code' FROM generate_series(1, :count) n"
        ), {"count": count})  # fmt: skip
        session.execute(sa.text(
            "INSERT INTO card_order (order_no, volunteer_id, kind, carrier, partner, branch_code, "
            "reason, state, price_fen, created_ms, changed_ms, batch_ref) "
            "SELECT (:first + n - 1)::text, n, 'bank', 'debit', :code, 'SZ-001', 'FIRST', "
            "'exported', 0, 0, 0, :batch FROM generate_series(1, :count) n"
        ), {
            "count": count, "first": FIRST_ORDER, "code": CODE,
            "batch": f"YIKA_{CODE}_ORD_00000001.dat",
        })  # fmt: skip
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))


def _load(rig: BankRig, path: Path, count: int) -> float:
    name = f"YIKA_{CODE}_RES_00000001.dat"
    path = path.rename(path.with_name(name))
    manifest = rig.bank().wrapping.manifest(name, path.read_bytes())
    began = time.perf_counter()
    outcome = receive(rig.intake, Delivery(CODE, path, manifest))
    took = time.perf_counter() - began
    if (outcome.status, outcome.accepted) != ("ACCP", count):
        raise RuntimeError(f"not all were loaded: {outcome}")
    return count / took


def _reset(database: Database) -> None:
    with database.writing() as session:
        session.execute(sa.update(CardOrder).values(state="exported", asn=None))


def _peer(database: Database, path: Path, rows: int) -> float:
    """Load the usual way: a row, an object, its rule, its step; committed by the thousand."""
    began = time.perf_counter()
    done = 0
    with database.writing() as session:
        for batch, number, _, _, serial, _ in csv_rows(path):
            order = session.scalar(sa.select(CardOrder).where(CardOrder.order_no == number))
            taken = session.scalar(sa.select(CardOrder.id).where(CardOrder.asn == serial))
            if order is None or taken is not None or order.state != "exported":
                raise RuntimeError("a good row was refused")
            order.state, order.asn, order.changed_ms = "produced", serial, 1
            session.add(CardStep(
                order_id=order.id, from_state="exported", to_state="produced", event="produced",
                source="bank", cause_ref=f"file:{batch}:{done}", actor="system", at_ms=0, made_ms=1,
            ))  # fmt: skip
            done += 1
            if done == rows:
                break
    return done / (time.perf_counter() - began)
