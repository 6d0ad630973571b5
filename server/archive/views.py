# SPDX-License-Identifier: Apache-2.0
"""The archive has no pages: it is written, verified and read at the server's console."""

from __future__ import annotations

from flask_openapi.openapi import OpenAPI


def register(app: OpenAPI) -> None:
    """Hang nothing on the application."""
    del app
