# SPDX-License-Identifier: Apache-2.0
"""The terminal program: card, decision, proof, journal, uplink, screen."""
