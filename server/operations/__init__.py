# SPDX-License-Identifier: Apache-2.0
"""Keeping the server well: backups that are known to restore, and a look at every part."""
