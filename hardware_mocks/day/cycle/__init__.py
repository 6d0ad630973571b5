# SPDX-License-Identifier: Apache-2.0
"""From a thousand applicants to cards in hand: what follows the day, told in docs/demo-cycle.md."""
