# SPDX-License-Identifier: Apache-2.0
"""The public log outside the database: tiles, checkpoints, witnesses; and the audit of it all."""
