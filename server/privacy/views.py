# SPDX-License-Identifier: Apache-2.0
"""HTTP routes of privacy: none; its commands are for staff at the server's console."""

from __future__ import annotations

from flask_openapi.openapi import OpenAPI


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
