# SPDX-License-Identifier: Apache-2.0
"""Facts about the wire format and its verifier."""
