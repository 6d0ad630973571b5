# SPDX-License-Identifier: Apache-2.0
"""The time bank has no routes of its own yet; its balances are shown by the portal's pages."""

from __future__ import annotations

from flask import Flask


def register(_app: Flask) -> None:
    """Hang nothing on the application."""
