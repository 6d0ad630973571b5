# SPDX-License-Identifier: Apache-2.0
"""The demonstration day: real programs, virtual cards, one clock, as docs/demo-day.md tells it."""
