# SPDX-License-Identifier: Apache-2.0
"""Key ceremonies at a real terminal."""
