# SPDX-License-Identifier: Apache-2.0
"""Play the demonstration day: `python -m hardware_mocks.day`, or rather `script/run`."""

from __future__ import annotations

from hardware_mocks.day.main import main

main()
