# SPDX-License-Identifier: Apache-2.0
"""The virtual cards behind the real pcscd, in a namespace that nobody else sees."""
