# SPDX-License-Identifier: Apache-2.0
"""Tests of the signed updates of a terminal's scripts."""
