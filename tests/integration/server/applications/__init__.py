# SPDX-License-Identifier: Apache-2.0
"""Applications against real databases: from the form to the official number."""
