# SPDX-License-Identifier: Apache-2.0
"""Tests of the cards that tests use."""
