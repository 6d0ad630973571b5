# SPDX-License-Identifier: Apache-2.0
"""Pretend hardware that really computes: cards, readers, displays, a clock and a cable to cut."""
