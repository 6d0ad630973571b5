# SPDX-License-Identifier: Apache-2.0
"""The application factory, the one place where the server is put together.

A feature is a package with a module `views` whose function `register(app)` hangs its routes on
the application, and, if it has commands, a module `cli` with a list `COMMANDS` of click commands
for yika-server. To add a feature, add its name to `FEATURES`.
"""

from __future__ import annotations

import importlib
import time
from typing import Any

import sqlalchemy.exc
import structlog
from flask import Response, g, got_request_exception, request
from flask_openapi.models.info import Info
from flask_openapi.openapi import OpenAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.exceptions import HTTPException

from server import schema
from server.clock import Clock
from server.config import Config, load
from server.errors import PROBLEM_TYPE, Problem
from server.runtime import EXTENSION, Runtime, current_runtime, open_runtime

FEATURES = (
    "server.people",
    "server.structure",
    "server.outbox",
    "server.terminals",
    "server.phone_cards",
    "server.updates",
    "server.ingest",
    "server.fleet",
    "server.reconciliation",
    "server.timebank",
    "server.inquiry",
    "server.transparency",
    "server.privacy",
    "server.operations",
    "server.exchange",
    "server.archive",
    "server.applications",
    "server.issuing",
    "server.benefits",
    "server.bank",
    "server.desk",
    "server.portal",
)

# How a program of a partner says who it is.
SECURITY_SCHEMES: dict[str, Any] = {"account": {"type": "http", "scheme": "bearer"}}
# Under these paths errors are problem documents, elsewhere pages.
FOR_MACHINES = ("/api/", "/log/", "/releases/", "/healthz", "/readyz", "/metrics")
# A feature that shows pages stores here a function Problem -> Response for its errors.
PAGE_ERROR = "yika.page_error"

# read_only_sql_transaction: a standby, or a database set read-only for maintenance.
READ_ONLY_SQLSTATE = "25006"

log = structlog.get_logger("yika.http")


def create_app(config: Config | None = None, *, clock: Clock | None = None) -> OpenAPI:
    """Open the configured runtime and build the application on it."""
    return build_app(open_runtime(config or load(), clock))


def build_app(runtime: Runtime) -> OpenAPI:
    """Build the application on an open runtime."""
    app = OpenAPI(
        "server",
        info=Info(title="Yika", version="1", description="义卡 · electronic volunteer card"),
        doc_ui=False,
        security_schemes=SECURITY_SCHEMES,
        validation_error_callback=_validation_problem,
    )
    app.extensions[EXTENSION] = runtime
    app.secret_key = runtime.web_secret
    app.config.update(
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=runtime.config.http.secure_cookies,
        RETRY_AFTER_S=runtime.config.http.retry_after_s,
    )
    for feature in FEATURES:
        importlib.import_module(f"{feature}.views").register(app)
    _register_operations(app)
    _register_errors(app)
    _register_request_log(app)
    return app


def _register_operations(app: OpenAPI) -> None:
    @app.route("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.route("/readyz")
    def readyz() -> Response:
        return _readiness(current_runtime())

    @app.route("/metrics")
    def metrics() -> Response:
        body = generate_latest(current_runtime().metrics.registry)
        return Response(body, content_type=CONTENT_TYPE_LATEST)

    @app.route("/api/v1/openapi.json")
    def openapi_document() -> dict[str, Any]:
        document: dict[str, Any] = app.api_doc
        return document


def _readiness(runtime: Runtime) -> Response:
    try:
        found = schema.current_revision(runtime.database)
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise _database_problem(runtime.config.http.retry_after_s) from error
    if found != schema.newest_revision():
        raise Problem(
            503,
            "schema-behind",
            "数据库结构不是最新，请运行 yika-server init",
            "the database schema is not current: run yika-server init",
            found=found,
        )
    return Response('{"status": "ready"}', content_type="application/json")


def _register_errors(app: OpenAPI) -> None:
    # Our own log line instead of Flask's: one object, without the values of variables.
    app.logger.disabled = True

    @got_request_exception.connect_via(app)
    def unexpected(_app: object, exception: BaseException, **_extra: object) -> None:
        rule = request.url_rule.rule if request.url_rule else None
        log.error("request_failed", rule=rule, exc_info=exception)

    @app.errorhandler(Problem)
    def problem(error: Problem) -> Response:
        return _answer(app, error)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | HTTPException:
        if error.code is None or error.code < 400:
            return error
        return _answer(app, _http_problem(error))

    @app.errorhandler(sqlalchemy.exc.OperationalError)
    @app.errorhandler(sqlalchemy.exc.InternalError)
    @app.errorhandler(sqlalchemy.exc.TimeoutError)
    def database_error(error: sqlalchemy.exc.SQLAlchemyError) -> Response:
        if isinstance(error, sqlalchemy.exc.InternalError) and not _is_read_only(error):
            raise error
        log.warning("database_unavailable", error=type(error).__name__, path=request.path)
        return _answer(app, _database_problem(app.config["RETRY_AFTER_S"]))


def _is_read_only(error: sqlalchemy.exc.InternalError) -> bool:
    """Tell a PostgreSQL that only reads from other internal errors, by SQLSTATE."""
    return getattr(error.orig, "sqlstate", None) == READ_ONLY_SQLSTATE


def _answer(app: OpenAPI, problem: Problem) -> Response:
    page = app.extensions.get(PAGE_ERROR)
    if page is not None and not request.path.startswith(FOR_MACHINES):
        shown: Response = page(problem)
        return shown
    response = Response(problem.to_json(), problem.status, content_type=PROBLEM_TYPE)
    if problem.retry_after_s:
        response.headers["Retry-After"] = str(problem.retry_after_s)
    return response


def _http_problem(error: HTTPException) -> Problem:
    texts = {
        400: ("bad-request", "请求不完整或无法理解"),
        401: ("unauthorized", "需要先登录"),
        403: ("forbidden", "没有权限"),
        404: ("not-found", "没有这个地址"),
        405: ("method-not-allowed", "此地址不支持这种请求"),
        413: ("too-large", "内容太大"),
        429: ("too-many-requests", "请求太多，请稍后再试"),
    }
    kind, zh = texts.get(error.code or 500, ("server-error", "服务器出错，请稍后再试"))
    retry_after_s = 60 if error.code == 429 else 0
    english = error.description or error.name
    return Problem(error.code or 500, kind, zh, english, retry_after_s=retry_after_s)


def _database_problem(retry_after_s: int) -> Problem:
    return Problem(
        503,
        "database-unavailable",
        "数据库暂时不能写入，数据没有丢失，请稍后重试",
        "the database cannot be written now; nothing is lost, try again later",
        retry_after_s=retry_after_s,
    )


def _validation_problem(error: Any) -> Response:
    fields = [".".join(map(str, item["loc"])) for item in error.errors(include_input=False)]
    problem = Problem(
        422, "malformed", "请求中有字段不合要求", "fields of the request are wrong", fields=fields
    )
    return Response(problem.to_json(), problem.status, content_type=PROBLEM_TYPE)


def _register_request_log(app: OpenAPI) -> None:
    @app.before_request
    def started() -> None:
        g.started_s = time.monotonic()

    @app.after_request
    def finished(response: Response) -> Response:
        duration_ms = round((time.monotonic() - g.get("started_s", time.monotonic())) * 1000, 1)
        current_runtime().metrics.requests.labels(request.method, response.status_code).inc()
        # The rule, not the path: a path may carry a token or a person's number.
        rule = request.url_rule.rule if request.url_rule else None
        log.info(
            "request",
            method=request.method,
            rule=rule,
            status=response.status_code,
            duration_ms=duration_ms,
        )
        return response
