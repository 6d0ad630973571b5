# SPDX-License-Identifier: Apache-2.0
"""What a card brings: insurance, donations, offers, the red vest."""
