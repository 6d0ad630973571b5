# SPDX-License-Identifier: Apache-2.0
"""Facts about the pretend hardware that runs no other program."""
