# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: one module each, with a `run(quick)` that yields result lines."""
