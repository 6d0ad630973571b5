# SPDX-License-Identifier: Apache-2.0
"""The file family of bank partners: layouts, records, reading, writing. No database, no network."""
