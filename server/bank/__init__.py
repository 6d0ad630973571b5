# SPDX-License-Identifier: Apache-2.0
"""Batch files to and from bank partners, and their channels."""
