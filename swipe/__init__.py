# SPDX-License-Identifier: Apache-2.0
"""Swipes: the signed event, its batch and receipt, the journal and the offline verifier."""
