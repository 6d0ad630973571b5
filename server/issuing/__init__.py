# SPDX-License-Identifier: Apache-2.0
"""A card's life from order to cut and closed; branches, working days, reissue."""
