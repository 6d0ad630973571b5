# SPDX-License-Identifier: Apache-2.0
"""The terminals as a fleet: how they do, which releases they are offered, who replaces whom."""
