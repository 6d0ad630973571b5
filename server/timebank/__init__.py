# SPDX-License-Identifier: Apache-2.0
"""The time bank: a double-entry ledger of whole minutes."""
