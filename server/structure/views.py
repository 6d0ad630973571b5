# SPDX-License-Identifier: Apache-2.0
"""Routes of this feature."""

from __future__ import annotations

from flask_openapi.openapi import OpenAPI


def register(app: OpenAPI) -> None:
    """Hang the routes on the application: none yet."""
