# SPDX-License-Identifier: Apache-2.0
"""One check function per promise; every implementation is run through the same ones."""
