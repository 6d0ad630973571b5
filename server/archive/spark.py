# SPDX-License-Identifier: Apache-2.0
"""Reconciliation on Apache Spark: the kernel by mapInArrow, people grouped by shards.

Spark deals out files, carries taps to the shard of their person and runs a task again when a
worker dies; every rule is judged by the same functions as on one machine. Folders of taps and
results must lie where all workers reach them, and workers need this package.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import server
from server.archive import columns, tap_files, tasks
from server.archive.tap_files import SHARDS, Source
from server.archive.tasks import Facts
from server.errors import Refused
from server.reconciliation import arrays
from server.reconciliation.arrays import Array, History, Result
from server.reconciliation.compiled import choose_engine
from server.reconciliation.parameters import DEFAULT_POLICY, Policy
from server.reconciliation.scoping import resolve

SENT = "shard int, taps binary"
DONE = "shard int, intervals long, exceptions long, minutes long"
# One row is the taps of one file for one shard: some megabytes at most. Spark's batches hold 2 GB.
ROWS_PER_BATCH = 64
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(ROWS_PER_BATCH),
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}


@dataclass(frozen=True)
class Cluster:
    """Where the master is, how many parts people are cut into, and settings of Spark's own.

    With workers on other machines, set `spark.driver.host` and `spark.driver.bindAddress`.
    """

    master: str
    shards: int = SHARDS
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Output:
    """Files with what was derived, and what they come to."""

    folder: Path
    intervals: int
    exceptions: int
    minutes: int


def reconcile(
    history: History,
    cluster: Cluster,
    as_of_ms: int,
    folder: Path,
    policy: Policy = DEFAULT_POLICY,
) -> Result:
    """Derive everybody on a cluster; the result is that of `reconcile_arrays`, row for row.

    Args:
        history: events, registers and decisions.
        cluster: where to run.
        as_of_ms: the instant "now", milliseconds UTC.
        folder: an empty folder that all workers reach, for taps and results.
        policy: the settings of the rules.

    Raises:
        Refused: pyspark is not installed.
    """
    files = tap_files.write(history, folder / "in", cluster.shards)
    with connect(cluster) as session:
        done = derive(session, files, as_of_ms, folder / "out", policy)
    return collect(done, history, policy)


@contextmanager
def connect(cluster: Cluster) -> Iterator[Any]:
    """Open a session of Spark, and end it.

    Raises:
        Refused: pyspark is not installed.
    """
    try:
        sql = importlib.import_module("pyspark.sql")
    except ModuleNotFoundError as error:
        raise Refused(
            "no-spark",
            "没有安装 pyspark：请安装带 spark 附加项的软件包，并装好 Java 17",
            "pyspark is not installed: install the package with the extra spark, and Java 17",
        ) from error
    # Spark reads it from here; workers elsewhere may have their Python in another place.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.master(cluster.master).appName("yika reconcile")
    path = os.pathsep.join(filter(None, (home(), os.environ.get("PYTHONPATH"))))
    settings = SETTINGS | {"spark.executorEnv.PYTHONPATH": path} | dict(cluster.settings)
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    try:
        yield session
    finally:
        session.stop()


def home() -> str:
    """Return the folder this package is imported from: workers beside us import it there."""
    return str(Path(server.__file__).parents[1])


def derive(
    session: Any,
    files: Source,
    as_of_ms: int,
    out: Path,
    policy: Policy = DEFAULT_POLICY,
    facts: Facts | None = None,
) -> Output:
    """Derive everybody whose taps stand in files; results are written into a folder."""
    engine = "plain" if choose_engine("auto", files.events).plain else "compiled"
    job = tasks.Job(files, files.registers(), engine, policy, as_of_ms, out, facts)
    told = session.sparkContext.broadcast(job)
    paths = [(name,) for name in files.names]
    listed = session.sparkContext.parallelize(paths, max(1, len(paths)))
    sent = map_in_arrow(session.createDataFrame(listed, "name string"), _corrector(told), SENT)
    everybody = session.range(files.shards).selectExpr(
        "cast(id as int) shard", "cast('' as binary)"
    )
    grouped = sent.union(everybody).repartition(files.shards, "shard")
    done = map_in_arrow(grouped, _judge(told), DONE).collect()
    return Output(
        out,
        sum(row["intervals"] for row in done),
        sum(row["exceptions"] for row in done),
        sum(row["minutes"] for row in done),
    )


Mapper = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def map_in_arrow(frame: Any, mapper: Mapper, schema: str) -> Any:
    """Call `DataFrame.mapInArrow`; Spark's own asks for pandas, which it then does not use."""
    udf = importlib.import_module("pyspark.sql.udf").UserDefinedFunction
    kind = importlib.import_module("pyspark.util").PythonEvalType.SQL_MAP_ARROW_ITER_UDF
    column = udf(mapper, schema, evalType=kind)(*[frame[name] for name in frame.columns])
    mapped = frame._jdf.mapInArrow(column._jc, False, None)
    return importlib.import_module("pyspark.sql").DataFrame(mapped, frame.sparkSession)


def _corrector(told: Any) -> Mapper:
    def correct(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for name in batch.column(0).to_pylist():
                for shard, taps in tasks.correct(told.value, name):
                    yield _batch((shard, taps), (pa.int32(), pa.binary()), ("shard", "taps"))

    return correct


def _judge(told: Any) -> Mapper:
    def judge(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parts: dict[int, list[bytes]] = {}
        for batch in batches:
            for shard, taps in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                parts.setdefault(shard, []).append(bytes(taps))
        names = ("shard", "intervals", "exceptions", "minutes")
        kinds = (pa.int32(), pa.int64(), pa.int64(), pa.int64())
        for shard in sorted(parts):
            yield _batch(tasks.file_result(told.value, shard, parts.pop(shard)), kinds, names)

    return judge


def _batch(row: tuple[Any, ...], kinds: tuple[Any, ...], names: tuple[str, ...]) -> pa.RecordBatch:
    cells = [pa.array([value], kind) for value, kind in zip(row, kinds, strict=True)]
    return pa.RecordBatch.from_arrays(cells, list(names))


def collect(done: Output, history: History, policy: Policy = DEFAULT_POLICY) -> Result:
    """Read a whole result back into the arrays of one machine, sorted as there."""
    intervals = _collected(done.folder / tasks.INTERVALS, arrays.INTERVAL_DTYPE)
    exceptions = _collected(done.folder / tasks.EXCEPTIONS, arrays.EXCEPTION_DTYPE)
    return Result(intervals, exceptions, resolve(history, policy).made_of)


def _collected(folder: Path, dtype: np.dtype[np.void]) -> Array:
    parts = [
        columns.to_array(columns.read(path), dtype) for path in sorted(folder.glob("*.parquet"))
    ]
    rows = np.concatenate(parts) if parts else arrays.empty(dtype)
    return rows[np.argsort(rows["person"], kind="stable")]
