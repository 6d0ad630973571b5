# SPDX-License-Identifier: Apache-2.0
"""The operating modes: what a key leads to, what the next card is for, what is shown."""
