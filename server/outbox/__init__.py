# SPDX-License-Identifier: Apache-2.0
"""Messages to people: queued with what causes them, sent once, by SMS, letter or public notice."""
