# SPDX-License-Identifier: Apache-2.0
"""Run yika-server as ``python -m server``."""

from __future__ import annotations

from server.cli import main

if __name__ == "__main__":
    main()
