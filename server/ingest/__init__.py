# SPDX-License-Identifier: Apache-2.0
"""Ingest: batches of signed swipes in, one signed receipt out, nothing stored twice."""
