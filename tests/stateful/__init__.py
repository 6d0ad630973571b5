# SPDX-License-Identifier: Apache-2.0
"""The virtual card against an independent reference, rule by rule, in any order."""
