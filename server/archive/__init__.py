# SPDX-License-Identifier: Apache-2.0
"""Evidence, hours and ledger as Parquet by month and shard; hours beyond one machine."""
