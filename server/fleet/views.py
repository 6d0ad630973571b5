# SPDX-License-Identifier: Apache-2.0
"""HTTP routes of the fleet: the release repository."""

from __future__ import annotations

from flask_openapi.openapi import OpenAPI

from server.fleet import offering


def register(app: OpenAPI) -> None:
    """Hang the routes of this feature on the application."""
    app.register_api(offering.blueprint)
