# SPDX-License-Identifier: Apache-2.0
"""Use cases of the pages; each opens one unit of work and gives back plain values."""
