# SPDX-License-Identifier: Apache-2.0
"""The devices round the reader: display, keys, sounder, printer, GPS, code scanner, face check."""
