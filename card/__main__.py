# SPDX-License-Identifier: Apache-2.0
"""`python -m card` is `yika-card`."""

from __future__ import annotations

from card.cli import main

main()
