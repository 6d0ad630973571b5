# SPDX-License-Identifier: Apache-2.0
"""The desk: jobs at cards that compute."""
