# SPDX-License-Identifier: Apache-2.0
"""Run ``python -m keys.cli``."""

from keys.cli import main

main()
