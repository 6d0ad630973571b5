# SPDX-License-Identifier: Apache-2.0
"""Reconciliation: from the set of stored events to each person's service time."""
