# SPDX-License-Identifier: Apache-2.0
"""BER-TLV and, later, EMV data: formats only, no readers and no keys."""
