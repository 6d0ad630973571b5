# SPDX-License-Identifier: Apache-2.0
"""Changes that wait for a card's next tap, and the sessions in which a terminal carries them."""
