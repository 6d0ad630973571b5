# SPDX-License-Identifier: Apache-2.0
"""The terminal with virtual cards, real files and real sockets."""
