# SPDX-License-Identifier: Apache-2.0
"""What a volunteer at a terminal may ask: minutes of today and in all, level, coins."""
