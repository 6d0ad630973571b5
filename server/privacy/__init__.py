# SPDX-License-Identifier: Apache-2.0
"""What a person may ask of us about their own data: a copy of it, and its end."""
