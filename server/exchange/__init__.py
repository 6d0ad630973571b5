# SPDX-License-Identifier: Apache-2.0
"""What other programs read: lists by cursor, whole exports, and a word when there is more."""
