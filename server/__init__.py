# SPDX-License-Identifier: Apache-2.0
"""The server: takes signed swipes in, keeps them for ever, turns them into hours."""
