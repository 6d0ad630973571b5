# SPDX-License-Identifier: Apache-2.0
"""The names by which card code knows keys it was handed: see ``keys.handle``."""

from __future__ import annotations

from keys.handle import TRANSPORT_KEY, KeyHandle, SessionKey, WorkingKey

__all__ = ["TRANSPORT_KEY", "KeyHandle", "SessionKey", "WorkingKey"]
