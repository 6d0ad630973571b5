# SPDX-License-Identifier: Apache-2.0
"""Commands of the fleet: releases."""

from __future__ import annotations

from server.fleet.release_cli import release

COMMANDS = [release]
