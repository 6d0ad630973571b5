# SPDX-License-Identifier: Apache-2.0
"""Cards at a desk: the server drives a reader on a clerk's PC through the relay."""
