# SPDX-License-Identifier: Apache-2.0
"""Signed updates of the terminal's scripts: trust, download, two slots, and the way back."""
