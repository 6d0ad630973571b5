# SPDX-License-Identifier: Apache-2.0
"""Serve the application with gunicorn: one process with threads, and the worker thread in it.

One process, because the worker that derives hours lives inside it and two would only wait for
each other; the threads share the signatures' work, which runs outside the interpreter lock.
"""

from __future__ import annotations

import ssl
from typing import Any

import structlog
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from keys.sm2 import SM2_EVENTS_MAX, SONAME, fast_library
from server.addresses import address_of
from server.app import build_app
from server.clock import Clock
from server.config import Config, HttpSection
from server.errors import ConfigError
from server.exchange.sender import Sender
from server.outbox.sender import OutboxSender, post_of
from server.runtime import EXTENSION, Runtime, open_runtime
from server.transparency.publishing import Publisher
from server.worker import Worker

# Longer than the slowest batch under a busy database; a silent worker is replaced after it.
TIMEOUT_S = 60
# What is in flight at the end may finish within this.
GRACEFUL_TIMEOUT_S = 10
# Between two uploads of one terminal in a row.
KEEPALIVE_S = 5

log = structlog.get_logger("yika.serving")


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with our settings instead of a command line."""

    def __init__(self, config: Config, clock: Clock | None) -> None:
        self.config = config
        self.clock = clock
        self.worker: Worker | None = None
        self.publisher: Publisher | None = None
        self.sender: Sender | None = None
        self.outbox: OutboxSender | None = None
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        http = self.config.http
        settings: dict[str, Any] = {
            "bind": f"{http.host}:{http.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": http.threads,
            "timeout": TIMEOUT_S,
            "graceful_timeout": GRACEFUL_TIMEOUT_S,
            "keepalive": KEEPALIVE_S,
            "loglevel": "warning",
            "control_socket_disable": True,
            "post_worker_init": self._start_worker,
            "worker_exit": self._stop_worker,
        }
        settings |= tls_settings(http)
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Build the application, in the process that serves it."""
        say_how_sm2_is_verified(fast_library())
        return build_app(open_runtime(self.config, self.clock))

    def _start_worker(self, process: Any) -> None:
        runtime: Runtime = process.wsgi.extensions[EXTENSION]
        if self.config.worker.enabled:
            self.worker = Worker(runtime)
            self.worker.start()
            self.sender = Sender(runtime)
            self.sender.start()
            if post := post_of(runtime, address_of(runtime)):
                self.outbox = OutboxSender(runtime, post)
                self.outbox.start()
        if self.config.evidence.enabled:
            self.publisher = Publisher(runtime)
            self.publisher.start()

    def _stop_worker(self, _arbiter: Any, process: Any) -> None:
        if self.worker is not None:
            self.worker.stop()
        if self.publisher is not None:
            self.publisher.stop()
        if self.sender is not None:
            self.sender.stop()
        if self.outbox is not None:
            self.outbox.stop()
        application = getattr(process, "wsgi", None)
        if application is not None:
            application.extensions[EXTENSION].close()


def tls_settings(http: HttpSection) -> dict[str, Any]:
    """Return what makes gunicorn speak TLS, nothing where a proxy stands in front.

    Raises:
        ConfigError: One of the two files is missing, or they are no certificate and its key.
    """
    if not (http.certificate or http.key):
        return {}
    context = _tls_context(http)
    return {
        "certfile": http.certificate,
        "keyfile": http.key,
        "ssl_context": lambda _config, _default: context,
    }


def _tls_context(http: HttpSection) -> ssl.SSLContext:
    if not (http.certificate and http.key):
        raise ConfigError("[http] certificate and key: both or none")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(http.certificate, http.key)
    except OSError as error:
        detail = error.strerror or type(error).__name__
        raise ConfigError(f"[http] certificate and key: {detail}") from error
    return context


def say_how_sm2_is_verified(library: str | None) -> None:
    """Log which library verifies SM2, and warn where none does: uploads are then kept small."""
    if library is None:
        log.warning("sm2_slow", events_per_batch_max=SM2_EVENTS_MAX, wants=SONAME)
    else:
        log.info("sm2_fast", library=library)


def serve(config: Config, clock: Clock | None = None) -> None:
    """Serve until the process is told to end (SIGTERM, SIGINT)."""
    Server(config, clock).run()
