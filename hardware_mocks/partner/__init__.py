# SPDX-License-Identifier: Apache-2.0
"""A bank that is not there: takes order files, checks them by its own reading, answers with files.

It was written from docs/bank-formats.md and shares no code with the server, so that the two cannot
agree on the same mistake.
"""
