# SPDX-License-Identifier: Apache-2.0
"""Keys: purse formulas, key stores, PSAM and identities; no reader, web or database."""
