# SPDX-License-Identifier: Apache-2.0
"""Facts about keys: formulas, handles, signatures."""
