# SPDX-License-Identifier: Apache-2.0
"""Reconciliation has no routes of its own; the portal shows and settles what it finds."""

from __future__ import annotations

from flask import Flask


def register(_app: Flask) -> None:
    """Hang nothing on the application."""
