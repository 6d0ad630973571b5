# SPDX-License-Identifier: Apache-2.0
"""The electronic card on a phone: its tokens, and what comes back of them in events."""
