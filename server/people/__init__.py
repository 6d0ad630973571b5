# SPDX-License-Identifier: Apache-2.0
"""People: volunteers and their cards, users of the pages, the audit trail."""
