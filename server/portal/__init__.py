# SPDX-License-Identifier: Apache-2.0
"""The pages: sign-in, the volunteer's hours, the site leader's desk, the staff's desk."""
