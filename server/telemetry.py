# SPDX-License-Identifier: Apache-2.0
"""Structured logs and metrics; neither carries a secret, a name or a card's serial."""

from __future__ import annotations

import logging
import sys

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from structlog.tracebacks import ExceptionDictTransformer

UPLOAD_SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """The counters of one application; each application has its own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.uploads = Counter(
            "yika_uploads",
            "Uploads by HTTP status and kind of answer.",
            ["status", "kind"],
            registry=self.registry,
        )
        self.upload_seconds = Histogram(
            "yika_upload_seconds",
            "Time from the whole body to the answer.",
            buckets=UPLOAD_SECONDS_BUCKETS,
            registry=self.registry,
        )
        self.events = Counter(
            "yika_events", "Stored events by verdict.", ["verdict"], registry=self.registry
        )
        self.log_size = Gauge("yika_log_size", "Leaves of the public log.", registry=self.registry)
        self.log_published = Gauge(
            "yika_log_published_size", "Leaves under the last checkpoint.", registry=self.registry
        )
        self.log_failures = Counter(
            "yika_log_failures", "Turns without a checkpoint.", ["reason"], registry=self.registry
        )
        self.witness_answers = Counter(
            "yika_witness_answers", "Answers of witnesses.", ["outcome"], registry=self.registry
        )
        self.terminals = Gauge(
            "yika_terminals_alarmed",
            "Terminals that are silent, miss events, forked, or whose totals are not equal.",
            ["alarm"],
            registry=self.registry,
        )
        self.worker_people = Counter(
            "yika_worker_people",
            "People derived in the background by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.worker_failures = Counter(
            "yika_worker_failures",
            "Turns of the worker that failed as a whole.",
            ["reason"],
            registry=self.registry,
        )
        self.requests = Counter(
            "yika_requests", "HTTP requests.", ["method", "status"], registry=self.registry
        )


def configure_logging(level: str = "INFO", *, as_json: bool = True) -> None:
    """Send structured lines to standard error, one JSON object each unless told otherwise."""
    renderer = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without the values of local variables: they hold names, codes and keys.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,  # a later configuration must reach every module
    )
