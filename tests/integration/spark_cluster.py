# SPDX-License-Identifier: Apache-2.0
"""A throw-away Spark cluster on loopback: one master, two workers of one core each.

Ports are the system's choice, memory is capped, processes are ended by their own handles.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

WORKERS = 2
MEMORY = "512m"
START_S = 280  # after five on a quiet machine; one with all else at work takes minutes
SCALA = "2.13"  # what the jars of pyspark 4 are built for
# Every Java here lives for seconds: a second compiler and threads for garbage cost more than they
# give. Spark's own option for drivers and executors would not reach its launcher.
BRIEF = ("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData")
MASTER_AT = re.compile(r"Starting Spark master at (spark://\S+)")
REGISTERED = "Successfully registered with master"
# What Spark's own launcher would add for Java 17.
OPENED = (
    "java.base/java.lang", "java.base/java.lang.invoke", "java.base/java.lang.reflect",
    "java.base/java.io", "java.base/java.net", "java.base/java.nio", "java.base/java.util",
    "java.base/java.util.concurrent", "java.base/java.util.concurrent.atomic",
    "java.base/sun.nio.ch", "java.base/sun.nio.cs", "java.base/sun.security.action",
)  # fmt: skip


@contextmanager
def spark_cluster() -> Iterator[str]:
    """Run a master and its workers; give the master's URL."""
    folder = Path(tempfile.mkdtemp(prefix="yika-spark-"))
    processes: list[subprocess.Popen[bytes]] = []
    brief = pytest.MonkeyPatch()
    brief.setenv(*BRIEF)
    try:
        log = folder / "master.log"
        arguments = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        processes.append(_start("master.Master", log, folder, *arguments))
        master = _awaited(log, MASTER_AT, processes[0]).group(1)
        logs = [folder / f"worker-{number}.log" for number in range(WORKERS)]
        for each in logs:
            arguments = (
                "--host", "127.0.0.1", "--port", "0", "--webui-port", "0", "--cores", "1",
                "--memory", MEMORY, "--work-dir", str(folder / each.stem), master,
            )  # fmt: skip
            processes.append(_start("worker.Worker", each, folder, *arguments))
        for each, process in zip(logs, processes[1:], strict=True):
            _awaited(each, re.compile(REGISTERED), process)
        yield master
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(timeout=START_S)
        shutil.rmtree(folder, ignore_errors=True)
        brief.undo()


def settings(folder: Path) -> dict[str, str]:
    """Return settings of a session that keep it small and inside a folder."""
    return {
        "spark.driver.memory": MEMORY,
        "spark.executor.memory": MEMORY,
        "spark.executor.cores": "1",
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.python.worker.reuse": "true",
        "spark.sql.shuffle.partitions": str(WORKERS),
    }


def _start(name: str, log: Path, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    found = importlib.util.find_spec("pyspark")
    java = shutil.which("java")
    if found is None or found.origin is None or java is None:
        message = "pyspark or java is missing: install the extra spark, and openjdk-17-jre-headless"
        raise RuntimeError(message)
    home = Path(found.origin).parent
    opened = [f"--add-opens={package}=ALL-UNNAMED" for package in OPENED]
    command = [
        java, "-Xmx256m", *opened, "-cp", str(home / "jars" / "*"),
        f"org.apache.spark.deploy.{name}", *arguments,
    ]  # fmt: skip
    environment = dict(os.environ) | {
        "SPARK_HOME": str(home), "SPARK_SCALA_VERSION": SCALA, "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }  # fmt: skip
    with log.open("wb") as file:
        return subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, cwd=folder, env=environment
        )


def _awaited(log: Path, wanted: re.Pattern[str], process: subprocess.Popen[bytes]) -> re.Match[str]:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        text = log.read_text("utf-8", errors="replace")
        found = wanted.search(text)
        if found:
            return found
        if process.poll() is not None:
            break
        time.sleep(0.1)
    message = f"{log.name} never said {wanted.pattern!r}: {text[-800:]}"
    raise RuntimeError(message)
