# SPDX-License-Identifier: Apache-2.0
"""Devices of the terminal."""
