# SPDX-License-Identifier: Apache-2.0
"""HTTP routes of operations: none; its commands are for whoever looks after the server."""

from __future__ import annotations

from flask_openapi.openapi import OpenAPI


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
