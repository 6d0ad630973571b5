# SPDX-License-Identifier: Apache-2.0
"""Tests of the server with a real database and real HTTP requests."""
